// A response as handlers build it, and its head as it goes over the wire. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::broker::http {

/// What follows this response on the connection.
enum class After : std::uint8_t { keep_alive = 1, close = 2 };

struct Response {
  unsigned status = 200;
  std::string content_type = {};  ///< empty = no body of any type
  std::string headers = {};       ///< finished lines, each ending in CR LF; see add_header
  std::string body = {};
  After after = After::keep_alive;

  /// Adds a header line. Bytes that could end the line, or are not printable ASCII, leave as '?' (FAULTS 94, 114).
  Response& add_header(std::string_view name, std::string_view value);
};

[[nodiscard]] std::string_view reason_phrase(unsigned status);

/// How the end of a body is told.
enum class BodyFraming : std::uint8_t { length = 1, chunked = 2, until_close = 3 };

/// Status line and headers, with the empty line.
[[nodiscard]] std::string head_text(const Response& response, BodyFraming framing, After after);

/// `bytes` as one chunk of chunked coding. Requires !bytes.empty(): the empty chunk ends the body.
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace weir::broker::http
