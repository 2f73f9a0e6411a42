#include "broker/http/media_type.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "broker/http/request.hpp"

namespace weir::broker::http {

namespace {

/// The `q` of one element of Accept, in thousandths; 1000 when there is none, 0 when it is not a number.
int quality(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto end = parameters.find(';');
    const std::string_view parameter = trim(parameters.substr(0, end));
    parameters.remove_prefix(end == std::string_view::npos ? parameters.size() : end + 1);
    if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
    const std::string_view value = parameter.substr(2);
    if (value.starts_with('1')) return 1000;
    int thousandths = 0;
    int weight = 100;
    for (std::size_t i = 2; i < value.size() && i < 5; ++i, weight /= 10) {
      if (value[i] < '0' || value[i] > '9') return 0;
      thousandths += (value[i] - '0') * weight;
    }
    return thousandths;
  }
  return 1000;
}

std::optional<Format> format_of(std::string_view type) {
  constexpr std::array<std::pair<std::string_view, Format>, 10> kFormats = {{
      {"application/x-ndjson", Format::ndjson},
      {"application/ndjson", Format::ndjson},
      {"application/jsonl", Format::ndjson},
      {"*/*", Format::ndjson},
      {"application/*", Format::ndjson},
      {"application/json", Format::json},
      {"text/event-stream", Format::sse},
      {"application/cloudevents-batch+json", Format::ce_batch},
      {"text/plain", Format::text},
      {"application/octet-stream", Format::octets},
  }};
  const auto* const found = std::ranges::find(kFormats, type, &std::pair<std::string_view, Format>::first);
  if (found != kFormats.end()) return found->second;
  if (type == "text/*") return Format::text;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> media_type(std::string_view content_type) {
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  const auto slash = type.find('/');
  if (slash == std::string_view::npos || content_type.size() > kContentTypeBytesMax) return std::nullopt;
  if (!is_token(type.substr(0, slash)) || !is_token(type.substr(slash + 1))) return std::nullopt;
  return to_lower(type);
}

PayloadKind payload_kind(std::string_view content_type) {
  if (content_type == "application/json") return PayloadKind::json;
  const auto type = media_type(content_type);
  if (!type) return PayloadKind::binary;
  if (*type == "application/json" || type->ends_with("+json")) return PayloadKind::json;
  return type->starts_with("text/") ? PayloadKind::text : PayloadKind::binary;
}

BodyKind body_kind(std::string_view content_type) {
  const auto type = media_type(content_type);
  if (!type) return BodyKind::single;
  if (*type == "application/x-ndjson" || *type == "application/ndjson" || *type == "application/jsonl") {
    return BodyKind::ndjson;
  }
  if (*type == "application/cloudevents+json") return BodyKind::ce_structured;
  if (*type == "application/cloudevents-batch+json") return BodyKind::ce_batch;
  return BodyKind::single;
}

bool is_untyped(std::string_view content_type) {
  return trim(content_type).empty() || media_type(content_type) == "application/x-www-form-urlencoded";
}

std::string_view content_type_of(Format format) {
  switch (format) {
    case Format::json:
      return "application/json";
    case Format::sse:
      return "text/event-stream";
    case Format::ce_batch:
      return "application/cloudevents-batch+json";
    case Format::text:
      return "text/plain; charset=utf-8";
    case Format::octets:
      return "application/octet-stream";
    case Format::ndjson:
      break;
  }
  return "application/x-ndjson";
}

std::expected<Format, std::string> negotiate(std::string_view accept) {
  if (trim(accept).empty()) return Format::ndjson;
  std::optional<Format> best;
  int best_quality = 0;
  while (!accept.empty()) {
    const auto end = accept.find(',');
    const std::string_view element = trim(accept.substr(0, end));
    accept.remove_prefix(end == std::string_view::npos ? accept.size() : end + 1);
    const auto semicolon = element.find(';');
    const auto format = format_of(to_lower(trim(element.substr(0, semicolon))));
    const int weight = semicolon == std::string_view::npos ? 1000 : quality(element.substr(semicolon + 1));
    if (!format || weight <= best_quality) continue;
    best = format;
    best_quality = weight;
  }
  if (!best) {
    return std::unexpected(
        "reading answers application/x-ndjson, application/json, text/event-stream, text/plain and, for limit=1, "
        "application/octet-stream");
  }
  if (*best == Format::ce_batch) {
    return std::unexpected("application/cloudevents-batch+json comes with a later version; take application/x-ndjson");
  }
  return *best;
}

}  // namespace weir::broker::http
