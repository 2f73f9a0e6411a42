// A consumer group as one node sees it. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "raft/types.hpp"

namespace weir::broker {

/// A range that is held.
struct GroupLease {
  std::uint64_t lease = 0;
  raft::Position from;
  raft::Position to;
  std::uint64_t expires_ms = 0;  ///< by log time
};

struct GroupInfo {
  std::string name;
  std::vector<std::string> patterns;
  raft::Position committed;
  raft::Position gap_told;
  std::uint64_t generation = 0;
  std::vector<GroupLease> leases;  ///< in order of position; of those that ran out: none
  /// Events that match and are kept behind `committed`. Where one log entry holds several topics it may count some that
  /// lie before.
  std::uint64_t lag = 0;

  /// What the next claim gets: behind `next_from`, up to `next_to` if that is set.
  raft::Position next_from;
  std::optional<raft::Position> next_to;
  /// Until the first of the leases has run out; 0 = there is none.
  std::uint64_t held_for_ms = 0;
};

}  // namespace weir::broker
