// Ids that left memory (docs/decisions/0021): whatever has moved to the disk, and whenever, the same answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "tests/core/node_fixture.hpp"
#include "tests/sim/memory_id_run.hpp"

namespace weir::broker::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// What checkpoints keep of a state machine, and runs made of that.
class Moving {
 public:
  /// As a checkpoint does. `deltas` have what was added up to the applied entry.
  void take_delta() { deltas_.emplace_back(applying.state.applied_index(), applying.state.take_delta()); }
  /// Everything that is in a delta goes into a run.
  void move() {
    std::vector<storage::KeyedPlace> ids;
    const raft::Index covered = runs_.empty() ? raft::Index{} : runs_.back()->last_index();
    for (const auto& [index, delta] : deltas_) {
      if (index > covered) {
        ASSERT_TRUE(StateMachine::ids_in_delta(delta, ids).has_value());
      }
    }
    if (deltas_.empty() || deltas_.back().first == covered) {
      return;
    }
    runs_.push_back(std::make_shared<sim::MemoryIdRun>(covered.next(), deltas_.back().first, std::move(ids)));
    applying.state.take_id_runs(runs_);
  }
  /// As a start does: from the small tables, the deltas, and the runs that there are.
  void start_again() {
    take_delta();
    StateMachine next;
    next.take_id_runs(runs_);
    ASSERT_TRUE(next.restore(applying.state.save()).has_value());
    for (const auto& [index, delta] : deltas_) {
      ASSERT_TRUE(next.add_delta(delta).has_value());
    }
    ASSERT_TRUE(next.finish_restore().has_value());
    applying.state = std::move(next);
  }
  [[nodiscard]] const storage::IdRuns& runs() const { return runs_; }

  Applying applying;

 private:
  std::vector<std::pair<raft::Index, std::string>> deltas_;
  storage::IdRuns runs_;
};

std::vector<std::string> texts_of(const Applied& applied) {
  std::vector<std::string> texts;
  for (const auto& outcome : applied.outcomes) {
    texts.push_back(text_of(outcome));
  }
  return texts;
}

TEST(IdRuns, AnIdInARunIsADuplicateWithItsPlace) {
  Moving node;
  node.applying.publish({{.events = {{.id = "a"}, {.id = "b", .body = "of b"}}}});
  node.take_delta();
  node.move();
  node.applying.state.sweep_ids();
  EXPECT_EQ(node.applying.state.ids().size(), 0U);
  EXPECT_EQ(node.runs().front()->size(), 2U);
  EXPECT_THAT(texts_of(node.applying.publish({{.events = {{.id = "b", .body = "of b"}, {.id = "c"}}}})),
              testing::ElementsAre("1@2d 2@3"));
  EXPECT_THAT(texts_of(node.applying.publish({{.events = {{.id = "b", .body = "of another"}}}})),
              testing::ElementsAre("id_reuse(0)"));
}

/// One that moves ids whenever it likes, beside one that never does.
TEST(IdRuns, AnswersAreThoseOfATableThatNeverForgets) {
  const std::uint64_t seed = seed_or(std::random_device{}());
  std::cout << "WEIR_SEED=" << seed << '\n';
  std::mt19937_64 random(seed);
  Applying still;
  Moving moving;
  std::uint64_t time_ms = 1'000;
  std::uint64_t duplicates = 0;
  std::size_t most_runs = 0;
  for (int step = 0; step < 1'500; ++step) {
    time_ms += random() % 50;
    raft::Entry entry;
    if (random() % 20 == 0) {
      const auto next = still.state.topic_id("t0");
      const std::uint64_t floor = next ? random() % (still.state.events().next_offset(*next).value + 1) : 0;
      wire::RetainEntry retain{.time_ms = time_ms, .floors = {{"t0", raft::Offset{floor}}}, .claims_before = {}};
      if (random() % 3 == 0) {
        retain.claims_before = raft::Index{random() % (still.log.size() + 1)};
      }
      entry.command = raft::Command::retain;
      entry.term = raft::Term{1};
      entry.data = wire::encode(retain);
      entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
    } else if (random() % 10 == 0) {
      entry =
          claims_entry(1, {{"t" + std::to_string(random() % 2), "", "id-" + std::to_string(random() % 800)}}, time_ms);
    } else {
      std::vector<Request> requests(1 + random() % 2);
      for (auto& request : requests) {
        for (std::uint64_t left = 1 + random() % 3; left > 0; --left) {
          request.events.push_back(
              {.topic = "t" + std::to_string(random() % 2), .id = "id-" + std::to_string(random() % 800)});
        }
      }
      entry = publish_entry(1, requests, time_ms);
    }
    const Applied expected = still.apply(entry);
    ASSERT_EQ(texts_of(moving.applying.apply(entry)), texts_of(expected)) << "step " << step;
    duplicates += expected.duplicates;
    switch (random() % 12) {
      case 0:
        moving.take_delta();
        break;
      case 1:
        moving.take_delta();
        ASSERT_NO_FATAL_FAILURE(moving.move());
        break;
      case 2:
        ASSERT_NO_FATAL_FAILURE(moving.start_again());
        break;
      default:
        break;
    }
    most_runs = std::max(most_runs, moving.runs().size());
  }
  EXPECT_GT(duplicates, 200U);
  EXPECT_GT(most_runs, 20U);
}

// --- in a node: when they move, and what happens meanwhile

