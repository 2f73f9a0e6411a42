// What the HTTP port counts, and /metrics (Prometheus text). Counters are written by all net threads.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "broker/core/status.hpp"
#include "broker/http/router.hpp"

namespace weir::broker::http {

class HttpMetrics {
 public:
  using Count = std::atomic<std::uint64_t>;

  void answered(Route route, unsigned status);
  void publish_took(std::chrono::microseconds time);

  Count connections_open = 0;
  Count connections_refused = 0;
  Count streams_open = 0;
  Count websockets_open = 0;
  Count backups_open = 0;
  Count subscriptions_open = 0;
  Count events_delivered = 0;
  Count bytes_received = 0;
  Count bytes_sent = 0;

  /// All of it, with what the node counts. Labels: routes and classes of status, both fixed sets (FAULTS 119).
  [[nodiscard]] std::string text(const NodeStatus& status, const Counters& counters) const;

 private:
  static constexpr std::size_t kClasses = 5;  ///< 1xx to 5xx
  /// Upper bounds of the publish histogram, in microseconds.
  static constexpr std::array<std::uint64_t, 12> kBoundsUs = {250,    500,    1'000,   2'500,   5'000,     10'000,
                                                              25'000, 50'000, 100'000, 500'000, 1'000'000, 5'000'000};

  std::array<std::array<Count, kClasses>, kRouteCount> answers_{};
  std::array<Count, kBoundsUs.size() + 1> publish_buckets_{};
  Count publish_us_ = 0;
};

}  // namespace weir::broker::http
