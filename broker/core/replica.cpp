#include "broker/core/replica.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/decoded_entry.hpp"
#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

constexpr std::size_t kRecentWrites = 512;

}  // namespace

Replica::Replica(raft::Config config, raft::Recovered recovered, Limits limits, Disk& disk, PeerNetwork& network,
                 Clock& clock, LogTime& log_time, Hooks hooks)
    : raft_(config, std::move(recovered)),
      disk_(disk),
      network_(network),
      clock_(clock),
      log_time_(log_time),
      hooks_(std::move(hooks)),
      disk_stall_timeout_us_(std::uint64_t{limits.disk_stall_timeout_ms} * 1000),
      snapshot_piece_bytes_(limits.snapshot_piece_bytes),
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
  for (const auto& request : output.snapshot_requests) {
    read_snapshot(request);
  }
  for (auto& piece : output.snapshot_pieces) {
    receive(std::move(piece));
  }
  // Those in output.reads_refused are put again by the clock (ReadBarriers): there may be no leader for a while.
  for (const auto& state : output.read_states) {
    hooks_.read_confirmed(state);
  }
}

void Replica::write(raft::Output& output) {
  if (!output.hard_state && !output.install && !output.truncate_from && output.append.empty()) {
    return;
  }
  Writing writing{
      .turn = ++turn_, .since_us = clock_.steady_us(), .term = {}, .index = {}, .installs = output.install.has_value()};
  if (output.install) {
    writing.term = output.install->term;
    writing.index = output.install->index;
    hooks_.installing(*output.install);
  }
  if (!output.append.empty()) {
    writing.term = output.append.back().term;
    writing.index = output.append.back().index;
  }
  writing_.push_back(writing);
  disk_.write({.hard_state = output.hard_state,
               .install = std::move(output.install),
               .truncate_from = output.truncate_from,
               .entries = std::move(output.append)},
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
  if (done.installs) {
    hooks_.installed();
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
      hooks_.stamp(message);
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
               if ((!entries && entries.error().code == storage::Errc::gone) || (entries && any_hollow(*entries))) {
                 entries.emplace();  // dropped or rewritten meanwhile: that follower gets a snapshot
               }
               if (!entries) {
                 (*alive)->stop(entries.error());
                 return;
               }
               (*alive)->raft_.catch_up({.to = request.to, .first = request.first, .entries = std::move(*entries)});
               (*alive)->hooks_.woken();
             });
}

// --- snapshots

void Replica::read_snapshot(const raft::SnapshotRequest& request) {
  disk_.read_snapshot(
      request.number, request.offset, std::min(request.bytes_max, snapshot_piece_bytes_),
      [self = std::weak_ptr(self_), to = request.to](std::expected<storage::SnapshotData, storage::Error> read) {
        const auto alive = self.lock();
        if (!alive || (*alive)->stopped_) {
          return;
        }
        if (!read && read.error().code == storage::Errc::gone) {
          read.emplace();
        }
        if (!read) {
          (*alive)->stop(read.error());
          return;
        }
        (*alive)->raft_.snapshot_read(
            {.to = to, .snapshot = std::move(read->snapshot), .offset = read->offset, .data = std::move(read->data)});
        (*alive)->hooks_.woken();
      });
}

void Replica::receive(raft::SnapshotPiece piece) {
  raft::Snapshot snapshot = piece.snapshot;
  disk_.receive(std::move(piece), [self = std::weak_ptr(self_), snapshot = std::move(snapshot)](
                                      const std::expected<storage::PieceAnswer, storage::Error>& answer) {
    if (const auto alive = self.lock(); alive && !(*alive)->stopped_) {
      (*alive)->received(snapshot, answer);
    }
  });
}

void Replica::received(const raft::Snapshot& snapshot,
                       const std::expected<storage::PieceAnswer, storage::Error>& answer) {
  if (answer && *answer == storage::PieceAnswer::more) {
    return;
  }
  if (!answer || *answer == storage::PieceAnswer::refused) {
    hooks_.notice("the snapshot of entry " + std::to_string(snapshot.index.value) +
                  " is asked for again: " + (answer ? std::string("it is not in order") : answer.error().text));
    raft_.snapshot_refused(snapshot);
    hooks_.woken();
    return;
  }
  hooks_.before_install([self = std::weak_ptr(self_), snapshot] {
    if (const auto alive = self.lock(); alive && !(*alive)->stopped_) {
      (*alive)->raft_.snapshot_received(snapshot);
      (*alive)->hooks_.woken();
    }
  });
}

void Replica::compact(raft::Index index) {
  const auto views = raft_.progress();
  const bool sends = std::ranges::any_of(views, [](const raft::ProgressView& view) {
    return view.state == raft::ProgressState::snapshot && view.recently_active;
  });
  if (!stopped_ && !sends && index >= raft_.first_index() && index <= raft_.durable_index()) {
    raft_.compact(index);
  }
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
