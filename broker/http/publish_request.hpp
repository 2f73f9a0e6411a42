// From a request's bytes to what the node is asked to store (API §3). Runs where the bytes arrive; the core only
// concatenates. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/limits.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/request.hpp"
#include "raft/types.hpp"

namespace weir::broker::http {

enum class Shape : std::uint8_t { single = 1, batch = 2 };
enum class Ack : std::uint8_t { quorum = 1, none = 2 };

struct PublishRequest {
  raft::Bytes bytes;  ///< wire::PublishBuilder's
  std::string topic;
  std::vector<std::string> ids;      ///< one per event; empty = none
  std::vector<std::uint32_t> lines;  ///< of a batch: where each event stood, from 1
  Shape shape = Shape::single;
  Ack ack = Ack::quorum;
  std::uint32_t timeout_ms = 0;

  /// Repeating it cannot store anything twice.
  [[nodiscard]] bool every_event_has_id() const;
};

/// The largest body worth reading for this request; what is longer is refused unread.
[[nodiscard]] std::size_t publish_body_bytes_max(const Request& request, const HttpLimits& limits);

/// `topic`: decoded, not checked yet. `epoch`: of this log, for If-Match.
[[nodiscard]] std::expected<PublishRequest, Problem> parse_publish(const Request& request, std::string_view topic,
                                                                   std::string_view epoch, const HttpLimits& limits);

/// `timeout=`: the default if it is not there, at most a minute.
inline constexpr std::uint32_t kTimeoutMsMax = 60'000;
[[nodiscard]] std::expected<std::uint32_t, Problem> parse_timeout(std::optional<std::string_view> text,
                                                                  std::uint32_t default_ms);

}  // namespace weir::broker::http
