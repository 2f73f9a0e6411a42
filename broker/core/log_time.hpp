// Log time (DESIGN §4): what stamps entries, so that no node's clock alone rules event times.
// Runs on the core strand.
#pragma once

#include <cstdint>
#include <map>

#include "raft/types.hpp"

namespace weir::broker {

/// max(previous, median of the voters' wall clocks). A peer's clock is known from the stamp on its last message and
/// goes on by this node's steady clock from there.
class LogTime {
 public:
  /// A message from `peer`, sent at `wall_ms` by its clock, arrived at `steady_us` by ours.
  void observe(raft::NodeId peer, std::uint64_t wall_ms, std::uint64_t steady_us);
  /// An entry with this time is in the log: no later entry may have an earlier one.
  void at_least(std::uint64_t time_ms);
  /// The time for the next entry, ms since 1970; never falls.
  [[nodiscard]] std::uint64_t next(std::uint64_t own_wall_ms, std::uint64_t steady_us);
  /// What it would be by now, as far as is known here.
  [[nodiscard]] std::uint64_t now(std::uint64_t own_wall_ms, std::uint64_t steady_us) const;

 private:
  struct Stamp {
    std::uint64_t wall_ms = 0;
    std::uint64_t steady_us = 0;
  };
  std::map<raft::NodeId, Stamp> peers_;
  std::uint64_t previous_ms_ = 0;
};

}  // namespace weir::broker
