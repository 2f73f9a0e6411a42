// Consumer groups: how they are changed, and what a change has made of one. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "raft/types.hpp"

namespace weir::wire {

/// Names of groups: one level of a topic (API §1).
inline constexpr std::size_t kGroupBytesMax = 64;
/// Patterns of one group: a service that reads more topics than this names them with `**`.
inline constexpr std::size_t kGroupPatternsMax = 16;

/// Numbers are in the log: never re-used.
enum class GroupAction : std::uint8_t {
  put = 1,     ///< created if need be; patterns and cursor where they are given
  create = 2,  ///< only if it is not there yet, or is there with these very patterns
  claim = 3,   ///< the range (from, to] is held by a new lease
  commit = 4,  ///< everything up to `to` is finished: of a lease its range, else whatever no lease holds
  remove = 5,
};

/// Where a group begins, or is set to. Numbers are in the log: never re-used.
enum class GroupStart : std::uint8_t {
  keep = 0,      ///< as it was; of a new group: earliest
  earliest = 1,  ///< the oldest event that is kept
  latest = 2,    ///< behind the newest
  position = 3,  ///< behind `to`
  time = 4,      ///< before the first event whose log time is at or after `time_ms`
};

struct GroupChange {
  std::string group;
  GroupAction action = GroupAction::put;
  std::vector<std::string> patterns = {};  ///< of put and create
  GroupStart start = GroupStart::keep;
  raft::Position from = {};
  raft::Position to = {};
  std::uint64_t time_ms = 0;   ///< of GroupStart::time
  std::uint64_t lease_ms = 0;  ///< of a claim: how long it holds, by log time
  std::uint64_t lease = 0;     ///< of a commit: its lease's number; 0 = without one
  friend bool operator==(const GroupChange&, const GroupChange&) = default;
};

/// Numbers are on the wire: never re-used.
enum class GroupWhat : std::uint8_t {
  created = 1,
  changed = 2,
  unchanged = 3,
  removed = 4,
  claimed = 5,
  committed = 6,
};

/// A group as a change has left it.
struct GroupChanged {
  GroupWhat what = GroupWhat::changed;
  raft::Position committed;  ///< everything up to here is finished
  std::uint64_t generation = 0;
  std::uint64_t lease = 0;       ///< of a claim
  std::uint64_t expires_ms = 0;  ///< of a claim: the last moment, by log time, at which it holds
  friend bool operator==(const GroupChanged&, const GroupChanged&) = default;
};

/// "This group has finished everything up to `position`", as part of a batch.
struct GroupCommit {
  std::string_view group;
  std::uint64_t lease = 0;  ///< 0 = without one
  raft::Position position;
  friend bool operator==(const GroupCommit&, const GroupCommit&) = default;
};

}  // namespace weir::wire
