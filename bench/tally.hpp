// What one bench has counted. Values only: one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/histogram.hpp"
#include "bench/node_use.hpp"
#include "bench/options.hpp"

namespace weir::bench {

/// From the first byte to the last, warm-up and farewell included: what a check compares.
struct Totals {
  std::uint64_t sent = 0;  ///< events
  std::uint64_t stored = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t refused = 0;
  std::uint64_t unanswered = 0;   ///< still when the bench gave up waiting: their outcome is unknown
  std::uint64_t delivered = 0;    ///< to all readers together
  std::uint64_t undelivered = 0;  ///< stored, and not seen by a reader when the bench gave up waiting
};

struct Tally {
  Totals totals;
  std::map<std::string, std::uint64_t> problems;  ///< refused events by the name of their problem

  // While it is measured:
  double seconds = 0;
  std::uint64_t acknowledged = 0;  ///< events, duplicates among them
  std::uint64_t duplicates = 0;
  std::uint64_t delivered = 0;
  Histogram acknowledging;  ///< ns, a request counts once
  Histogram delivering;     ///< ns, an event counts once per reader
  double own_cpu_s = 0;
  std::vector<NodeUse> nodes;
};

/// For people: lines without colours.
[[nodiscard]] std::string report_text(const BenchOptions& options, const Targets& targets, const Tally& tally);
/// For programs: one JSON object and a line end.
[[nodiscard]] std::string report_json(const BenchOptions& options, const Targets& targets, const Tally& tally);

}  // namespace weir::bench
