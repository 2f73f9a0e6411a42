// Processor time of the measured servers, as the kernel counts it. Any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

#include "bench/node_use.hpp"

namespace weir::bench::compare {

/// Of the text of /proc/PID/stat: user and system time of all its threads and its ended children, in seconds;
/// `ticks_per_s` is the kernel's.
[[nodiscard]] std::optional<double> cpu_seconds(std::string_view stat, double ticks_per_s);

/// One per process, in their order; nothing for one that is gone.
[[nodiscard]] std::vector<std::optional<NodeSample>> sample_processes(const std::vector<pid_t>& pids);

}  // namespace weir::bench::compare
