// Times as clients read and write them: RFC 3339, UTC, milliseconds. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::broker::http {

/// `2026-11-20T22:50:01.123Z`.
void append_time(std::string& out, std::uint64_t ms_since_1970);
[[nodiscard]] std::string format_time(std::uint64_t ms_since_1970);
/// RFC 3339 with any fraction (cut to milliseconds) and `Z` or an offset; years 1970-9999.
[[nodiscard]] std::optional<std::uint64_t> parse_time(std::string_view text);

}  // namespace weir::broker::http
