// What Raft asks of its shell after an input, and in which order it must happen (DESIGN §3). Values only.
#pragma once

#include <cstddef>
#include <optional>
#include <variant>
#include <vector>

#include "raft/entry.hpp"
#include "raft/message.hpp"
#include "raft/types.hpp"

namespace weir::raft {

enum class Role : std::uint8_t { follower = 1, pre_candidate = 2, candidate = 3, leader = 4 };
[[nodiscard]] std::string_view to_string(Role role);

/// What happened, for logs, metrics and the console. The core itself never logs.
struct RoleChanged {
  Role role;
  Term term;
  NodeId leader;  ///< kNobody while unknown
  friend bool operator==(const RoleChanged&, const RoleChanged&) = default;
};
/// A follower learned who leads its term (no role change).
struct LeaderChanged {
  Term term;
  NodeId leader;
  friend bool operator==(const LeaderChanged&, const LeaderChanged&) = default;
};
struct VoteCast {
  Term term;
  NodeId candidate;
  VoteKind kind;
  VoteAnswer answer;
  friend bool operator==(const VoteCast&, const VoteCast&) = default;
};
struct LogTruncated {
  Index from;
  friend bool operator==(const LogTruncated&, const LogTruncated&) = default;
};
/// The member uses this configuration from now on, because its entry was appended or a later one was cut off.
struct ConfigurationAdopted {
  Index index;
  Configuration configuration;
  friend bool operator==(const ConfigurationAdopted&, const ConfigurationAdopted&) = default;
};
struct SnapshotInstalled {
  Index index;
  Term term;
  friend bool operator==(const SnapshotInstalled&, const SnapshotInstalled&) = default;
};
struct MessageRefused {
  NodeId from;
  const char* reason;  ///< a string literal
  friend bool operator==(const MessageRefused&, const MessageRefused&) = default;
};
using Event = std::variant<RoleChanged, LeaderChanged, VoteCast, LogTruncated, ConfigurationAdopted, SnapshotInstalled,
                           MessageRefused>;

/// The leader needs entries older than its in-memory tail for `to`. The shell reads from `first` on, at most
/// `bytes_max` (but at least one entry), and gives them to Raft::catch_up. At most one per peer is outstanding.
struct CatchUpRequest {
  NodeId to;
  Index first;
  std::size_t bytes_max = 0;
  friend bool operator==(const CatchUpRequest&, const CatchUpRequest&) = default;
};

/// The leader needs a piece of a snapshot for `to`, whose next entry its log does not have any more. The shell reads at
/// most `bytes_max` bytes of the snapshot `number` from `offset` on, or, if that is none of its snapshots (any more),
/// its newest from 0 on, and gives them to Raft::snapshot_read. At most one per peer is outstanding.
struct SnapshotRequest {
  NodeId to;
  std::uint64_t number = 0;
  std::uint64_t offset = 0;
  std::size_t bytes_max = 0;
  friend bool operator==(const SnapshotRequest&, const SnapshotRequest&) = default;
};

/// A piece of a leader's snapshot arrived, the next one in order. Offset 0 begins a snapshot and makes everything
/// received of another one worthless. With the last piece (offset + data.size() == snapshot.size) the shell checks the
/// whole and calls Raft::snapshot_received or snapshot_refused.
struct SnapshotPiece {
  Snapshot snapshot;
  std::uint64_t offset = 0;
  Bytes data;
  friend bool operator==(const SnapshotPiece&, const SnapshotPiece&) = default;
};

/// The read named by `context` is linear once applied >= index.
struct ReadState {
  ReadContext context;
  Index index;
  friend bool operator==(const ReadState&, const ReadState&) = default;
};
/// The read named by `context` will not be confirmed (no leader, or leadership was lost): ask again.
struct ReadRefused {
  ReadContext context;
  friend bool operator==(const ReadRefused&, const ReadRefused&) = default;
};

/// Duties of the shell, in this order:
///  1. `messages` may leave at once, in order.
///  2. `hard_state`, then `install`, then `truncate_from`, then `append` go to the disk thread, in order, after all
///  earlier
///     turns'. When `append` is durable the shell calls Raft::persisted(term, index) of its last entry; after `install`
///     without `append`, of the snapshot's place.
///  3. `messages_after_persist` leave, in order, when the writes of this *and all earlier* turns are durable (a turn
///     without writes of its own waits for earlier ones all the same: FAULTS 121).
///  4. Entries up to `commit_to` may be applied, in order.
///  5. `catch_up`, `snapshot_requests`, `snapshot_pieces`, `read_states`, `reads_refused`, `events` in any order.
struct Output {
  std::optional<HardState> hard_state;
  /// The snapshot that was received takes the place of the log and of the applied state: all at once or, after a crash,
  /// not at all. The log then begins behind it, empty. Hard state stays (own term and vote).
  std::optional<Snapshot> install;
  std::optional<Index> truncate_from;
  std::vector<Entry> append;
  /// Only a leader's AppendEntries and InstallSnapshot of a term that is already durable, so that its own disk and its
  /// followers' disks work in parallel; and read requests and replies.
  std::vector<Message> messages;
  std::vector<Message> messages_after_persist;
  /// min(commit_index, durable index), when it rose.
  std::optional<Index> commit_to;
  std::vector<CatchUpRequest> catch_up;
  std::vector<SnapshotRequest> snapshot_requests;
  std::vector<SnapshotPiece> snapshot_pieces;
  std::vector<ReadState> read_states;
  std::vector<ReadRefused> reads_refused;
  std::vector<Event> events;

  [[nodiscard]] bool empty() const {
    return !hard_state && !install && snapshot_requests.empty() && snapshot_pieces.empty() && !truncate_from &&
           append.empty() && messages.empty() && messages_after_persist.empty() && !commit_to && catch_up.empty() &&
           read_states.empty() && reads_refused.empty() && events.empty();
  }
};

}  // namespace weir::raft
