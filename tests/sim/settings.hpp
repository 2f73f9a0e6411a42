// What a run is drawn from, and the mistakes that can be built into it to show that the checkers see them.
// Values only.
#pragma once

#include <cstdint>

#include "tests/sim/history.hpp"

namespace weir::sim {

/// A mistake of the harness, standing for one that a disk, a network or a deployment makes. The checkers must catch it.
enum class Mistake : std::uint8_t {
  none = 0,
  flush_lies = 1,        ///< the disk says "durable" first and writes later; a crash loses what it promised
  vote_not_kept = 2,     ///< the disk keeps the term and forgets the vote
  tail_lost = 3,         ///< a crash takes the newest synced entry with it
  wiped_unnoticed = 4,   ///< a wiped folder comes back under its old incarnation, as a member with an empty log
  forward_repeated = 5,  ///< the network delivers a forwarded write twice
  refusal_flipped = 6,   ///< refused votes arrive as granted
  reply_inflated = 7,    ///< append replies claim one entry more than they have
};

struct Settings {
  std::uint64_t seed = 1;
  /// How long things go wrong, in virtual time.
  std::uint64_t faults_us = 45 * kSecond;
  /// A run goes on, healed, until it has lasted so long and stored so many events.
  std::uint64_t whole_us = 61 * kSecond;
  std::size_t events = 10'000;
  Verbosity verbosity = Verbosity::quiet;
  Mistake mistake = Mistake::none;
};

}  // namespace weir::sim