class NodeIdRuns : public testing::Test {
 protected:
  NodeIdRuns() {
    alone.adapt = [](NodeConfig& config) {
      config.checkpoint_bytes = 1;
      config.dedup_memory_bytes = 1;
    };
    start();
  }
  void start() {
    alone.restart();
    alone.join();
    alone.lead();
    move_all();  // what the term's first entry brought: from now on each entry gets a checkpoint
  }
  void store(const std::string& id) {
    alone.publish({.events = {{.id = id, .body = "of " + id}}});
    alone.disk.finish_all();
  }
  /// All that was stored is in a checkpoint, and its ids in a run.
  void move_all() {
    while (!alone.disk.saves.empty() || !alone.disk.moves.empty()) {
      if (!alone.disk.saves.empty()) {
        alone.disk.finish_save();
      } else {
        alone.disk.finish_move();
      }
    }
  }
  /// What store() stored of these.
  std::size_t publish_again(const std::vector<std::string>& ids) {
    Request request;
    for (const std::string& id : ids) {
      request.events.push_back({.id = id, .body = "of " + id});
    }
    return alone.publish(request);
  }
  void finish_writes() {
    while (!alone.disk.writes.empty()) {
      alone.disk.finish_write();
    }
  }
  std::string answer(std::size_t number) { return alone.outcomes[number]; }

  NodeFixture alone{{"n1"}};
};

TEST_F(NodeIdRuns, ACheckpointSendsIdsToTheDiskWhenMemoryIsFull) {
  store("a");
  ASSERT_THAT(alone.disk.saves, SizeIs(1));
  EXPECT_THAT(alone.disk.moves, IsEmpty()) << "not before it is durable";
  alone.disk.finish_save();
  ASSERT_THAT(alone.disk.moves, SizeIs(1));
  alone.disk.finish_move();
  EXPECT_GT(alone.node->counters().ids_on_disk, 0U);
}

TEST_F(NodeIdRuns, WhatIsThereIsAskedOfTheDiskBeforeTheEntryIsApplied) {
  store("a");
  move_all();
  const auto again = publish_again({"a"});
  finish_writes();
  ASSERT_THAT(alone.disk.id_reads, SizeIs(1));
  EXPECT_EQ(answer(again), "");
  alone.disk.finish_all();
  EXPECT_EQ(answer(again), "0@1d");
}

TEST_F(NodeIdRuns, AnAnswerOfRunsThatWereReplacedMeanwhileIsAskedForAgain) {
  store("a");
  move_all();
  store("b");
  alone.disk.finish_save();
  ASSERT_THAT(alone.disk.moves, SizeIs(1)) << "b is on its way to the disk";
  const auto again = publish_again({"a", "b"});
  finish_writes();
  ASSERT_THAT(alone.disk.id_reads, SizeIs(1)) << "of the run that has a";
  alone.disk.finish_move();
  alone.disk.finish_id_read();
  ASSERT_THAT(alone.disk.id_reads, SizeIs(1)) << "asked again, now of both runs";
  alone.disk.finish_all();
  EXPECT_EQ(answer(again), "0@1d 1@2d");
  EXPECT_EQ(alone.node->counters().events_stored, 2U);
}

TEST_F(NodeIdRuns, WithoutRoomForARunTheyStayInMemoryAndItIsSaid) {
  store("a");
  alone.disk.finish_save();
  alone.disk.fail_move();
  EXPECT_THAT(alone.notices, testing::Contains(HasSubstr("ids stay in memory")));
  const auto again = publish_again({"a"});
  alone.disk.finish_all();
  EXPECT_EQ(answer(again), "0@1d");
  EXPECT_THAT(alone.disk.moves, SizeIs(0));
}

TEST_F(NodeIdRuns, ARunThatCannotBeReadStopsTheNodeAndSkipsNothing) {
  store("a");
  move_all();
  const auto again = publish_again({"a"});
  finish_writes();
  ASSERT_THAT(alone.disk.id_reads, SizeIs(1));
  auto pending = std::move(alone.disk.id_reads.front());
  alone.disk.id_reads.pop_front();
  pending.done(std::unexpected(storage::Error{storage::Errc::io, "rot"}));
  EXPECT_EQ(alone.node->status().phase, Phase::failed);
  EXPECT_EQ(answer(again), "outcome_unknown(0)");
  EXPECT_THAT(alone.damages, IsEmpty()) << "the log has it all";
}

TEST_F(NodeIdRuns, AStartBeginsWithTheRunsThereAre) {
  store("a");
  move_all();
  start();
  EXPECT_EQ(alone.node->counters().ids, 0U);
  const auto again = publish_again({"a"});
  alone.disk.finish_all();
  EXPECT_EQ(answer(again), "0@1d");
}

TEST_F(NodeIdRuns, AStartWithoutThemMakesThemWhileItLoads) {
  store("a");
  alone.disk.finish_save();
  store("b");
  move_all();
  ASSERT_GE(alone.disk.kept.size(), 2U);
  alone.disk.runs.clear();
  start();
  EXPECT_THAT(alone.disk.runs, testing::Not(IsEmpty()));
  const auto again = publish_again({"a", "b"});
  alone.disk.finish_all();
  EXPECT_EQ(answer(again), "0@1d 1@2d");
}

TEST_F(NodeIdRuns, AnIdIsToldFromARun) {
  store("a");
  move_all();
  std::optional<wire::Claimed> told;
  alone.node->find_id({.topic = "t", .source = {}, .id = "a"},
                      [&](auto found) { told = found.value_or(std::nullopt); });
  alone.disk.finish_all();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->state, wire::ClaimState::published_before);
}

}  // namespace
}  // namespace weir::broker::test
