#include "broker/quantity.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace weir::broker {
namespace {

using Unit = std::pair<std::string_view, std::uint64_t>;
constexpr std::array<Unit, 4> kSizes{{{"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}, {"B", 1}}};
constexpr std::array<Unit, 4> kSpans{{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}}};
constexpr std::uint64_t kAgeMax = 100ULL * 366 * 86'400'000;

}  // namespace

std::optional<std::uint64_t> parse_whole(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::expected<std::uint64_t, std::string> parse_count(std::string_view text, std::uint64_t min, std::uint64_t max) {
  const auto value = parse_whole(text);
  if (!value || *value < min || *value > max) {
    return std::unexpected("must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return *value;
}

std::expected<std::uint64_t, std::string> parse_size(std::string_view text, std::uint64_t max) {
  std::uint64_t scale = 1;
  std::string_view digits = text;
  for (const auto& [suffix, bytes] : kSizes) {
    if (!digits.ends_with(suffix)) continue;
    scale = bytes;
    digits.remove_suffix(suffix.size());
    break;
  }
  const auto value = parse_whole(digits);
  if (!value || *value > max / scale || *value * scale < kSizeMin) {
    return std::unexpected("must be a size from 64 bytes to " + std::to_string(max) + ", such as 65536, 64KiB or 8MiB");
  }
  return *value * scale;
}

std::expected<std::uint64_t, std::string> parse_age(std::string_view text) {
  for (const auto& [suffix, ms] : kSpans) {
    if (!text.ends_with(suffix)) continue;
    const auto value = parse_whole(text.substr(0, text.size() - 1));
    if (!value || *value == 0 || *value > kAgeMax / ms) break;
    return *value * ms;
  }
  return std::unexpected("must be off, or an age up to 100 years such as 30s, 90m, 12h or 7d");
}

std::string show_size(std::uint64_t bytes) {
  for (const auto& [suffix, unit] : kSizes) {
    if (unit > 1 && bytes % unit == 0) return std::to_string(bytes / unit) + std::string(suffix);
  }
  return std::to_string(bytes);
}

std::string show_age(std::uint64_t ms) {
  for (const auto& [suffix, span] : kSpans) {
    if (ms % span == 0) return std::to_string(ms / span) + std::string(suffix);
  }
  return std::to_string(ms) + "ms";
}

}  // namespace weir::broker
