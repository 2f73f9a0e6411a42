// JSON as text: writing strings, and taking a checked document apart without building a tree, so that a payload inside
// it keeps its exact bytes. Reading requires text that check_json() has passed. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::broker::http {

/// `text` in quotes, escaped. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);
/// A checked JSON text without the line breaks between its tokens (inside strings there are none).
void append_json_on_one_line(std::string& out, std::string_view json);

enum class JsonKind : std::uint8_t { null = 1, boolean, number, string, array, object };

struct JsonMember {
  std::string name;
  std::string_view value;  ///< as written, without spaces around it
};

/// Of a checked JSON value.
[[nodiscard]] JsonKind json_kind(std::string_view value);
/// The members of a checked object, in their order. Requires json_kind(object) == object.
[[nodiscard]] std::vector<JsonMember> json_members(std::string_view object);
/// The elements of a checked array. Requires json_kind(array) == array.
[[nodiscard]] std::vector<std::string_view> json_elements(std::string_view array);
/// The text of a checked string. Requires json_kind(string) == string.
[[nodiscard]] std::string json_unquoted(std::string_view string);
/// An unsigned whole number below 2^53, written without sign, fraction or exponent; else nullopt.
[[nodiscard]] std::optional<std::uint64_t> json_unsigned(std::string_view value);

/// Writes one JSON object, member by member, to the end of `out`.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  JsonObject& text(std::string_view name, std::string_view value);
  /// null when empty.
  JsonObject& text_or_null(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::uint64_t value);
  JsonObject& number_or_null(std::string_view name, std::optional<std::uint64_t> value);
  JsonObject& raw(std::string_view name, std::string_view json);
  void end() { out_ += '}'; }

 private:
  void name(std::string_view name);

  std::string& out_;
  bool first_ = true;
};

}  // namespace weir::broker::http
