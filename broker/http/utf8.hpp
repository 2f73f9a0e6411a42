// Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). Pure: no thread rule.
#pragma once

#include <string>
#include <string_view>

namespace weir::broker::http {

[[nodiscard]] bool is_utf8(std::string_view text);
/// Requires a scalar value: not a surrogate, at most 0x10FFFF.
void append_utf8(std::string& out, char32_t code_point);

}  // namespace weir::broker::http
