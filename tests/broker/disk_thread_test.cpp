#include "broker/disk_thread.hpp"
#include "tests/sim/memory_id_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <mutex>
#include <semaphore>
#include <string>
#include <vector>

namespace weir::broker {
namespace {

namespace asio = boost::asio;
using Result = std::expected<void, storage::Error>;

raft::Entry entry_at(std::uint64_t index) {
  raft::Entry entry;
  entry.index = raft::Index{index};
  return entry;
}

/// Remembers what it was asked; its appends wait for the test when `gated`.
class FakeStore final : public storage::LogStore {
 public:
  [[nodiscard]] const storage::Identity& identity() const override { return identity_; }
  [[nodiscard]] const raft::Recovered& recovered() const override { return recovered_; }

  [[nodiscard]] Result found(std::string_view cluster_id, const raft::Entry& /*config*/) override {
    record("found " + std::string(cluster_id));
    return take_failure();
  }
  [[nodiscard]] Result append(std::span<const storage::LogWrite> writes) override {
    begun.release();
    if (gated) gate.acquire();
    std::string call = "append";
    for (const storage::LogWrite& write : writes) {
      call += write.hard_state ? " term" + std::to_string(write.hard_state->current_term.value) : "";
      call += write.install ? " install" + std::to_string(write.install->index.value) : "";
      call += write.truncate_from ? " cut" + std::to_string(write.truncate_from->value) : "";
      for (const raft::Entry& entry : write.entries) call += " " + std::to_string(entry.index.value);
    }
    record(call);
    return take_failure();
  }
  [[nodiscard]] Result drop_before(raft::Index index) override {
    record("drop " + std::to_string(index.value));
    return take_failure();
  }
  [[nodiscard]] std::vector<storage::LogFile> log_files() const override {
    return {{.first = raft::Index{1}, .end = raft::Index{4}, .bytes = 100, .bytes_hollow = 10}};
  }
  [[nodiscard]] raft::Index hollow_to() const override { return raft::Index{2}; }
  [[nodiscard]] std::expected<storage::RewriteAnswer, storage::Error> rewrite(raft::Index first,
                                                                              const storage::KeepEntry& keep,
                                                                              std::size_t bytes_max) override {
    record("rewrite " + std::to_string(first.value) + (keep(first, raft::Command::publish) ? " kept " : " ") +
           std::to_string(bytes_max));
    return storage::RewriteAnswer::ready;
  }
  [[nodiscard]] std::expected<std::uint64_t, storage::Error> finish_rewrite() override {
    record("finish");
    if (auto failure = take_failure(); !failure) return std::unexpected(failure.error());
    return 90;
  }
  [[nodiscard]] storage::IdRuns id_runs() const override { return {}; }
  [[nodiscard]] std::expected<storage::IdRuns, storage::Error> move_ids(raft::Index up_to,
                                                                        const storage::IdsOf& /*ids_of*/) override {
    record("move " + std::to_string(up_to.value));
    return storage::IdRuns{};
  }
  /// Waits for the test when `slow`.
  [[nodiscard]] Result save(const storage::Checkpoint& checkpoint) override {
    saving.release();
    if (slow) save_gate.acquire();
    record("save " + std::to_string(checkpoint.index.value));
    return {};
  }
  [[nodiscard]] std::vector<raft::Index> checkpoints() const override { return {raft::Index{4}}; }
  [[nodiscard]] raft::Index snapshot_index() const override { return raft::Index{4}; }
  [[nodiscard]] std::expected<storage::Checkpoint, storage::Error> checkpoint(raft::Index index) const override {
    storage::Checkpoint checkpoint;
    checkpoint.index = index;
    return checkpoint;
  }
  [[nodiscard]] std::expected<storage::SnapshotData, storage::Error> read_snapshot(std::uint64_t number,
                                                                                   std::uint64_t offset,
                                                                                   std::size_t bytes_max) override {
    storage::SnapshotData data;
    data.snapshot.number = number;
    data.offset = offset;
    data.data = raft::Bytes::own(std::string(bytes_max, 's'));
    return data;
  }
  [[nodiscard]] std::expected<storage::PieceAnswer, storage::Error> receive(const raft::SnapshotPiece& piece) override {
    record("receive " + std::to_string(piece.offset));
    return storage::PieceAnswer::whole;
  }
  [[nodiscard]] raft::Index first_index() const override { return raft::Index{1}; }
  [[nodiscard]] storage::DiskSpace space() const override { return storage::DiskSpace::enough; }
  [[nodiscard]] std::expected<std::vector<raft::Entry>, storage::Error> read(raft::Index first, raft::Index last,
                                                                             std::size_t /*bytes_max*/) const override {
    if (first > last) return std::unexpected(storage::Error{storage::Errc::damaged, "asked backwards"});
    std::vector<raft::Entry> entries;
    for (raft::Index index = first; index <= last; index = index.next()) entries.push_back(entry_at(index.value));
    return entries;
  }

