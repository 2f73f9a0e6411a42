// The one source of chance of a simulation: everything is drawn from the seed. Values only; one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "raft/random.hpp"

namespace weir::sim {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}

  std::uint64_t number() { return random_.next(); }
  /// Uniform in [low, high]. Requires low <= high.
  std::uint32_t between(std::uint32_t low, std::uint32_t high) { return random_.between(low, high); }
  /// Uniform in [0, count). Requires count > 0.
  std::size_t below(std::size_t count) { return random_.between(0, static_cast<std::uint32_t>(count - 1)); }
  /// True `count` times of `of`.
  bool chance(std::uint32_t count, std::uint32_t of) { return random_.between(1, of) <= count; }
  /// A source of its own, so that what one part draws does not shift what another draws.
  Dice split() { return Dice(random_.next()); }

 private:
  raft::Random random_;
};

}  // namespace weir::sim
