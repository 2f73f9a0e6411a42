// How CONFIG changes: what an operator asks for, and what the leader does by itself (DESIGN §5, "a wiped node").
// Pure functions: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "raft/types.hpp"
#include "wire/entry.hpp"
#include "wire/peer_message.hpp"

namespace weir::broker {

enum class MemberAction : std::uint8_t {
  add = 1,          ///< as a learner that is promoted when it is caught up
  add_learner = 2,  ///< as a learner that stays one
  promote = 3,      ///< a learner, once it is caught up
  remove = 4,
};

struct MemberChange {
  MemberAction action = MemberAction::add;
  std::string node;  ///< its name
  /// Of one that is added, where the operator expects it; empty = wherever it says it is.
  std::string raft_address = {};
  std::string http_address = {};
};

enum class ChangeRefusalKind : std::uint8_t {
  not_leader = 1,       ///< ask the leader
  no_member = 2,        ///< there is no member of that name
  conflict = 3,         ///< it is what it was to become, or those left would be no quorum
  not_connected = 4,    ///< the node to be added has not been heard by the leader
  busy = 5,             ///< another change is under way, or the leader is new: try again
  outcome_unknown = 6,  ///< it may still happen
};

struct ChangeRefusal {
  ChangeRefusalKind kind = ChangeRefusalKind::busy;
  std::string detail;
};

enum class Service : std::uint8_t { normal = 1, drained = 2 };

/// What members hold as of one index.
struct Verified {
  raft::Index index;
  raft::Position position;  ///< of the last event up to there
  std::uint64_t digest = 0;
  std::vector<std::string> agree;        ///< hold what `digest` says: most of those that answered
  std::vector<std::string> differ;       ///< hold something else
  std::vector<std::string> unreachable;  ///< could not be asked
};
using VerifyDone = std::move_only_function<void(std::expected<Verified, ChangeRefusal>)>;

/// The index of the CONFIG entry, once it is committed and applied.
using ChangeDone = std::move_only_function<void(std::expected<raft::Index, ChangeRefusal>)>;

/// `config` after the change. `hello`: of the node it names, if that was heard; else null. `lost`: members that are
/// known to have lost their data, or part of it.
[[nodiscard]] std::expected<wire::ConfigEntry, ChangeRefusal> changed(wire::ConfigEntry config,
                                                                      const MemberChange& change,
                                                                      const wire::Hello* hello,
                                                                      const std::set<raft::NodeId>& lost);

/// The latest hello of each peer that is connected.
using Peers = std::map<raft::NodeId, wire::Hello>;

/// The next change that nobody needs to ask for, if there is one:
///  - a member that shows up with an empty data folder goes, to be awaited with its new incarnation (FAULTS 24);
///  - one that is awaited comes back as a learner, be it that it is not empty any more because a leader that was cut
///    off had let it in already;
///  - one that came back with an older copy of its data goes, and is awaited until it comes empty (FAULTS 25);
///  - a joining learner that is caught up becomes a voter.
/// One member at a time; one change at a time is Raft's to keep.
[[nodiscard]] std::optional<wire::ConfigEntry> next_step(const wire::ConfigEntry& config, raft::NodeId self,
                                                         const Peers& peers, const std::set<raft::NodeId>& caught_up,
                                                         const std::set<raft::NodeId>& older_copies);

}  // namespace weir::broker
