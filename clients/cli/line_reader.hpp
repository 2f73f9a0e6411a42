#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::cli {

/// Lines of a file descriptor, byte for byte: a line ends at LF and nowhere else, a CR before it belongs to the line,
/// and what stands behind the last LF is a line too unless it is empty. Does not own the descriptor.
class LineReader {
 public:
  /// An event body (API.md) holds no more.
  static constexpr std::size_t kLineBytesMax = 1U << 20U;

  explicit LineReader(int descriptor) : descriptor_(descriptor) {}

  enum class Wait { yes, no };
  enum class Outcome { line, end, nothing_yet, too_long, failed };

  /// Wait::no answers `nothing_yet` rather than block. After `failed` errno says why.
  [[nodiscard]] Outcome next(std::string& line, Wait wait);

 private:
  enum class Filled { more, end, failed };
  Filled fill();
  [[nodiscard]] bool readable() const;

  int descriptor_;
  std::string buffer_;       // at most kLineBytesMax and one read
  std::size_t start_ = 0;    // of the next line in buffer_
  std::size_t scanned_ = 0;  // no LF before this
  bool at_end_ = false;
};

}  // namespace weir::cli
