#include "bench/node_use.hpp"

#include <sys/resource.h>

#include <charconv>

#include "clients/cpp/http.hpp"

namespace weir::bench {

namespace {

constexpr std::chrono::seconds kPatience{2};

std::optional<double> metric(std::string_view text, std::string_view name) {
  const std::string line = "\n" + std::string(name) + " ";
  const auto found = text.find(line);
  if (found == std::string_view::npos) return std::nullopt;
  double value = 0;
  const char* const begin = text.data() + found + line.size();
  if (std::from_chars(begin, text.data() + text.size(), value).ec != std::errc{}) return std::nullopt;
  return value;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + (static_cast<double>(time.tv_usec) / 1e6);
}

}  // namespace

std::optional<NodeSample> parse_metrics(std::string_view text) {
  const auto cpu = metric(text, "process_cpu_seconds_total");
  const auto writes = metric(text, "weir_disk_writes_total");
  const auto stored = metric(text, "weir_events_stored_total");
  const auto entries = metric(text, "weir_entries_applied_total");
  if (!cpu || !writes || !stored || !entries) return std::nullopt;
  return NodeSample{.cpu_s = *cpu,
                    .disk_writes = static_cast<std::uint64_t>(*writes),
                    .events_stored = static_cast<std::uint64_t>(*stored),
                    .entries_applied = static_cast<std::uint64_t>(*entries),
                    .at = {}};
}

std::vector<std::optional<NodeSample>> sample_nodes(const Targets& targets) {
  std::vector<std::optional<NodeSample>> samples;
  for (const Target& target : targets.nodes) {
    client::HttpConnection connection(target.http);
    const auto answer = connection.exchange({.target = "/metrics"}, client::Clock::now() + kPatience);
    samples.push_back(answer ? parse_metrics(answer->body) : std::nullopt);
    if (samples.back()) samples.back()->at = std::chrono::steady_clock::now();
  }
  return samples;
}

std::vector<NodeUse> use_between(const Targets& targets, const std::vector<std::optional<NodeSample>>& before,
                                 const std::vector<std::optional<NodeSample>>& after) {
  std::vector<NodeUse> uses;
  for (std::size_t i = 0; i < targets.nodes.size(); ++i) {
    NodeUse use{.node = targets.nodes[i].node, .leads = targets.nodes[i].leads};
    if (i < before.size() && i < after.size() && before[i] && after[i] && after[i]->cpu_s >= before[i]->cpu_s &&
        after[i]->events_stored >= before[i]->events_stored && after[i]->disk_writes >= before[i]->disk_writes) {
      use.known = true;
      use.seconds = std::chrono::duration<double>(after[i]->at - before[i]->at).count();
      use.cpu_s = after[i]->cpu_s - before[i]->cpu_s;
      use.disk_writes = after[i]->disk_writes - before[i]->disk_writes;
      use.events_stored = after[i]->events_stored - before[i]->events_stored;
      use.entries = after[i]->entries_applied - before[i]->entries_applied;
    }
    uses.push_back(std::move(use));
  }
  return uses;
}

double own_cpu_s() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

}  // namespace weir::bench
