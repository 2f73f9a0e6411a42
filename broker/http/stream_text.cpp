#include "broker/http/stream_text.hpp"

#include <utility>

#include "broker/http/cursor.hpp"
#include "broker/http/json_text.hpp"

namespace weir::broker::http {

std::string caught_up_members(std::string_view cursor) {
  std::string members = R"("cursor":)";
  append_json_string(members, cursor);
  return members;
}

std::string missing_positions(const RemovedRange& range) {
  std::string missing;
  JsonObject object(missing);
  object.number("from_position", range.from.value).number("to_position", range.to.value).end();
  return missing;
}

std::string gap_members(const Gap& gap) {
  if (gap.positions) return R"("missing":)" + missing_positions(*gap.positions);
  std::string members = R"("first":)" + std::to_string(gap.to.value + 1) + R"(,"missing":)";
  JsonObject missing(members);
  missing.text("topic", gap.topic).number("from", gap.from.value).number("to", gap.to.value).end();
  return members;
}

std::string goaway_members(std::string_view to, std::string_view cursor) {
  std::string members = R"("to":)";
  if (to.empty()) {
    members += "null";
  } else {
    append_json_string(members, to);
  }
  members += R"(,"cursor":)";
  append_json_string(members, cursor);
  return members;
}

StreamText::StreamText(Format format, std::string epoch, DataForm data)
    : format_(format), epoch_(std::move(epoch)), data_(data) {}

void StreamText::append_opening(std::string& out, raft::Position position) const {
  if (format_ != Format::sse) return;
  out += "retry: 1000\nid: " + format_cursor(epoch_, position) + "\n\n";
}

void StreamText::append_event(std::string& out, const ReadEvent& event) const {
  switch (format_) {
    case Format::sse:
      out += "id: ";
      out += epoch_;
      out += '.';
      out += std::to_string(event.position.value);
      out += "\ndata: ";
      append_event_json(out, event, {epoch_, data_, ShowCursor::no});
      out += "\n\n";
      break;
    case Format::text:
      append_payload_line(out, event, data_);
      break;
    default:
      append_event_json(out, event, {epoch_, data_, ShowCursor::yes});
      out += '\n';
  }
}

void StreamText::append_control(std::string& out, std::string_view name, std::string_view members,
                                raft::Position position) const {
  if (format_ == Format::text) return;
  if (format_ == Format::sse) {
    out += "event: ";
    out += name;
    out += "\nid: " + format_cursor(epoch_, position) + "\ndata: {";
    out += members;
    out += "}\n\n";
    return;
  }
  out += R"({"control":")";
  out += name;
  out += "\",";
  out += members;
  out += "}\n";
}

void StreamText::append_heartbeat(std::string& out) const {
  out += format_ == Format::sse ? ":\n\n" : "\n";
}

}  // namespace weir::broker::http
