#include "bench/pace.hpp"

namespace weir::bench {

OpenLoop::OpenLoop(std::uint64_t start_ns, double events_per_second, std::uint64_t events_per_request)
    : start_ns_(start_ns), ns_per_request_(1e9 * static_cast<double>(events_per_request) / events_per_second) {}

// From the number of requests, not from the last due time: rounding does not add up.
std::uint64_t OpenLoop::next_due() const {
  return start_ns_ + static_cast<std::uint64_t>(ns_per_request_ * static_cast<double>(taken_));
}

std::uint64_t OpenLoop::take() {
  const std::uint64_t due = next_due();
  ++taken_;
  return due;
}

std::uint64_t OpenLoop::late(std::uint64_t now_ns) const {
  if (now_ns < start_ns_) return 0;
  const auto due = static_cast<std::uint64_t>(static_cast<double>(now_ns - start_ns_) / ns_per_request_) + 1;
  return due > taken_ ? due - taken_ : 0;
}

}  // namespace weir::bench
