// Just enough HTTP/1.1 and WebSocket to measure a broker without measuring this program. Pure: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "bench/protocol.hpp"

namespace weir::bench {

struct HttpHead {
  unsigned status = 0;
  std::size_t size = 0;  ///< of the head, its blank line included
  std::optional<std::size_t> content_length;
};
/// nullopt: more bytes are needed.
[[nodiscard]] std::expected<std::optional<HttpHead>, std::string> parse_head(std::string_view in);

/// A GET that becomes a WebSocket.
[[nodiscard]] std::string upgrade_request(const client::Endpoint& server, std::string_view subprotocol);
/// Takes a 101; anything else is an error with the status in it.
[[nodiscard]] Taken take_upgrade(std::string_view in);

enum class Opcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
/// A client's frame. Masked with zeros, which RFC 6455 allows: it costs this program nothing and the broker the same
/// as any mask.
void append_frame(std::string& out, Opcode opcode, std::string_view payload);

struct WsFrame {
  Opcode opcode = Opcode::text;
  std::string_view payload;
  std::size_t size = 0;  ///< with its header
};
/// nullopt: more bytes are needed. Fragments and masked frames are errors: weir sends neither.
[[nodiscard]] std::expected<std::optional<WsFrame>, std::string> parse_frame(std::string_view in);

/// Answers a ping, refuses a close; false: the frame is for the caller.
[[nodiscard]] std::expected<bool, std::string> take_control(const WsFrame& frame, std::string& reply);

/// Whole frames at the front of `in`: pings are answered, what is for the caller goes to `hear`, which says
/// std::expected<void, std::string>.
template <class Hear>
[[nodiscard]] Taken take_frames(std::string_view in, std::string& reply, const Hear& hear) {
  std::size_t consumed = 0;
  while (true) {
    const auto frame = parse_frame(in.substr(consumed));
    if (!frame) return std::unexpected(frame.error());
    if (!*frame) return consumed;
    consumed += (*frame)->size;
    const auto control = take_control(**frame, reply);
    if (!control) return std::unexpected(control.error());
    if (*control) continue;
    if (auto heard = hear(**frame); !heard) return std::unexpected(std::move(heard.error()));
  }
}

/// The digits after the first `name` (from `begin` on); nothing when they are not there.
[[nodiscard]] std::optional<std::uint64_t> number_after(std::string_view text, std::string_view name);
/// The characters after the first `name` up to the next quote; nothing when they are not there.
[[nodiscard]] std::optional<std::string_view> text_after(std::string_view text, std::string_view name);

/// The size line of a chunk: hex digits.
[[nodiscard]] std::optional<std::size_t> chunk_size(std::string_view line);

/// Frames of weir.json.v1 that a reader uses in weir.bin.v1 too: subscribing and credit, as JSON.
[[nodiscard]] std::string subscribe_frame(const std::string& topic, ReadFrom from, std::uint64_t credit);
[[nodiscard]] std::string credit_frame(std::uint64_t count);
/// What a reader hears that is not an event; an error when the subscription cannot go on.
[[nodiscard]] std::expected<void, std::string> take_notice(std::string_view text, const Heard& heard);

}  // namespace weir::bench
