#include "broker/http/event_input.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "broker/http/base64.hpp"
#include "broker/http/json_check.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/media_type.hpp"
#include "broker/http/utf8.hpp"

namespace weir::broker::http {

namespace {

using Checked = std::expected<void, std::string>;
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kText = "text/plain";
constexpr std::string_view kOctets = "application/octet-stream";
constexpr std::string_view kOwnHeader = "weir-h-";

Checked check_text(std::string_view what, std::string_view value, std::size_t bytes_max) {
  if (value.empty() || value.size() > bytes_max) {
    return std::unexpected(std::string(what) + " must have 1 to " + std::to_string(bytes_max) + " bytes");
  }
  if (!is_utf8(value)) return std::unexpected(std::string(what) + " is not UTF-8");
  return {};
}

Checked check_identity(std::string_view id, std::string_view source, std::string_view key, const HttpLimits& limits) {
  if (!id.empty()) {
    if (auto checked = check_text("the event id", id, limits.id_bytes_max); !checked) return checked;
  }
  if (!source.empty()) {
    if (auto checked = check_text("the source", source, kSourceBytesMax); !checked) return checked;
  }
  if (!key.empty()) {
    if (auto checked = check_text("the key", key, kKeyBytesMax); !checked) return checked;
  }
  return {};
}

Checked check_identity(const EventInput& event, const HttpLimits& limits) {
  return check_identity(event.id, event.source, event.key, limits);
}

Checked check_header(std::string_view name, std::string_view value) {
  const auto control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; };
  if (!is_token(name)) return std::unexpected("a kept header's name must be an HTTP token");
  if (!is_utf8(value) || std::ranges::any_of(value, control)) {
    return std::unexpected("the kept header '" + std::string(name) + "' holds a control character or is not UTF-8");
  }
  return {};
}

/// Together, and none twice. `headers`: pairs, or wire::Header.
Checked check_headers_together(const auto& headers) {
  std::size_t bytes = 0;
  for (auto one = headers.begin(); one != headers.end(); ++one) {
    const auto& [name, value] = *one;
    bytes += name.size() + value.size();
    const bool twice = std::any_of(headers.begin(), one, [&name](const auto& other) {
      const auto& [other_name, other_value] = other;
      return other_name == name;
    });
    if (twice) return std::unexpected("the kept header '" + std::string(name) + "' is there twice");
  }
  if (bytes > kKeptHeaderBytesMax || headers.size() > kKeptHeadersMax) {
    return std::unexpected("an event keeps at most " + std::to_string(kKeptHeadersMax) + " headers of together " +
                           std::to_string(kKeptHeaderBytesMax) + " bytes");
  }
  return {};
}

Checked add_header(EventInput& event, std::string name, std::string value) {
  if (auto checked = check_header(name, value); !checked) return checked;
  event.headers.emplace_back(std::move(name), std::move(value));
  return check_headers_together(event.headers);
}

/// CloudEvents headers are percent-encoded (HTTP binding §3.1.3.2).
std::string cloud_event_value(std::string_view value) {
  return percent_decoded(value).value_or(std::string(value));
}

/// The first of ?id=, Weir-Id, Idempotency-Key, ce-id (with ce-source).
Checked take_id(EventInput& event, const Request& request, const Query& query) {
  std::optional<std::string> id;
  if (const auto value = query.get("id")) {
    id = *value;
  } else if (const auto header = request.field("weir-id")) {
    id = *header;
  } else if (const auto quoted = request.field("idempotency-key")) {
    id = unquoted_key(*quoted);
  } else if (const auto cloud = request.field("ce-id")) {
    id = cloud_event_value(*cloud);
    event.source = cloud_event_value(request.field("ce-source").value_or(""));
  }
  if (id && id->empty()) return std::unexpected("the event id is empty; leave it out to publish without one");
  event.id = id.value_or("");
  if (const auto source = query.get("source")) event.source = *source;
  return {};
}

/// Of a CloudEvent, what is not kept as a header because it has a place of its own.
bool has_own_place(std::string_view name) {
  return name == "ce-id" || name == "ce-source" || name == "ce-specversion" || name == "ce-partitionkey";
}

Checked take_headers(EventInput& event, const Request& request) {
  for (const Field& field : request.fields) {
    std::string name;
    if (field.name.starts_with(kOwnHeader)) {
      name = field.name.substr(kOwnHeader.size());
    } else if (field.name == "traceparent" || (field.name.starts_with("ce-") && !has_own_place(field.name))) {
      name = field.name;
    } else {
      continue;
    }
    if (auto added = add_header(event, std::move(name), field.value); !added) return added;
  }
  return {};
}

std::expected<std::string, std::string> text_member(std::string_view name, std::string_view value) {
  switch (json_kind(value)) {
    case JsonKind::null:
      return std::string{};
    case JsonKind::string:
      return json_unquoted(value);
    default:
      return std::unexpected("'" + std::string(name) + "' must be a string");
  }
}

Checked take_json_headers(EventInput& event, std::string_view value) {
  if (json_kind(value) == JsonKind::null) return {};
  if (json_kind(value) != JsonKind::object) return std::unexpected("'headers' must be an object of strings");
  for (const JsonMember& member : json_members(value)) {
    if (json_kind(member.value) != JsonKind::string) return std::unexpected("'headers' must be an object of strings");
    if (auto added = add_header(event, to_lower(member.name), json_unquoted(member.value)); !added) return added;
  }
  return {};
}

struct JsonPayload {
  std::optional<std::string_view> data;
  std::optional<std::string> base64;
  std::string content_type;
};

Checked take_json_payload(EventInput& event, const JsonPayload& payload, std::size_t json_depth_max) {
  if (payload.data.has_value() == payload.base64.has_value()) {
    return std::unexpected("an event has either 'data' or 'data_base64'");
  }
  const bool typed = !payload.content_type.empty();
  if (typed && !media_type(payload.content_type)) return std::unexpected("'content_type' is not a media type");
  event.body_is_own = true;
  if (payload.base64) {
    auto bytes = decode_base64(*payload.base64);
    if (!bytes) return std::unexpected("'data_base64' is not base64");
    event.own_body = std::move(*bytes);
    event.content_type = typed ? payload.content_type : std::string(kOctets);
    if (payload_kind(event.content_type) == PayloadKind::json) return check_json(event.own_body, json_depth_max);
    return {};
  }
  event.content_type = typed ? payload.content_type : std::string(kJson);
  if (payload_kind(event.content_type) == PayloadKind::json) {
    event.body = *payload.data;
    event.body_is_own = false;
    return {};
  }
  if (json_kind(*payload.data) != JsonKind::string) {
    return std::unexpected("'data' of a type that is not JSON must be a string; bytes go into 'data_base64'");
  }
  event.own_body = json_unquoted(*payload.data);
  return {};
}

Checked take_member(EventInput& event, JsonPayload& payload, const JsonMember& member) {
  if (member.name == "data") {
    payload.data = member.value;
    return {};
  }
  if (member.name == "headers") return take_json_headers(event, member.value);
  auto text = text_member(member.name, member.value);
  if (!text) return std::unexpected(std::move(text.error()));
  if (member.name == "id" && text->empty() && json_kind(member.value) == JsonKind::string) {
    return std::unexpected("'id' is empty; leave it out to publish without one");
  }
  if (member.name == "data_base64") {
    payload.base64 = std::move(*text);
    return {};
  }
  const std::array<std::pair<std::string_view, std::string*>, 5> slots = {{{"topic", &event.topic},
                                                                           {"id", &event.id},
                                                                           {"source", &event.source},
                                                                           {"key", &event.key},
                                                                           {"content_type", &payload.content_type}}};
  const auto* const slot = std::ranges::find(slots, member.name, &std::pair<std::string_view, std::string*>::first);
  if (slot == slots.end()) return std::unexpected("unknown member '" + member.name + "'");
  *slot->second = std::move(*text);
  return {};
}

/// Fields of a line that reading printed and publishing decides anew.
bool is_ignored(std::string_view name) {
  constexpr std::array<std::string_view, 5> kIgnored = {"offset", "position", "time", "cursor", "control"};
  return std::ranges::find(kIgnored, name) != kIgnored.end();
}

}  // namespace

