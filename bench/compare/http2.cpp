#include "bench/compare/http2.hpp"

namespace weir::bench::compare {

namespace {

constexpr std::size_t kHeadSize = 9;
constexpr unsigned kByteBits = 8;

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::uint8_t byte_at(std::string_view in, std::size_t at) {
  return static_cast<std::uint8_t>(in[at]);
}

/// HPACK, literal without indexing; lengths below 127 need one byte. Names are given by their place in the static
/// table, or as text.
void append_literal(std::string& out, std::string_view text) {
  out += static_cast<char>(text.size());
  out.append(text);
}

/// Takes a varint off the front.
std::optional<std::uint64_t> take_varint(std::string_view& in) {
  constexpr std::size_t kBytesMax = 10;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < in.size() && i < kBytesMax; ++i) {
    value |= static_cast<std::uint64_t>(byte_at(in, i) & 0x7fU) << (7 * i);
    if ((byte_at(in, i) & 0x80U) == 0) {
      in.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t read_u32(std::string_view in) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) value = (value << kByteBits) | byte_at(in, i);
  return value;
}

void append_u32(std::string& out, std::uint32_t value) {
  for (unsigned shift = 32; shift > 0; shift -= kByteBits) out += static_cast<char>(value >> (shift - kByteBits));
}

std::optional<Frame> front_frame(std::string_view in) {
  if (in.size() < kHeadSize) return std::nullopt;
  const std::size_t size = read_u32(in) >> kByteBits;
  if (in.size() < kHeadSize + size) return std::nullopt;
  constexpr std::uint32_t kReserved = 0x8000'0000U;
  return Frame{.type = byte_at(in, 3),
               .flags = byte_at(in, 4),
               .stream = read_u32(in.substr(5)) & ~kReserved,
               .payload = in.substr(kHeadSize, size),
               .size = kHeadSize + size};
}

void append_frame_head(std::string& out, FrameType type, std::uint8_t flags, std::uint32_t stream, std::size_t size) {
  append_u32(out, (static_cast<std::uint32_t>(size) << kByteBits) | static_cast<std::uint8_t>(type));
  out += static_cast<char>(flags);
  append_u32(out, stream);
}

void append_window_update(std::string& out, std::uint32_t stream, std::uint32_t bytes) {
  append_frame_head(out, FrameType::window_update, 0, stream, sizeof bytes);
  append_u32(out, bytes);
}

std::string grpc_headers(std::string_view authority, std::string_view path) {
  std::string out = "\x83\x86";  // :method POST, :scheme http
  out += '\x01';                 // :authority
  append_literal(out, authority);
  out += '\x04';  // :path
  append_literal(out, path);
  out += "\x0f\x10";  // content-type: 31 does not fit into four bits, 16 more
  append_literal(out, "application/grpc");
  out += '\0';
  append_literal(out, "te");
  append_literal(out, "trailers");
  return out;
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value > 0x7fU; value >>= 7U) out += static_cast<char>((value & 0x7fU) | 0x80U);
  out += static_cast<char>(value);
}

void append_field(std::string& out, unsigned number, std::string_view bytes) {
  append_varint(out, (number << 3U) | static_cast<unsigned>(WireType::bytes));
  append_varint(out, bytes.size());
  out.append(bytes);
}

std::optional<std::uint64_t> number_field(std::string_view message, unsigned number) {
  std::uint64_t value = 0;
  while (!message.empty()) {
    const auto key = take_varint(message);
    if (!key) return std::nullopt;
    const auto type = static_cast<WireType>(*key & 7U);
    std::size_t skipped = type == WireType::fixed64 ? 8 : 4;
    if (type == WireType::varint || type == WireType::bytes) {
      const auto read = take_varint(message);
      if (!read) return std::nullopt;
      if (type == WireType::varint && *key >> 3U == number) value = *read;
      skipped = type == WireType::bytes ? static_cast<std::size_t>(*read) : 0;
    } else if (type != WireType::fixed64 && type != WireType::fixed32) {
      return std::nullopt;
    }
    if (skipped > message.size()) return std::nullopt;
    message.remove_prefix(skipped);
  }
  return value;
}

}  // namespace weir::bench::compare
