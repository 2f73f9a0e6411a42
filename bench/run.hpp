// One bench: connects, warms up, measures, waits for what is under way. Runs on the calling thread; one more asks the
// nodes for their counters at both ends, so that asking does not hold up what is measured.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/node_use.hpp"
#include "bench/options.hpp"
#include "bench/protocol.hpp"
#include "bench/tally.hpp"

namespace weir::bench {

/// Called about once a second while it is measured: events per second since the last call, and all so far.
using Live = std::function<void(double seconds, double events_per_s, const Tally& so_far)>;

/// The error says which connection ended, and why. `targets.leader()` is whom publishers and readers talk to.
[[nodiscard]] std::expected<Tally, std::string> run_bench(const BenchOptions& options, const Targets& targets,
                                                          const Live& live);

/// How another broker is spoken to, and how its use is asked for; `sample` runs on a thread of its own.
struct Peer {
  std::function<std::unique_ptr<PublishProtocol>()> make_publish;
  std::function<std::vector<std::optional<NodeSample>>()> sample;
};
/// `pub` against another broker. A sample stands for the target of the same number; the leader is whom it talks to.
[[nodiscard]] std::expected<Tally, std::string> run_peer_bench(const BenchOptions& options, const Targets& targets,
                                                               const Peer& peer);

}  // namespace weir::bench
