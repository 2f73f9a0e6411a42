// When requests are meant to leave. Values only: one thread at a time; the caller's clock.
#pragma once

#include <cstdint>

namespace weir::bench {

/// Open loop: request n is due at start + n / rate, whatever became of those before it. A request that leaves late,
/// because every connection was busy, keeps the time at which it was due: its latency is counted from there. (Counting
/// from when it left would leave out the waiting that a stalled server causes: "coordinated omission".)
class OpenLoop {
 public:
  /// Times in ns. Requires events_per_second > 0 and events_per_request > 0.
  OpenLoop(std::uint64_t start_ns, double events_per_second, std::uint64_t events_per_request);

  /// When the next request is due. Never falls.
  [[nodiscard]] std::uint64_t next_due() const;
  [[nodiscard]] bool is_due(std::uint64_t now_ns) const { return next_due() <= now_ns; }
  /// The next request leaves; when it was due.
  std::uint64_t take();
  /// Requests that are due at `now_ns` and have not left.
  [[nodiscard]] std::uint64_t late(std::uint64_t now_ns) const;

 private:
  std::uint64_t start_ns_;
  double ns_per_request_;
  std::uint64_t taken_ = 0;
};

}  // namespace weir::bench
