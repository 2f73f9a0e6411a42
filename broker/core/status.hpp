// What a node says about itself: /v1/cluster, /readyz, /metrics, `weir raft log`. Values only: no thread rule.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/output.hpp"
#include "raft/types.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

/// Where a node is in its life.
enum class Phase : std::uint8_t {
  forming = 1,   ///< empty: waits for the other members to found the cluster (DESIGN §5, bootstrap)
  waiting = 2,   ///< empty beside an existing cluster that does not know this incarnation: waits to be admitted
  running = 3,   ///< a member
  draining = 4,  ///< stopping, or drained by an operator: takes no new writes
  failed = 5,    ///< stopped by a disk error or a damaged log: serves nothing
};
[[nodiscard]] std::string_view to_string(Phase phase);

struct MemberStatus {
  raft::NodeId node;
  std::string name;
  std::string raft_address;
  std::string http_address;
  std::uint64_t incarnation = 0;
  raft::Role role = raft::Role::follower;  ///< as far as known here
  std::optional<raft::Index> match_index;  ///< on the leader, of all; elsewhere empty
  wire::MemberKind kind = wire::MemberKind::voter;
  std::optional<bool> healthy;  ///< on the leader: answered within an election timeout
  std::string why;              ///< not healthy for more than silence: what is wrong with it
};

struct NodeStatus {
  Phase phase = Phase::forming;
  std::string why;  ///< of phases waiting and failed: what is wrong and what to do
  std::string name;
  raft::NodeId node;
  raft::Role role = raft::Role::follower;
  raft::Term term;
  std::optional<std::string> leader;  ///< name
  std::string epoch;                  ///< empty while forming
  std::string cluster_id;
  raft::Index commit_index;
  raft::Index applied_index;
  raft::Index first_index{1};  ///< the first entry this log still has
  raft::Index last_index;
  raft::Index durable_index;
  raft::Position position;  ///< last applied
  std::vector<MemberStatus> members;
  raft::Index compared_index;          ///< replicas were last compared as of here; 0 = not yet
  std::string writes_refused;          ///< why no member takes writes; empty = they do
  std::uint64_t leader_silent_ms = 0;  ///< since this node last heard of a leader; 0 on the leader
};

/// Counters since start; written by the core, read through Node::counters().
struct Counters {
  std::uint64_t elections_started = 0;
  std::uint64_t leader_changes = 0;
  std::uint64_t truncations = 0;
  std::uint64_t messages_refused = 0;
  std::uint64_t events_stored = 0;
  std::uint64_t events_duplicate = 0;
  std::uint64_t requests_refused = 0;
  std::uint64_t entries_applied = 0;
  std::uint64_t checkpoints_saved = 0;
  std::uint64_t snapshots_installed = 0;
  std::uint64_t digests_compared = 0;
  std::uint64_t digests_differing = 0;  ///< comparisons in which not all said the same
  std::uint64_t disk_writes = 0;
  std::uint64_t disk_write_us = 0;      ///< sum
  std::uint64_t disk_write_us_p99 = 0;  ///< of the last 512
  std::uint64_t scrub_bytes = 0;
  std::uint64_t scrub_passes = 0;
  std::uint64_t files_rewritten = 0;
  std::uint64_t rewritten_bytes = 0;  ///< given back by that
  std::uint64_t forwarded = 0;
  std::uint64_t topics = 0;
  std::uint64_t ids = 0;
  std::uint64_t ids_bytes = 0;
  std::uint64_t id_runs = 0;
  std::uint64_t ids_on_disk = 0;
  std::uint64_t id_filter_bytes = 0;
  std::uint64_t id_run_bytes = 0;
  std::uint64_t forever_ids = 0;
  std::uint64_t forever_ids_bytes = 0;
  std::uint64_t forever_ids_bytes_max = 0;
  std::uint64_t pending_requests = 0;
  std::uint64_t pending_bytes = 0;
  std::uint64_t waiters = 0;
};

enum class EntryState : std::uint8_t { uncommitted = 1, committed = 2, applied = 3 };
[[nodiscard]] std::string_view to_string(EntryState state);

/// One event or claim of a log entry, as `weir raft log` shows it.
struct OutlineEvent {
  std::string topic;
  std::string id;
  std::optional<raft::Offset> offset;  ///< once applied; of a duplicate or a claim: empty
  bool duplicate = false;
};
struct EntryOutline {
  raft::Index index;
  raft::Term term;
  std::string command;
  std::size_t bytes = 0;
  std::uint64_t time_ms = 0;  ///< 0 = the entry carries none
  EntryState state = EntryState::uncommitted;
  std::uint32_t event_count = 0;
  std::vector<OutlineEvent> events;  ///< at most kOutlineEventsMax
};
inline constexpr std::size_t kOutlineEventsMax = 16;

struct LogOutline {
  raft::Index first{1};  ///< the first entry this log still has
  raft::Index last;
  raft::Index commit_index;
  raft::Index applied_index;
  std::vector<EntryOutline> entries;
};

}  // namespace weir::broker
