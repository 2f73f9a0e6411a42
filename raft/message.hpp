// The RPCs of Figure 2 as values. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "raft/entry.hpp"
#include "raft/types.hpp"

namespace weir::raft {

/// Tells one read request from all others (DESIGN §4): who asked, in which of its lives, which one.
struct ReadContext {
  NodeId node = kNobody;
  std::uint64_t boot_nonce = 0;
  std::uint64_t sequence = 0;  ///< 0 = no read is being confirmed

  friend auto operator<=>(const ReadContext&, const ReadContext&) = default;
};

/// Why a vote is asked. A pre-vote (Ongaro's thesis §9.6) asks "would you?": it raises no term and records no vote.
enum class VoteKind : std::uint8_t {
  pre_vote = 1,
  vote = 2,
  transfer_vote = 3,  ///< a vote that the leader itself asked for (TimeoutNow): not held up by leader stickiness
};

enum class VoteAnswer : std::uint8_t { granted = 1, refused = 2 };
enum class AppendAnswer : std::uint8_t { matched = 1, conflict = 2 };

/// §5.2, §5.4.1. In a pre-vote Message::term is the term the candidate would start.
struct RequestVote {
  VoteKind kind = VoteKind::vote;
  Index last_log_index;
  Term last_log_term;

  friend bool operator==(const RequestVote&, const RequestVote&) = default;
};

struct RequestVoteReply {
  VoteKind kind = VoteKind::vote;
  VoteAnswer answer = VoteAnswer::refused;

  friend bool operator==(const RequestVoteReply&, const RequestVoteReply&) = default;
};

/// §5.3. A heartbeat is the same message without entries.
struct AppendEntries {
  Index prev_log_index;
  Term prev_log_term;
  Index leader_commit;
  std::vector<Entry> entries;
  /// The latest read this message would confirm if answered; sequence 0 = none.
  ReadContext read_context;

  friend bool operator==(const AppendEntries&, const AppendEntries&) = default;
};

struct AppendEntriesReply {
  AppendAnswer answer = AppendAnswer::conflict;
  /// matched: the last entry known to agree with the leader's log *and* to be durable here.
  Index match_index;
  /// conflict: §5.3's hint. The term of the entry at prev_log_index (0 if the log is shorter) and the first index the
  /// follower holds of that term (or last index + 1): the leader backs off by a term, not by an entry.
  Term conflict_term;
  Index conflict_index;
  ReadContext read_context;  ///< as in the request

  friend bool operator==(const AppendEntriesReply&, const AppendEntriesReply&) = default;
};

/// A follower asks the leader for an index that a linear read must wait for.
struct ReadIndexRequest {
  ReadContext context;
  friend bool operator==(const ReadIndexRequest&, const ReadIndexRequest&) = default;
};
struct ReadIndexReply {
  ReadContext context;
  Index index;
  friend bool operator==(const ReadIndexReply&, const ReadIndexReply&) = default;
};

/// Thesis §3.10: the leader asks this follower to start an election at once.
struct TimeoutNow {
  friend bool operator==(const TimeoutNow&, const TimeoutNow&) = default;
};

/// Figure 13: all that a log was up to and with one entry. What it looks like inside is the shell's business.
struct Snapshot {
  Index index;               ///< lastIncludedIndex; 0 = no snapshot
  Term term;                 ///< lastIncludedTerm
  std::uint64_t number = 0;  ///< drawn by whoever made it: tells two snapshots of one place apart
  std::uint64_t size = 0;    ///< bytes of content
  Entry config;              ///< the CONFIG entry in force at `index`

  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

/// Figure 13: a piece of the leader's snapshot, for a follower whose next entry the leader's log does not have any
/// more.
struct InstallSnapshot {
  Snapshot snapshot;
  std::uint64_t offset = 0;  ///< where in the content `data` begins
  Bytes data;

  friend bool operator==(const InstallSnapshot&, const InstallSnapshot&) = default;
};

enum class InstallAnswer : std::uint8_t {
  more = 1,       ///< the content is wanted from `offset` on
  installed = 2,  ///< everything up to the snapshot's index is here, durable and agrees with the leader's log
};

struct InstallSnapshotReply {
  InstallAnswer answer = InstallAnswer::more;
  Index index;  ///< of the snapshot
  std::uint64_t number = 0;
  std::uint64_t offset = 0;

  friend bool operator==(const InstallSnapshotReply&, const InstallSnapshotReply&) = default;
};

/// What a member has made of the log up to `index` (DESIGN §9). Raft carries it and never looks at it.
struct StateReport {
  Index index;
  std::uint64_t digest = 0;

  friend bool operator==(const StateReport&, const StateReport&) = default;
};

struct Message {
  NodeId from;
  NodeId to;
  Term term;
  /// The sender's wall clock when it was sent, in ms since 1970; 0 = not stated. Written and read by the shell for log
  /// time (DESIGN §4); raft/ never looks at it.
  std::uint64_t wall_clock_ms = 0;
  std::variant<RequestVote, RequestVoteReply, AppendEntries, AppendEntriesReply, ReadIndexRequest, ReadIndexReply,
               TimeoutNow, InstallSnapshot, InstallSnapshotReply>
      body;
  /// Of the shell as well. A reply reports what its sender holds; a leader's request says as of which index it wants
  /// to hear that; 0 = whatever is at hand.
  std::optional<StateReport> report = std::nullopt;
  Index report_wanted = {};

  friend bool operator==(const Message&, const Message&) = default;
};

}  // namespace weir::raft
