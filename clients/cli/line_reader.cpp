#include "clients/cli/line_reader.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace weir::cli {
namespace {

constexpr std::size_t kReadBytes = 65'536;

}  // namespace

LineReader::Outcome LineReader::next(std::string& line, Wait wait) {
  while (true) {
    const auto end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      line.assign(buffer_, start_, end - start_);
      start_ = scanned_ = end + 1;
      return line.size() > kLineBytesMax ? Outcome::too_long : Outcome::line;
    }
    scanned_ = buffer_.size();
    if (scanned_ - start_ > kLineBytesMax) return Outcome::too_long;
    if (at_end_) {
      if (start_ == buffer_.size()) return Outcome::end;
      line.assign(buffer_, start_);
      start_ = buffer_.size();
      return Outcome::line;
    }
    if (wait == Wait::no && !readable()) return Outcome::nothing_yet;
    if (const auto filled = fill(); filled == Filled::failed) return Outcome::failed;
  }
}

LineReader::Filled LineReader::fill() {
  buffer_.erase(0, start_);
  scanned_ -= start_;
  start_ = 0;
  const auto before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  ssize_t got = 0;
  do {
    got = ::read(descriptor_, buffer_.data() + before, kReadBytes);
  } while (got < 0 && errno == EINTR);
  buffer_.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
  at_end_ = got == 0;
  if (got < 0) return Filled::failed;
  return got == 0 ? Filled::end : Filled::more;
}

bool LineReader::readable() const {
  pollfd wanted{.fd = descriptor_, .events = POLLIN, .revents = 0};
  return ::poll(&wanted, 1, 0) > 0;
}

}  // namespace weir::cli
