// Decodes a chunked request body (RFC 9112 §7.1), strictly and bounded. Pure: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "broker/http/head.hpp"

namespace weir::broker::http {

/// A chunk line carries a size; extensions mean nothing here and a longer line is refused (FAULTS 91).
inline constexpr std::size_t kChunkLineBytesMax = 256;
/// Trailers are read and dropped.
inline constexpr std::size_t kTrailerBytesMax = 4096;

class ChunkDecoder {
 public:
  explicit ChunkDecoder(std::size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}

  /// Takes what it can from the front of `bytes` and appends the payload to `body`; returns how many bytes it took.
  /// Less than all means: done(), or more must arrive to complete a line.
  [[nodiscard]] std::expected<std::size_t, HeadError> decode(std::string_view bytes, std::string& body);
  [[nodiscard]] bool done() const { return state_ == State::done; }

 private:
  enum class State : std::uint8_t { size, data, data_end, trailer, done };

  std::expected<void, HeadError> take_size(std::string_view line, std::size_t body_size);
  std::expected<bool, HeadError> take_line(std::string_view& rest, std::size_t body_size);

  std::size_t body_bytes_max_;
  State state_ = State::size;
  std::uint64_t chunk_left_ = 0;
  std::size_t trailer_bytes_ = 0;
};

}  // namespace weir::broker::http
