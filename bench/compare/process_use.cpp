#include "bench/compare/process_use.hpp"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace weir::bench::compare {

// proc(5): the name, field 2, may hold spaces and brackets; the last ')' ends it. Fields 14 to 17 are user and system
// time of the process, then of its children that have ended: Redis has one rewrite its log.
std::optional<double> cpu_seconds(std::string_view stat, double ticks_per_s) {
  constexpr int kFieldsBetween = 11;
  constexpr int kTimes = 4;
  const auto name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::istringstream fields{std::string(stat.substr(name_end + 1))};
  std::string skipped;
  for (int i = 0; i < kFieldsBetween; ++i) fields >> skipped;
  double ticks = 0;
  for (int i = 0; i < kTimes; ++i) {
    double one = 0;
    if (!(fields >> one)) return std::nullopt;
    ticks += one;
  }
  return ticks / ticks_per_s;
}

std::vector<std::optional<NodeSample>> sample_processes(const std::vector<pid_t>& pids) {
  const auto ticks_per_s = static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::vector<std::optional<NodeSample>> samples;
  for (const pid_t pid : pids) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto cpu_s = cpu_seconds(text, ticks_per_s);
    if (cpu_s) {
      samples.push_back(NodeSample{.cpu_s = *cpu_s, .at = std::chrono::steady_clock::now()});
    } else {
      samples.push_back(std::nullopt);
    }
  }
  return samples;
}

}  // namespace weir::bench::compare
