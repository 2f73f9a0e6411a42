#include "tests/sim/sim_disk_thread.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/decoded_entry.hpp"
#include "raft/check.hpp"

namespace weir::sim {

SimDiskThread::SimDiskThread(SimLogStore& store, SimDisk& image, Timeline& timeline, Dice dice, Mistake mistake,
                             Hooks hooks)
    : store_(store),
      image_(image),
      timeline_(timeline),
      dice_(dice),
      mistake_(mistake),
      hooks_(std::move(hooks)),
      usual_flush_us_(dice_.chance(1, 5) ? dice_.between(3'000, 15'000) : dice_.between(80, 600)),
      self_(std::make_shared<SimDiskThread*>(this)) {}

void SimDiskThread::write(broker::DiskWrite write, WriteDone done) {
  hooks_.given(write);
  give({.what = std::move(write), .done = std::move(done)});
}

void SimDiskThread::found(std::string cluster_id, raft::Entry config, WriteDone done) {
  hooks_.given({.hard_state = raft::HardState{.current_term = raft::Term{1}, .voted_for = raft::kNobody},
                .install = std::nullopt,
                .truncate_from = std::nullopt,
                .entries = {config}});
  give({.what = Founding{.cluster_id = std::move(cluster_id), .config = std::move(config)}, .done = std::move(done)});
}

void SimDiskThread::receive(raft::SnapshotPiece piece, PieceDone done) {
  give({.what = Piece{.piece = std::move(piece), .done = std::move(done), .answer = storage::PieceAnswer::refused},
        .done = nullptr});
}

void SimDiskThread::drop_before(raft::Index index, WriteDone done) {
  give({.what = Drop{index}, .done = std::move(done)});
}

void SimDiskThread::finish_rewrite(RewrittenDone done) {
  give({.what = Finish{.done = std::move(done), .given_back = 0}, .done = nullptr});
}

/// In small steps, so that much may happen while a file is written anew; now and then there is no room for it.
void SimDiskThread::rewrite(raft::Index first, storage::KeepEntry keep, std::size_t /*bytes_max*/, RewriteDone done) {
  const bool fails = !calm_ && dice_.chance(1, 50);
  const std::size_t bytes_max = dice_.between(1, 4'000);
  answer_later<storage::RewriteAnswer>(
      [first, keep = std::move(keep), bytes_max,
       fails](SimLogStore& store) -> std::expected<storage::RewriteAnswer, storage::Error> {
        return fails ? std::unexpected(storage::Error{storage::Errc::disk_full, "no room"})
                     : store.rewrite(first, keep, bytes_max);
      },
      std::move(done));
}

void SimDiskThread::give(Job job) {
  job.since_us = hooks_.steady_us();
  waiting_.push_back(std::move(job));
  begin();
}

bool SimDiskThread::is_of_snapshot(const Job& job) {
  const auto* write = std::get_if<broker::DiskWrite>(&job.what);
  return std::holds_alternative<Piece>(job.what) || (write != nullptr && write->install);
}

bool SimDiskThread::is_in_snapshot() const {
  return saving_ || std::ranges::any_of(flushing_, is_of_snapshot);
}

std::uint64_t SimDiskThread::flush_us() {
  if (dice_.chance(1, 200)) {
    return dice_.between(50'000, 400'000);
  }
  return usual_flush_us_ + dice_.between(0, usual_flush_us_);
}

void SimDiskThread::begin() {
  if (busy_ || waiting_.empty()) {
    return;
  }
  busy_ = true;
  // Only writes share a call.
  const bool shared = is_write(waiting_.front());
  do {
    flushing_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  } while (shared && !waiting_.empty() && is_write(waiting_.front()));
  flush_ends_us_ = std::max(timeline_.now_us() + flush_us(), stalled_until_us_);
  const std::uint64_t middle_us = (flush_ends_us_ - timeline_.now_us()) / 2;
  if (when_flushing_ && shared) {
    timeline_.after(middle_us, std::exchange(when_flushing_, nullptr));
  }
  if (when_in_snapshot_ && is_in_snapshot()) {
    timeline_.after(middle_us, std::exchange(when_in_snapshot_, nullptr));
  }
  if (mistake_ == Mistake::flush_lies && shared) {
    for (Job& job : flushing_) {
      hooks_.post([done = std::move(job.done)]() mutable { done({}); });
      job.done = nullptr;
    }
  }
  timeline_.after(flush_ends_us_ - timeline_.now_us(), [self = std::weak_ptr(self_)] {
    if (const auto alive = self.lock()) {
      (*alive)->end();
    }
  });
}

void SimDiskThread::end() {
  const std::uint64_t room_at_us = is_write(flushing_.front()) ? full_until_us_ : 0;
  if (std::max(stalled_until_us_, room_at_us) > timeline_.now_us()) {
    flush_ends_us_ = std::max(stalled_until_us_, room_at_us);
    timeline_.after(flush_ends_us_ - timeline_.now_us(), [self = std::weak_ptr(self_)] {
      if (const auto alive = self.lock()) {
        (*alive)->end();
      }
    });
    return;
  }
  auto jobs = std::exchange(flushing_, {});
  // Only these can fail so: what is told to the image must not wait there for a later one.
  const bool appends = is_write(jobs.front()) || std::holds_alternative<Founding>(jobs.front().what);
  if (appends && std::exchange(fail_next_, false)) {
    image_.fail_next(storage::Errc::io);
  }
  const Result result = carry_out(jobs);
  hooks_.durable();
  report(std::move(jobs), result);
  busy_ = false;
  begin();
}

SimDiskThread::Result SimDiskThread::carry_out(std::deque<Job>& jobs) {
  if (failed_) {
    return std::unexpected(*failed_);
  }
  auto& first = jobs.front().what;
  if (auto* piece = std::get_if<Piece>(&first)) {
    receive(*piece);
    return {};
  }
  if (auto* rewritten = std::get_if<Finish>(&first)) {
    finish(*rewritten);
    return {};
  }
  Result result;
  if (const auto* founding = std::get_if<Founding>(&first)) {
    result = store_.found(founding->cluster_id, founding->config);
  } else if (const auto* drop = std::get_if<Drop>(&first)) {
    result = store_.drop_before(drop->index);
  } else {
    result = append(jobs);
  }
  if (!result) {
    failed_ = result.error();
  }
  return result;
}

SimDiskThread::Result SimDiskThread::append(const std::deque<Job>& jobs) {
  std::vector<storage::LogWrite> writes;
  for (const Job& job : jobs) {
    const auto& write = std::get<broker::DiskWrite>(job.what);
    writes.push_back({.hard_state = write.hard_state,
                      .truncate_from = write.truncate_from,
                      .entries = write.entries,
                      .install = write.install});
    if (mistake_ == Mistake::vote_not_kept && writes.back().hard_state) {
      writes.back().hard_state->voted_for = raft::kNobody;
    }
  }
  return store_.append(writes);
}

void SimDiskThread::receive(Piece& piece) {
  piece.answer = store_.receive(piece.piece);
  hooks_.received(piece.answer);
  if (piece.answer == storage::PieceAnswer::more && !calm_ && dice_.chance(1, 300)) {
    image_.flip_bit_of_received();
  }
}

void SimDiskThread::finish(Finish& finish) {
  finish.given_back = store_.finish_rewrite();
  if (!finish.given_back) {
    failed_ = finish.given_back.error();
  } else {
    hooks_.rewritten(*finish.given_back);
  }
}

void SimDiskThread::report(std::deque<Job> jobs, const Result& result) {
  hooks_.post([jobs = std::move(jobs), result]() mutable {
    for (Job& job : jobs) {
      if (auto* piece = std::get_if<Piece>(&job.what)) {
        piece->done(std::move(piece->answer));
      } else if (auto* rewritten = std::get_if<Finish>(&job.what)) {
        rewritten->done(std::move(rewritten->given_back));
      } else if (job.done) {
        job.done(result);
      }
    }
  });
}

template <class Value, class Work>
void SimDiskThread::answer_later(Work work, Done<Value> done) {
  const std::uint64_t usual_us = dice_.chance(1, 20) ? dice_.between(1'000, 20'000) : dice_.between(20, 300);
  timeline_.after(std::max(usual_us, read_us_), [self = std::weak_ptr(self_), work = std::move(work),
                                                 done = std::move(done)]() mutable {
    const auto alive = self.lock();
    if (!alive) {
      return;
    }
    auto result = work((*alive)->store_);
    (*alive)->hooks_.post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  });
}

void SimDiskThread::read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) {
  answer_later<std::vector<raft::Entry>>(
      [first, last, bytes_max, hollow = hooks_.read_hollow](SimLogStore& store) {
        auto read = store.read(first, last, bytes_max);
        if (read && broker::any_hollow(*read)) {
          hollow();
        }
        return read;
      },
      std::move(done));
}

void SimDiskThread::checkpoint(raft::Index index, CheckpointDone done) {
  answer_later<storage::Checkpoint>([index](SimLogStore& store) { return store.checkpoint(index); }, std::move(done));
}

void SimDiskThread::move_ids(raft::Index up_to, storage::IdsOf ids_of, IdRunsDone done) {
  const bool fails = !calm_ && dice_.chance(1, 25);
  answer_later<storage::IdRuns>(
      [up_to, fails, ids_of = std::move(ids_of),
       moved = hooks_.moved_ids](SimLogStore& store) -> std::expected<storage::IdRuns, storage::Error> {
        auto runs = fails ? std::unexpected(storage::Error{storage::Errc::disk_full, "no room"})
                          : store.move_ids(up_to, ids_of);
        moved(runs);
        return runs;
      },
      std::move(done));
}

void SimDiskThread::find_ids(storage::IdRuns runs, std::vector<storage::IdKey> keys, PlacesDone done) {
  answer_later<std::vector<storage::KeyedPlace>>(
      [runs = std::move(runs), keys = std::move(keys), asked = hooks_.asked_runs](SimLogStore&) {
        auto found = storage::find_ids(runs, keys);
        asked(found ? found->size() : 0);
        return found;
      },
      std::move(done));
}

void SimDiskThread::read_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max,
                                  SnapshotDone done) {
  answer_later<storage::SnapshotData>(
      [number, offset, bytes_max](SimLogStore& store) { return store.read_snapshot(number, offset, bytes_max); },
      std::move(done));
}

