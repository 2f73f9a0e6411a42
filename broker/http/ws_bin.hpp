// The binary messages of subprotocol weir.bin.v1: reading the client's, writing the server's (wire/client.fbs). Pure:
// no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "broker/core/reading.hpp"
#include "broker/http/limits.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/read_query.hpp"
#include "broker/http/ws_message.hpp"
#include "wire/client_message.hpp"

namespace weir::broker::http {

/// Every field as strict as over HTTP: what one protocol lets in, every other shows to its readers. A message whose rid
/// cannot be read is refused without one.
[[nodiscard]] std::expected<wire::PublishMessage, WsRefused> parse_publish_message(raft::Bytes message,
                                                                                   const HttpLimits& limits);

/// The answer: an Ack, or the error frame of weir.json.v1, which is text.
struct BinAnswer {
  std::string ack;
  std::string error;  ///< empty: acknowledged
};
[[nodiscard]] BinAnswer answer_of(const wire::PublishMessage& message, const wire::Outcome& outcome);

/// One message per log entry; `ends` gets where each ends in `out`. An entry goes out as it lies in the log when the
/// reader may see all of it and gets at least half; otherwise what it gets is copied out.
void append_event_messages(std::string& out, std::vector<std::size_t>& ends, std::uint64_t sid,
                           std::span<const ReadEvent> events, const ReadPlan& plan);

}  // namespace weir::broker::http
