// One event as clients send it: the fields of a request, or of a JSON line or frame, checked. Pure: no thread rule.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/http/limits.hpp"
#include "broker/http/query.hpp"
#include "broker/http/request.hpp"
#include "wire/event.hpp"

namespace weir::broker::http {

/// Partition keys and sources are kept with every event and compared; a kilobyte is more than any URI needs.
inline constexpr std::size_t kKeyBytesMax = 1024;
inline constexpr std::size_t kSourceBytesMax = 1024;
/// Kept headers of one event, together.
inline constexpr std::size_t kKeptHeaderBytesMax = std::size_t{16} << 10U;
inline constexpr std::size_t kKeptHeadersMax = 64;

struct EventInput {
  std::string topic;
  std::string id;  ///< empty = none
  std::string source;
  std::string key;
  std::string content_type;  ///< never empty
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;  ///< of the request's bytes, or of own_body
  std::string own_body;   ///< decoded from base64 or a JSON string
  bool body_is_own = false;

  /// Views into this input and what it was made of.
  [[nodiscard]] wire::EventView view() const;
};

/// The content type that was looked at last: events of one request nearly always have the same.
struct CheckedType {
  std::string text;
  bool is_json = false;
};
/// An event whose fields a client has laid down itself: id, source, key, content type, headers, and that a JSON payload
/// is JSON. The topic and the payload's size are not looked at. The error is for 400.
[[nodiscard]] std::expected<void, std::string> check_event(const wire::EventView& event, CheckedType& type,
                                                           const HttpLimits& limits);

/// The headers and parameters of a request that publishes one event; its body is not looked at. Parameters: id, source,
/// key.
[[nodiscard]] std::expected<EventInput, std::string> event_fields(const Request& request, const Query& query,
                                                                  const HttpLimits& limits);
/// Decides what `body` is (API §3) and keeps it; the error is for 400.
[[nodiscard]] std::expected<void, std::string> take_body(EventInput& event, std::string_view content_type,
                                                         std::string_view body, std::size_t json_depth_max);

/// What a line that is not an event says.
enum class LineKind : std::uint8_t { event = 1, control = 2 };
struct JsonEvent {
  LineKind kind = LineKind::event;
  EventInput event;
};
/// Of a checked JSON object: `{"id":…,"key":…,"headers":{…},"data":…}`. Members named in `others` are left to the
/// caller. `topic` is taken when the object has none, or has one that does not count (API §3: lines copied from a
/// reader).
[[nodiscard]] std::expected<JsonEvent, std::string> event_from_json(std::string_view object, const HttpLimits& limits,
                                                                    std::string_view others);

/// Idempotency-Key: a quoted string (RFC 8941) is taken out of its quotes, anything else is taken as it is.
[[nodiscard]] std::string unquoted_key(std::string_view value);

}  // namespace weir::broker::http
