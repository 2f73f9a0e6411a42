#include "broker/disk_thread.hpp"

#include <boost/asio/post.hpp>
#include <iterator>
#include <memory>
#include <utility>

#include "storage/thread_start.hpp"

namespace weir::broker {
namespace {

/// Answers of reads are handed over when they hold this much: a wake-up of the core is cheap beside it.
constexpr std::size_t kReadBatchBytes = std::size_t{1} << 20U;

/// Until a write that found no room is tried again.
constexpr std::chrono::milliseconds kRoomRetry{250};

[[nodiscard]] std::size_t data_bytes(const std::vector<raft::Entry>& entries) {
  std::size_t bytes = 0;
  for (const raft::Entry& entry : entries) bytes += entry.data.size();
  return bytes;
}

}  // namespace

DiskThread::DiskThread(storage::LogStore& store, boost::asio::any_io_executor core)
    : store_(store), core_(std::move(core)) {
  writer_ = std::jthread([this] { run_writer(); });
  reader_ = std::jthread([this] { run_reader(); });
  background_ = std::jthread([this] { run_background(); });
}

DiskThread::~DiskThread() {
  writer_jobs_.close();
  reader_jobs_.close();
  background_jobs_.close();
}

void DiskThread::write(DiskWrite write, WriteDone done) {
  writer_jobs_.push(WriteJob{std::move(write), std::move(done)});
}

void DiskThread::found(std::string cluster_id, raft::Entry config, WriteDone done) {
  writer_jobs_.push(FoundJob{std::move(cluster_id), std::move(config), std::move(done)});
}

void DiskThread::read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) {
  reader_jobs_.push(ReadJob{first, last, bytes_max, std::move(done)});
}

void DiskThread::receive(raft::SnapshotPiece piece, PieceDone done) {
  writer_jobs_.push(PieceJob{std::move(piece), std::move(done)});
}

void DiskThread::drop_before(raft::Index index, WriteDone done) {
  writer_jobs_.push(DropJob{index, std::move(done)});
}

void DiskThread::finish_rewrite(RewrittenDone done) {
  writer_jobs_.push(FinishJob{std::move(done)});
}

void DiskThread::rewrite(raft::Index first, storage::KeepEntry keep, std::size_t bytes_max, RewriteDone done) {
  background_jobs_.push([this, first, keep = std::move(keep), bytes_max, done = std::move(done)]() mutable -> Answer {
    return [result = store_.rewrite(first, keep, bytes_max), done = std::move(done)]() mutable {
      done(std::move(result));
    };
  });
}

void DiskThread::save(storage::Checkpoint checkpoint, WriteDone done) {
  background_jobs_.push([this, checkpoint = std::move(checkpoint), done = std::move(done)]() mutable -> Answer {
    return [result = store_.save(checkpoint), done = std::move(done)]() mutable { done(std::move(result)); };
  });
}

void DiskThread::checkpoint(raft::Index index, CheckpointDone done) {
  background_jobs_.push([this, index, done = std::move(done)]() mutable -> Answer {
    return [result = store_.checkpoint(index), done = std::move(done)]() mutable { done(std::move(result)); };
  });
}

void DiskThread::move_ids(raft::Index up_to, storage::IdsOf ids_of, IdRunsDone done) {
  background_jobs_.push([this, up_to, ids_of = std::move(ids_of), done = std::move(done)]() mutable -> Answer {
    return [result = store_.move_ids(up_to, ids_of), done = std::move(done)]() mutable { done(std::move(result)); };
  });
}

void DiskThread::find_ids(storage::IdRuns runs, std::vector<storage::IdKey> keys, PlacesDone done) {
  reader_jobs_.push(FindJob{std::move(runs), std::move(keys), std::move(done)});
}

void DiskThread::read_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max, SnapshotDone done) {
  background_jobs_.push([this, number, offset, bytes_max, done = std::move(done)]() mutable -> Answer {
    return [result = store_.read_snapshot(number, offset, bytes_max), done = std::move(done)]() mutable {
      done(std::move(result));
    };
  });
}

void DiskThread::stop(std::move_only_function<void()> stopped) {
  // The last job of each queue says that the queue is done; whichever thread is last reports.
  struct All {
    std::move_only_function<void()> stopped;
    int left = 3;  // core strand
  };
  auto all = std::make_shared<All>(std::move(stopped));
  const auto one_done = [all] {
    if (--all->left == 0) all->stopped();
  };
  reader_jobs_.push(ReadJob{raft::Index{}, raft::Index{}, 0, [one_done](const auto&) { one_done(); }});
  writer_jobs_.push(WriteJob{{}, [one_done](const auto&) { one_done(); }});
  background_jobs_.push([one_done]() -> Answer { return one_done; });
  writer_jobs_.close();
  reader_jobs_.close();
  background_jobs_.close();
}