  [[nodiscard]] std::vector<std::string> calls() const {
    const std::scoped_lock lock(mutex_);
    return calls_;
  }
  void fail_next(storage::Error error) {
    const std::scoped_lock lock(mutex_);
    failure_ = std::move(error);
  }

  std::atomic<bool> slow = false;
  std::counting_semaphore<1000> saving{0};
  std::counting_semaphore<1000> save_gate{0};
  std::atomic<bool> gated = false;
  std::counting_semaphore<1000> begun{0};
  std::counting_semaphore<1000> gate{0};

 private:
  void record(std::string call) {
    const std::scoped_lock lock(mutex_);
    calls_.push_back(std::move(call));
  }
  Result take_failure() {
    const std::scoped_lock lock(mutex_);
    if (!failure_) return {};
    return std::unexpected(*std::exchange(failure_, std::nullopt));
  }

  mutable std::mutex mutex_;
  std::vector<std::string> calls_;
  std::optional<storage::Error> failure_;
  storage::Identity identity_;
  raft::Recovered recovered_;
};

class DiskThreadTest : public ::testing::Test {
 protected:
  void run_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the condition never held";
      core_.run_one_for(std::chrono::milliseconds(50));
    }
  }
  void write(std::uint64_t index) {
    DiskWrite write;
    write.entries.push_back(entry_at(index));
    disk_.write(std::move(write), [this, index](const Result& result) {
      done_.push_back(std::to_string(index) + (result ? "" : " failed: " + result.error().text));
    });
  }

  asio::io_context core_;
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(core_);
  FakeStore store_;
  DiskThread disk_{store_, core_.get_executor()};
  std::vector<std::string> done_;
};

TEST_F(DiskThreadTest, WhatWaitsForTheDiskSharesOneAppend) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  for (std::uint64_t index = 2; index <= 5; ++index) write(index);
  store_.gate.release(2);
  run_until([this] { return done_.size() == 5; });
  EXPECT_EQ(done_, (std::vector<std::string>{"1", "2", "3", "4", "5"}));
  EXPECT_EQ(store_.calls(), (std::vector<std::string>{"append 1", "append 2 3 4 5"}));
}

TEST_F(DiskThreadTest, AWriteKeepsItsPartsAndItsPlace) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  DiskWrite vote;
  vote.hard_state = raft::HardState{raft::Term{7}, raft::NodeId{3}};
  disk_.write(std::move(vote), [this](const Result&) { done_.emplace_back("vote"); });
  DiskWrite cut;
  cut.truncate_from = raft::Index{1};
  cut.entries.push_back(entry_at(1));
  disk_.write(std::move(cut), [this](const Result&) { done_.emplace_back("cut"); });
  store_.gate.release(2);
  run_until([this] { return done_.size() == 3; });
  EXPECT_EQ(done_, (std::vector<std::string>{"1", "vote", "cut"}));
  EXPECT_EQ(store_.calls().back(), "append term7 cut1 1");
}

TEST_F(DiskThreadTest, CallbacksRunOnTheCoreAndNeverInsideTheCall) {
  write(1);
  EXPECT_TRUE(done_.empty());
  store_.begun.acquire();
  EXPECT_TRUE(done_.empty()) << "only the core's own run may call back";
  run_until([this] { return done_.size() == 1; });
}

TEST_F(DiskThreadTest, AnEmptyWriteWaitsForTheOnesBefore) {  // FAULTS 121
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  disk_.write({}, [this](const Result&) { done_.emplace_back("empty"); });
  core_.poll();
  EXPECT_TRUE(done_.empty());
  store_.gate.release();
  run_until([this] { return done_.size() == 2; });
  EXPECT_EQ(done_, (std::vector<std::string>{"1", "empty"}));
  EXPECT_EQ(store_.calls(), std::vector<std::string>{"append 1"}) << "nothing to write, nothing flushed";
}

TEST_F(DiskThreadTest, AfterAnErrorNothingIsWrittenAnyMore) {  // FAULTS 41
  store_.fail_next({storage::Errc::io, "flush failed"});
  write(1);
  run_until([this] { return done_.size() == 1; });
  write(2);
  disk_.found("c1", {}, [this](const Result& result) { done_.emplace_back(result ? "founded" : "not founded"); });
  write(3);
  run_until([this] { return done_.size() == 4; });
  EXPECT_EQ(done_, (std::vector<std::string>{"1 failed: flush failed", "2 failed: flush failed", "not founded",
                                             "3 failed: flush failed"}));
  EXPECT_EQ(store_.calls(), std::vector<std::string>{"append 1"}) << "a failed flush is never tried again";
}

