// §7 and Figure 13: a follower whose next entry is not in the leader's log any more gets the leader's snapshot, piece
// by piece. One piece at a time is on its way to it; the leader's log goes on meanwhile.
//
// The follower names the offset that it wants next. A piece that was lost or came twice is so found out, and a transfer
// that was cut short goes on where it ended as long as the leader has the same snapshot. Nothing of the log is touched
// until the whole is stored and in order; then it is put in the log's place in one write, in line with all others, so
// that entries which arrive before and after it meet the log that they were checked against (FAULTS 29).
#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"
#include "raft/raft.hpp"

namespace weir::raft {

// --- the leader

void Raft::snapshot_read(SnapshotRead piece) {
  Progress* follower = role_ == Role::leader ? find_follower(piece.to) : nullptr;
  if (follower == nullptr || !follower->snapshot_answered()) {
    return;
  }
  // A snapshot that the log does not meet would leave a hole (FAULTS 27).
  const bool meets = piece.snapshot.index != Index{} && piece.snapshot.index <= commit_index_ &&
                     is_checkable(piece.snapshot.index) && log_.term_at(piece.snapshot.index) == piece.snapshot.term;
  if (!meets) {
    // The store may still go on with a snapshot that the log was compacted beyond while the follower was away: then it
    // is the newest that helps.
    if (piece.snapshot.index != Index{}) {
      follower->become_snapshot();
    }
    return follower->pause_catch_up();
  }
  follower->snapshot_sent(piece.snapshot.number);
  send_at_once(
      follower->node(),
      InstallSnapshot{.snapshot = std::move(piece.snapshot), .offset = piece.offset, .data = std::move(piece.data)});
}

void Raft::on(const Message& message, const InstallSnapshotReply& reply) {
  if (!is_of_current_term(message) || role_ != Role::leader) {
    return;
  }
  if (reply.index > log_.last_index()) {
    return refuse(message.from, "InstallSnapshotReply beyond the log");
  }
  Progress* follower = find_follower(message.from);
  if (follower == nullptr) {
    return;
  }
  follower->heard();
  if (reply.answer == InstallAnswer::more) {
    return follower->snapshot_wanted(reply.number, reply.offset);
  }
  // The log may have been compacted beyond that snapshot since: then it takes another one.
  if (is_checkable(reply.index)) {
    follower->snapshot_installed(reply.index);
  } else if (follower->state() == ProgressState::snapshot) {
    follower->become_snapshot();
  }
  advance_commit();
}

// --- the follower

/// Not covered by what is here already: it lies above commit_index, and the log does not have its last entry.
bool Raft::is_wanted(const Snapshot& snapshot) const {
  return snapshot.index > commit_index_ && log_.term_at(snapshot.index) != snapshot.term;
}

void Raft::answer_snapshot(NodeId to, const Snapshot& snapshot, InstallAnswer answer, std::uint64_t offset) {
  const InstallSnapshotReply reply{
      .answer = answer, .index = snapshot.index, .number = snapshot.number, .offset = offset};
  if (is_mutated(Mutant::installed_before_disk)) {
    return send_at_once(to, reply);
  }
  send_after_persist(to, current_term_, reply);
}

void Raft::on(const Message& message, InstallSnapshot& request) {
  if (message.term < current_term_) {
    return answer_snapshot(message.from, request.snapshot, InstallAnswer::more, 0);
  }
  if (!follow_leader(message)) {
    return;
  }
  const Snapshot& snapshot = request.snapshot;
  if (!is_wanted(snapshot)) {
    // Figure 13, rule 6: the log has what the snapshot covers, and keeps what follows. A snapshot holds committed
    // entries only, so this is news of a commit.
    commit(std::max(commit_index_, snapshot.index));
    return answer_snapshot(message.from, snapshot, InstallAnswer::installed, 0);
  }
  if (!receiving_ || receiving_->snapshot != snapshot) {
    if (receiving_ && receiving_->term == message.term && snapshot.index < receiving_->snapshot.index) {
      return;  // late: this leader sends a newer one by now
    }
    receiving_ = Receiving{.snapshot = snapshot, .term = message.term, .offset = 0};
  }
  receiving_->term = message.term;
  if (receiving_->offset == snapshot.size && snapshot.size > 0) {
    return;  // all of it is here; the answer follows when it is installed
  }
  if (request.offset == receiving_->offset) {
    receiving_->offset += request.data.size();
    output_.snapshot_pieces.push_back(
        {.snapshot = snapshot, .offset = request.offset, .data = std::move(request.data)});
  }
  if (receiving_->offset < snapshot.size) {
    answer_snapshot(message.from, snapshot, InstallAnswer::more, receiving_->offset);
  }
}

void Raft::snapshot_received(const Snapshot& snapshot) {
  if (!receiving_ || receiving_->snapshot != snapshot) {
    return;
  }
  receiving_.reset();
  // Entries may have come meanwhile, from this leader or another one.
  if (role_ == Role::follower && is_wanted(snapshot)) {
    install(snapshot);
    if (leader_ != kNobody) {
      answer_snapshot(leader_, snapshot, InstallAnswer::installed, 0);
    }
  }
}

void Raft::snapshot_refused(const Snapshot& snapshot) {
  if (receiving_ && receiving_->snapshot == snapshot) {
    receiving_.reset();
  }
}

/// Figure 13, rules 7 and 8. Own term and vote stay.
void Raft::install(const Snapshot& snapshot) {
  log_.reset(is_mutated(Mutant::install_leaves_hole) ? snapshot.index.next() : snapshot.index, snapshot.term);
  voted_for_ = is_mutated(Mutant::install_loses_vote) ? kNobody : voted_for_;
  configurations_.reset(snapshot.config.index, snapshot.config.configuration);
  commit_index_ = commit_reported_ = applied_index_ = snapshot.index;
  output_.install = snapshot;
  output_.events.emplace_back(SnapshotInstalled{.index = snapshot.index, .term = snapshot.term});
  output_.events.emplace_back(ConfigurationAdopted{.index = configuration_index(), .configuration = configuration()});
}

// --- all members

void Raft::compact(Index index) {
  WEIR_CHECK(index <= applied_index_, index, applied_index_);
  log_.compact(index);
}

}  // namespace weir::raft
