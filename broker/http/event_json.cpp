#include "broker/http/event_json.hpp"

#include "broker/http/base64.hpp"
#include "broker/http/media_type.hpp"
#include "broker/http/time_text.hpp"
#include "broker/http/utf8.hpp"

namespace weir::broker::http {

namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kOctets = "application/octet-stream";

void append_headers(JsonObject& object, std::string& out, const std::vector<wire::Header>& headers) {
  if (headers.empty()) return;
  object.raw("headers", "");
  JsonObject members(out);
  for (const wire::Header& header : headers) members.text(header.name, header.value);
  members.end();
}

/// Reading prints what publishing needs to store the very same event: the type is left out only where publishing would
/// choose it anyway.
void append_data(JsonObject& object, std::string& out, const wire::EventView& view, DataForm form) {
  const PayloadKind kind = form == DataForm::base64 ? PayloadKind::binary : payload_kind(view.content_type);
  if (kind == PayloadKind::json) {
    if (view.content_type != kJson) object.text("content_type", view.content_type);
    object.raw("data", "");
    append_json_on_one_line(out, view.body);
    return;
  }
  if (!view.content_type.empty() && view.content_type != kOctets) object.text("content_type", view.content_type);
  if (kind == PayloadKind::text && is_utf8(view.body)) {
    object.text("data", view.body);
    return;
  }
  object.raw("data_base64", "\"");
  append_base64(out, view.body);
  out += '"';
}

}  // namespace

void append_event_members(JsonObject& object, std::string& out, const ReadEvent& event, const EventShape& shape) {
  const wire::EventView view = event.view();
  object.text("topic", view.topic).number("offset", event.offset.value).number("position", event.position.value);
  if (shape.cursor == ShowCursor::yes) {
    object.raw("cursor", "\"");
    out += shape.epoch;
    out += '.';
    out += std::to_string(event.position.value);
    out += '"';
  }
  object.text_or_null("id", view.id);
  object.raw("time", "\"");
  append_time(out, event.time_ms);
  out += '"';
  if (!view.source.empty()) object.text("source", view.source);
  if (!view.key.empty()) object.text("key", view.key);
  append_headers(object, out, view.headers);
  append_data(object, out, view, shape.data);
}

void append_event_json(std::string& out, const ReadEvent& event, const EventShape& shape) {
  JsonObject object(out);
  append_event_members(object, out, event, shape);
  object.end();
}

void append_payload_line(std::string& out, const ReadEvent& event, DataForm form) {
  const wire::EventView view = event.view();
  if (form == DataForm::base64) {
    append_base64(out, view.body);
  } else if (payload_kind(view.content_type) == PayloadKind::json) {
    append_json_on_one_line(out, view.body);
  } else {
    out += view.body;
  }
  out += '\n';
}

}  // namespace weir::broker::http
