// raft::Message as a frame of type 4. Private to wire/*.cpp.
#pragma once

#include <expected>

#include "wire/frame.hpp"

namespace weir::wire {

[[nodiscard]] EncodedFrame encode_message(const raft::Message& message);
[[nodiscard]] std::expected<raft::Message, Error> decode_message(Payload& payload);

}  // namespace weir::wire
