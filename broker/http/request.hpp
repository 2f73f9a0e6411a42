// One HTTP request, read and judged. Values only: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::broker::http {

enum class Method : std::uint8_t { get = 1, head, post, put, patch, delete_, options, other };
[[nodiscard]] Method parse_method(std::string_view text);

enum class Version : std::uint8_t { http_1_0 = 1, http_1_1 = 2 };

struct Field {
  std::string name;  ///< lower case
  std::string value;
};

/// How the body is framed on the wire.
enum class BodyCoding : std::uint8_t { none = 1, length = 2, chunked = 3 };

struct Request {
  Method method = Method::other;
  std::string method_text;
  std::string path;   ///< as sent, not decoded; begins with '/', or is "*"
  std::string query;  ///< as sent, without the '?'
  Version version = Version::http_1_1;
  std::vector<Field> fields;
  BodyCoding framing = BodyCoding::none;
  std::uint64_t content_length = 0;  ///< of BodyCoding::length
  std::string body;

  /// The value of the first field of this (lower case) name.
  [[nodiscard]] std::optional<std::string_view> field(std::string_view name) const;
  /// `token` is an element of the comma-separated list in any field of this name; letter case does not count.
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const;
  /// The client will send another request on this connection.
  [[nodiscard]] bool keep_alive() const;
};

/// ASCII only: header names, media types and tokens.
[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);
/// Without spaces and tabs at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);
/// RFC 9110 token characters.
[[nodiscard]] bool is_token(std::string_view text);

}  // namespace weir::broker::http
