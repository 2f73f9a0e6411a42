// The three storage threads: one writes, one reads beside it, and one has what may take long, so that neither of them
// waits for it: checkpoints, and the snapshots that are sent (core/ports.hpp, Disk).
// All is called on the core strand; the store must outlive this, and this the core's last use.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <expected>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "broker/core/ports.hpp"
#include "storage/log_store.hpp"

namespace weir::broker {

/// Jobs from the core to one storage thread. A mutex, although the house has nearly none: it stands between exactly two
/// threads, is held for a push or a swap, and once a batch; the condition variable with it is what lets an idle disk
/// thread sleep.
template <class Job>
class JobQueue {
 public:
  void push(Job job) {
    {
      const std::scoped_lock lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    filled_.notify_one();
  }
  void close() {
    {
      const std::scoped_lock lock(mutex_);
      closed_ = true;
    }
    filled_.notify_one();
  }
  /// Waits that long, or until it is closed: then true.
  [[nodiscard]] bool closes_within(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return filled_.wait_for(lock, time, [this] { return closed_; });
  }
  /// Waits for jobs and takes all of them; empty = closed and nothing left.
  [[nodiscard]] std::vector<Job> take_all() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
    return std::exchange(jobs_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<Job> jobs_;
  bool closed_ = false;
};

class DiskThread final : public Disk {
 public:
  /// `core`: where every `done` runs.
  DiskThread(storage::LogStore& store, boost::asio::any_io_executor core);
  /// As stop(), and waits for the threads.
  ~DiskThread() override;
  DiskThread(const DiskThread&) = delete;
  DiskThread& operator=(const DiskThread&) = delete;

  /// All writes that wait when the disk becomes free share one LogStore::append: group commit without a timer. After
  /// the first error nothing is written any more and every later write is answered with that error (FAULTS 41). Without
  /// room (FAULTS 42) nothing was written: it is tried again until there is some, or until stop().
  void write(DiskWrite write, WriteDone done) override;
  void read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) override;
  void save(storage::Checkpoint checkpoint, WriteDone done) override;
  [[nodiscard]] std::vector<raft::Index> checkpoints() const override { return store_.checkpoints(); }
  void checkpoint(raft::Index index, CheckpointDone done) override;
  [[nodiscard]] storage::IdRuns id_runs() const override { return store_.id_runs(); }
  void move_ids(raft::Index up_to, storage::IdsOf ids_of, IdRunsDone done) override;
  void find_ids(storage::IdRuns runs, std::vector<storage::IdKey> keys, PlacesDone done) override;
  void read_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max, SnapshotDone done) override;
  void receive(raft::SnapshotPiece piece, PieceDone done) override;
  void drop_before(raft::Index index, WriteDone done) override;
  [[nodiscard]] std::vector<storage::LogFile> log_files() const override { return store_.log_files(); }
  [[nodiscard]] raft::Index hollow_to() const override { return store_.hollow_to(); }
  void rewrite(raft::Index first, storage::KeepEntry keep, std::size_t bytes_max, RewriteDone done) override;
  void finish_rewrite(RewrittenDone done) override;
  [[nodiscard]] raft::Index snapshot_index() const override { return store_.snapshot_index(); }
  [[nodiscard]] raft::Index first_index() const override { return store_.first_index(); }
  [[nodiscard]] storage::DiskSpace space() const override {
    return waits_for_room_.load(std::memory_order_relaxed) ? storage::DiskSpace::nearly_full : store_.space();
  }
  [[nodiscard]] Scrubbed scrubbed() const override { return scrubbed_ ? scrubbed_() : Scrubbed{}; }
  /// Who knows what was scrubbed.
  void count_scrubbed(std::function<Scrubbed()> scrubbed) { scrubbed_ = std::move(scrubbed); }
  /// Runs `work` on the writing thread, in order with the writes.
  void between_writes(std::move_only_function<void()> work) { writer_jobs_.push(std::move(work)); }
  /// Node::Founding: storage::LogStore::found, in order with the writes.
  void found(std::string cluster_id, raft::Entry config, WriteDone done);

  /// Takes nothing new; `stopped` runs on the core when everything given before is done. Call once.
  void stop(std::move_only_function<void()> stopped);

 private:
  struct WriteJob {
    DiskWrite write;
    WriteDone done;
  };
  struct FoundJob {
    std::string cluster_id;
    raft::Entry config;
    WriteDone done;
  };
  struct DropJob {
    raft::Index index;
    WriteDone done;
  };
  struct FinishJob {
    RewrittenDone done;
  };
  struct PieceJob {
    raft::SnapshotPiece piece;
    PieceDone done;
  };
  struct ReadJob {
    raft::Index first;
    raft::Index last;
    std::size_t bytes_max;
    ReadDone done;
  };
  struct FindJob {
    storage::IdRuns runs;
    std::vector<storage::IdKey> keys;
    PlacesDone done;
  };
  using ReaderJob = std::variant<ReadJob, FindJob>;
  using WriterJob = std::variant<WriteJob, FoundJob, DropJob, FinishJob, PieceJob, std::move_only_function<void()>>;
  using Result = std::expected<void, storage::Error>;
  /// What the core is told, on its strand.
  using Answer = std::move_only_function<void()>;
  /// Work of the third thread; what it returns is posted.
  using BackgroundJob = std::move_only_function<Answer()>;

  void run_writer();
  void run_reader();
  void run_background();
  void carry_out(std::vector<WriteJob>& batch, std::vector<Answer>& answers);
  [[nodiscard]] Answer carry_out(FoundJob job);
  [[nodiscard]] static Answer carry_out(FindJob job);
  [[nodiscard]] Answer carry_out(DropJob job);
  [[nodiscard]] Answer carry_out(FinishJob job);
  [[nodiscard]] Answer carry_out(PieceJob job);
  [[nodiscard]] Result append(std::vector<WriteJob>& batch);
  [[nodiscard]] Result append_with_room(std::span<const storage::LogWrite> writes);

  storage::LogStore& store_;
  boost::asio::any_io_executor core_;
  JobQueue<WriterJob> writer_jobs_;
  JobQueue<ReaderJob> reader_jobs_;
  JobQueue<BackgroundJob> background_jobs_;
  /// The writer's own: the first error, which all later writes get.
  std::optional<storage::Error> failed_;
  std::atomic<bool> waits_for_room_ = false;
  std::function<Scrubbed()> scrubbed_;
  std::jthread writer_;
  std::jthread reader_;
  std::jthread background_;
};

}  // namespace weir::broker
