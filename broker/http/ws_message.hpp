// The frames of subprotocol weir.json.v1 (API §5): reading the client's, writing the server's. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "broker/http/batch_request.hpp"
#include "broker/http/delivery.hpp"
#include "broker/http/event_json.hpp"
#include "broker/http/limits.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/read_query.hpp"
#include "wire/outcome.hpp"

namespace weir::broker::http {

struct WsSubscribe {
  std::uint64_t sid = 0;
  ReadPlan plan;
  std::optional<std::uint64_t> credit;  ///< none: the server keeps a window of its own
};
struct WsCredit {
  std::uint64_t sid = 0;
  std::uint64_t count = 0;
};
struct WsPublish {
  std::optional<std::uint64_t> rid;
  PublishRequest publish;
};
struct WsCommit {
  std::optional<std::uint64_t> rid;
  wire::GroupChange change;
  std::uint32_t timeout_ms = 0;
};
struct WsBatch {
  std::optional<std::uint64_t> rid;
  BatchRequest batch;
};
struct WsUnsubscribe {
  std::uint64_t sid = 0;
};
/// Answered with an error frame; the connection goes on.
struct WsRefused {
  std::optional<std::uint64_t> rid;
  std::optional<std::uint64_t> sid;
  Problem problem;
};
using WsOperation = std::variant<WsSubscribe, WsCredit, WsPublish, WsCommit, WsBatch, WsUnsubscribe, WsRefused>;

/// `now_ms`: for `from=1h`; `epoch`: of this log, for the cursors of commits.
[[nodiscard]] WsOperation parse_operation(std::string_view frame, const HttpLimits& limits, std::uint64_t now_ms,
                                          std::string_view epoch = {});
/// What a subscription is unless its frame or URL says otherwise.
[[nodiscard]] ReadPlan websocket_plan(const HttpLimits& limits);

[[nodiscard]] std::string subscribed_frame(std::uint64_t sid, std::string_view cursor, std::string_view node);
void append_event_frame(std::string& out, std::uint64_t sid, const ReadEvent& event, const EventShape& shape);
/// `event`: as append_event_json says it.
void append_event_frame(std::string& out, std::uint64_t sid, std::string_view event);
/// `members`: of caught_up_members() and its like.
[[nodiscard]] std::string control_frame(std::string_view op, std::optional<std::uint64_t> sid,
                                        std::string_view members);
[[nodiscard]] std::string ack_frame(const WsPublish& operation, const wire::Outcome& outcome, std::string_view epoch);
[[nodiscard]] std::string ack_frame(const WsCommit& operation, const wire::Outcome& outcome, std::string_view epoch);
[[nodiscard]] std::string ack_frame(const WsBatch& operation, const wire::Outcome& outcome, std::string_view epoch);
[[nodiscard]] std::string error_frame(std::optional<std::uint64_t> rid, std::optional<std::uint64_t> sid,
                                      const Problem& problem);

}  // namespace weir::broker::http