TEST_F(DiskThreadTest, Fault042WithoutRoomAWriteWaitsUntilThereIsSome) {
  store_.fail_next({storage::Errc::disk_full, "no room"});
  store_.gated = true;
  write(1);
  store_.gate.release();
  store_.begun.acquire();
  store_.begun.acquire();  // the second try has begun
  EXPECT_EQ(disk_.space(), storage::DiskSpace::nearly_full);
  core_.poll();
  EXPECT_TRUE(done_.empty());
  write(2);
  store_.gate.release(2);
  run_until([this] { return done_.size() == 2; });
  EXPECT_EQ(done_, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(store_.calls(), (std::vector<std::string>{"append 1", "append 1", "append 2"}));
  EXPECT_EQ(disk_.space(), storage::DiskSpace::enough);
}

TEST_F(DiskThreadTest, Fault042AStopWaitsForNoRoom) {
  store_.fail_next({storage::Errc::disk_full, "no room"});
  write(1);
  store_.begun.acquire();
  bool stopped = false;
  disk_.stop([&stopped] { stopped = true; });
  run_until([&stopped] { return stopped; });
  EXPECT_EQ(done_, std::vector<std::string>{"1 failed: no room"});
}

TEST_F(DiskThreadTest, FoundingKeepsItsPlaceAmongWrites) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  write(2);
  disk_.found("c1", {}, [this](const Result&) { done_.emplace_back("found"); });
  write(3);
  store_.gate.release(3);
  run_until([this] { return done_.size() == 4; });
  EXPECT_EQ(done_, (std::vector<std::string>{"1", "2", "found", "3"}));
  EXPECT_EQ(store_.calls(), (std::vector<std::string>{"append 1", "append 2", "found c1", "append 3"}));
}

TEST_F(DiskThreadTest, ReadsGoOnWhileAWriteHangs) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  std::vector<std::size_t> counts;
  std::string error;
  disk_.read(raft::Index{1}, raft::Index{3}, 1000, [&](const auto& entries) { counts.push_back(entries->size()); });
  disk_.read(raft::Index{3}, raft::Index{1}, 1000, [&](const auto& entries) { error = entries.error().text; });
  disk_.read(raft::Index{2}, raft::Index{2}, 1000, [&](const auto& entries) { counts.push_back(entries->size()); });
  run_until([&] { return counts.size() == 2; });
  EXPECT_EQ(counts, (std::vector<std::size_t>{3, 1}));
  EXPECT_EQ(error, "asked backwards");
  EXPECT_TRUE(done_.empty());
  store_.gate.release();
}

TEST_F(DiskThreadTest, WritesAndReadsGoOnWhileACheckpointIsSaved) {
  store_.slow = true;
  storage::Checkpoint checkpoint;
  checkpoint.index = raft::Index{9};
  disk_.save(std::move(checkpoint),
             [this](const Result& result) { done_.emplace_back(result ? "saved" : "not saved"); });
  store_.saving.acquire();
  write(10);
  bool read = false;
  disk_.read(raft::Index{1}, raft::Index{1}, 1, [&](const auto& entries) { read = entries.has_value(); });
  run_until([&] { return done_.size() == 1 && read; });
  EXPECT_EQ(done_, std::vector<std::string>{"10"});
  store_.save_gate.release();
  run_until([this] { return done_.size() == 2; });
  EXPECT_EQ(done_.back(), "saved");
}

TEST_F(DiskThreadTest, CheckpointsAndSnapshotsAreReadWhileAWriteHangs) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  EXPECT_EQ(disk_.checkpoints(), std::vector{raft::Index{4}});
  EXPECT_EQ(disk_.first_index(), raft::Index{1});
  raft::Index loaded;
  std::string sent;
  disk_.checkpoint(raft::Index{4}, [&](const auto& checkpoint) { loaded = checkpoint->index; });
  disk_.read_snapshot(7, 20, 3, [&](const auto& data) {
    sent = std::to_string(data->snapshot.number) + " " + std::to_string(data->offset) + " " +
           std::string(data->data.view());
  });
  run_until([&] { return !sent.empty(); });
  EXPECT_EQ(loaded, raft::Index{4});
  EXPECT_EQ(sent, "7 20 sss");
  EXPECT_TRUE(done_.empty());
  store_.gate.release();
}

