#include "clients/cpp/event_json.hpp"

#include <boost/json/array.hpp>
#include <charconv>

#include "clients/cpp/json_fields.hpp"
#include "clients/cpp/json_slices.hpp"
#include "clients/cpp/text.hpp"

namespace weir::client {
namespace {

bool is_json_type(std::string_view content_type) {
  const auto bare = content_type.substr(0, content_type.find(';'));
  return bare == "application/json" || bare.ends_with("+json");
}

void add_member(std::string& line, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  line += line.size() == 1 ? "\"" : ",\"";
  line.append(name).append("\":").append(json_quoted(value));
}

std::unexpected<Error> not_utf8(std::string_view what) {
  return failure(errc::bad_argument, std::string(what) + " is not UTF-8");
}

bool is_json(std::string_view text) {
  boost::json::error_code error;
  boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
  return !error;
}

/// What a broker makes of an event without a type (API.md §3), so that one event is the same event published alone and
/// in a batch.
std::string type_of(const OutgoingEvent& event) {
  if (!event.content_type.empty()) return event.content_type;
  if (is_json(event.data)) return "application/json";
  return is_utf8(event.data) ? "text/plain" : "application/octet-stream";
}

/// JSON goes as JSON unless a line break between its tokens would end the line: then as base64, since no byte of a
/// payload may change.
void add_data(std::string& line, std::string_view data, std::string_view content_type) {
  line += line.size() == 1 ? "\"data" : ",\"data";
  const bool json = is_json_type(content_type);
  const bool breaks = data.find_first_of("\r\n") != std::string_view::npos;
  if (!is_utf8(data) || (json && (breaks || !is_json(data)))) {
    line.append("_base64\":").append(json_quoted(base64_encode(data)));
  } else if (json) {
    line.append("\":").append(data);
  } else {
    line.append("\":").append(json_quoted(data));
  }
}

std::optional<Published> published_from(const boost::json::object& object) {
  const auto offset = json_u64(object, "offset");
  const auto duplicate = json_bool(object, "duplicate");
  if (!offset || !duplicate) return std::nullopt;
  return Published{.topic = json_text(object, "topic").value_or(""),
                   .offset = *offset,
                   .position = json_u64(object, "position").value_or(0),
                   .cursor = json_text(object, "cursor").value_or(""),
                   .id = json_text(object, "id").value_or(""),
                   .time = json_text(object, "time").value_or(""),
                   .duplicate = *duplicate};
}

}  // namespace

std::optional<std::uint64_t> cursor_position(std::string_view cursor) {
  const auto dot = cursor.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto digits = cursor.substr(dot + 1);
  std::uint64_t position = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), position);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return position;
}

Result<std::string> encode_line(const OutgoingEvent& event) {
  if (!is_utf8(event.id)) return not_utf8("the id");
  if (!is_utf8(event.source)) return not_utf8("the source");
  if (!is_utf8(event.key)) return not_utf8("the key");
  std::string line = "{";
  add_member(line, "id", event.id);
  add_member(line, "source", event.source);
  add_member(line, "key", event.key);
  const auto content_type = type_of(event);
  add_member(line, "content_type", content_type);
  if (!event.headers.empty()) {
    line += line.size() == 1 ? "\"headers\":{" : ",\"headers\":{";
    for (std::size_t i = 0; i < event.headers.size(); ++i) {
      const auto& [name, value] = event.headers[i];
      if (!is_utf8(name) || !is_utf8(value)) return not_utf8("a header");
      line.append(i == 0 ? "" : ",").append(json_quoted(name)).append(":").append(json_quoted(value));
    }
    line += "}";
  }
  add_data(line, event.data, content_type);
  return line + "}\n";
}

Result<Published> decode_published(std::string_view body) {
  const auto object = json_object(body);
  auto published = object ? published_from(*object) : std::nullopt;
  if (!published)
    return failure(errc::bad_answer, "the answer to a publish has no offset: " + std::string(body.substr(0, 200)));
  return *published;
}

