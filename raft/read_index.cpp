// Linear reads without a log entry (thesis §6.4): note commit_index, have a majority confirm that this is still the
// leader, and the state up to that index holds every write acknowledged before the read was asked.
//
// A round is a number that the leader's AppendEntries carry and their answers return. It begins with the first read of
// a turn and serves every read of that turn: its messages leave when the turn ends, so each answer was given after all
// of these reads had come.
#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"
#include "raft/quorum.hpp"
#include "raft/raft.hpp"

namespace weir::raft {

void Raft::read_index(ReadContext context) {
  WEIR_CHECK(context.sequence > 0);
  if (role_ == Role::leader) {
    return accept_read(context, config_.id);
  }
  if (leader_ == kNobody || forwarded_reads_.size() >= kReadsMax) {
    output_.reads_refused.push_back({.context = context});
    return;
  }
  // A lost message is not told from a slow one, so that the one who waits gets an answer in any case.
  forwarded_reads_.push_back({.context = context, .give_up_at = ticks_ + config_.election_ticks_max});
  send_at_once(leader_, ReadIndexRequest{.context = context});
}

// --- the leader

void Raft::on(const Message& message, const ReadIndexRequest& request) {
  if (is_of_current_term(message) && role_ == Role::leader) {
    accept_read(request.context, message.from);
  }
}

void Raft::accept_read(ReadContext context, NodeId requester) {
  if (leadership_->held_reads.size() + leadership_->reads.size() >= kReadsMax) {
    if (requester == config_.id) {
      output_.reads_refused.push_back({.context = context});
    }
    return;
  }
  const Read read{.context = context, .requester = requester, .index = {}};
  // FAULTS 15: until an entry of its own term is committed a leader does not know what its predecessors committed.
  if (commit_index_ < leadership_->term_start && !is_mutated(Mutant::read_before_noop)) {
    leadership_->held_reads.push_back(read);
  } else {
    start_read(read);
  }
}

void Raft::start_read(Read read) {
  read.index = commit_index_;
  if (decides_alone() || is_mutated(Mutant::read_unconfirmed)) {
    return answer_read(read);
  }
  if (!std::exchange(leadership_->read_round_open, true)) {
    ++leadership_->read_round;
    for (Progress& follower : leadership_->followers) {
      follower.require_heartbeat();
    }
  }
  read.round = leadership_->read_round - (is_mutated(Mutant::read_round_too_early) ? 1 : 0);
  leadership_->reads.push_back(read);
}

void Raft::start_held_reads() {
  if (commit_index_ >= leadership_->term_start) {
    for (const Read& read : std::exchange(leadership_->held_reads, {})) {
      start_read(read);
    }
  }
}

/// A round is known by this member, its term and a number: an answer to another leadership confirms nothing.
ReadContext Raft::read_round_context() const {
  if (leadership_->read_round == 0) {
    return {};
  }
  return {.node = config_.id, .boot_nonce = current_term_.value, .sequence = leadership_->read_round};
}

void Raft::confirm_reads(Progress& follower, const ReadContext& context) {
  const ReadContext latest = read_round_context();
  if (context.sequence == 0 || context.node != latest.node || context.boot_nonce != latest.boot_nonce ||
      context.sequence > latest.sequence) {
    return;
  }
  follower.confirmed(context.sequence);
  auto& reads = leadership_->reads;
  if (reads.empty()) {
    return;
  }
  const std::uint64_t confirmed =
      reached_by_voters(latest.sequence, [](const Progress& each) { return each.confirmed_round(); });
  while (!reads.empty() && reads.front().round <= confirmed) {
    answer_read(reads.front());
    reads.pop_front();
  }
}

void Raft::answer_read(const Read& read) {
  if (read.requester == config_.id) {
    output_.read_states.push_back({.context = read.context, .index = read.index});
  } else {
    send_at_once(read.requester, ReadIndexReply{.context = read.context, .index = read.index});
  }
}

// --- the follower that forwarded

void Raft::on(const Message& message, const ReadIndexReply& reply) {
  if (!is_of_current_term(message) || message.from != leader_) {
    return;
  }
  const auto asked = std::ranges::find(forwarded_reads_, reply.context, &ForwardedRead::context);
  if (asked != forwarded_reads_.end()) {  // else it was given up, or answered before
    forwarded_reads_.erase(asked);
    output_.read_states.push_back({.context = reply.context, .index = reply.index});
  }
}

void Raft::refuse_forwarded_reads() {
  for (const ForwardedRead& read : forwarded_reads_) {
    output_.reads_refused.push_back({.context = read.context});
  }
  forwarded_reads_.clear();
}

void Raft::expire_forwarded_reads() {
  while (!forwarded_reads_.empty() && forwarded_reads_.front().give_up_at <= ticks_) {
    output_.reads_refused.push_back({.context = forwarded_reads_.front().context});
    forwarded_reads_.pop_front();
  }
}

}  // namespace weir::raft