wire::EventView EventInput::view() const {
  wire::EventView view{.topic = topic,
                       .id = id,
                       .source = source,
                       .key = key,
                       .content_type = content_type,
                       .headers = {},
                       .body = body_is_own ? std::string_view(own_body) : body};
  view.headers.reserve(headers.size());
  for (const auto& [name, value] : headers) view.headers.push_back({name, value});
  return view;
}

std::string unquoted_key(std::string_view value) {
  if (value.size() < 2 || !value.starts_with('"') || !value.ends_with('"')) return std::string(value);
  std::string text;
  for (std::size_t i = 1; i + 1 < value.size(); ++i) {
    if (value[i] == '\\' && i + 2 < value.size()) ++i;
    text += value[i];
  }
  return text;
}

std::expected<void, std::string> check_event(const wire::EventView& event, CheckedType& type,
                                             const HttpLimits& limits) {
  if (auto checked = check_identity(event.id, event.source, event.key, limits); !checked) return checked;
  if (event.headers.size() > kKeptHeadersMax) return check_headers_together(event.headers);
  for (const wire::Header& header : event.headers) {
    if (auto checked = check_header(header.name, header.value); !checked) return checked;
    if (header.name != to_lower(std::string(header.name))) {
      return std::unexpected("the kept header '" + std::string(header.name) + "' is not in lower case");
    }
  }
  if (auto checked = check_headers_together(event.headers); !checked) return checked;
  if (event.content_type != type.text) {
    if (!event.content_type.empty() && !media_type(event.content_type)) {
      return std::unexpected("the content type is not a media type");
    }
    type.text = event.content_type;
    type.is_json = payload_kind(event.content_type) == PayloadKind::json;
  }
  if (type.is_json) return check_json(event.body, limits.json_depth_max);
  return {};
}

