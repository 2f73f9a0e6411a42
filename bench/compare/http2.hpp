// Just enough HTTP/2 (RFC 9113) to call a gRPC server: many small calls on one connection. Pure: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::bench::compare {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a server takes in one frame, and on one connection or stream before it grants more, if it says nothing
/// (§6.5.2).
inline constexpr std::size_t kFrameSizeMax = 16'384;
inline constexpr std::int64_t kFirstWindow = 65'535;

enum class FrameType : std::uint8_t {
  data = 0,
  headers = 1,
  rst_stream = 3,
  settings = 4,
  ping = 6,
  goaway = 7,
  window_update = 8,
};
inline constexpr std::uint8_t kEndStream = 0x1;
inline constexpr std::uint8_t kAck = 0x1;
inline constexpr std::uint8_t kEndHeaders = 0x4;
inline constexpr std::uint8_t kPadded = 0x8;

struct Frame {
  std::uint8_t type = 0;  ///< types that are not in FrameType must be ignored (§4.1)
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string_view payload;
  std::size_t size = 0;  ///< with its header
  [[nodiscard]] bool is(FrameType wanted) const { return type == static_cast<std::uint8_t>(wanted); }
  [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};
/// The frame at the front of `in`; nullopt: more bytes are needed.
[[nodiscard]] std::optional<Frame> front_frame(std::string_view in);
void append_frame_head(std::string& out, FrameType type, std::uint8_t flags, std::uint32_t stream, std::size_t size);

/// Big-endian. Requires four bytes.
[[nodiscard]] std::uint32_t read_u32(std::string_view in);
void append_u32(std::string& out, std::uint32_t value);
/// The opposite may send so many bytes more; stream 0 is the connection.
void append_window_update(std::string& out, std::uint32_t stream, std::uint32_t bytes);

/// The header block of every call of `path`: HPACK (RFC 7541) without its table, so that it is the same each time.
[[nodiscard]] std::string grpc_headers(std::string_view authority, std::string_view path);

// Protocol buffers: numbers and lengths in front of fields.
void append_varint(std::string& out, std::uint64_t value);
/// A field of bytes, a string, or a message within a message.
void append_field(std::string& out, unsigned number, std::string_view bytes);
/// The number in field `number` of a message; 0 when it is not there, as protocol buffers mean it; nullopt: malformed.
[[nodiscard]] std::optional<std::uint64_t> number_field(std::string_view message, unsigned number);

}  // namespace weir::bench::compare
