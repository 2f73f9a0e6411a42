// Content types: what a body is taken for, and which form an answer takes (API §3, §4). Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace weir::broker::http {

/// `type/subtype` in lower case, without parameters; nullopt: not a media type.
[[nodiscard]] std::optional<std::string> media_type(std::string_view content_type);

/// Longer ones are refused: the type is kept with every event.
inline constexpr std::size_t kContentTypeBytesMax = 256;

/// How a stored event's payload is shown.
enum class PayloadKind : std::uint8_t { json = 1, text = 2, binary = 3 };
[[nodiscard]] PayloadKind payload_kind(std::string_view content_type);

/// How the body of a publish request is taken apart.
enum class BodyKind : std::uint8_t { single = 1, ndjson = 2, ce_structured = 3, ce_batch = 4 };
[[nodiscard]] BodyKind body_kind(std::string_view content_type);
/// No type, or the one curl sends by itself: the bytes decide.
[[nodiscard]] bool is_untyped(std::string_view content_type);

enum class Format : std::uint8_t { ndjson = 1, json, sse, ce_batch, text, octets };
[[nodiscard]] std::string_view content_type_of(Format format);

/// The format that `accept` likes best; ndjson for an empty one. The error is for 406.
[[nodiscard]] std::expected<Format, std::string> negotiate(std::string_view accept);

}  // namespace weir::broker::http
