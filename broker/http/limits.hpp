// What the HTTP port accepts at most, and how long it waits. Values only: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>

#include "broker/core/retention.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

/// FAULTS "Default limits"; the answer when one is reached stands beside it.
struct HttpLimits {
  std::size_t header_bytes_max = std::size_t{16} << 10U;       ///< 431
  std::size_t headers_max = 64;                                ///< 431
  std::size_t request_line_bytes_max = std::size_t{4} << 10U;  ///< 414
  std::size_t event_bytes_max = wire::kEventBytesMax;          ///< 413
  std::size_t batch_bytes_max = wire::kBatchBytesMax;          ///< 413
  std::size_t batch_events_max = wire::kBatchEventsMax;        ///< 413
  std::size_t id_bytes_max = 256;                              ///< 400
  std::size_t json_depth_max = 64;                             ///< 400
  std::size_t connections_max = 10'000;                        ///< accepted and closed with 503
  std::size_t subscriptions_max = 64;                          ///< per connection: error frame
  std::size_t outbound_bytes_max = std::size_t{1} << 20U;      ///< per subscriber: reading the log pauses
  /// Of request bodies and answers under way on all connections together: 503 overloaded.
  std::size_t bodies_bytes_max = std::size_t{256} << 20U;
  std::uint32_t header_timeout_ms = 10'000;     ///< 408, close
  std::uint32_t body_timeout_ms = 30'000;       ///< 408, close
  std::uint32_t idle_timeout_ms = 75'000;       ///< close, between requests
  std::uint32_t heartbeat_ms = 15'000;          ///< on streams
  std::uint32_t ping_timeout_ms = 30'000;       ///< WebSocket: close
  std::uint32_t handshake_timeout_ms = 10'000;  ///< WebSocket: close
  std::uint32_t stalled_write_ms = 60'000;      ///< subscriber accepted no byte: 1013
  std::uint32_t publish_timeout_ms = 5'000;     ///< `timeout` default; 503 or 504
  RetentionLimits retention;                    ///< shown where a topic has no limits of its own
};

}  // namespace weir::broker
