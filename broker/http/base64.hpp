// Base64 (RFC 4648 §4, with padding). Pure: no thread rule.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::broker::http {

void append_base64(std::string& out, std::string_view bytes);
/// nullopt: not canonical base64 (wrong length, padding, characters, or bits behind the end).
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace weir::broker::http
