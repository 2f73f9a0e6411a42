// The simulator's disk does to a store what a real one may do, on demand.
#include "tests/sim/sim_log_store.hpp"

#include <gtest/gtest.h>

#include "tests/storage/sample.hpp"

namespace weir::sim {
namespace {

using raft::Index;
using storage::append_entries;
using storage::append_one;
using storage::entries;
using storage::entry;
using storage::Errc;
using storage::hard_state;
using storage::read_all;

class SimDisks : public testing::Test {
 protected:
  SimDisks() {
    store_ = open();
    EXPECT_TRUE(append_one(*store_, {hard_state(1), std::nullopt, entries(1, 4, 1)}).has_value());
  }
  std::unique_ptr<SimLogStore> open() {
    store_.reset();
    auto opened = SimLogStore::open(disk_, "n1");
    EXPECT_TRUE(opened.has_value()) << opened.error().text;
    return *std::move(opened);
  }
  static storage::Checkpoint checkpoint_of(std::uint64_t index) {
    return {.index = Index{index},
            .term = raft::Term{1},
            .config = entry(1, 1, 9, raft::Command::config),
            .state = raft::Bytes::own("state " + std::to_string(index)),
            .delta = raft::Bytes::own("delta " + std::to_string(index))};
  }

  SimDisk disk_{"n1", 5};
  std::unique_ptr<SimLogStore> store_;
};

TEST_F(SimDisks, AFailedWriteLeavesNothingAndEndsWriting) {
  disk_.fail_next(Errc::io);
  EXPECT_EQ(append_entries(*store_, entries(5, 5, 1)).error().code, Errc::io);
  EXPECT_EQ(append_entries(*store_, entries(5, 5, 1)).error().code, Errc::io);
  store_ = open();
  EXPECT_EQ(read_all(*store_), entries(1, 4, 1));
  EXPECT_TRUE(append_entries(*store_, entries(5, 5, 1)).has_value());
}

TEST_F(SimDisks, AFullDiskRefusesOnce) {
  disk_.fail_next(Errc::disk_full);
  EXPECT_EQ(append_entries(*store_, entries(5, 5, 1)).error().code, Errc::disk_full);
  EXPECT_TRUE(append_entries(*store_, entries(5, 5, 1)).has_value());
  EXPECT_EQ(read_all(*store_), entries(1, 5, 1));
}

TEST_F(SimDisks, ATornAppendLeavesAPrefixOfItsSteps) {
  // Steps: hard state; truncation with entry 4; entries 5 and 6.
  for (std::size_t steps = 0; steps <= 4; ++steps) {
    SimDisk disk("n1", 5);
    auto store = *SimLogStore::open(disk, "n1");
    ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, entries(1, 4, 1)}).has_value());
    disk.tear_next(steps);
    const auto torn = append_one(*store, {hard_state(2, 3), Index{4}, entries(4, 6, 2)});
    ASSERT_FALSE(torn.has_value());
    EXPECT_EQ(torn.error().code, Errc::io);
    EXPECT_FALSE(append_one(*store, {}).has_value()) << "the machine is off";
    store.reset();
    store = *SimLogStore::open(disk, "n1");
    EXPECT_EQ(store->recovered().hard_state, steps == 0 ? hard_state(1) : hard_state(2, 3));
    auto expected = entries(1, steps < 2 ? 4 : 3, 1);
    if (steps >= 2)
      for (const auto& more : entries(4, 2 + steps, 2)) expected.push_back(more);
    EXPECT_EQ(read_all(*store), expected) << steps << " steps";
  }
}

TEST_F(SimDisks, ATornFoundingLeavesAnEmptyStore) {
  for (std::size_t steps = 0; steps <= 2; ++steps) {
    SimDisk disk("n1", 5);
    auto store = *SimLogStore::open(disk, "n1");
    disk.tear_next(steps);
    EXPECT_FALSE(store->found("c", entry(1, 1, 9, raft::Command::config)).has_value());
    store.reset();
    store = *SimLogStore::open(disk, "n1");
    EXPECT_EQ(store->identity().cluster_id, steps == 2 ? "c" : "");
    EXPECT_EQ(store->recovered().last_index, Index{steps == 2 ? 1U : 0U});
  }
}

TEST_F(SimDisks, ARottenEntryIsNeverReturned) {
  disk_.flip_bit(Index{3});
  EXPECT_EQ(store_->read(Index{1}, Index{4}, 1000).error().code, Errc::damaged);
  EXPECT_TRUE(store_->read(Index{1}, Index{2}, 1000).has_value());
  store_.reset();
  EXPECT_EQ(SimLogStore::open(disk_, "n1").error().code, Errc::damaged);
}

