// What can go wrong with a disk. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <string>

namespace weir::storage {

enum class Errc : std::uint8_t {
  io = 1,         ///< a read, write or flush failed; after a failed flush nothing may be assumed
  disk_full = 2,  ///< no room in the file system, or in the map
  damaged = 3,    ///< a checksum, a size or a rule of the format does not hold
  in_use = 4,     ///< another process has the folder
  version = 5,    ///< written by a format this build does not know
  setup = 6,      ///< the folder cannot be created, opened or written (path, owner, read-only mount)
  mismatch = 7,   ///< the folder belongs to another node
  gone = 8,       ///< entries asked for were dropped from the front of the log (LogStore::drop_before)
};

struct Error {
  Errc code;
  std::string text;  ///< names the file and the way out
};

}  // namespace weir::storage
