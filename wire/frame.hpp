// The layout of a frame and of its payload (peer_message.hpp, wire/README.md). Private to wire/*.cpp.
// Values only: no thread rule.
#pragma once

#include <cstddef>
#include <expected>
#include <string_view>
#include <vector>

#include "raft/types.hpp"
#include "wire/error.hpp"
#include "wire/peer_message.hpp"

namespace weir::wire {

/// Stands behind the root's offset in every frame's FlatBuffer.
inline constexpr const char* kFrameIdentifier = "WEIR";

/// Header, `table` (a size-prefixed FlatBuffer) and attachments as one frame. Copies the table, shares the attachments.
[[nodiscard]] EncodedFrame seal(FrameType type, std::string_view table, std::vector<raft::Bytes> attachments);

/// A payload whose checksum holds: a table, then attachments that are taken one after the other.
class Payload {
 public:
  [[nodiscard]] static std::expected<Payload, Error> open(const FrameHeader& header, raft::Bytes bytes);

  /// The size-prefixed FlatBuffer, aligned.
  [[nodiscard]] std::string_view table() const { return bytes_.view().substr(0, table_size_); }
  /// The next attachment, which shares the payload's owner.
  [[nodiscard]] std::expected<raft::Bytes, Error> take(std::size_t size);
  /// Every byte has been taken. Each decoder ends with it: a payload has no bytes that nobody looks at.
  [[nodiscard]] bool used_up() const { return next_ == bytes_.size(); }

 private:
  Payload() = default;
  /// Moves over `size` bytes and the zeros that pad them.
  [[nodiscard]] bool advance(std::size_t size);

  raft::Bytes bytes_;
  std::size_t table_size_ = 0;
  std::size_t next_ = 0;  ///< where the next attachment begins; divisible by 8
};

}  // namespace weir::wire