void SimDiskThread::save(storage::Checkpoint checkpoint, WriteDone done) {
  WEIR_CHECK(!saving_);
  saving_ = Saving{.checkpoint = std::move(checkpoint), .done = std::move(done)};
  const std::uint64_t took_us = dice_.chance(1, 4) ? dice_.between(20'000, 300'000) : dice_.between(300, 20'000);
  if (when_in_snapshot_) {
    timeline_.after(took_us / 2, std::exchange(when_in_snapshot_, nullptr));
  }
  timeline_.after(took_us, [self = std::weak_ptr(self_)] {
    if (const auto alive = self.lock()) {
      (*alive)->end_save();
    }
  });
}

void SimDiskThread::end_save() {
  Saving saving = *std::exchange(saving_, std::nullopt);
  if (!calm_ && dice_.chance(1, 25)) {
    image_.fail_next_save(storage::Errc::io);
  }
  const Result result = store_.save(saving.checkpoint);
  hooks_.saved(result);
  hooks_.post([done = std::move(saving.done), result]() mutable { done(result); });
}

void SimDiskThread::stall(std::uint64_t us) {
  stalled_until_us_ = std::max(stalled_until_us_, timeline_.now_us() + us);
}

std::uint64_t SimDiskThread::hangs_for_us() const {
  for (const auto* jobs : {&flushing_, &waiting_}) {
    if (const auto oldest = std::ranges::find_if(*jobs, is_write); oldest != jobs->end()) {
      return failed_ ? 0 : hooks_.steady_us() - oldest->since_us;
    }
  }
  return 0;
}

void SimDiskThread::calm_down() {
  calm_ = true;
  fail_next_ = false;
  when_flushing_ = nullptr;
  when_in_snapshot_ = nullptr;
  stalled_until_us_ = 0;
  full_until_us_ = 0;
}

std::size_t SimDiskThread::step_count() const {
  std::size_t steps = 0;
  for (const Job& job : flushing_) {
    if (const auto* write = std::get_if<broker::DiskWrite>(&job.what)) {
      steps += write->entries.size() + (write->hard_state ? 1 : 0) + (write->install ? 1 : 0);
    } else if (std::holds_alternative<Founding>(job.what)) {
      steps += 2;
    } else {
      steps += 1;
    }
  }
  return steps;
}

bool SimDiskThread::crash() {
  self_.reset();
  waiting_.clear();
  if (saving_ && !failed_ && dice_.chance(1, 2)) {
    static_cast<void>(store_.save(saving_->checkpoint));
  }
  if (flushing_.empty() || failed_ || mistake_ == Mistake::flush_lies) {
    return false;
  }
  const std::size_t count = step_count();
  // All and nothing are for every crash; what lies between only for those with several steps.
  const bool between = count > 1 && dice_.chance(2, 3);
  const std::size_t steps = between ? 1 + dice_.below(count - 1) : dice_.below(count + 1);
  auto jobs = std::exchange(flushing_, {});
  image_.tear_next(steps);
  static_cast<void>(carry_out(jobs));
  hooks_.durable();
  return steps > 0 && steps < count;
}

}  // namespace weir::sim
