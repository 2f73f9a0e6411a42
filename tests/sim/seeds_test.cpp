// A hundred whole clusters, each from one seed. WEIR_SEED replays one of them, and prints it.
//
// Every event of every run is checked for FAULTS 1, 2, 3, 5, 8, 9, 15, 16, 18, 20, 21, 24, 26, 27, 29, 30, 31, 32, 33
// and FAULTS 34, 56, 63, 65, 120, 121; `make mutants` shows that a breach would be seen.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/sim/simulation.hpp"

namespace weir::sim {
namespace {

/// A slice of `make sim`, which runs a thousand. Sanitizers make each six times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSeeds = 10;
#else
constexpr std::uint64_t kSeeds = 100;
#endif
/// So many seeds meet every kind of fault.
constexpr std::uint64_t kSeedsForCoverage = 30;

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
    EXPECT_GE(result.virtual_us, 60 * kSecond);
    EXPECT_GE(result.events, 10'000U);
    coverage += result.coverage;
  }
  if (kSeeds >= kSeedsForCoverage) {
    EXPECT_EQ(coverage.missing(), "") << coverage.text();
  }
}

TEST(Simulation, IsTheSameForTheSameSeed) {
  const Settings settings{.seed = 7};
  const auto once = simulate(settings);
  const auto again = simulate(settings);
  EXPECT_EQ(once.hash, again.hash);
  EXPECT_EQ(once.tasks, again.tasks);
  EXPECT_NE(once.hash, simulate({.seed = 8}).hash);
}

}  // namespace
}  // namespace weir::sim
