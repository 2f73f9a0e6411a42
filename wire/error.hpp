// What can be wrong with bytes that came from outside. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <string>

namespace weir::wire {

enum class Errc : std::uint8_t {
  truncated = 1,     ///< fewer bytes than the frame or the table says
  too_large = 2,     ///< above a limit; nothing was allocated for it
  bad_version = 3,   ///< a frame or handshake version this build does not speak
  bad_checksum = 4,  ///< bytes changed on their way or at rest
  unknown_type = 5,  ///< a frame type or union member this build does not know
  malformed = 6,     ///< the FlatBuffers verifier, or a rule of the format, refused it
};

struct Error {
  Errc code;
  std::string text;  ///< names the thing and, where there is one, the way out
};

}  // namespace weir::wire
