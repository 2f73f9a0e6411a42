// A hundred whole clusters, each from one seed. WEIR_SEED replays one of them, and prints it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/sim/simulation.hpp"

namespace weir::sim {
namespace {

constexpr std::uint64_t kSeeds = 100;

TEST(Simulation, HoldsEveryInvariantUnderAHundredSeeds) {
  if (const char* seed = std::getenv("WEIR_SEED")) {
    const auto result = simulate({.seed = std::strtoull(seed, nullptr, 10), .verbosity = Verbosity::lines});
    EXPECT_EQ(result.violation, "");
    return;
  }
  Coverage coverage;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto result = simulate({.seed = seed});
    ASSERT_EQ(result.violation, "") << "replay with WEIR_SEED=" << seed;
    coverage += result.coverage;
  }
  EXPECT_EQ(coverage.missing(), "") << coverage.text();
}

TEST(Simulation, IsTheSameForTheSameSeed) {
  const Settings settings{.seed = 7, .tasks = 8'000};
  const auto once = simulate(settings);
  const auto again = simulate(settings);
  EXPECT_EQ(once.hash, again.hash);
  EXPECT_EQ(once.tasks, again.tasks);
  EXPECT_NE(once.hash, simulate({.seed = 8, .tasks = 8'000}).hash);
}

}  // namespace
}  // namespace weir::sim
