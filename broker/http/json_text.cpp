#include "broker/http/json_text.hpp"

#include <array>
#include <charconv>

#include "broker/http/query.hpp"
#include "broker/http/utf8.hpp"

namespace weir::broker::http {

namespace {

constexpr std::string_view kSpaces = " \t\r\n";

std::string_view trim_json(std::string_view text) {
  const auto first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

/// The size of the quoted string at the front of `text`.
std::size_t string_size(std::string_view text) {
  std::size_t i = 1;
  while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
  return std::min(i + 1, text.size());
}

/// The size of the value at the front of `text`: up to the ',' or closing bracket of what encloses it.
std::size_t value_size(std::string_view text) {
  std::size_t depth = 0;
  std::size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    if (c == '"') {
      i += string_size(text.substr(i));
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) break;
    if (c == '}' || c == ']') --depth;
    ++i;
  }
  return i;
}

void append_escaped(std::string& out, unsigned char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      out += "\\u00";
      out += kHex[c >> 4U];
      out += kHex[c & 0xfU];
  }
}

/// Well-formed text, escaped. DEL is escaped too: terminals act on it.
void append_escaped_text(std::string& out, std::string_view text) {
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
    out.append(text, plain, i - plain);
    append_escaped(out, c);
    plain = i + 1;
  }
  out.append(text, plain, text.size() - plain);
}

std::uint32_t hex4(std::string_view digits) {
  std::uint32_t value = 0;
  const std::string_view four = digits.substr(0, 4);
  std::from_chars(four.begin(), four.end(), value, 16);
  return value;
}

/// One escape at the front of `text` (the backslash included); returns its size.
std::size_t append_unescaped(std::string& out, std::string_view text) {
  switch (text[1]) {
    case 'b':
      out += '\b';
      return 2;
    case 'f':
      out += '\f';
      return 2;
    case 'n':
      out += '\n';
      return 2;
    case 'r':
      out += '\r';
      return 2;
    case 't':
      out += '\t';
      return 2;
    case 'u': {
      const std::uint32_t unit = hex4(text.substr(2));
      if (unit < 0xd800 || unit > 0xdfff) {
        append_utf8(out, unit);
        return 6;
      }
      append_utf8(out, 0x10000U + ((unit - 0xd800U) << 10U) + (hex4(text.substr(8)) - 0xdc00U));
      return 12;
    }
    default:
      out += text[1];
      return 2;
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  if (is_utf8(text)) {
    append_escaped_text(out, text);
  } else {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (static_cast<unsigned char>(text[i]) < 0x80) {
        append_escaped_text(out, text.substr(i, 1));
      } else {
        out += "\xef\xbf\xbd";
      }
    }
  }
  out += '"';
}

void append_json_on_one_line(std::string& out, std::string_view json) {
  while (true) {
    const auto end = json.find_first_of("\r\n");
    out.append(json.substr(0, end));
    if (end == std::string_view::npos) return;
    json.remove_prefix(end + 1);
  }
}

JsonKind json_kind(std::string_view value) {
  value = trim_json(value);
  switch (value.empty() ? 'n' : value.front()) {
    case '{':
      return JsonKind::object;
    case '[':
      return JsonKind::array;
    case '"':
      return JsonKind::string;
    case 't':
    case 'f':
      return JsonKind::boolean;
    case 'n':
      return JsonKind::null;
    default:
      return JsonKind::number;
  }
}

std::vector<JsonMember> json_members(std::string_view object) {
  std::vector<JsonMember> members;
  std::string_view rest = trim_json(object).substr(1);
  while (true) {
    const auto quote = rest.find('"');
    if (quote == std::string_view::npos) return members;
    rest.remove_prefix(quote);
    const std::string_view name = rest.substr(0, string_size(rest));
    rest.remove_prefix(name.size());
    rest.remove_prefix(rest.find(':') + 1);
    const std::string_view value = rest.substr(0, value_size(rest));
    rest.remove_prefix(value.size());
    members.push_back({json_unquoted(name), trim_json(value)});
    if (!rest.starts_with(',')) return members;
  }
}

std::vector<std::string_view> json_elements(std::string_view array) {
  std::vector<std::string_view> elements;
  std::string_view rest = trim_json(array).substr(1);
  if (trim_json(rest) == "]") return elements;
  while (true) {
    const std::string_view value = rest.substr(0, value_size(rest));
    rest.remove_prefix(value.size());
    elements.push_back(trim_json(value));
    if (!rest.starts_with(',')) return elements;
    rest.remove_prefix(1);
  }
}

std::string json_unquoted(std::string_view string) {
  std::string_view rest = string.substr(1, string.size() - 2);
  std::string text;
  text.reserve(rest.size());
  while (true) {
    const auto backslash = rest.find('\\');
    text.append(rest.substr(0, backslash));
    if (backslash == std::string_view::npos) return text;
    rest.remove_prefix(backslash);
    rest.remove_prefix(append_unescaped(text, rest));
  }
}

std::optional<std::uint64_t> json_unsigned(std::string_view value) {
  return parse_unsigned(value);
}

void JsonObject::name(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  out_ += '"';
  out_ += name;
  out_ += "\":";
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  this->name(name);
  append_json_string(out_, value);
  return *this;
}

JsonObject& JsonObject::text_or_null(std::string_view name, std::string_view value) {
  return value.empty() ? raw(name, "null") : text(name, value);
}

JsonObject& JsonObject::number(std::string_view name, std::uint64_t value) {
  this->name(name);
  std::array<char, 20> digits{};
  out_.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
  return *this;
}

JsonObject& JsonObject::number_or_null(std::string_view name, std::optional<std::uint64_t> value) {
  return value ? number(name, *value) : raw(name, "null");
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  this->name(name);
  out_ += json;
  return *this;
}

}  // namespace weir::broker::http
