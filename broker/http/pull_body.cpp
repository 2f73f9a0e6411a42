#include "broker/http/pull_body.hpp"

#include <algorithm>
#include <utility>

#include "broker/http/cursor.hpp"
#include "broker/http/event_json.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/time_text.hpp"

namespace weir::broker::http {

namespace {

/// Ids and keys are any UTF-8, header values are not: what does not fit is left out rather than mangled.
void add_if_printable(Response& response, std::string_view name, std::string_view value) {
  const auto printable = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!value.empty() && std::ranges::all_of(value, printable)) response.add_header(name, value);
}

}  // namespace

void PullBody::add_octets(const ReadEvent& event) {
  const wire::EventView view = event.view();
  text_ = view.body;
  exact_.add_header("Weir-Offset", std::to_string(event.offset.value));
  exact_.add_header("Weir-Position", std::to_string(event.position.value));
  exact_.add_header("Weir-Time", format_time(event.time_ms));
  // Not as Content-Type: bytes that somebody published must not run as a page of this origin.
  exact_.add_header("Weir-Content-Type", view.content_type);
  add_if_printable(exact_, "Weir-Topic", view.topic);
  add_if_printable(exact_, "Weir-Id", view.id);
  add_if_printable(exact_, "Weir-Key", view.key);
  for (const wire::Header& header : view.headers) {
    const bool as_it_is = header.name.starts_with("ce-") || header.name == "traceparent";
    exact_.add_header((as_it_is ? "" : "Weir-H-") + std::string(header.name), header.value);
  }
}

void PullBody::add(const ReadEvent& event) {
  switch (plan_.format) {
    case Format::octets:
      add_octets(event);
      break;
    case Format::text:
      append_payload_line(text_, event, plan_.data);
      break;
    case Format::json:
      text_ += count_ == 0 ? "" : ",";
      append_event_json(text_, event, {epoch_, plan_.data, plan_.cursor});
      break;
    default:
      append_event_json(text_, event, {epoch_, plan_.data, plan_.cursor});
      text_ += '\n';
  }
  ++count_;
  bytes_ += event.view().body.size();
}

void PullBody::finish(Response& response, const End& end) {
  response.content_type = content_type_of(plan_.format);
  response.headers += exact_.headers;
  if (plan_.format != Format::json) {
    response.body = std::move(text_);
    return;
  }
  JsonObject object(response.body);
  object.raw("events", "[");
  response.body += text_;
  response.body += ']';
  object.number_or_null("next", end.next.transform([](raft::Offset offset) { return offset.value; }));
  object.text("cursor", end.cursor).raw("up_to_date", end.up_to_date ? "true" : "false").end();
  response.body += '\n';
}

}  // namespace weir::broker::http
