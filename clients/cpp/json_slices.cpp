#include "clients/cpp/json_slices.hpp"

namespace weir::client {
namespace {

/// A place in a text; every `take_` answers nothing when what it looks for is not there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool take(char wanted) {
    skip_space();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool at_end() {
    skip_space();
    return rest_.empty();
  }

  /// A string with its quotes.
  std::optional<std::string_view> take_string() {
    skip_space();
    const auto end = string_end(0);
    if (rest_.empty() || rest_.front() != '"' || end == std::string_view::npos) return std::nullopt;
    return cut(end);
  }

  std::optional<std::string_view> take_value() {
    skip_space();
    std::size_t depth = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '"') {
        i = string_end(i);
        if (i == std::string_view::npos) return std::nullopt;
        if (depth == 0) return cut(i);
        --i;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (depth == 0 && (c == ',' || c == '}' || c == ']' || is_space(c))) {
        return i == 0 ? std::nullopt : std::optional(cut(i));
      } else if (c == '}' || c == ']') {
        if (--depth == 0) return cut(i + 1);
      }
    }
    return depth == 0 && !rest_.empty() ? std::optional(cut(rest_.size())) : std::nullopt;
  }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  void skip_space() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
  }

  /// Just behind the string whose opening quote is at `from`.
  [[nodiscard]] std::size_t string_end(std::size_t from) const {
    for (std::size_t i = from + 1; i < rest_.size(); ++i) {
      if (rest_[i] == '\\')
        ++i;
      else if (rest_[i] == '"')
        return i + 1;
    }
    return std::string_view::npos;
  }

  std::string_view cut(std::size_t size) {
    const auto piece = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return piece;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<std::vector<std::pair<std::string_view, std::string_view>>> json_members(std::string_view text) {
  Scanner scanner(text);
  std::vector<std::pair<std::string_view, std::string_view>> members;
  if (!scanner.take('{')) return std::nullopt;
  if (scanner.take('}')) return scanner.at_end() ? std::optional(members) : std::nullopt;
  do {
    const auto name = scanner.take_string();
    if (!name || !scanner.take(':')) return std::nullopt;
    const auto value = scanner.take_value();
    if (!value) return std::nullopt;
    members.emplace_back(name->substr(1, name->size() - 2), *value);
  } while (scanner.take(','));
  if (!scanner.take('}') || !scanner.at_end()) return std::nullopt;
  return members;
}

std::optional<std::vector<std::string_view>> json_items(std::string_view text) {
  Scanner scanner(text);
  std::vector<std::string_view> items;
  if (!scanner.take('[')) return std::nullopt;
  if (scanner.take(']')) return scanner.at_end() ? std::optional(items) : std::nullopt;
  do {
    const auto value = scanner.take_value();
    if (!value) return std::nullopt;
    items.push_back(*value);
  } while (scanner.take(','));
  if (!scanner.take(']') || !scanner.at_end()) return std::nullopt;
  return items;
}

std::optional<std::string_view> json_member(std::string_view text, std::string_view name) {
  const auto members = json_members(text);
  if (!members) return std::nullopt;
  for (const auto& [key, value] : *members) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace weir::client
