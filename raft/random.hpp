// The core's only source of randomness: small, seeded, and the same on every platform (the standard library's
// distributions are not). Values only: no thread rule.
#pragma once

#include <cstdint>

namespace weir::raft {

/// SplitMix64 (Steele, Lea, Flood 2014): one word of state, passes BigCrush, any seed will do.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t word = state_;
    word = (word ^ (word >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    word = (word ^ (word >> 27U)) * 0x94D049BB133111EBULL;
    return word ^ (word >> 31U);
  }

  /// Uniform in [low, high]. Requires low <= high. The upper 32 bits are scaled rather than reduced: the bias is below
  /// (high - low) / 2^32, which no election notices.
  constexpr std::uint32_t between(std::uint32_t low, std::uint32_t high) {
    const std::uint64_t range = std::uint64_t{high} - low + 1;
    return low + static_cast<std::uint32_t>(((next() >> 32U) * range) >> 32U);
  }

 private:
  std::uint64_t state_;
};

/// Members that share a seed must not share their timeouts: every election would be a split vote.
constexpr std::uint64_t seed_of_member(std::uint64_t seed, std::uint64_t member) {
  return Random(seed).next() ^ Random(member).next();
}

}  // namespace weir::raft
