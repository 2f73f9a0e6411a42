// weir_sim: runs simulations and prints what they came to.
//
//   weir_sim [--seed N] [--seeds COUNT] [--events N] [--seconds N] [--mistake N] [--verbose]
//
// A run stores at least --events events and lasts at least --seconds virtual seconds, three quarters of them with
// faults. Exit 1: an invariant did not hold; the
// seed is printed, and with --verbose the run; or, over 50 seeds and more, some kind of fault never happened. --mistake
// builds one of the mistakes of settings.hpp into the harness.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "tests/sim/simulation.hpp"

namespace {

/// So many seeds must have met every kind of fault; fewer need not.
constexpr std::uint64_t kSeedsForCoverage = 50;

struct Options {
  weir::sim::Settings settings;
  std::uint64_t seeds = 1;
};

[[nodiscard]] bool parse_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

[[nodiscard]] bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--verbose") {
      options.settings.verbosity = weir::sim::Verbosity::lines;
      continue;
    }
    std::uint64_t number = 0;
    if (i + 1 == count || !parse_number(arguments[++i], number)) {
      return false;
    }
    if (name == "--seed") {
      options.settings.seed = number;
    } else if (name == "--seeds") {
      options.seeds = number;
    } else if (name == "--events") {
      options.settings.events = number;
    } else if (name == "--seconds") {
      options.settings.whole_us = number * weir::sim::kSecond;
      options.settings.faults_us = options.settings.whole_us * 3 / 4;
    } else if (name == "--mistake") {
      options.settings.mistake = static_cast<weir::sim::Mistake>(number);
    } else {
      return false;
    }
  }
  return true;
}

void print(const weir::sim::Result& result) {
  std::printf("seed %llu hash %016llx tasks %llu virtual %.1f s events %zu: %s\n",
              static_cast<unsigned long long>(result.seed), static_cast<unsigned long long>(result.hash),
              static_cast<unsigned long long>(result.tasks), static_cast<double>(result.virtual_us) / 1e6,
              result.events, result.violation.empty() ? "ok" : result.violation.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    std::fprintf(stderr, "weir_sim [--seed N] [--seeds COUNT] [--events N] [--seconds N] [--mistake N] [--verbose]\n");
    return 2;
  }
  const auto began = std::chrono::steady_clock::now();
  weir::sim::Coverage coverage;
  std::uint64_t tasks = 0;
  std::size_t events = 0;
  std::uint64_t failed = 0;
  for (std::uint64_t i = 0; i < options.seeds; ++i, ++options.settings.seed) {
    const auto result = weir::sim::simulate(options.settings);
    print(result);
    coverage += result.coverage;
    tasks += result.tasks;
    events += result.events;
    failed += result.violation.empty() ? 0 : 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("coverage: %s\n", coverage.text().c_str());
  std::printf("%llu seeds, %llu failed, %.1f s: %.0f stored events/s, %.0f simulated steps/s\n",
              static_cast<unsigned long long>(options.seeds), static_cast<unsigned long long>(failed), took.count(),
              static_cast<double>(events) / took.count(), static_cast<double>(tasks) / took.count());
  const std::string missing = options.seeds < kSeedsForCoverage ? std::string() : coverage.missing();
  if (!missing.empty()) {
    std::printf("never happened: %s\n", missing.c_str());
  }
  return failed == 0 && missing.empty() ? 0 : 1;
}
