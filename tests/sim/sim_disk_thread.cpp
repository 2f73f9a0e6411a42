#include "tests/sim/sim_disk_thread.hpp"

#include <algorithm>
#include <utility>

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
  waiting_.push_back({.what = std::move(write), .done = std::move(done), .since_us = hooks_.steady_us()});
  begin();
}

void SimDiskThread::found(std::string cluster_id, raft::Entry config, WriteDone done) {
  hooks_.given({.hard_state = raft::HardState{.current_term = raft::Term{1}, .voted_for = raft::kNobody},
                .truncate_from = std::nullopt,
                .entries = {config}});
  waiting_.push_back({.what = Founding{.cluster_id = std::move(cluster_id), .config = std::move(config)},
                      .done = std::move(done),
                      .since_us = hooks_.steady_us()});
  begin();
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
  // Founding is a call of its own.
  const bool founding = std::holds_alternative<Founding>(waiting_.front().what);
  do {
    flushing_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  } while (!founding && !waiting_.empty() && !std::holds_alternative<Founding>(waiting_.front().what));
  flush_ends_us_ = std::max(timeline_.now_us() + flush_us(), stalled_until_us_);
  if (when_flushing_) {
    timeline_.after((flush_ends_us_ - timeline_.now_us()) / 2, std::exchange(when_flushing_, nullptr));
  }
  if (mistake_ == Mistake::flush_lies && !founding) {
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
  if (stalled_until_us_ > timeline_.now_us()) {
    flush_ends_us_ = stalled_until_us_;
    timeline_.after(flush_ends_us_ - timeline_.now_us(), [self = std::weak_ptr(self_)] {
      if (const auto alive = self.lock()) {
        (*alive)->end();
      }
    });
    return;
  }
  auto jobs = std::exchange(flushing_, {});
  if (std::exchange(fail_next_, false)) {
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
  Result result;
  if (const auto* founding = std::get_if<Founding>(&jobs.front().what)) {
    result = store_.found(founding->cluster_id, founding->config);
  } else {
    std::vector<storage::LogWrite> writes;
    for (const Job& job : jobs) {
      const auto& write = std::get<broker::DiskWrite>(job.what);
      writes.push_back(
          {.hard_state = write.hard_state, .truncate_from = write.truncate_from, .entries = write.entries});
      if (mistake_ == Mistake::vote_not_kept && writes.back().hard_state) {
        writes.back().hard_state->voted_for = raft::kNobody;
      }
    }
    result = store_.append(writes);
  }
  if (!result) {
    failed_ = result.error();
  }
  return result;
}

void SimDiskThread::report(std::deque<Job> jobs, const Result& result) {
  hooks_.post([jobs = std::move(jobs), result]() mutable {
    for (Job& job : jobs) {
      if (job.done) {
        job.done(result);
      }
    }
  });
}

void SimDiskThread::read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) {
  const std::uint64_t took_us = dice_.chance(1, 20) ? dice_.between(1'000, 20'000) : dice_.between(20, 300);
  timeline_.after(took_us, [self = std::weak_ptr(self_), first, last, bytes_max, done = std::move(done)]() mutable {
    const auto alive = self.lock();
    if (!alive) {
      return;
    }
    auto entries = (*alive)->store_.read(first, last, bytes_max);
    (*alive)->hooks_.post(
        [done = std::move(done), entries = std::move(entries)]() mutable { done(std::move(entries)); });
  });
}

void SimDiskThread::stall(std::uint64_t us) {
  stalled_until_us_ = std::max(stalled_until_us_, timeline_.now_us() + us);
}

std::uint64_t SimDiskThread::hangs_for_us() const {
  const auto& oldest = flushing_.empty() ? waiting_ : flushing_;
  return oldest.empty() || failed_ ? 0 : hooks_.steady_us() - oldest.front().since_us;
}

void SimDiskThread::calm_down() {
  fail_next_ = false;
  when_flushing_ = nullptr;
  stalled_until_us_ = 0;
}

std::size_t SimDiskThread::step_count() const {
  std::size_t steps = 0;
  for (const Job& job : flushing_) {
    if (const auto* write = std::get_if<broker::DiskWrite>(&job.what)) {
      steps += write->entries.size() + (write->hard_state ? 1 : 0);
    } else {
      steps += 2;
    }
  }
  return steps;
}

bool SimDiskThread::crash() {
  self_.reset();
  waiting_.clear();
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
