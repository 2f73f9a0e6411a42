// ForwardReply and its Outcome as a frame of type 6. Private to wire/*.cpp.
#pragma once

#include <expected>

#include "wire/frame.hpp"

namespace weir::wire {

[[nodiscard]] EncodedFrame encode_reply(const ForwardReply& reply);
[[nodiscard]] std::expected<ForwardReply, Error> decode_reply(const Payload& payload);

}  // namespace weir::wire
