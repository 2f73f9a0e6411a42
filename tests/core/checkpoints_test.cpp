// FAULTS 27. Checkpoints of the state machine: when they are taken, what a failed save leaves, what a start makes of
// them.
#include "broker/core/checkpoints.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/fakes.hpp"
#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

raft::Entry config_entry() {
  return {.index = raft::Index{1},
          .term = raft::Term{1},
          .command = raft::Command::config,
          .checksum = 0,
          .data = wire::encode(config_of(kThree))};
}

class CheckpointTest : public testing::Test {
 protected:
  void publish(const std::string& id) {
    machine_.publish({{.events = {{.id = id, .body = "body of " + id}}}});
    const DecodedEntryPtr entry = decoded(machine_.log.back());
    checkpoints_.applied(machine_.state, machine_.digest, *entry, config_entry(), founding_);
  }
  /// What a start would have: nullopt if there is no checkpoint, the error's text in `error_`.
  std::optional<Checkpoints::Loaded> load() {
    std::optional<Checkpoints::Loaded> result;
    error_.clear();
    Checkpoints next(disk_, {}, {});
    next.load([&](std::expected<std::optional<Checkpoints::Loaded>, storage::Error> loaded) {
      if (loaded) {
        result = *std::move(loaded);
      } else {
        error_ = loaded.error().text;
      }
    });
    disk_.finish_all();
    return result;
  }
  /// Every id is known to it, with the place of its event.
  void expect_ids(const StateMachine& state, const std::vector<std::string>& ids) {
    EXPECT_EQ(state.last_position().value, ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto known = state.find_id({.topic = "t", .source = {}, .id = ids[i]},
                                       [this](raft::Index index) { return decoded(machine_.log[index.value - 1]); });
      ASSERT_TRUE(known.has_value()) << ids[i];
      EXPECT_EQ(known->original.position.value, i + 1) << ids[i];
    }
  }

  /// Events before this offset go, without a checkpoint being taken.
  void remove_before(std::uint64_t offset) {
    raft::Entry entry{.index = {},
                      .term = raft::Term{1},
                      .command = raft::Command::retain,
                      .checksum = 0,
                      .data = wire::encode(wire::RetainEntry{
                          .time_ms = 1, .floors = {{"t", raft::Offset{offset}}}, .claims_before = {}})};
    entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
    machine_.apply(std::move(entry));
  }

  FakeDisk disk_;
  Applying machine_;
  raft::Bytes founding_ = config_entry().data;
  std::vector<std::string> notices_;
  int saved_ = 0;
  std::string error_;
  Checkpoints checkpoints_{
      disk_,
      {.applied_bytes = 1, .delta_bytes = std::size_t{1} << 20U},
      {.saved = [this] { ++saved_; }, .notice = [this](const std::string& text) { notices_.push_back(text); }}};
};

TEST_F(CheckpointTest, WithoutOneAStartBeginsWithNothing) {
  EXPECT_FALSE(load().has_value());
  EXPECT_EQ(error_, "");
}

TEST_F(CheckpointTest, AStartHasTheStateOfTheNewestAndTheDeltasOfAll) {
  for (const char* id : {"a", "b", "c"}) {
    publish(id);
    disk_.finish_save();
  }
  publish("d");  // applied and not saved
  EXPECT_EQ(saved_, 3);
  EXPECT_EQ(checkpoints_.newest(), raft::Index{3});
  const auto loaded = load();
  ASSERT_TRUE(loaded.has_value()) << error_;
  EXPECT_EQ(loaded->index, raft::Index{3});
  EXPECT_EQ(loaded->state.applied_index(), raft::Index{3});
  EXPECT_EQ(loaded->config, config_entry());
  EXPECT_EQ(loaded->founding_data, founding_);
  expect_ids(loaded->state, {"a", "b", "c"});
}

TEST_F(CheckpointTest, Fault056AStartFromItNeedsWhatRetentionTookSinceItWasTaken) {
  publish("a");
  const raft::Index first = machine_.state.first_index();
  publish("b");
  remove_before(2);
  ASSERT_GT(machine_.state.first_index(), first);
  disk_.finish_save();
  ASSERT_EQ(checkpoints_.newest(), raft::Index{1});
  EXPECT_EQ(checkpoints_.first_needed(raft::Index{1}), first) << "until the entry that took it is applied again";
}

