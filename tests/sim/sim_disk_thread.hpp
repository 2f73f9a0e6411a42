// The storage threads of a simulated node: broker::Disk over a LogStore, with the time a disk takes and what a crash
// does to the write under way. As broker::DiskThread: what waits while a flush runs shares the next one; after the
// first error nothing is written any more. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "broker/core/ports.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/settings.hpp"
#include "tests/sim/sim_log_store.hpp"
#include "tests/sim/timeline.hpp"

namespace weir::sim {

class SimDiskThread final : public broker::Disk {
 public:
  struct Hooks {
    /// Runs on the node's core strand, if the node still lives then.
    std::function<void(Timeline::Task)> post;
    /// Raft gave this write to the disk.
    std::function<void(const broker::DiskWrite&)> given;
    /// The image changed.
    std::function<void()> durable;
    /// A checkpoint was saved, or could not be.
    std::function<void(const std::expected<void, storage::Error>&)> saved;
    /// A piece of a snapshot was stored, or was not in order.
    std::function<void(const std::expected<storage::PieceAnswer, storage::Error>&)> received;
    /// Ids went into runs, or could not.
    std::function<void(const std::expected<storage::IdRuns, storage::Error>&)> moved_ids;
    /// Runs were asked for ids, and had so many.
    std::function<void(std::size_t found)> asked_runs;
    /// Entries that were read are hollow.
    std::function<void()> read_hollow;
    /// A file of the log was put in place of what it was made of, and so many bytes are given back.
    std::function<void(std::uint64_t bytes)> rewritten;
    std::function<std::uint64_t()> steady_us;
  };

  SimDiskThread(SimLogStore& store, SimDisk& image, Timeline& timeline, Dice dice, Mistake mistake, Hooks hooks);

  void write(broker::DiskWrite write, WriteDone done) override;
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
    return timeline_.now_us() < full_until_us_ ? storage::DiskSpace::nearly_full : store_.space();
  }
  void found(std::string cluster_id, raft::Entry config, WriteDone done);

  /// The flush under way, or else the next, does not return before `us` have passed.
  void stall(std::uint64_t us);
  /// For as long there is no room on the disk: writes wait (FAULTS 42).
  void fill(std::uint64_t us) { full_until_us_ = std::max(full_until_us_, timeline_.now_us() + us); }
  /// From now on a flush takes this long.
  void slow_down(std::uint32_t flush_us) { usual_flush_us_ = flush_us; }
  /// From now on whatever is read takes at least this long.
  void slow_down_reads(std::uint64_t us) { read_us_ = us; }
  /// The next flush fails.
  void fail_next() { fail_next_ = true; }
  /// Runs `task` in the middle of the next flush.
  void when_flushing(Timeline::Task task) { when_flushing_ = std::move(task); }
  /// Runs `task` in the middle of what is next: a checkpoint that is saved, a piece of a snapshot that is received, or
  /// the install.
  void when_in_snapshot(Timeline::Task task) { when_in_snapshot_ = std::move(task); }
  /// Something of that kind is under way.
  [[nodiscard]] bool is_in_snapshot() const;
  /// Takes back what was asked for and has not happened.
  void calm_down();
  /// How long the oldest write that is not durable yet has been waiting, by the node's own clock.
  [[nodiscard]] std::uint64_t hangs_for_us() const;
  /// The process dies: of the flush under way a prefix becomes durable. True if that was neither all nor nothing.
  bool crash();

 private:
  using Result = std::expected<void, storage::Error>;

  struct Founding {
    std::string cluster_id;
    raft::Entry config;
  };
  struct Piece {
    raft::SnapshotPiece piece;
    PieceDone done;
    std::expected<storage::PieceAnswer, storage::Error> answer;
  };
  struct Drop {
    raft::Index index;
  };
  struct Finish {
    RewrittenDone done;
    std::expected<std::uint64_t, storage::Error> given_back;
  };
  struct Saving {
    storage::Checkpoint checkpoint;
    WriteDone done;
  };
  struct Job {
    std::variant<broker::DiskWrite, Founding, Drop, Finish, Piece> what;
    WriteDone done;
    std::uint64_t since_us = 0;
  };

  void give(Job job);
  void begin();
  void end();
  void end_save();
  template <class Value, class Work>
  void answer_later(Work work, Done<Value> done);
  [[nodiscard]] static bool is_write(const Job& job) { return std::holds_alternative<broker::DiskWrite>(job.what); }
  [[nodiscard]] static bool is_of_snapshot(const Job& job);
  [[nodiscard]] Result append(const std::deque<Job>& jobs);
  void receive(Piece& piece);
  void finish(Finish& finish);
  [[nodiscard]] Result carry_out(std::deque<Job>& jobs);
  [[nodiscard]] std::uint64_t flush_us();
  [[nodiscard]] std::size_t step_count() const;
  void report(std::deque<Job> jobs, const Result& result);

  SimLogStore& store_;
  SimDisk& image_;
  Timeline& timeline_;
  Dice dice_;
  Mistake mistake_;
  Hooks hooks_;
  std::uint32_t usual_flush_us_;
  std::deque<Job> waiting_;
  std::deque<Job> flushing_;  ///< taken from waiting_, not durable yet
  std::uint64_t flush_ends_us_ = 0;
  std::uint64_t stalled_until_us_ = 0;
  std::uint64_t full_until_us_ = 0;
  std::uint64_t read_us_ = 0;
  bool busy_ = false;
  bool fail_next_ = false;
  bool calm_ = false;  ///< nothing fails by itself any more
  Timeline::Task when_flushing_;
  Timeline::Task when_in_snapshot_;
  std::optional<Saving> saving_;
  std::optional<storage::Error> failed_;
  std::shared_ptr<SimDiskThread*> self_;  ///< tasks on the timeline hold it weakly
};

}  // namespace weir::sim
