#include "broker/core/log_time.hpp"

#include <algorithm>
#include <vector>

namespace weir::broker {
namespace {

/// A clock not heard of for so long has no say: ten minutes of steady time drift less than a wall clock may be set.
constexpr std::uint64_t kStampLifeUs = 600'000'000;

}  // namespace

void LogTime::observe(raft::NodeId peer, std::uint64_t wall_ms, std::uint64_t steady_us) {
  if (wall_ms != 0 && wall_ms < raft::kNumberLimit) {
    peers_[peer] = {.wall_ms = wall_ms, .steady_us = steady_us};
  }
}

void LogTime::at_least(std::uint64_t time_ms) {
  previous_ms_ = std::max(previous_ms_, time_ms);
}

std::uint64_t LogTime::next(std::uint64_t own_wall_ms, std::uint64_t steady_us) {
  previous_ms_ = now(own_wall_ms, steady_us);
  return previous_ms_;
}

std::uint64_t LogTime::now(std::uint64_t own_wall_ms, std::uint64_t steady_us) const {
  std::vector<std::uint64_t> clocks{own_wall_ms};
  for (const auto& [peer, stamp] : peers_) {
    const std::uint64_t age_us = steady_us - stamp.steady_us;
    if (age_us < kStampLifeUs) {
      clocks.push_back(stamp.wall_ms + age_us / 1000);
    }
  }
  // Of an even number the lower middle: one wrong clock of two cannot push time ahead for good.
  const auto middle = clocks.begin() + static_cast<std::ptrdiff_t>((clocks.size() - 1) / 2);
  std::ranges::nth_element(clocks, middle);
  return std::max(previous_ms_, *middle);
}

}  // namespace weir::broker
