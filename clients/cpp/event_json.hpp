#pragma once

#include <span>
#include <string>
#include <string_view>

#include "clients/cpp/event.hpp"

/// JSON as API.md §3-§5 writes it, to and from the values of event.hpp.
namespace weir::client {

/// One ndjson line with its line break. No byte of the data changes on the way: what a line cannot carry as it is goes
/// as `data_base64`.
[[nodiscard]] Result<std::string> encode_line(const OutgoingEvent& event);

/// The answer to a single publish.
[[nodiscard]] Result<Published> decode_published(std::string_view body);

/// The answer to a batch; the number of results must be `expected`.
[[nodiscard]] Result<BatchPublished> decode_batch(std::string_view body, std::string_view topic, std::size_t expected);

/// One line of a read, or one `event` frame (its `op` and `sid` are left out of `json`).
[[nodiscard]] Result<ReceivedEvent> decode_event(std::string_view line);

/// `status` and `body` of an answer that is not a success. Anything unreadable becomes a Problem with the status only.
[[nodiscard]] Problem decode_problem(unsigned status, std::string_view retry_after, std::string_view body);

}  // namespace weir::client
