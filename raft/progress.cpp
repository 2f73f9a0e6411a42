#include "raft/progress.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"

namespace weir::raft {

bool Progress::may_send(const Window& window) const {
  if (state_ == ProgressState::snapshot) {
    return false;
  }
  if (state_ == ProgressState::probe) {
    return !probe_sent_;
  }
  return inflight_.size() < window.messages_max && inflight_bytes_ < window.bytes_max;
}

void Progress::sent(Index last, std::size_t bytes) {
  if (state_ == ProgressState::probe) {
    probe_sent_ = true;
    return;
  }
  WEIR_CHECK(last >= next_index_, node_, last, next_index_);
  next_index_ = last.next();
  inflight_.push_back({.last = last, .bytes = bytes});
  inflight_bytes_ += bytes;
}

void Progress::matched(Index match) {
  match_index_ = std::max(match_index_, match);
  if (state_ == ProgressState::snapshot) {
    return;
  }
  if (state_ == ProgressState::probe) {
    // Only what reaches the place being probed says that the logs agree there.
    if (match.next() < next_index_) {
      return;
    }
    state_ = ProgressState::replicate;
    probe_sent_ = false;
    next_index_ = match_index_.next();
    return;
  }
  if (next_index_ <= match_index_) {
    next_index_ = match_index_.next();
    catch_up_first_.reset();
  }
  while (!inflight_.empty() && inflight_.front().last <= match_index_) {
    inflight_bytes_ -= inflight_.front().bytes;
    inflight_.pop_front();
  }
}

void Progress::rejected(Index next) {
  // Whatever was rejected lies below next_index_; a hint that does not is the answer to a message from before the last
  // step back. What has matched cannot be rejected.
  if (state_ == ProgressState::snapshot || next >= next_index_ || next_index_ == match_index_.next()) {
    return;
  }
  become_probe(std::max(next, match_index_.next()));
}

void Progress::become_probe(Index next) {
  state_ = ProgressState::probe;
  next_index_ = next;
  forget_inflight();
}

void Progress::forget_inflight() {
  probe_sent_ = false;
  inflight_.clear();
  inflight_bytes_ = 0;
  catch_up_first_.reset();
}

void Progress::become_snapshot() {
  state_ = ProgressState::snapshot;
  forget_inflight();
  snapshot_step_ = SnapshotStep::idle;
  snapshot_number_ = snapshot_offset_ = 0;
}

bool Progress::snapshot_answered() {
  if (state_ != ProgressState::snapshot || snapshot_step_ != SnapshotStep::reading) {
    return false;
  }
  snapshot_step_ = SnapshotStep::idle;
  return true;
}

void Progress::snapshot_sent(std::uint64_t number) {
  snapshot_step_ = SnapshotStep::sent;
  snapshot_number_ = number;
  snapshot_ticks_ = 0;
}

void Progress::snapshot_wanted(std::uint64_t number, std::uint64_t offset) {
  if (state_ == ProgressState::snapshot && snapshot_step_ == SnapshotStep::sent && number == snapshot_number_) {
    snapshot_step_ = SnapshotStep::idle;
    snapshot_offset_ = offset;
  }
}

void Progress::snapshot_installed(Index index) {
  match_index_ = std::max(match_index_, index);
  if (state_ == ProgressState::snapshot) {
    state_ = ProgressState::replicate;
    next_index_ = match_index_.next();
  }
}

void Progress::repeat_snapshot(std::uint32_t ticks) {
  if (state_ == ProgressState::snapshot && snapshot_step_ == SnapshotStep::sent && snapshot_ticks_ >= ticks) {
    snapshot_step_ = SnapshotStep::idle;
  }
}

void Progress::catch_up_requested() {
  catch_up_asked_ = true;
  catch_up_first_ = next_index_;
}

bool Progress::catch_up_answered(Index first) {
  if (!catch_up_asked_ || (catch_up_first_ && catch_up_first_ != first)) {
    return false;
  }
  catch_up_asked_ = false;
  return std::exchange(catch_up_first_, std::nullopt) == first;
}

void Progress::end_round(Index last_index) {
  if (match_index_ >= round_last_) {
    last_round_ticks_ = std::exchange(round_ticks_, 0);
    round_last_ = last_index;
  }
}

void Progress::told(Index leader_commit) {
  heartbeat_due_ = false;
  told_commit_ = std::max(told_commit_, leader_commit);
}

void Progress::confirmed(std::uint64_t round) {
  confirmed_round_ = std::max(confirmed_round_, round);
}

}  // namespace weir::raft
