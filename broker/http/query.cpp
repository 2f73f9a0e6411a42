#include "broker/http/query.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace weir::broker::http {

std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
  if (text.empty() || text.size() > 16 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || value >= kNumberEnd) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_duration_ms(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 5> kUnits = {
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto value = parse_unsigned(text.substr(0, digits));
  if (!value) return std::nullopt;
  for (const auto& [unit, ms] : kUnits) {
    if (text.substr(digits) != unit) continue;
    if (*value >= kNumberEnd / ms) return std::nullopt;
    return *value * ms;
  }
  return std::nullopt;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  while (!text.empty()) {
    if (text.front() != '%') {
      decoded += text.front();
      text.remove_prefix(1);
      continue;
    }
    unsigned value = 0;
    if (text.size() < 3) return std::nullopt;
    const auto [end, ec] = std::from_chars(text.data() + 1, text.data() + 3, value, 16);
    if (ec != std::errc{} || end != text.data() + 3) return std::nullopt;
    decoded += static_cast<char>(static_cast<unsigned char>(value));
    text.remove_prefix(3);
  }
  return decoded;
}

std::expected<Query, std::string> Query::parse(std::string_view text, std::initializer_list<std::string_view> known,
                                               std::string_view repeatable) {
  Query query;
  while (!text.empty()) {
    const auto end = text.find('&');
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (part.empty()) continue;
    const auto equals = part.find('=');
    auto name = percent_decoded(part.substr(0, equals));
    auto value = percent_decoded(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1));
    if (!name || !value) return std::unexpected("the query holds a '%' that two hexadecimal digits do not follow");
    if (std::ranges::find(known, *name) == known.end()) {
      std::string error = "unknown parameter '" + *name + "'; this route knows";
      for (const std::string_view word : known) (error += ' ') += word;
      return std::unexpected(std::move(error));
    }
    if (*name != repeatable && query.get(*name)) return std::unexpected("parameter '" + *name + "' is there twice");
    query.parameters_.push_back({std::move(*name), std::move(*value)});
  }
  return query;
}

std::optional<std::string_view> Query::get(std::string_view name) const {
  const auto found = std::ranges::find(parameters_, name, &Parameter::name);
  if (found == parameters_.end()) return std::nullopt;
  return found->value;
}

}  // namespace weir::broker::http
