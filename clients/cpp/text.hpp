#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::client {

/// Length in bytes of the well-formed UTF-8 character at the start of `text`; 0 when it is not one.
[[nodiscard]] std::size_t utf8_character(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);

/// RFC 4648 with padding.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

/// `text` as a JSON string with its quotes. It must be UTF-8.
[[nodiscard]] std::string json_quoted(std::string_view text);

/// For one path segment or query value of a URL; '/' stays when `slash` says so.
enum class Slash { keep, escape };
[[nodiscard]] std::string percent_encode(std::string_view text, Slash slash);

}  // namespace weir::client
