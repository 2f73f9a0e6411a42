// What the brokers spent while they were measured, from their /metrics. Blocks; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/options.hpp"

namespace weir::bench {

/// Counters since the node's start.
struct NodeSample {
  double cpu_s = 0;
  std::uint64_t disk_writes = 0;
  std::uint64_t events_stored = 0;
  std::uint64_t entries_applied = 0;
  std::chrono::steady_clock::time_point at;
};

/// Of the text of /metrics; nothing when a counter is missing.
[[nodiscard]] std::optional<NodeSample> parse_metrics(std::string_view text);

/// One per target, in their order; nothing for one that did not answer within two seconds.
[[nodiscard]] std::vector<std::optional<NodeSample>> sample_nodes(const Targets& targets);

/// Between two samples of one node.
struct NodeUse {
  std::string node;
  bool leads = false;
  bool known = false;  ///< both samples were taken, and the node was not started anew between them
  double seconds = 0;
  double cpu_s = 0;
  std::uint64_t disk_writes = 0;
  std::uint64_t events_stored = 0;
  std::uint64_t entries = 0;
};
[[nodiscard]] std::vector<NodeUse> use_between(const Targets& targets,
                                               const std::vector<std::optional<NodeSample>>& before,
                                               const std::vector<std::optional<NodeSample>>& after);

/// Processor seconds of this process so far.
[[nodiscard]] double own_cpu_s();

}  // namespace weir::bench