Result<BatchPublished> decode_batch(std::string_view body, std::string_view topic, std::size_t expected) {
  const auto object = json_object(body);
  const auto* results = object ? json_at(*object, "results") : nullptr;
  if (results == nullptr || !results->is_array() || results->get_array().size() != expected) {
    return failure(errc::bad_answer, "the answer to a batch does not list " + std::to_string(expected) + " results");
  }
  BatchPublished batch{
      .results = {}, .stored = 0, .duplicates = 0, .cursor = json_text(*object, "cursor").value_or("")};
  batch.results.reserve(expected);
  for (const auto& one : results->get_array()) {
    auto published = one.is_object() ? published_from(one.get_object()) : std::nullopt;
    if (!published) return failure(errc::bad_answer, "a result of a batch has no offset");
    published->topic = topic;
    ++(published->duplicate ? batch.duplicates : batch.stored);
    batch.results.push_back(std::move(*published));
  }
  return batch;
}

namespace {

std::string json_without_frame_fields(std::string_view line) {
  std::string json = "{";
  for (const auto& [name, value] :
       json_members(line).value_or(std::vector<std::pair<std::string_view, std::string_view>>{})) {
    if (name == "op" || name == "sid") continue;
    json.append(json.size() == 1 ? "\"" : ",\"").append(name).append("\":").append(value);
  }
  return json + "}";
}

/// A payload shown as a JSON string is text when its type says so. Without a type it is JSON which happens to be a
/// string: that is what publishing the line again would make of it.
Result<std::string> payload_of(const boost::json::object& object, std::string_view line) {
  if (const auto encoded = json_text(object, "data_base64")) {
    auto bytes = base64_decode(*encoded);
    if (!bytes) return failure(errc::bad_answer, "data_base64 of an event cannot be decoded");
    return std::move(*bytes);
  }
  const auto text = json_text(object, "data");
  if (text && !is_json_type(json_text(object, "content_type").value_or("application/json"))) return *text;
  return std::string(json_member(line, "data").value_or(std::string_view{}));
}

}  // namespace

Result<ReceivedEvent> decode_event(std::string_view line) {
  const auto object = json_object(line);
  const auto topic = object ? json_text(*object, "topic") : std::nullopt;
  const auto offset = object ? json_u64(*object, "offset") : std::nullopt;
  if (!topic || !offset)
    return failure(errc::bad_answer, "an event has no topic or offset: " + std::string(line.substr(0, 200)));
  auto data = payload_of(*object, line);
  if (!data) return std::unexpected(std::move(data.error()));
  return ReceivedEvent{.topic = *topic,
                       .offset = *offset,
                       .position = json_u64(*object, "position"),
                       .cursor = json_text(*object, "cursor").value_or(""),
                       .id = json_text(*object, "id"),
                       .time = json_text(*object, "time").value_or(""),
                       .data = std::move(*data),
                       .json = json_without_frame_fields(line)};
}

Problem decode_problem(unsigned status, std::string_view retry_after, std::string_view body) {
  Problem problem;
  problem.status = status;
  if (const auto object = json_object(body)) {
    problem.type = json_text(*object, "type").value_or("");
    problem.title = json_text(*object, "title").value_or("");
    problem.detail = json_text(*object, "detail").value_or("");
    problem.offset = json_u64(*object, "offset");
    problem.line = json_u64(*object, "line");
    if (const auto ms = json_u64(*object, "retry_after_ms")) problem.retry_after = std::chrono::milliseconds(*ms);
    if (status == 0) problem.status = static_cast<unsigned>(json_u64(*object, "status").value_or(0));
  }
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(retry_after.data(), retry_after.data() + retry_after.size(), seconds);
  // The body's milliseconds are finer than the header's seconds.
  if (!problem.retry_after && !retry_after.empty() && error == std::errc{})
    problem.retry_after = std::chrono::seconds(seconds);
  return problem;
}

}  // namespace weir::client
