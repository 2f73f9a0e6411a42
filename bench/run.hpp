// One bench: connects, warms up, measures, waits for what is under way. Runs on the calling thread; one more asks the
// nodes for their counters at both ends, so that asking does not hold up what is measured.
#pragma once

#include <expected>
#include <functional>
#include <string>

#include "bench/options.hpp"
#include "bench/tally.hpp"

namespace weir::bench {

/// Called about once a second while it is measured: events per second since the last call, and all so far.
using Live = std::function<void(double seconds, double events_per_s, const Tally& so_far)>;

/// The error says which connection ended, and why. `targets.leader()` is whom publishers and readers talk to.
[[nodiscard]] std::expected<Tally, std::string> run_bench(const BenchOptions& options, const Targets& targets,
                                                          const Live& live);

}  // namespace weir::bench