std::expected<EventInput, std::string> event_fields(const Request& request, const Query& query,
                                                    const HttpLimits& limits) {
  EventInput event;
  if (auto taken = take_id(event, request, query); !taken) return std::unexpected(std::move(taken.error()));
  if (const auto key = query.get("key")) {
    event.key = *key;
  } else if (const auto header = request.field("weir-key")) {
    event.key = *header;
  } else if (const auto cloud = request.field("ce-partitionkey")) {
    event.key = cloud_event_value(*cloud);
  }
  if (auto checked = check_identity(event, limits); !checked) return std::unexpected(std::move(checked.error()));
  if (auto taken = take_headers(event, request); !taken) return std::unexpected(std::move(taken.error()));
  return event;
}

std::expected<void, std::string> take_body(EventInput& event, std::string_view content_type, std::string_view body,
                                           std::size_t json_depth_max) {
  event.body = body;
  if (is_untyped(content_type)) {
    if (check_json(body, json_depth_max)) {
      event.content_type = kJson;
    } else {
      event.content_type = is_utf8(body) ? kText : kOctets;
    }
    return {};
  }
  event.content_type = content_type;
  if (payload_kind(content_type) == PayloadKind::json) return check_json(body, json_depth_max);
  return {};
}

std::expected<JsonEvent, std::string> event_from_json(std::string_view object, const HttpLimits& limits,
                                                      std::string_view others) {
  if (json_kind(object) != JsonKind::object) return std::unexpected("an event must be a JSON object");
  JsonEvent result;
  JsonPayload payload;
  for (const JsonMember& member : json_members(object)) {
    if (member.name == "control") result.kind = LineKind::control;
    if (is_ignored(member.name) || others.contains(' ' + member.name + ' ')) continue;
    if (auto taken = take_member(result.event, payload, member); !taken) {
      return std::unexpected(std::move(taken.error()));
    }
  }
  if (result.kind == LineKind::control && !payload.data && !payload.base64) return result;
  result.kind = LineKind::event;
  if (auto checked = check_identity(result.event, limits); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  if (auto taken = take_json_payload(result.event, payload, limits.json_depth_max); !taken) {
    return std::unexpected(std::move(taken.error()));
  }
  if (result.event.view().body.size() > limits.event_bytes_max) {
    return std::unexpected("the payload is longer than " + std::to_string(limits.event_bytes_max) + " bytes");
  }
  return result;
}

}  // namespace weir::broker::http
