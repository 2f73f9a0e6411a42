#include "broker/http/topic_settings.hpp"

#include "broker/http/json_check.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/query.hpp"
#include "broker/http/request.hpp"
#include "broker/quantity.hpp"

namespace weir::broker::http {

namespace {

using Kind = wire::Setting::Kind;
using Parsed = std::expected<std::uint64_t, std::string>;
using Parser = Parsed (*)(std::string_view);

/// Beyond, the body cannot be one of these.
constexpr std::size_t kBodyBytesMax = 4096;
/// The settings, and those of retention in them.
constexpr std::size_t kDepthMax = 3;

Parsed parse_bytes(std::string_view text) {
  return parse_size(text, kSizeMax);
}

Parsed parse_events(std::string_view text) {
  return parse_count(text, 1, kNumberEnd - 1);
}

Parsed parse_window(std::string_view text) {
  auto window = parse_age(text);
  if (!window) return std::unexpected("must be retained, off, forever, or a duration such as 30s, 90m, 12h or 7d");
  return window;
}

/// One setting: null or `otherwise` for the default, "off", or what `parse` makes of it.
std::expected<wire::Setting, Problem> parse_setting(const std::string& name, std::string_view value, Parser parse,
                                                    std::string_view otherwise) {
  const JsonKind kind = json_kind(value);
  const std::string text = kind == JsonKind::string ? json_unquoted(value) : std::string(value);
  if (kind == JsonKind::null || (kind == JsonKind::string && text == otherwise)) return wire::Setting{};
  if (kind == JsonKind::string && text == "off") return wire::Setting{.kind = Kind::off, .value = 0};
  const bool has_text = kind == JsonKind::string || kind == JsonKind::number;
  const auto parsed = has_text ? parse(text) : std::unexpected("must be a string, a number or null");
  if (!parsed) return std::unexpected(bad_request(name + ": " + parsed.error()));
  return wire::Setting{.kind = Kind::value, .value = *parsed};
}

std::expected<wire::Setting, Problem> parse_dedup(std::string_view value) {
  if (json_kind(value) == JsonKind::string && json_unquoted(value) == "forever") {
    return wire::Setting{.kind = Kind::forever, .value = 0};
  }
  return parse_setting("dedup", value, parse_window, "retained");
}

std::expected<void, Problem> parse_retention(std::string_view body, wire::TopicSettings& settings) {
  if (json_kind(body) != JsonKind::object) return std::unexpected(bad_request("retention must be a JSON object"));
  for (const JsonMember& member : json_members(body)) {
    const bool is_age = member.name == "age";
    const bool is_bytes = member.name == "bytes";
    if (!is_age && !is_bytes && member.name != "count") {
      return std::unexpected(bad_request("the body has a member 'retention." + member.name +
                                         "' that has no place here; known are age, bytes and count"));
    }
    const Parser parse = is_age ? parse_age : is_bytes ? parse_bytes : parse_events;
    const auto setting = parse_setting("retention." + member.name, member.value, parse, {});
    if (!setting) return std::unexpected(setting.error());
    (is_age ? settings.age_ms : is_bytes ? settings.bytes : settings.count) = *setting;
  }
  return {};
}

std::string quoted(const std::string& text) {
  return '"' + text + '"';
}

/// `shown`: how a value is written.
std::string setting_json(const wire::Setting& setting, const std::string& shown, std::string_view otherwise) {
  if (setting.kind == Kind::unset) return std::string(otherwise);
  if (setting.kind == Kind::forever) return R"("forever")";
  return setting.kind == Kind::off ? R"("off")" : shown;
}

std::string json_of(const wire::TopicSettings& settings, std::string_view dedup) {
  std::string retention;
  JsonObject limits(retention);
  limits.raw("age", setting_json(settings.age_ms, quoted(show_age(settings.age_ms.value)), "null"));
  limits.raw("bytes", setting_json(settings.bytes, std::to_string(settings.bytes.value), "null"));
  limits.raw("count", setting_json(settings.count, std::to_string(settings.count.value), "null")).end();
  std::string json;
  JsonObject object(json);
  object.raw("retention", retention);
  object.raw("dedup", setting_json(settings.dedup_ms, quoted(show_age(settings.dedup_ms.value)), dedup)).end();
  return json;
}

wire::Setting as_setting(std::uint64_t limit) {
  return {.kind = limit == 0 ? Kind::off : Kind::value, .value = limit};
}

}  // namespace

std::expected<wire::TopicSettings, Problem> parse_settings(std::string_view body, wire::Setting unnamed) {
  wire::TopicSettings settings{.age_ms = unnamed, .bytes = unnamed, .count = unnamed, .dedup_ms = unnamed};
  if (trim(body).empty()) return settings;
  const bool is_json = body.size() <= kBodyBytesMax && check_json(body, kDepthMax).has_value();
  if (!is_json || json_kind(trim(body)) != JsonKind::object) {
    return std::unexpected(bad_request("the body must be a JSON object of settings"));
  }
  for (const JsonMember& member : json_members(trim(body))) {
    if (member.name == "retention") {
      if (auto parsed = parse_retention(member.value, settings); !parsed) return std::unexpected(parsed.error());
    } else if (member.name == "dedup") {
      const auto setting = parse_dedup(member.value);
      if (!setting) return std::unexpected(setting.error());
      settings.dedup_ms = *setting;
    } else {
      return std::unexpected(bad_request("the body has a member '" + member.name +
                                         "' that has no place here; known are retention and dedup"));
    }
  }
  return settings;
}

std::string settings_json(const wire::TopicSettings& settings) {
  return json_of(settings, "null");
}

std::string in_force_json(const wire::TopicSettings& settings, const RetentionLimits& limits) {
  const RetentionLimits own = limits_of(limits, settings);
  return json_of({.age_ms = as_setting(own.age_ms),
                  .bytes = as_setting(own.bytes),
                  .count = as_setting(own.count),
                  .dedup_ms = settings.dedup_ms},
                 R"("retained")");
}

}  // namespace weir::broker::http
