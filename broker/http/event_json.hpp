// One event as JSON, as reading prints it (API §3, §4): ndjson line, SSE data, WebSocket frame. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/core/reading.hpp"
#include "broker/http/json_text.hpp"

namespace weir::broker::http {

enum class DataForm : std::uint8_t { natural = 1, base64 = 2 };
/// Does each event carry its cursor?
enum class ShowCursor : std::uint8_t { no = 1, yes = 2 };

struct EventShape {
  std::string_view epoch;  ///< outlives the shape
  DataForm data = DataForm::natural;
  ShowCursor cursor = ShowCursor::no;
};

/// All members of an event, without the braces, so that a frame may put its own in front.
void append_event_members(JsonObject& object, std::string& out, const ReadEvent& event, const EventShape& shape);
/// `{...}`, on one line, without its end.
void append_event_json(std::string& out, const ReadEvent& event, const EventShape& shape);
/// The bare payload, on one line as far as JSON allows (text/plain).
void append_payload_line(std::string& out, const ReadEvent& event, DataForm form);

}  // namespace weir::broker::http
