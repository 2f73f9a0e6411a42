#include "broker/config_file.hpp"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <optional>
#include <string_view>

namespace weir::broker {
namespace {

[[nodiscard]] std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

[[nodiscard]] std::optional<std::string> joined_text(const toml::array& array) {
  std::string out;
  for (const toml::node& element : array) {
    const auto text = scalar_text(element);
    if (!text) return std::nullopt;
    if (!out.empty()) out += ',';
    out += *text;
  }
  return out;
}

[[nodiscard]] std::string at_line(const std::string& path, std::uint32_t line, const std::string& what) {
  return path + " line " + std::to_string(line) + ": " + what;
}

/// Settings are one table deep; what lies deeper keeps its dots and is then an unknown key.
std::expected<void, std::string> collect(const std::string& path, const std::string& prefix, const toml::table& table,
                                         std::vector<FileSetting>& out) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const std::uint32_t line = node.source().begin.line;
    if (const auto* inner = node.as_table()) {
      if (auto collected = collect(path, name + '.', *inner, out); !collected) return collected;
      continue;
    }
    const auto* array = node.as_array();
    auto text = array ? joined_text(*array) : scalar_text(node);
    if (!text) return std::unexpected(at_line(path, line, name + " must be text, a whole number, true or false"));
    out.push_back({name, std::move(*text), line});
  }
  return {};
}

}  // namespace

std::expected<std::vector<FileSetting>, std::string> read_config_file(const std::string& path) {
  const toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    const std::string what(error.description());
    if (error.source().begin.line == 0) return std::unexpected("config file " + path + ": " + what);
    return std::unexpected(at_line(path, error.source().begin.line, what));
  }
  std::vector<FileSetting> out;
  if (auto collected = collect(path, "", parsed.table(), out); !collected) return std::unexpected(collected.error());
  return out;
}

}  // namespace weir::broker