TEST_F(SimDisks, AWipedDiskIsAnotherIncarnation) {
  store_.reset();
  disk_.wipe(6);
  store_ = open();
  EXPECT_EQ(store_->identity().incarnation, 6U);
  EXPECT_EQ(store_->identity().cluster_id, "");
  EXPECT_TRUE(read_all(*store_).empty());
  EXPECT_EQ(store_->recovered().hard_state, raft::HardState{});
}

// FAULTS 27.
TEST_F(SimDisks, ATornSaveLeavesTheCheckpointWholeOrNotAtAll) {
  for (std::size_t steps = 0; steps <= 1; ++steps) {
    ASSERT_TRUE(steps == 1 || store_->save(checkpoint_of(2)).has_value());
    disk_.tear_next(steps);
    EXPECT_FALSE(store_->save(checkpoint_of(4)).has_value());
    store_ = open();
    EXPECT_EQ(store_->checkpoints().size(), 1 + steps);
    EXPECT_EQ(store_->recovered().snapshot_index, Index{steps == 0 ? 2U : 4U});
    EXPECT_EQ(read_all(*store_), entries(1, 4, 1));
  }
}

TEST_F(SimDisks, AFailedSaveLeavesTheOlderOnesAndTheStoreGoesOn) {
  ASSERT_TRUE(store_->save(checkpoint_of(2)).has_value());
  disk_.fail_next_save(Errc::disk_full);
  EXPECT_EQ(store_->save(checkpoint_of(3)).error().code, Errc::disk_full);
  EXPECT_EQ(store_->checkpoints(), std::vector{Index{2}});
  EXPECT_TRUE(append_entries(*store_, entries(5, 5, 1)).has_value());
  EXPECT_TRUE(store_->save(checkpoint_of(5)).has_value());
}

TEST_F(SimDisks, ATornInstallLeavesTheOldLogOrTheNew) {
  ASSERT_TRUE(store_->save(checkpoint_of(3)).has_value());
  const auto sent = *store_->read_snapshot(0, 0, 1'000'000);
  // Steps: the hard state; the install; the entry behind it.
  for (std::size_t steps = 0; steps <= 3; ++steps) {
    SimDisk disk("n2", 6);
    auto store = *SimLogStore::open(disk, "n2");
    ASSERT_TRUE(append_one(*store, {hard_state(2, 7), std::nullopt, entries(1, 2, 2)}).has_value());
    ASSERT_EQ(store->receive({.snapshot = sent.snapshot, .offset = 0, .data = sent.data}), storage::PieceAnswer::whole);
    disk.tear_next(steps);
    const auto behind = entries(4, 4, 3);
    storage::LogWrite write{.hard_state = hard_state(3), .truncate_from = std::nullopt, .entries = behind};
    write.install = sent.snapshot;
    EXPECT_FALSE(append_one(*store, write).has_value());
    store.reset();
    store = *SimLogStore::open(disk, "n2");
    EXPECT_EQ(store->recovered().hard_state, steps == 0 ? hard_state(2, 7) : hard_state(3));
    EXPECT_EQ(store->recovered().snapshot_index, Index{steps < 2 ? 0U : 3U});
    auto expected = steps < 2 ? entries(1, 2, 2) : entries(1, 3, 1);
    if (steps == 3) expected.push_back(behind.front());
    EXPECT_EQ(read_all(*store), expected) << steps << " steps";
  }
}

TEST_F(SimDisks, ARottenCheckpointIsNeitherReturnedNorSent) {
  ASSERT_TRUE(store_->save(checkpoint_of(3)).has_value());
  disk_.flip_bit_of_checkpoint(Index{3});
  EXPECT_EQ(store_->checkpoint(Index{3}).error().code, Errc::damaged);
  EXPECT_EQ(store_->read_snapshot(0, 0, 100).error().code, Errc::damaged);
  store_.reset();
  EXPECT_EQ(SimLogStore::open(disk_, "n1").error().code, Errc::damaged);
}

TEST_F(SimDisks, ABitThatFlipsInWhatWasReceivedIsNoticed) {
  ASSERT_TRUE(store_->save(checkpoint_of(3)).has_value());
  const auto sent = *store_->read_snapshot(0, 0, 1'000'000);
  const std::size_t half = sent.data.size() / 2;
  SimDisk disk("n2", 6);
  auto store = *SimLogStore::open(disk, "n2");
  ASSERT_EQ(store->receive({.snapshot = sent.snapshot, .offset = 0, .data = sent.data.slice(0, half)}),
            storage::PieceAnswer::more);
  disk.flip_bit_of_received();
  EXPECT_EQ(store->receive(
                {.snapshot = sent.snapshot, .offset = half, .data = sent.data.slice(half, sent.data.size() - half)}),
            storage::PieceAnswer::refused);
}

}  // namespace
}  // namespace weir::sim
