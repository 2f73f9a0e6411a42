#include "broker/http/response.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace weir::broker::http {

namespace {

char printable(char c) {
  return (c >= 0x20 && c < 0x7f) || c == '\t' ? c : '?';
}

}  // namespace

Response& Response::add_header(std::string_view name, std::string_view value) {
  headers += name;
  headers += ": ";
  std::ranges::transform(value, std::back_inserter(headers), printable);
  headers += "\r\n";
  return *this;
}

std::string_view reason_phrase(unsigned status) {
  constexpr std::array<std::pair<unsigned, std::string_view>, 29> kReasons = {{
      {100, "Continue"},
      {101, "Switching Protocols"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {302, "Found"},
      {307, "Temporary Redirect"},
      {400, "Bad Request"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {426, "Upgrade Required"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
  }};
  const auto* const found = std::ranges::find(kReasons, status, &std::pair<unsigned, std::string_view>::first);
  return found == kReasons.end() ? "Unknown" : found->second;
}

std::string head_text(const Response& response, BodyFraming framing, After after) {
  std::string head;
  head.reserve(256 + response.headers.size());
  head += "HTTP/1.1 ";
  head += std::to_string(response.status);
  head += ' ';
  head += reason_phrase(response.status);
  head += "\r\n";
  if (!response.content_type.empty()) {
    head += "Content-Type: ";
    std::ranges::transform(response.content_type, std::back_inserter(head), printable);
    head += "\r\n";
  }
  // RFC 9110 §8.6: a 204 carries no Content-Length.
  if (framing == BodyFraming::length && response.status != 204 && response.status >= 200) {
    head += "Content-Length: ";
    head += std::to_string(response.body.size());
    head += "\r\n";
  }
  if (framing == BodyFraming::chunked) head += "Transfer-Encoding: chunked\r\n";
  head += "X-Content-Type-Options: nosniff\r\n";
  head += response.headers;
  if (after == After::close) head += "Connection: close\r\n";
  head += "\r\n";
  return head;
}

void append_chunk(std::string& out, std::string_view bytes) {
  std::array<char, 20> size{};
  const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
  out.append(size.data(), end);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

}  // namespace weir::broker::http
