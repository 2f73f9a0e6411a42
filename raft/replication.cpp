// §5.3 and §5.4.2: the log on its way from the leader to the followers, and what of it is committed.
#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"
#include "raft/quorum.hpp"
#include "raft/raft.hpp"

namespace weir::raft {

// --- the leader's own log

/// Why the leader does not take `count` more entries of so many bytes now; nothing if it does.
std::optional<ProposeError> Raft::defect_of_append(std::size_t count, std::size_t bytes) const {
  // While leadership is handed over the log must stand still for the successor to catch up with it; the caller does as
  // it would without a leader: wait for the next one.
  if (role_ != Role::leader || leadership_->transfer) {
    return ProposeError::not_leader;
  }
  if (log_.last_index().value + count >= kNumberLimit) {
    return ProposeError::number_limit;
  }
  // One request larger than the bound may pass alone: it would never pass otherwise.
  if (leadership_->uncommitted_bytes > 0 && leadership_->uncommitted_bytes + bytes > config_.uncommitted_bytes_max) {
    return ProposeError::overloaded;
  }
  return std::nullopt;
}

void Raft::append(Proposal proposal) {
  Entry entry{.index = log_.last_index().next(),
              .term = current_term_,
              .command = proposal.command,
              .checksum = proposal.checksum,
              .data = std::move(proposal.data),
              .configuration = std::move(proposal.configuration)};
  leadership_->uncommitted_bytes += size_of(entry);
  adopt(entry);
  log_.append(std::move(entry));
}

/// Figure 2, "leaders": the highest index that a majority has on disk is committed, if it is of this term. This member
/// counts with what its own disk has, like any other voter.
void Raft::advance_commit() {
  const Index own = is_mutated(Mutant::leader_counts_unwritten) ? log_.last_index() : log_.durable_index();
  const Index index{
      reached_by_voters(own.value, [](const Progress& follower) { return follower.match_index().value; })};
  // §5.4.2, Figure 8: an entry of an earlier term on a majority may still be replaced; it is committed only along with
  // one of this term behind it.
  if (index <= commit_index_ || (log_.term_at(index) != current_term_ && !is_mutated(Mutant::old_term_counts))) {
    return;
  }
  const Index first_own = std::max(commit_index_.next(), leadership_->term_start);
  leadership_->uncommitted_bytes -= log_.bytes_of(first_own, index);
  commit(index);
  start_held_reads();
  leave_if_removed();
}

void Raft::commit(Index index) {
  WEIR_CHECK(index >= commit_index_ && index <= log_.last_index(), index, commit_index_, log_.last_index());
  commit_index_ = index;
  configurations_.settle(index);
  if (is_mutated(Mutant::config_after_commit) && role_ == Role::leader) {
    follow_configuration();
  }
}

// --- from the leader to the followers

void Raft::replicate() {
  for (Progress& follower : leadership_->followers) {
    for (Sending sending = due(follower); sending != Sending::nothing; sending = due(follower)) {
      if (sending == Sending::snapshot) {
        if (follower.state() != ProgressState::snapshot) {
          follower.become_snapshot();
          continue;
        }
        follower.snapshot_requested();
        output_.snapshot_requests.push_back({.to = follower.node(),
                                             .number = follower.snapshot_number(),
                                             .offset = follower.snapshot_offset(),
                                             .bytes_max = config_.append_bytes_max});
        continue;
      }
      if (sending == Sending::catch_up) {
        follower.catch_up_requested();
        output_.catch_up.push_back(
            {.to = follower.node(), .first = follower.next_index(), .bytes_max = config_.append_bytes_max});
        continue;
      }
      std::vector<Entry> entries;
      if (sending == Sending::entries) {
        entries = log_.entries(follower.next_index(), log_.last_index(), config_.append_bytes_max);
      }
      send_entries(follower, std::move(entries));
    }
  }
  leadership_->read_round_open = false;
}

Raft::Sending Raft::due(const Progress& follower) const {
  const Window window{.messages_max = config_.inflight_messages_max, .bytes_max = config_.inflight_bytes_max};
  const Index next = follower.next_index();
  const bool needs_snapshot = follower.state() == ProgressState::snapshot || !is_checkable(next.prev());
  if (needs_snapshot) {
    const bool starts = follower.state() != ProgressState::snapshot;
    const bool active = follower.silent_ticks() < config_.election_ticks_max;
    if (starts || (active && follower.may_read_snapshot())) {
      return Sending::snapshot;
    }
    return follower.heartbeat_due() ? Sending::heartbeat : Sending::nothing;
  }
  if (next <= log_.last_index() && follower.may_send(window)) {
    if (next >= log_.tail_first()) {
      return Sending::entries;
    }
    if (follower.state() == ProgressState::probe) {
      return Sending::heartbeat;  // the disk is not read for a follower that may have to step back further
    }
    if (follower.may_catch_up()) {
      return Sending::catch_up;
    }
  }
  // News of a commit rides on the next entries; if none are on their way it goes alone, so that subscribers on an idle
  // cluster need not wait for a heartbeat.
  const bool news =
      follower.state() == ProgressState::replicate && follower.idle() && follower.told_commit() < commit_index_;
  return follower.heartbeat_due() || news ? Sending::heartbeat : Sending::nothing;
}

/// Whether this member can say which term the entry before the next one has, and has what comes behind it.
bool Raft::is_checkable(Index prev_log_index) const {
  return prev_log_index.next() >= log_.first_index() &&
         (prev_log_index == Index{} || log_.term_at(prev_log_index) != Term{});
}

/// One AppendEntries from next_index on; without entries it is a heartbeat, and checks the logs at the same place: if
/// what went before was lost, the rejection says so. leader_commit is sent as it is, and bounded by the receiver.
void Raft::send_entries(Progress& follower, std::vector<Entry> entries) {
  // A follower that needs entries older than this log still gets heartbeats, or it would start elections.
  const Index prev = is_checkable(follower.next_index().prev()) ? follower.next_index().prev() : Index{};
  if (!entries.empty()) {
    std::size_t bytes = 0;
    for (const Entry& entry : entries) {
      bytes += size_of(entry);
    }
    follower.sent(entries.back().index, bytes);
  } else if (follower.state() == ProgressState::probe) {
    follower.sent(prev, 0);
  }
  follower.told(commit_index_);
  send_at_once(follower.node(), AppendEntries{.prev_log_index = prev,
                                              .prev_log_term = log_.term_at(prev),
                                              .leader_commit = commit_index_,
                                              .entries = std::move(entries),
                                              .read_context = read_round_context()});
}

void Raft::catch_up(CatchUp read) {
  Progress* follower = role_ == Role::leader ? find_follower(read.to) : nullptr;
  if (follower == nullptr || !follower->catch_up_answered(read.first)) {
    return;
  }
  // Entries that are not in the log any more were read for an earlier leadership of this member.
  if (read.entries.empty() || !continues_log(read.entries, read.first)) {
    return follower->pause_catch_up();
  }
  send_entries(*follower, std::move(read.entries));
}

bool Raft::continues_log(const std::vector<Entry>& entries, Index first) const {
  Index expected = first;
  for (const Entry& entry : entries) {
    if (entry.index != expected || entry.term == Term{} || log_.term_at(entry.index) != entry.term) {
      return false;
    }
    expected = expected.next();
  }
  return true;
}

// --- the follower

bool Raft::follow_leader(const Message& message) {
  if (message.term == current_term_ && leader_ != kNobody && leader_ != message.from) {
    refuse(message.from, "a second leader of the term");
    return false;
  }
  // §5.2: a candidate that hears of its term's leader is a follower again.
  if (message.term > current_term_ || role_ != Role::follower || leader_ == kNobody) {
    become_follower(message.term, message.from);
  }
  election_elapsed_ = 0;
  return true;
}

void Raft::on(const Message& message, AppendEntries& request) {
  if (message.term < current_term_ && !is_mutated(Mutant::old_leader_heard)) {
    // Not a word about the log: this only tells a leader of the past that its term is over (FAULTS 13).
    return send_after_persist(message.from, current_term_, conflict_at(log_.last_index().next()));
  }
  if (!follow_leader(message)) {
    return;
  }
  AppendEntriesReply reply;
  if (log_.fits(request.prev_log_index, request.prev_log_term)) {
    // What this message shows to agree with the leader's log; entries beyond may be left from another leader, so
    // leader_commit says nothing about them (FAULTS 18).
    const Index verified = request.prev_log_index + request.entries.size();
    store(request.entries);
    commit(std::max(commit_index_, std::min(request.leader_commit,
                                            is_mutated(Mutant::commit_unverified) ? log_.last_index() : verified)));
    // Durable when the reply leaves, as it waits for this turn's and all earlier writes (FAULTS 121).
    reply.answer = AppendAnswer::matched;
    reply.match_index = verified;
  } else {
    reply = conflict_at(request.prev_log_index);
  }
  reply.read_context = request.read_context;
  if (is_mutated(Mutant::matched_before_disk)) {
    return send_at_once(message.from, reply);
  }
  send_after_persist(message.from, current_term_, reply);
}

/// Figure 2, AppendEntries, receiver rules 3 and 4: an entry that is here already stays; only one of another term goes,
/// with all that follow it. A message that is late or repeated therefore cuts nothing off (FAULTS 6).
void Raft::store(std::vector<Entry>& entries) {
  for (Entry& entry : entries) {
    const bool present = entry.index <= log_.last_index();
    const bool cuts = is_mutated(Mutant::truncates_always) && entry.index > commit_index_;
    if (entry.index < log_.first_index() || (present && log_.term_at(entry.index) == entry.term && !cuts)) {
      continue;
    }
    if (present) {
      WEIR_CHECK(entry.index > commit_index_ && entry.index > applied_index_, entry.index, commit_index_,
                 applied_index_);
      log_.truncate_from(entry.index);
      output_.events.emplace_back(LogTruncated{.from = entry.index});
      roll_back_configuration(entry.index);
    }
    adopt(entry);
    log_.append(std::move(entry));
  }
}

/// §5.3's hint: the term that stands in the way and where it begins, or where this log ends.
AppendEntriesReply Raft::conflict_at(Index prev_log_index) const {
  AppendEntriesReply reply;
  reply.answer = AppendAnswer::conflict;
  reply.conflict_term = log_.term_at(prev_log_index);
  reply.conflict_index = reply.conflict_term == Term{} ? log_.last_index().next() : log_.run_first(prev_log_index);
  return reply;
}

// --- the answers

void Raft::on(const Message& message, const AppendEntriesReply& reply) {
  if ((!is_of_current_term(message) && !is_mutated(Mutant::old_replies_count)) || role_ != Role::leader) {
    return;
  }
  if (reply.answer == AppendAnswer::matched && reply.match_index > log_.last_index()) {
    return refuse(message.from, "AppendEntriesReply matches beyond the log");
  }
  Progress* follower = find_follower(message.from);
  if (follower == nullptr) {
    return;  // it was a member when it was asked
  }
  follower->heard();
  confirm_reads(*follower, reply.read_context);
  if (reply.answer == AppendAnswer::matched) {
    follower->matched(is_mutated(Mutant::sent_is_matched) ? follower->next_index().prev() : reply.match_index);
    if (follower->state() == ProgressState::snapshot && is_checkable(follower->match_index())) {
      follower->snapshot_installed(follower->match_index());
    }
    follower->end_round(log_.last_index());
    continue_transfer(*follower);
    advance_commit();  // may end this leadership
  } else {
    if (is_mutated(Mutant::rejected_is_matched)) {
      follower->matched(std::min(index_to_try(reply, *follower), log_.last_index()));
    }
    follower->rejected(index_to_try(reply, *follower));
  }
}

/// The follower has a run of conflict_term from conflict_index to beyond the place that was checked. If this log has
/// entries of that term too, the two agree up to the last of them (Log Matching), unless it lies beyond that place;
/// if not, none of the run can stay: one round trip per term.
Index Raft::index_to_try(const AppendEntriesReply& reply, const Progress& follower) const {
  if (reply.conflict_term == Term{}) {
    return reply.conflict_index;
  }
  const Index shared = log_.last_index_of(reply.conflict_term);
  const bool overlaps = shared >= reply.conflict_index && shared.next() < follower.next_index();
  return overlaps ? shared.next() : reply.conflict_index;
}

}  // namespace weir::raft
