#include "broker/disk_thread.hpp"

#include <pthread.h>

#include <boost/asio/post.hpp>
#include <iterator>
#include <memory>
#include <utility>

namespace weir::broker {
namespace {

/// Answers of reads are handed over when they hold this much: a wake-up of the core is cheap beside it.
constexpr std::size_t kReadBatchBytes = std::size_t{1} << 20U;

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
}

DiskThread::~DiskThread() {
  writer_jobs_.close();
  reader_jobs_.close();
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

void DiskThread::stop(std::move_only_function<void()> stopped) {
  // The last job of each queue says that the queue is done; whichever thread is second reports.
  struct Both {
    std::move_only_function<void()> stopped;
    int left = 2;  // core strand
  };
  auto both = std::make_shared<Both>(std::move(stopped));
  const auto one_done = [both] {
    if (--both->left == 0) both->stopped();
  };
  reader_jobs_.push(ReadJob{raft::Index{}, raft::Index{}, 0, [one_done](const auto&) { one_done(); }});
  writer_jobs_.push(WriteJob{{}, [one_done](const auto&) { one_done(); }});
  writer_jobs_.close();
  reader_jobs_.close();
}

void DiskThread::run_writer() {
  pthread_setname_np(pthread_self(), "weir-disk");
  for (;;) {
    std::vector<WriterJob> jobs = writer_jobs_.take_all();
    if (jobs.empty()) return;
    std::vector<Completion> completions;
    completions.reserve(jobs.size());
    for (std::size_t at = 0; at < jobs.size();) {
      if (auto* founding = std::get_if<FoundJob>(&jobs[at])) {
        Result result = found(*founding);
        completions.push_back({std::move(founding->done), std::move(result)});
        ++at;
        continue;
      }
      std::vector<WriteJob> batch;
      for (; at < jobs.size() && std::holds_alternative<WriteJob>(jobs[at]); ++at) {
        batch.push_back(std::move(std::get<WriteJob>(jobs[at])));
      }
      const Result result = append(batch);
      for (WriteJob& job : batch) completions.push_back({std::move(job.done), result});
    }
    boost::asio::post(core_, [completions = std::move(completions)]() mutable {
      for (Completion& completion : completions) completion.done(std::move(completion.result));
    });
  }
}

DiskThread::Result DiskThread::append(std::vector<WriteJob>& batch) {
  if (failed_) return std::unexpected(*failed_);
  std::vector<storage::LogWrite> writes;
  writes.reserve(batch.size());
  for (const WriteJob& job : batch) {
    const DiskWrite& write = job.write;
    if (!write.hard_state && !write.truncate_from && write.entries.empty()) continue;
    writes.push_back({write.hard_state, write.truncate_from, write.entries});
  }
  if (writes.empty()) return {};
  Result result = store_.append(writes);
  if (!result) failed_ = result.error();
  return result;
}

DiskThread::Result DiskThread::found(const FoundJob& job) {
  if (failed_) return std::unexpected(*failed_);
  Result result = store_.found(job.cluster_id, job.config);
  if (!result) failed_ = result.error();
  return result;
}

void DiskThread::run_reader() {
  pthread_setname_np(pthread_self(), "weir-read");
  struct Answer {
    ReadDone done;
    std::expected<std::vector<raft::Entry>, storage::Error> entries;
  };
  for (;;) {
    std::vector<ReadJob> jobs = reader_jobs_.take_all();
    if (jobs.empty()) return;
    std::vector<Answer> answers;
    std::size_t bytes = 0;
    for (ReadJob& job : jobs) {
      const bool is_last_job = job.first.value == 0;
      answers.push_back({std::move(job.done), {}});
      if (!is_last_job) answers.back().entries = store_.read(job.first, job.last, job.bytes_max);
      if (answers.back().entries) bytes += data_bytes(*answers.back().entries);
      if (bytes < kReadBatchBytes && &job != &jobs.back()) continue;
      boost::asio::post(core_, [batch = std::exchange(answers, {})]() mutable {
        for (Answer& answer : batch) answer.done(std::move(answer.entries));
      });
      bytes = 0;
    }
  }
}

}  // namespace weir::broker