void DiskThread::run_writer() {
  storage::begin_thread("weir-disk");
  for (;;) {
    std::vector<WriterJob> jobs = writer_jobs_.take_all();
    if (jobs.empty()) return;
    std::vector<Answer> answers;
    answers.reserve(jobs.size());
    for (std::size_t at = 0; at < jobs.size();) {
      std::vector<WriteJob> batch;
      for (; at < jobs.size() && std::holds_alternative<WriteJob>(jobs[at]); ++at) {
        batch.push_back(std::move(std::get<WriteJob>(jobs[at])));
      }
      if (!batch.empty()) {
        carry_out(batch, answers);
      } else if (auto* founding = std::get_if<FoundJob>(&jobs[at])) {
        answers.push_back(carry_out(std::move(*founding)));
        ++at;
      } else if (auto* drop = std::get_if<DropJob>(&jobs[at])) {
        answers.push_back(carry_out(std::move(*drop)));
        ++at;
      } else if (auto* finish = std::get_if<FinishJob>(&jobs[at])) {
        answers.push_back(carry_out(std::move(*finish)));
        ++at;
      } else if (auto* piece = std::get_if<PieceJob>(&jobs[at])) {
        answers.push_back(carry_out(std::move(*piece)));
        ++at;
      } else {
        std::get<std::move_only_function<void()>>(jobs[at])();
        ++at;
      }
    }
    boost::asio::post(core_, [answers = std::move(answers)]() mutable {
      for (Answer& answer : answers) answer();
    });
  }
}

void DiskThread::carry_out(std::vector<WriteJob>& batch, std::vector<Answer>& answers) {
  const Result result = append(batch);
  for (WriteJob& job : batch) {
    answers.emplace_back([done = std::move(job.done), result]() mutable { done(std::move(result)); });
  }
}

DiskThread::Answer DiskThread::carry_out(FoundJob job) {
  Result result = failed_ ? std::unexpected(*failed_) : store_.found(job.cluster_id, job.config);
  if (!result) failed_ = result.error();
  return [done = std::move(job.done), result = std::move(result)]() mutable { done(std::move(result)); };
}

DiskThread::Answer DiskThread::carry_out(DropJob job) {
  Result result = failed_ ? std::unexpected(*failed_) : store_.drop_before(job.index);
  if (!result) failed_ = result.error();
  return [done = std::move(job.done), result = std::move(result)]() mutable { done(std::move(result)); };
}

DiskThread::Answer DiskThread::carry_out(FinishJob job) {
  std::expected<std::uint64_t, storage::Error> result = std::unexpected(failed_.value_or(storage::Error{}));
  if (!failed_) result = store_.finish_rewrite();
  if (!result) failed_ = result.error();
  return [done = std::move(job.done), result = std::move(result)]() mutable { done(std::move(result)); };
}

/// An error of it says nothing of the log.
DiskThread::Answer DiskThread::carry_out(PieceJob job) {
  auto result = store_.receive(job.piece);
  return [done = std::move(job.done), result = std::move(result)]() mutable { done(std::move(result)); };
}

DiskThread::Result DiskThread::append(std::vector<WriteJob>& batch) {
  if (failed_) return std::unexpected(*failed_);
  std::vector<storage::LogWrite> writes;
  writes.reserve(batch.size());
  for (const WriteJob& job : batch) {
    const DiskWrite& write = job.write;
    if (!write.hard_state && !write.install && !write.truncate_from && write.entries.empty()) continue;
    writes.push_back({.hard_state = write.hard_state,
                      .truncate_from = write.truncate_from,
                      .entries = write.entries,
                      .install = write.install});
  }
  if (writes.empty()) return {};
  Result result = append_with_room(writes);
  if (!result) failed_ = result.error();
  return result;
}

DiskThread::Result DiskThread::append_with_room(std::span<const storage::LogWrite> writes) {
  while (true) {
    Result result = store_.append(writes);
    const bool no_room = !result && result.error().code == storage::Errc::disk_full;
    waits_for_room_.store(no_room, std::memory_order_relaxed);
    if (!no_room || writer_jobs_.closes_within(kRoomRetry)) return result;
  }
}

void DiskThread::run_background() {
  storage::begin_thread("weir-save");
  for (;;) {
    std::vector<BackgroundJob> jobs = background_jobs_.take_all();
    if (jobs.empty()) return;
    for (BackgroundJob& job : jobs) boost::asio::post(core_, job());
  }
}

DiskThread::Answer DiskThread::carry_out(FindJob job) {
  return
      [done = std::move(job.done), found = storage::find_ids(job.runs, job.keys)]() mutable { done(std::move(found)); };
}

void DiskThread::run_reader() {
  storage::begin_thread("weir-read");
  struct Read {
    ReadDone done;
    std::expected<std::vector<raft::Entry>, storage::Error> entries;
  };
  for (;;) {
    std::vector<ReaderJob> jobs = reader_jobs_.take_all();
    if (jobs.empty()) return;
    std::vector<Read> answers;
    std::size_t bytes = 0;
    const auto hand_over = [&] {
      boost::asio::post(core_, [batch = std::exchange(answers, {})]() mutable {
        for (Read& answer : batch) answer.done(std::move(answer.entries));
      });
      bytes = 0;
    };
    for (ReaderJob& each : jobs) {
      if (auto* find = std::get_if<FindJob>(&each)) {
        boost::asio::post(core_, carry_out(std::move(*find)));
        if (&each == &jobs.back() && !answers.empty()) hand_over();
        continue;
      }
      ReadJob& job = std::get<ReadJob>(each);
      const bool is_last_job = job.first.value == 0;
      answers.push_back({std::move(job.done), {}});
      if (!is_last_job) answers.back().entries = store_.read(job.first, job.last, job.bytes_max);
      if (answers.back().entries) bytes += data_bytes(*answers.back().entries);
      if (bytes >= kReadBatchBytes || &each == &jobs.back()) hand_over();
    }
  }
}

}  // namespace weir::broker