// FAULTS 29: an install meets the log that the writes before it made, and no piece comes beside a write.
TEST_F(DiskThreadTest, PiecesInstallsAndDropsKeepTheirPlaceAmongWrites) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  disk_.receive({.snapshot = {}, .offset = 5, .data = {}}, [this](const auto& answer) {
    done_.emplace_back(answer == storage::PieceAnswer::whole ? "whole" : "not whole");
  });
  DiskWrite install;
  install.install = raft::Snapshot{.index = raft::Index{8}, .term = raft::Term{2}, .config = {}};
  install.entries.push_back(entry_at(9));
  disk_.write(std::move(install), [this](const Result&) { done_.emplace_back("installed"); });
  disk_.drop_before(raft::Index{3}, [this](const Result&) { done_.emplace_back("dropped"); });
  write(10);
  store_.gate.release(3);
  run_until([this] { return done_.size() == 5; });
  EXPECT_EQ(done_, (std::vector<std::string>{"1", "whole", "installed", "dropped", "10"}));
  EXPECT_EQ(store_.calls(),
            (std::vector<std::string>{"append 1", "receive 5", "append install8 9", "drop 3", "append 10"}));
}

TEST_F(DiskThreadTest, FilesAreRewrittenBesideTheWritesAndPutInPlaceInLineWithThem) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  EXPECT_EQ(disk_.log_files().size(), 1U);
  EXPECT_EQ(disk_.hollow_to(), raft::Index{2});
  disk_.rewrite(
      raft::Index{1}, [](raft::Index, raft::Command) { return true; }, 50,
      [this](const std::expected<storage::RewriteAnswer, storage::Error>& answer) {
        done_.emplace_back(answer == storage::RewriteAnswer::ready ? "ready" : "not ready");
      });
  run_until([this] { return done_.size() == 1; });
  EXPECT_EQ(done_.front(), "ready") << "while the write hangs";
  disk_.finish_rewrite([this](const std::expected<std::uint64_t, storage::Error>& given_back) {
    done_.emplace_back(given_back == 90U ? "in place" : "failed");
  });
  write(2);
  store_.gate.release(2);
  run_until([this] { return done_.size() == 4; });
  EXPECT_EQ(done_, (std::vector<std::string>{"ready", "1", "in place", "2"}));
  EXPECT_EQ(store_.calls(), (std::vector<std::string>{"rewrite 1 kept 50", "append 1", "finish", "append 2"}));
}

TEST_F(DiskThreadTest, AfterARewriteThatCannotBePutInPlaceNothingIsWrittenAnyMore) {  // FAULTS 41
  store_.fail_next({storage::Errc::io, "flush failed"});
  disk_.finish_rewrite([this](const std::expected<std::uint64_t, storage::Error>& given_back) {
    done_.emplace_back(given_back ? "ok" : "failed");
  });
  write(1);
  run_until([this] { return done_.size() == 2; });
  EXPECT_EQ(done_, (std::vector<std::string>{"failed", "1 failed: flush failed"}));
}

TEST_F(DiskThreadTest, AfterAFailedDropNothingIsWrittenAnyMore) {  // FAULTS 41
  store_.fail_next({storage::Errc::io, "flush failed"});
  disk_.drop_before(raft::Index{3}, [this](const Result& result) { done_.emplace_back(result ? "ok" : "failed"); });
  write(1);
  run_until([this] { return done_.size() == 2; });
  EXPECT_EQ(done_, (std::vector<std::string>{"failed", "1 failed: flush failed"}));
}

TEST_F(DiskThreadTest, IdsAreFoundAndMovedWhileAWriteHangs) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  const storage::KeyedPlace id{.key = {32}, .place = {.log_index = raft::Index{3}, .ordinal = 7}};
  const storage::IdRuns runs{std::make_shared<sim::MemoryIdRun>(raft::Index{1}, raft::Index{9}, std::vector{id})};
  std::vector<storage::KeyedPlace> found;
  disk_.find_ids(runs, {{.value = 31}, {.value = 32}}, [&](auto places) {
    found = places.value();
    done_.emplace_back("found");
  });
  run_until([this] { return done_.size() == 1; });
  EXPECT_EQ(found, std::vector{id});
  disk_.move_ids(raft::Index{9}, {}, [this](auto moved) { done_.emplace_back(moved ? "moved" : "failed"); });
  run_until([this] { return done_.size() == 2; });
  store_.gate.release(1);
  run_until([this] { return done_.size() == 3; });
  EXPECT_EQ(done_, (std::vector<std::string>{"found", "moved", "1"}));
}

TEST_F(DiskThreadTest, StopFinishesWhatWasGiven) {
  store_.gated = true;
  write(1);
  store_.begun.acquire();
  write(2);
  disk_.save({}, [this](const Result&) { done_.emplace_back("saved"); });
  bool stopped = false;
  disk_.stop([&] {
    stopped = true;
    EXPECT_EQ(done_.size(), 3U);
  });
  core_.poll();
  EXPECT_FALSE(stopped);
  store_.gate.release(2);
  run_until([&] { return stopped; });
  EXPECT_THAT(store_.calls(), testing::UnorderedElementsAre("append 1", "append 2", "save 0"));
}

}  // namespace
}  // namespace weir::broker
