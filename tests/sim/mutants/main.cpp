// weir_mutants: builds one classic mistake after the other into the cluster and counts the seeds until the simulator
// sees it.
//
//   weir_mutants [--seeds MAX] [--seconds VIRTUAL] [--jobs N] [NAME...]
//
// One line per mistake: seeds until it was caught, and by what. A checker is what counts; where one of the core's own
// WEIR_CHECKs stops the process first, the search goes on for a checker as long as --seeds allows, and both are told.
// Exit 1 if a mistake survives all seeds. Without a mistake switched on the same seeds must hold: that is `make sim`.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "raft/check.hpp"
#include "tests/sim/mutants/mutants.hpp"
#include "tests/sim/simulation.hpp"

namespace {

using weir::sim::MutantRow;

/// Once the core has stopped itself, so many seeds are looked through for a checker that sees the mistake as well.
constexpr std::uint64_t kSeedsForChecker = 60;

struct Options {
  std::uint64_t seeds = 1'000;
  std::uint64_t seconds = 0;
  std::uint64_t jobs = 2;
  std::vector<std::string_view> names;
};

struct Catch {
  std::uint64_t seed = 0;  ///< 0 = not caught
  std::string by;
};

struct Row {
  Catch checker;
  Catch core;
};

[[nodiscard]] bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (!name.starts_with("--")) {
      options.names.push_back(name);
      continue;
    }
    std::uint64_t* number = name == "--seeds"     ? &options.seeds
                            : name == "--seconds" ? &options.seconds
                            : name == "--jobs"    ? &options.jobs
                                                  : nullptr;
    if (number == nullptr || i + 1 == count) {
      return false;
    }
    const std::string_view text = arguments[++i];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (error != std::errc() || end != text.data() + text.size() || *number == 0) {
      return false;
    }
  }
  return true;
}

/// In a process of its own, because a broken invariant of the core aborts. Its stderr is what the parent reads.
[[noreturn]] void run_seed(const MutantRow& row, std::uint64_t seed, const Options& options) {
  weir::sim::switch_on(row.mutant);
  weir::sim::Settings settings{.seed = seed, .mistake = row.mistake};
  if (options.seconds > 0) {
    settings.whole_us = options.seconds * weir::sim::kSecond;
    settings.faults_us = settings.whole_us * 3 / 4;
    settings.events = settings.events * options.seconds / 60;
  }
  const auto result = weir::sim::simulate(settings);
  std::fprintf(stderr, "%s", result.violation.c_str());
  std::fflush(stderr);
  std::_Exit(0);
}

void try_seed(const MutantRow& row, std::uint64_t seed, const Options& options, Row& found) {
  int ends[2] = {-1, -1};
  WEIR_CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  WEIR_CHECK(child >= 0);
  if (child == 0) {
    WEIR_CHECK(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[0]);
    run_seed(row, seed, options);
  }
  close(ends[1]);
  std::string said;
  char buffer[512];
  for (ssize_t count = 0; (count = read(ends[0], buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<std::size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  WEIR_CHECK(waitpid(child, &status, 0) == child);
  if (WIFEXITED(status) && said.empty()) {
    return;
  }
  Catch& caught = WIFEXITED(status) ? found.checker : found.core;
  if (caught.seed == 0) {
    said = said.substr(0, said.find('\n'));
    const std::size_t path = said.starts_with('/') ? said.find("broken invariant") : 0;
    caught = {.seed = seed, .by = said.substr(path == std::string::npos ? 0 : path)};
  }
}

[[nodiscard]] Row search(const MutantRow& row, const Options& options) {
  Row found;
  std::uint64_t last = options.seeds;
  for (std::uint64_t seed = 1; seed <= last && found.checker.seed == 0; ++seed) {
    try_seed(row, seed, options, found);
    if (found.core.seed != 0) {
      last = std::min(options.seeds, found.core.seed + kSeedsForChecker);
    }
  }
  return found;
}

[[nodiscard]] std::string text_of(const Catch& caught) {
  return caught.seed == 0 ? std::string("-") : std::to_string(caught.seed);
}

/// False if it survives.
bool print_row(const MutantRow& row, const Row& found) {
  const bool survives = found.checker.seed == 0 && found.core.seed == 0;
  const Catch& first = found.checker.seed != 0 ? found.checker : found.core;
  std::printf("| %s | %.*s | %s | %s | %s |\n", std::string(row.name).c_str(), static_cast<int>(row.what.size()),
              row.what.data(), text_of(found.checker).c_str(), text_of(found.core).c_str(),
              survives ? "SURVIVES" : first.by.c_str());
  std::fflush(stdout);
  return !survives;
}

/// `jobs` processes share the rows: number `job` takes every `jobs`-th of them.
[[nodiscard]] int run_share(const std::vector<MutantRow>& rows, std::uint64_t job, const Options& options) {
  int survivors = 0;
  for (std::size_t i = job; i < rows.size(); i += options.jobs) {
    survivors += print_row(rows[i], search(rows[i], options)) ? 0 : 1;
  }
  return survivors;
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    std::fprintf(stderr, "weir_mutants [--seeds MAX] [--seconds VIRTUAL] [--jobs N] [NAME...]\n");
    return 2;
  }
  std::vector<MutantRow> rows;
  for (const MutantRow& row : weir::sim::mutant_rows()) {
    if (options.names.empty() || std::ranges::find(options.names, row.name) != options.names.end()) {
      rows.push_back(row);
    }
  }
  if (!options.names.empty() && rows.size() != options.names.size()) {
    std::fprintf(stderr, "a name is unknown or stands twice\n");
    return 2;
  }
  std::printf("| mistake | what | seeds until a checker sees it | until the core stops itself | what was seen |\n");
  std::printf("|---|---|---|---|---|\n");
  std::fflush(stdout);
  std::vector<pid_t> shares;
  for (std::uint64_t job = 0; job < options.jobs; ++job) {
    const pid_t share = fork();
    WEIR_CHECK(share >= 0);
    if (share == 0) {
      std::_Exit(run_share(rows, job, options));
    }
    shares.push_back(share);
  }
  int survivors = 0;
  for (const pid_t share : shares) {
    int status = 0;
    WEIR_CHECK(waitpid(share, &status, 0) == share);
    survivors += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }
  std::printf("%zu mistakes, %d survive\n", rows.size(), survivors);
  return survivors == 0 ? 0 : 1;
}
