// Query strings, numbers and durations as clients write them. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::broker::http {

/// Numbers in JSON and in URLs stay below this: a double holds them exactly (API, "Offsets and positions").
inline constexpr std::uint64_t kNumberEnd = std::uint64_t{1} << 53U;

/// Digits only, no leading zero, below 2^53.
[[nodiscard]] std::optional<std::uint64_t> parse_unsigned(std::string_view text);

/// `250ms`, `2s`, `5m`, `1h`, `7d`: in milliseconds. A number alone is refused: nobody could tell its unit.
[[nodiscard]] std::optional<std::uint64_t> parse_duration_ms(std::string_view text);

/// Decodes %XX once; '+' stays '+', it is a wildcard. nullopt: a '%' without two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);

class Query {
 public:
  struct Parameter {
    std::string name;
    std::string value;
  };

  /// `text`: what follows the '?'. Every name must be one of `known`, and stand once unless it is `repeatable`; the
  /// error names the first that does not.
  [[nodiscard]] static std::expected<Query, std::string> parse(std::string_view text,
                                                               std::initializer_list<std::string_view> known,
                                                               std::string_view repeatable = {});

  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;
  [[nodiscard]] const std::vector<Parameter>& parameters() const { return parameters_; }

 private:
  std::vector<Parameter> parameters_;
};

}  // namespace weir::broker::http
