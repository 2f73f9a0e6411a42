#include "broker/http/request.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <utility>

namespace weir::broker::http {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_token_char(char c) {
  const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

}  // namespace

Method parse_method(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, Method>, 7> kMethods = {{{"GET", Method::get},
                                                                            {"HEAD", Method::head},
                                                                            {"POST", Method::post},
                                                                            {"PUT", Method::put},
                                                                            {"PATCH", Method::patch},
                                                                            {"DELETE", Method::delete_},
                                                                            {"OPTIONS", Method::options}}};
  for (const auto& [name, method] : kMethods) {
    if (name == text) return method;
  }
  return Method::other;
}

std::string to_lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), lower);
  return result;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

std::optional<std::string_view> Request::field(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &Field::name);
  if (found == fields.end()) return std::nullopt;
  return found->value;
}

bool Request::has_token(std::string_view name, std::string_view token) const {
  for (const Field& field : fields) {
    if (field.name != name) continue;
    std::string_view rest = field.value;
    while (true) {
      const auto comma = rest.find(',');
      if (equal_ignoring_case(trim(rest.substr(0, comma)), token)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

bool Request::keep_alive() const {
  if (version == Version::http_1_0) return has_token("connection", "keep-alive");
  return !has_token("connection", "close");
}

}  // namespace weir::broker::http
