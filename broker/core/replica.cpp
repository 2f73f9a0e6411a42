#include "broker/core/replica.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

constexpr std::size_t kRecentWrites = 512;

}  // namespace

Replica::Replica(raft::Config config, raft::Recovered recovered, std::uint32_t disk_stall_timeout_ms, Disk& disk,
                 PeerNetwork& network, Clock& clock, LogTime& log_time, Hooks hooks)
    : raft_(std::move(config), std::move(recovered)),
      disk_(disk),
      network_(network),
      clock_(clock),
      log_time_(log_time),
      hooks_(std::move(hooks)),
      disk_stall_timeout_us_(std::uint64_t{disk_stall_timeout_ms} * 1000),
      self_(std::make_shared<Replica*>(this)) {}

Replica::~Replica() = default;

void Replica::step(raft::Message message) {
  if (stopped_) {
    return;
  }
  log_time_.observe(message.from, message.wall_clock_ms, clock_.steady_us());
  raft_.step(std::move(message));
}

void Replica::tick() {
  if (stopped_) {
    return;
  }
  watch_disk();
  raft_.tick();
}

std::expected<raft::Index, raft::ProposeError> Replica::propose(std::vector<raft::Proposal> proposals) {
  if (stopped_) {
    return std::unexpected(raft::ProposeError::not_leader);
  }
  return raft_.propose(std::move(proposals));
}

std::expected<raft::Index, raft::ChangeError> Replica::change_membership(raft::Proposal proposal) {
  if (stopped_) {
    return std::unexpected(raft::ChangeError::not_leader);
  }
  return raft_.change_membership(std::move(proposal));
}

void Replica::settle() {
  while (!stopped_ && raft_.has_output()) {
    do_duties(raft_.take_output());
  }
}

void Replica::do_duties(raft::Output output) {
  send(std::move(output.messages));
  if (raft::is_mutated(raft::Mutant::repeat_before_disk) && !output.hard_state && output.append.empty()) {
    send(std::exchange(output.messages_after_persist, {}));
  }
  write(output);
  hold_or_send(std::move(output.messages_after_persist));
  for (const auto& event : output.events) {
    hooks_.event(event);
  }
  if (output.commit_to) {
    hooks_.committed(*output.commit_to);
  }
  for (const auto& request : output.catch_up) {
    catch_up(request);
  }
  // No store takes snapshots yet: none can be sent, and none that is received could be installed.
  for (const auto& request : output.snapshot_requests) {
    raft_.snapshot_read({.to = request.to, .snapshot = {}, .offset = 0, .data = {}});
  }
  for (const auto& piece : output.snapshot_pieces) {
    raft_.snapshot_refused(piece.snapshot);
  }
  // Those in output.reads_refused are put again by the clock (ReadBarriers): there may be no leader for a while.
  for (const auto& state : output.read_states) {
    hooks_.read_confirmed(state);
  }
}

void Replica::write(raft::Output& output) {
  if (!output.hard_state && !output.truncate_from && output.append.empty()) {
    return;
  }
  Writing writing{.turn = ++turn_, .since_us = clock_.steady_us(), .term = {}, .index = {}};
  if (!output.append.empty()) {
    writing.term = output.append.back().term;
    writing.index = output.append.back().index;
  }
  writing_.push_back(writing);
  disk_.write(
      {.hard_state = output.hard_state, .truncate_from = output.truncate_from, .entries = std::move(output.append)},
      [self = std::weak_ptr(self_)](std::expected<void, storage::Error> result) {
        if (const auto alive = self.lock()) {
          (*alive)->written(result);
        }
      });
}

void Replica::written(const std::expected<void, storage::Error>& result) {
  if (stopped_) {
    return;
  }
  if (!result) {
    stop(result.error());
    return;
  }
  WEIR_CHECK(!writing_.empty());
  const Writing done = writing_.front();
  writing_.pop_front();
  ++disk_writes_;
  const std::uint64_t took_us = clock_.steady_us() - done.since_us;
  disk_write_us_ += took_us;
  recent_write_us_.push_back(took_us);
  if (recent_write_us_.size() > kRecentWrites) {
    recent_write_us_.pop_front();
  }
  watch_disk();
  release_held();
  if (done.index != raft::Index{}) {
    raft_.persisted(done.term, done.index);
  }
  hooks_.woken();
}

void Replica::hold_or_send(std::vector<raft::Message> messages) {
  if (messages.empty()) {
    return;
  }
  // FAULTS 121: a turn without writes waits for the writes of all earlier turns all the same.
  if (writing_.empty()) {
    send(std::move(messages));
  } else {
    held_.push_back({.turn = turn_, .messages = std::move(messages)});
  }
}

void Replica::release_held() {
  while (!held_.empty() && (writing_.empty() || held_.front().turn < writing_.front().turn)) {
    send(std::move(held_.front().messages));
    held_.pop_front();
  }
}

void Replica::send(std::vector<raft::Message> messages) {
  for (auto& message : messages) {
    if (hooks_.may_send(message)) {
      message.wall_clock_ms = clock_.wall_ms();
      const raft::NodeId to = message.to;
      // A dropped message is a lost one: Raft sends again.
      static_cast<void>(network_.send(to, std::move(message)));
    }
  }
}

void Replica::catch_up(const raft::CatchUpRequest& request) {
  disk_.read(request.first, raft_.durable_index(), request.bytes_max,
             [self = std::weak_ptr(self_), request](std::expected<std::vector<raft::Entry>, storage::Error> entries) {
               const auto alive = self.lock();
               if (!alive || (*alive)->stopped_) {
                 return;
               }
               if (!entries) {
                 (*alive)->stop(entries.error());
                 return;
               }
               (*alive)->raft_.catch_up({.to = request.to, .first = request.first, .entries = std::move(*entries)});
               (*alive)->hooks_.woken();
             });
}

/// DESIGN §3: a leader whose flush hangs must not rule by heartbeats alone.
void Replica::watch_disk() {
  const bool stalled = !writing_.empty() && clock_.steady_us() - writing_.front().since_us >= disk_stall_timeout_us_;
  if (stalled != stalled_) {
    stalled_ = stalled;
    raft_.disk_health(stalled ? raft::DiskHealth::stalled : raft::DiskHealth::flowing);
  }
}

void Replica::halt() {
  stopped_ = true;
  held_.clear();
  // A leader that says nothing any more is none: its status must not call it one.
  raft_.disk_health(raft::DiskHealth::stalled);
}

void Replica::stop(const storage::Error& error) {
  halt();
  hooks_.failed(error);
}

std::uint64_t Replica::disk_write_us_p99() const {
  if (recent_write_us_.empty()) {
    return 0;
  }
  std::vector<std::uint64_t> sorted(recent_write_us_.begin(), recent_write_us_.end());
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) * 99 / 100);
  std::ranges::nth_element(sorted, place);
  return *place;
}

}  // namespace weir::broker