TEST_F(CheckpointTest, OneIsUnderWayAtATime) {
  publish("a");
  publish("b");
  publish("c");
  EXPECT_THAT(disk_.saves, SizeIs(1));
  disk_.finish_save();
  EXPECT_THAT(disk_.saves, IsEmpty()) << "the next is taken with the next entry";
  publish("d");
  ASSERT_THAT(disk_.saves, SizeIs(1));
  disk_.finish_save();
  const auto loaded = load();
  ASSERT_TRUE(loaded.has_value()) << error_;
  expect_ids(loaded->state, {"a", "b", "c", "d"});
}

TEST_F(CheckpointTest, WhatAFailedSaveWasToAddTheNextOneBrings) {
  publish("a");
  disk_.finish_save();
  for (const char* id : {"b", "c"}) {
    publish(id);
    disk_.fail_save();
  }
  EXPECT_THAT(notices_, ElementsAre(HasSubstr("no room"), HasSubstr("no room")));
  EXPECT_EQ(checkpoints_.newest(), raft::Index{1});
  publish("d");
  disk_.finish_save();
  EXPECT_THAT(disk_.kept, SizeIs(2));
  const auto loaded = load();
  ASSERT_TRUE(loaded.has_value()) << error_;
  expect_ids(loaded->state, {"a", "b", "c", "d"});
}

TEST_F(CheckpointTest, OneThatIsCutAnywhereIsRefused) {
  publish("a");
  disk_.finish_save();
  const storage::Checkpoint whole = disk_.kept.front();
  for (std::size_t size = 0; size < whole.state.size(); ++size) {
    disk_.kept.front().state = whole.state.slice(0, size);
    EXPECT_FALSE(load().has_value());
    EXPECT_THAT(error_, HasSubstr("the checkpoint of entry 1")) << size;
  }
  disk_.kept.front() = whole;
  for (std::size_t size = 1; size < whole.delta.size(); ++size) {
    disk_.kept.front().delta = whole.delta.slice(0, size);
    EXPECT_FALSE(load().has_value());
    EXPECT_THAT(error_, HasSubstr("the checkpoint of entry 1")) << size;
  }
}

TEST_F(CheckpointTest, OneThatNamesAnotherEntryThanItsStateIsRefused) {
  publish("a");
  publish("b");
  disk_.finish_save();
  disk_.kept.front().index = raft::Index{2};
  EXPECT_FALSE(load().has_value());
  EXPECT_THAT(error_, HasSubstr("the state as of entry 1"));
}

TEST_F(CheckpointTest, AnInstallWaitsForTheSaveUnderWay) {
  publish("a");
  bool ran = false;
  checkpoints_.when_idle([&] { ran = true; });
  EXPECT_FALSE(ran);
  disk_.finish_save();
  EXPECT_TRUE(ran);
  ran = false;
  checkpoints_.when_idle([&] { ran = true; });
  EXPECT_TRUE(ran) << "nothing is under way";
}

TEST_F(CheckpointTest, NothingIsTakenWhileASnapshotTakesThePlaceOfAll) {
  publish("a");
  disk_.finish_save();
  checkpoints_.suspend();
  publish("b");
  EXPECT_THAT(disk_.saves, IsEmpty());
  bool ran = false;
  checkpoints_.when_idle([&] { ran = true; });
  checkpoints_.load([](const auto&) {});
  EXPECT_FALSE(ran) << "another install would take away what is being read";
  disk_.finish_all();
  EXPECT_TRUE(ran);
}

TEST(CheckpointLimits, ADeltaThatHasGrownIsReasonEnough) {
  FakeDisk disk;
  Applying machine;
  Checkpoints checkpoints(disk, {.applied_bytes = std::size_t{1} << 30U, .delta_bytes = 1}, {});
  machine.publish({{.events = {{.id = "a"}}}});
  checkpoints.applied(machine.state, machine.digest, *decoded(machine.log.back()), config_entry(), config_entry().data);
  EXPECT_THAT(disk.saves, SizeIs(1));
}

}  // namespace
}  // namespace weir::broker::test
