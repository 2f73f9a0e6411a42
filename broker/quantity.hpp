// Ages, sizes and counts as people write them: in settings of the broker and of topics. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace weir::broker {

/// Of anything that is set in bytes.
inline constexpr std::uint64_t kSizeMin = 64;
inline constexpr std::uint64_t kSizeMax = 1ULL << 40U;

/// Digits only.
[[nodiscard]] std::optional<std::uint64_t> parse_whole(std::string_view text);
/// `65536`, `64KiB`, `8MiB`, `1GiB`: from kSizeMin to `max`. The error says what must be there, like those below.
[[nodiscard]] std::expected<std::uint64_t, std::string> parse_size(std::string_view text, std::uint64_t max);
/// `30s`, `90m`, `12h`, `7d`: in milliseconds, up to 100 years.
[[nodiscard]] std::expected<std::uint64_t, std::string> parse_age(std::string_view text);
[[nodiscard]] std::expected<std::uint64_t, std::string> parse_count(std::string_view text, std::uint64_t min,
                                                                    std::uint64_t max);

/// In the largest unit that it is a multiple of.
[[nodiscard]] std::string show_size(std::uint64_t bytes);
[[nodiscard]] std::string show_age(std::uint64_t ms);

}  // namespace weir::broker
