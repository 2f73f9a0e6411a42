// Is this JSON, within weir's limits? Nothing is built: payloads of any shape cost a walk and a list of their keys.
// Refused: what RFC 8259 refuses, nesting beyond depth_max, one name twice in an object, bytes that are not UTF-8, lone
// surrogates (FAULTS 95). Pure: no thread rule.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

namespace weir::broker::http {

/// The error says what is wrong and at which byte.
[[nodiscard]] std::expected<void, std::string> check_json(std::string_view text, std::size_t depth_max);

}  // namespace weir::broker::http
