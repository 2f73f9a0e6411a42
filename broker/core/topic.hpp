// Topic names and patterns (API §1). Values only: no thread rule.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace weir::broker {

inline constexpr std::size_t kTopicBytesMax = 255;
inline constexpr std::size_t kTopicLevelsMax = 16;
inline constexpr std::size_t kTopicLevelBytesMax = 64;

/// Checks the grammar: 1-16 levels split by '/', each [A-Za-z0-9._~-]{1,64}, not "." or "..", at most 255 bytes. The
/// error says which rule and what to do.
[[nodiscard]] std::expected<void, std::string> check_topic(std::string_view name);

/// A topic, or a pattern: `*` or `+` is one level, `**` or `#` the rest: one level or more, in last place only.
class Pattern {
 public:
  [[nodiscard]] static std::expected<Pattern, std::string> parse(std::string_view text);

  [[nodiscard]] bool matches(std::string_view topic) const;
  /// No wildcard in it: names one topic.
  [[nodiscard]] bool is_topic() const { return is_topic_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  Pattern() = default;
  std::string text_;
  std::vector<std::string> levels_;
  bool is_topic_ = false;
};

}  // namespace weir::broker
