#include "broker/core/topic.hpp"

#include <algorithm>

namespace weir::broker {
namespace {

[[nodiscard]] std::vector<std::string_view> split_levels(std::string_view text) {
  std::vector<std::string_view> levels;
  while (true) {
    const std::size_t slash = text.find('/');
    levels.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) {
      return levels;
    }
    text.remove_prefix(slash + 1);
  }
}

[[nodiscard]] bool is_level_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '~' || c == '-';
}

[[nodiscard]] std::expected<void, std::string> check_level(std::string_view level) {
  if (level.empty()) {
    return std::unexpected("has an empty level; levels are split by single slashes, with none at either end");
  }
  if (level.size() > kTopicLevelBytesMax) {
    return std::unexpected("has a level above 64 bytes");
  }
  if (level == "." || level == "..") {
    return std::unexpected("has a level '.' or '..'");
  }
  if (!std::ranges::all_of(level, is_level_character)) {
    return std::unexpected("has a character outside A-Z a-z 0-9 . _ ~ -");
  }
  return {};
}

[[nodiscard]] std::expected<void, std::string> check_size(std::string_view text, std::size_t level_count) {
  if (text.empty()) {
    return std::unexpected("is empty");
  }
  if (text.size() > kTopicBytesMax) {
    return std::unexpected("is longer than 255 bytes");
  }
  if (level_count > kTopicLevelsMax) {
    return std::unexpected("has more than 16 levels");
  }
  return {};
}

[[nodiscard]] bool is_one_level_wildcard(std::string_view level) {
  return level == "*" || level == "+";
}
[[nodiscard]] bool is_rest_wildcard(std::string_view level) {
  return level == "**" || level == "#";
}

}  // namespace

std::expected<void, std::string> check_topic(std::string_view name) {
  const auto levels = split_levels(name);
  if (auto sized = check_size(name, levels.size()); !sized) {
    return std::unexpected("the topic " + sized.error());
  }
  if (levels.front() == "$sys") {
    return std::unexpected("topics below $sys/ belong to the broker");
  }
  for (const auto level : levels) {
    if (auto checked = check_level(level); !checked) {
      return std::unexpected("the topic " + checked.error());
    }
  }
  return {};
}

std::expected<Pattern, std::string> Pattern::parse(std::string_view text) {
  const auto levels = split_levels(text);
  if (auto sized = check_size(text, levels.size()); !sized) {
    return std::unexpected("the pattern " + sized.error());
  }
  Pattern pattern;
  pattern.text_ = text;
  pattern.is_topic_ = true;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto level = levels[i];
    if (is_rest_wildcard(level)) {
      if (i + 1 != levels.size()) {
        return std::unexpected("the pattern has '" + std::string(level) + "' before its last level");
      }
      pattern.is_topic_ = false;
    } else if (is_one_level_wildcard(level)) {
      pattern.is_topic_ = false;
    } else if (auto checked = check_level(level); !checked && !(i == 0 && level == "$sys")) {
      return std::unexpected("the pattern " + checked.error() +
                             "; wildcards are '*' for one level and '**' for the rest");
    }
    pattern.levels_.emplace_back(level);
  }
  return pattern;
}

bool Pattern::matches(std::string_view topic) const {
  if (is_topic_) {
    return topic == text_;
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    if (begin > topic.size()) {
      return false;
    }
    if (is_rest_wildcard(levels_[i])) {
      return true;
    }
    const std::size_t end = std::min(topic.find('/', begin), topic.size());
    if (!is_one_level_wildcard(levels_[i]) && topic.substr(begin, end - begin) != levels_[i]) {
      return false;
    }
    begin = end + 1;
  }
  return begin > topic.size();
}

}  // namespace weir::broker
