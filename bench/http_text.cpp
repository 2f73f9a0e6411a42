#include "bench/http_text.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

namespace weir::bench {

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
/// More than any head weir sends.
constexpr std::size_t kHeadBytesMax = std::size_t{64} << 10U;
constexpr std::size_t kMask = 0x80;

std::optional<std::size_t> parse_length(std::string_view line) {
  constexpr std::string_view kName = "content-length:";
  if (line.size() < kName.size()) return std::nullopt;
  const bool same = std::ranges::equal(line.substr(0, kName.size()), kName, {},
                                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (!same) return std::nullopt;
  line.remove_prefix(kName.size());
  while (line.starts_with(' ')) line.remove_prefix(1);
  std::size_t length = 0;
  if (std::from_chars(line.data(), line.data() + line.size(), length).ec != std::errc{}) return std::nullopt;
  return length;
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = (number << 8U) | static_cast<unsigned char>(byte);
  return number;
}

}  // namespace

std::expected<std::optional<HttpHead>, std::string> parse_head(std::string_view in) {
  const auto end = in.find(kHeadEnd);
  if (end == std::string_view::npos) {
    if (in.size() > kHeadBytesMax) return std::unexpected("the server's answer has no end of its head");
    return std::nullopt;
  }
  HttpHead head{.status = 0, .size = end + kHeadEnd.size(), .content_length = std::nullopt};
  if (!in.starts_with("HTTP/1.1 ")) return std::unexpected("the server does not speak HTTP/1.1");
  std::from_chars(in.data() + 9, in.data() + 12, head.status);
  for (std::size_t begin = in.find("\r\n") + 2; begin < end;) {
    const auto line_end = in.find("\r\n", begin);
    if (const auto length = parse_length(in.substr(begin, line_end - begin))) head.content_length = length;
    begin = line_end + 2;
  }
  return head;
}

std::string upgrade_request(const client::Endpoint& server, std::string_view subprotocol) {
  return fmt::format(
      "GET /v1/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
      server.text(), subprotocol);
}

Taken take_upgrade(std::string_view in) {
  const auto head = parse_head(in);
  if (!head) return std::unexpected(head.error());
  if (!*head) return 0;
  if ((*head)->status != 101) return std::unexpected(fmt::format("no WebSocket: {}", (*head)->status));
  return (*head)->size;
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload) {
  constexpr std::size_t kShort = 125;
  constexpr std::size_t kMedium = 65'535;
  out += static_cast<char>(0x80U | static_cast<unsigned>(opcode));
  unsigned length_bytes = 0;
  if (payload.size() <= kShort) {
    out += static_cast<char>(kMask | payload.size());
  } else {
    length_bytes = payload.size() <= kMedium ? 2 : 8;
    out += static_cast<char>(kMask | (length_bytes == 2 ? 126U : 127U));
  }
  for (unsigned i = length_bytes; i > 0; --i) out += static_cast<char>((payload.size() >> (8U * (i - 1))) & 0xffU);
  out.append(4, '\0');
  out += payload;
}

std::expected<std::optional<WsFrame>, std::string> parse_frame(std::string_view in) {
  if (in.size() < 2) return std::nullopt;
  const auto first = static_cast<unsigned char>(in[0]);
  const auto second = static_cast<unsigned char>(in[1]);
  if ((first & 0xf0U) != 0x80U || (second & kMask) != 0) return std::unexpected("a frame weir does not send");
  const std::size_t length_bytes = second < 126 ? 0 : (second == 126 ? 2 : 8);
  if (in.size() < 2 + length_bytes) return std::nullopt;
  const std::uint64_t length = length_bytes == 0 ? second : big_endian(in.substr(2, length_bytes));
  const std::size_t header = 2 + length_bytes;
  if (length > in.size() - header) return std::nullopt;
  const auto size = static_cast<std::size_t>(length);
  return WsFrame{static_cast<Opcode>(first & 0x0fU), in.substr(header, size), header + size};
}

std::expected<bool, std::string> take_control(const WsFrame& frame, std::string& reply) {
  if (frame.opcode == Opcode::ping) {
    append_frame(reply, Opcode::pong, frame.payload);
    return true;
  }
  if (frame.opcode == Opcode::close) {
    const auto code = frame.payload.size() >= 2 ? big_endian(frame.payload.substr(0, 2)) : 1005;
    return std::unexpected(fmt::format("the server closed the WebSocket with {}", code));
  }
  return frame.opcode == Opcode::pong;
}

std::optional<std::uint64_t> number_after(std::string_view text, std::string_view name) {
  const auto found = text.find(name);
  if (found == std::string_view::npos) return std::nullopt;
  const auto begin = found + name.size();
  std::uint64_t number = 0;
  if (std::from_chars(text.data() + begin, text.data() + text.size(), number).ec != std::errc{}) return std::nullopt;
  return number;
}

std::optional<std::string_view> text_after(std::string_view text, std::string_view name) {
  const auto found = text.find(name);
  if (found == std::string_view::npos) return std::nullopt;
  const auto begin = found + name.size();
  const auto end = text.find('"', begin);
  if (end == std::string_view::npos) return std::nullopt;
  return text.substr(begin, end - begin);
}

std::optional<std::size_t> chunk_size(std::string_view line) {
  std::size_t size = 0;
  const auto parsed = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  if (parsed.ec != std::errc{} || parsed.ptr != line.data() + line.size()) return std::nullopt;
  return size;
}

std::string subscribe_frame(const std::string& topic, ReadFrom from, std::uint64_t credit) {
  return fmt::format(R"({{"op":"sub","sid":1,"topic":"{}","from":"{}","credit":{}}})", topic,
                     from == ReadFrom::earliest ? "earliest" : "latest", credit);
}

std::string credit_frame(std::uint64_t count) {
  return fmt::format(R"({{"op":"credit","sid":1,"n":{}}})", count);
}

std::expected<void, std::string> take_notice(std::string_view text, const Heard& heard) {
  if (text.starts_with(R"({"op":"caught-up")")) {
    heard.caught_up();
    return {};
  }
  if (text.starts_with(R"({"op":"subscribed")")) return {};
  return std::unexpected("the server says " + std::string(text.substr(0, 200)));
}

}  // namespace weir::bench
