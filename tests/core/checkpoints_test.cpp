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
  void remove_before(std::uint64_t offset) { machine_.apply(retain_entry({{"t", raft::Offset{offset}}})); }

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

/// A topic whose ids outlive their events.
class ForeverCheckpoints : public CheckpointTest {
 protected:
  ForeverCheckpoints() {
    machine_.change(wire::TopicChange{
        .topic = "t",
        .action = wire::TopicAction::put,
        .settings = {.age_ms = {}, .bytes = {}, .count = {}, .dedup_ms = {wire::Setting::Kind::forever, 0}}});
  }
  void publish_and_save(const std::string& id) {
    publish(id);
    disk_.finish_save();
  }
  void tick() { checkpoints_.tick(machine_.state, machine_.digest, config_entry(), founding_); }
  /// The log loses what a start from the newest checkpoint does not ask for, and the disk the checkpoints before that.
  void drop() {
    const raft::Index needed = checkpoints_.first_needed(disk_.kept.back().index);
    std::erase_if(disk_.kept, [needed](const storage::Checkpoint& checkpoint) { return checkpoint.index < needed; });
  }
  /// A start from what is kept knows so many ids, with the places of their events.
  void expect_known(std::uint64_t count) {
    const auto loaded = load();
    ASSERT_TRUE(loaded.has_value()) << error_;
    EXPECT_EQ(loaded->state.forever_ids().size(), count);
    EXPECT_EQ(loaded->state.forever_ids().digest(), machine_.state.forever_ids().digest());
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto known = loaded->state.find_id({.topic = "t", .source = {}, .id = std::to_string(i)}, nullptr);
      ASSERT_TRUE(known.has_value()) << i;
      EXPECT_EQ(known->original.position.value, i + 1);
    }
  }
};

TEST_F(ForeverCheckpoints, Fault062KeepTheDeltaOfAnIdUntilANewerOneHasIt) {
  publish_and_save("0");
  publish_and_save("1");
  remove_before(2);
  publish_and_save("2");
  const raft::Index first = machine_.state.first_index();
  const raft::Index newest = checkpoints_.newest();
  ASSERT_GT(first, disk_.kept.front().index);
  EXPECT_LE(checkpoints_.first_needed(newest), disk_.kept.front().index) << "nothing may go yet";
  drop();
  EXPECT_THAT(disk_.kept, SizeIs(3));
  tick();
  EXPECT_THAT(disk_.saves, IsEmpty()) << "nothing was applied since the last";
  publish_and_save("3");
  EXPECT_GE(checkpoints_.first_needed(checkpoints_.newest()), newest) << "it has them all";
  drop();
  EXPECT_THAT(disk_.kept, SizeIs(2));
  expect_known(4);
}

TEST_F(ForeverCheckpoints, OneIsTakenWithoutANewEntryWhenAllIdsHaveBeenPutIntoItsDelta) {
  publish_and_save("0");
  remove_before(1);
  publish("1");
  publish("2");  // while the one of "1" is being saved
  disk_.finish_save();
  ASSERT_THAT(disk_.saves, IsEmpty());
  tick();
  ASSERT_THAT(disk_.saves, SizeIs(1));
  disk_.finish_save();
  drop();
  EXPECT_GT(disk_.kept.front().index, raft::Index{2});
  expect_known(3);
  tick();
  EXPECT_THAT(disk_.saves, IsEmpty()) << "once";
}

TEST_F(ForeverCheckpoints, WhatASaveThatFailedHadIsNotLost) {
  publish_and_save("0");
  remove_before(1);
  publish("1");
  tick();  // into what the next one has
  disk_.finish_save();
  publish("2");
  disk_.fail_save();
  EXPECT_LE(checkpoints_.first_needed(checkpoints_.newest()), disk_.kept.front().index)
      << "the one that was to have them did not come to be";
  publish("3");
  disk_.finish_save();
  EXPECT_GT(checkpoints_.first_needed(checkpoints_.newest()), disk_.kept.front().index);
  drop();
  expect_known(4);
}

TEST_F(ForeverCheckpoints, AStartDoesNotKnowWhichDeltasHaveThem) {
  publish_and_save("0");
  publish_and_save("1");
  remove_before(2);
  publish_and_save("2");
  Checkpoints next(disk_, {.applied_bytes = 1, .delta_bytes = 1}, {.saved = [] {}, .notice = [](const auto&) {}});
  std::optional<Checkpoints::Loaded> loaded;
  next.load([&loaded](auto result) { loaded = *std::move(result); });
  disk_.finish_all();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(next.first_needed(loaded->index), disk_.kept.front().index) << "any of them may";
}

TEST_F(ForeverCheckpoints, ThatAreEmptyHoldNothingBack) {
  publish_and_save("");
  remove_before(1);
  publish_and_save("");
  EXPECT_EQ(checkpoints_.first_needed(checkpoints_.newest()), machine_.state.first_index());
  tick();
  EXPECT_THAT(disk_.saves, IsEmpty());
}

TEST(ForeverCheckpointLimits, ManyIdsArePutIntoSeveralDeltasInSteps) {
  constexpr std::uint64_t kIds = 20'000;
  constexpr std::size_t kDeltaBytes = std::size_t{512} << 10U;
  FakeDisk disk;
  Applying machine;
  Checkpoints checkpoints(disk, {.applied_bytes = std::size_t{64} << 10U, .delta_bytes = kDeltaBytes},
                          {.saved = [] {}, .notice = [](const auto&) {}});
  const auto saved = [&] {
    checkpoints.applied(machine.state, machine.digest, *decoded(machine.log.back()), config_entry(),
                        config_entry().data);
    while (!disk.saves.empty()) {
      disk.finish_save();
    }
  };
  machine.change(wire::TopicChange{
      .topic = "t",
      .action = wire::TopicAction::put,
      .settings = {.age_ms = {}, .bytes = {}, .count = {}, .dedup_ms = {wire::Setting::Kind::forever, 0}}});
  Request request;
  for (std::uint64_t i = 0; i < kIds; ++i) {
    request.events.push_back({.id = std::to_string(i), .body = std::string(100, 'x')});
  }
  machine.publish({request});
  saved();
  machine.apply(retain_entry({{"t", raft::Offset{kIds}}}));
  saved();
  std::size_t rounds = 0;
  while (checkpoints.first_needed(disk.kept.back().index) == raft::Index{} && rounds++ < 100) {
    checkpoints.tick(machine.state, machine.digest, config_entry(), config_entry().data);
    machine.apply(retain_entry({{"t", raft::Offset{kIds}}}));  // with each the log needs less
    saved();
  }
  EXPECT_GT(rounds, 5U);
  EXPECT_LT(rounds, 100U);
  ASSERT_GT(disk.kept.size(), 2U);
  for (auto again = disk.kept.begin() + 1; again != disk.kept.end(); ++again) {
    EXPECT_LT(again->delta.size(), 2 * kDeltaBytes);
  }
  const raft::Index needed = checkpoints.first_needed(disk.kept.back().index);
  ASSERT_GT(needed, disk.kept.front().index);
  std::erase_if(disk.kept, [needed](const storage::Checkpoint& checkpoint) { return checkpoint.index < needed; });
  std::optional<Checkpoints::Loaded> loaded;
  Checkpoints next(disk, {}, {});
  next.load([&loaded](auto result) { loaded = *std::move(result); });
  disk.finish_all();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->state.forever_ids().size(), kIds);
  EXPECT_EQ(loaded->state.forever_ids().digest(), machine.state.forever_ids().digest());
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
