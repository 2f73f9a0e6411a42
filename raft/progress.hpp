// What a leader knows of one follower, and what it may send to it next.
// Runs on the replica strand, inside Raft.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "raft/message.hpp"
#include "raft/types.hpp"

namespace weir::raft {

/// How a leader sees one follower.
///  probe:     it is not known where the logs part. One AppendEntries goes out; the next one waits for its answer or
///  for
///             a heartbeat, which probes as well, without entries.
///  replicate: the logs agree up to match_index. next_index runs ahead of the answers (they are expected to be good),
///             within a window of messages and bytes. One rejection, and it is back to probe.
///  snapshot:  the follower's next entry is not in the leader's log any more. It gets a snapshot, one piece at a time,
///             and heartbeats; then it is back to replicate.
enum class ProgressState : std::uint8_t { probe = 1, replicate = 2, snapshot = 3 };

/// For people and metrics.
struct ProgressView {
  NodeId node;
  ProgressState state = ProgressState::probe;
  Index match_index;
  Index next_index;
  bool recently_active = false;
  bool is_learner = false;
  bool is_caught_up = false;  ///< a learner may be promoted
};

/// The bounds of what is on its way to one follower.
struct Window {
  std::size_t messages_max = 0;
  std::size_t bytes_max = 0;
};

class Progress {
 public:
  /// Figure 2: nextIndex starts at the leader's last index + 1, matchIndex at 0.
  Progress(NodeId node, Index next_index) : node_(node), next_index_(next_index), round_last_(next_index.prev()) {}

  [[nodiscard]] NodeId node() const { return node_; }
  [[nodiscard]] ProgressState state() const { return state_; }
  [[nodiscard]] Index match_index() const { return match_index_; }
  [[nodiscard]] Index next_index() const { return next_index_; }

  // --- sending
  /// Whether an AppendEntries with entries may leave now.
  [[nodiscard]] bool may_send(const Window& window) const;
  /// One left with entries up to `last`.
  void sent(Index last, std::size_t bytes);
  /// Nothing that was sent is still without an answer.
  [[nodiscard]] bool idle() const { return inflight_.empty() && !probe_sent_; }

  // --- answers
  /// The follower has everything up to `match` on its disk.
  void matched(Index match);
  /// The follower's log does not fit; it may from `next` on. Ignored if that is no news: an answer from before.
  void rejected(Index next);

  // --- reading what memory no longer holds: at most one request to the shell at a time
  [[nodiscard]] bool may_catch_up() const { return !catch_up_asked_ && !catch_up_paused_; }
  void catch_up_requested();
  /// An answer that starts at `first` came. False if it is of no use: next_index moved while the shell was reading, or
  /// it was asked for in an earlier leadership.
  [[nodiscard]] bool catch_up_answered(Index first);
  /// The read failed: not again before the next heartbeat.
  void pause_catch_up() { catch_up_paused_ = true; }

  // --- a snapshot, piece by piece
  void become_snapshot();
  /// The next piece may be read: none is being read or on its way, and the last read did not fail since a heartbeat.
  [[nodiscard]] bool may_read_snapshot() const { return snapshot_step_ == SnapshotStep::idle && !catch_up_paused_; }
  [[nodiscard]] std::uint64_t snapshot_number() const { return snapshot_number_; }
  [[nodiscard]] std::uint64_t snapshot_offset() const { return snapshot_offset_; }
  void snapshot_requested() { snapshot_step_ = SnapshotStep::reading; }
  /// The shell's answer came. False if it is of no use.
  [[nodiscard]] bool snapshot_answered();
  void snapshot_sent(std::uint64_t number);
  /// The follower wants the content of this snapshot from `offset` on.
  void snapshot_wanted(std::uint64_t number, std::uint64_t offset);
  /// The follower has everything up to `index`, be it by a snapshot.
  void snapshot_installed(Index index);
  /// A piece that was not answered for so long is read and sent again.
  void repeat_snapshot(std::uint32_t ticks);

  // --- time
  /// A tick without a word from the follower.
  void tick() {
    ++silent_ticks_;
    ++round_ticks_;
    ++snapshot_ticks_;
  }
  void heard() { silent_ticks_ = 0; }
  [[nodiscard]] std::uint32_t silent_ticks() const { return silent_ticks_; }
  /// Thesis §4.2.1: replication to a new member is seen as rounds; each brings all entries that the log had when it
  /// began. The member is caught up when its last round took, and the present one has taken, less than `ticks`.
  [[nodiscard]] bool is_caught_up(std::uint32_t ticks) const {
    return last_round_ticks_ < ticks && round_ticks_ < ticks && silent_ticks_ < ticks;
  }
  /// The round is over, if the follower has all that it was to bring: the next one brings what the log has by now.
  void end_round(Index last_index);
  /// A message must leave this turn even if there are no entries to send.
  void require_heartbeat() { heartbeat_due_ = true; }
  void resume_catch_up() { catch_up_paused_ = false; }

  [[nodiscard]] bool heartbeat_due() const { return heartbeat_due_; }
  /// Any AppendEntries serves as a heartbeat; it told the follower of `leader_commit`.
  void told(Index leader_commit);
  [[nodiscard]] Index told_commit() const { return told_commit_; }

  // --- linear reads
  /// The follower answered a message of this read round.
  void confirmed(std::uint64_t round);
  [[nodiscard]] std::uint64_t confirmed_round() const { return confirmed_round_; }

 private:
  struct Sent {
    Index last;
    std::size_t bytes;
  };

  enum class SnapshotStep : std::uint8_t { idle = 1, reading = 2, sent = 3 };

  void become_probe(Index next);
  void forget_inflight();

  NodeId node_;
  ProgressState state_ = ProgressState::probe;
  Index match_index_;                    ///< never falls: a durable entry does not go away while this leader leads
  Index next_index_;                     ///< > match_index_
  bool probe_sent_ = false;              ///< probe only: one is on its way
  std::deque<Sent> inflight_;            ///< replicate only: sent and not answered, ascending, all below next_index_
  std::size_t inflight_bytes_ = 0;       ///< the weight of inflight_
  bool catch_up_asked_ = false;          ///< the shell is reading
  std::optional<Index> catch_up_first_;  ///< what it reads, while that is next_index_
  bool catch_up_paused_ = false;         ///< the last read failed, and no heartbeat was due since
  SnapshotStep snapshot_step_ = SnapshotStep::idle;
  std::uint64_t snapshot_number_ = 0;  ///< of the one that is being sent; 0 = whichever is the newest
  std::uint64_t snapshot_offset_ = 0;  ///< of the next piece, or the one under way
  std::uint32_t snapshot_ticks_ = 0;   ///< since the last piece was sent
  std::uint32_t silent_ticks_ = 0;
  Index round_last_;  ///< what the present round is to bring
  std::uint32_t round_ticks_ = 0;
  std::uint32_t last_round_ticks_ = UINT32_MAX;  ///< of the last round that ended
  bool heartbeat_due_ = false;
  Index told_commit_;                  ///< the highest leader_commit that was sent
  std::uint64_t confirmed_round_ = 0;  ///< never falls
};

}  // namespace weir::raft
