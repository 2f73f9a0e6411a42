// Checkpoints and snapshots, one by one, with real nodes over simulated disks, networks and clocks. The checkers look
// on: logs that meet their checkpoints, states that hold what is committed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/script.hpp"

namespace weir::sim {
namespace {

/// A checkpoint about every ten events, hardly any entries for followers, pieces of which a snapshot needs many.
void keep_little(broker::NodeConfig& config) {
  config.checkpoint_bytes = 3'000;
  config.checkpoint_delta_bytes = std::size_t{1} << 20U;
  config.log_entries_kept = 3;
  config.snapshot_piece_bytes = 1'500;
}

std::string body_of(std::uint64_t number) {
  return "event " + std::to_string(number) + std::string(250, '.');
}

class Snapshots : public testing::Test {
 protected:
  /// Publishes an event with an id, at the leader, and waits for the answer.
  void publish_one() {
    ASSERT_EQ(script_.ask(script_.leader(), "id" + std::to_string(events_), body_of(events_), 5'000),
              "stored " + std::to_string(events_));
    ++events_;
  }
  /// So many, slowly enough for checkpoints to be saved meanwhile.
  void publish(std::uint64_t count) {
    for (const std::uint64_t end = events_ + count; events_ < end;) {
      ASSERT_NO_FATAL_FAILURE(publish_one());
      script_.run_for(50 * kMillisecond);
    }
  }
  /// Everybody has every event, in order, once; and knows the ids of all.
  void expect_everything() {
    ASSERT_EQ(script_.converge(), "even");
    std::vector<std::string> expected;
    for (std::uint64_t i = 0; i < events_; ++i) {
      expected.push_back(body_of(i));
    }
    for (const auto& node : script_.world.nodes) {
      EXPECT_EQ(script_.read(*node), expected) << node->name();
      EXPECT_EQ(script_.ask(*node, "id0", body_of(0), 5'000), "duplicate 0");
      const std::uint64_t last = events_ - 1;
      EXPECT_EQ(script_.ask(*node, "id" + std::to_string(last), body_of(last), 5'000),
                "duplicate " + std::to_string(last));
    }
    EXPECT_EQ(script_.converge(), "even");
  }
  /// A follower that was away for so long that it needs a snapshot.
  SimNode& leave_behind() {
    SimNode& away = script_.follower();
    away.crash();
    publish(40);
    return away;
  }
  [[nodiscard]] const Coverage& coverage() const { return script_.world.history.coverage; }

  Script script_{3, keep_little};
  std::uint64_t events_ = 0;
};

TEST_F(Snapshots, Fault026AFollowerFarBehindGetsOneInPiecesWhileTheLeaderGoesOn) {
  publish(1);
  SimNode& away = leave_behind();
  away.start();
  const std::uint64_t pieces_before = coverage().snapshot_pieces;
  std::uint64_t stored_meanwhile = 0;
  while (coverage().snapshots_installed == 0 && stored_meanwhile < 500) {
    ASSERT_NO_FATAL_FAILURE(publish_one());
    ++stored_meanwhile;
  }
  EXPECT_EQ(coverage().snapshots_installed, 1U);
  EXPECT_GE(coverage().snapshot_pieces - pieces_before, 10U);
  EXPECT_GE(stored_meanwhile, 3U) << "the leader waited for it";
  EXPECT_GT(away.image().covered().value, 20U);
  expect_everything();
}

TEST_F(Snapshots, Fault027ACrashInTheMiddleOfTakingOneLeavesTheOldOrTheNew) {
  publish(1);
  std::size_t whole = 0;
  std::size_t nothing = 0;
  for (int round = 0; round < 12; ++round) {
    SimNode& node = round % 2 == 0 ? script_.follower() : script_.leader();
    bool crashed = false;
    std::size_t kept = 0;
    node.disk().when_in_snapshot([&] {
      kept = node.image().checkpoints().size();
      node.crash();
      crashed = true;
    });
    for (int i = 0; i < 40 && !crashed; ++i) {
      const std::string id = "r" + std::to_string(round) + "." + std::to_string(i);
      static_cast<void>(script_.ask(script_.leader(), id, id + std::string(300, '.'), 5'000));
      script_.run_for(50 * kMillisecond);
    }
    ASSERT_TRUE(crashed);
    ++(node.image().checkpoints().size() > kept ? whole : nothing);
    ASSERT_EQ(script_.converge(), "even");
  }
  EXPECT_GT(whole, 0U);
  EXPECT_GT(nothing, 0U);
  const auto events = script_.read(script_.node(0));
  EXPECT_EQ(script_.read(script_.node(1)), events);
  EXPECT_EQ(script_.read(script_.node(2)), events);
}

TEST_F(Snapshots, Fault027ACrashAfterAnyPieceOfOneStartsItAnew) {
  publish(1);
  SimNode& away = leave_behind();
  for (std::uint64_t step = 1; step <= 12; ++step) {
    away.start();
    const std::uint64_t until = coverage().snapshot_pieces + step;
    ASSERT_TRUE(script_.run_until([&] { return coverage().snapshot_pieces >= until; })) << step;
    ASSERT_EQ(coverage().snapshots_installed, 0U);
    away.crash();
    EXPECT_EQ(away.image().covered().value, 0U) << "nothing of it counts yet";
  }
  publish(5);
  expect_everything();
  EXPECT_GE(coverage().snapshots_installed, 1U);
}

TEST_F(Snapshots, Fault027ACrashInTheMiddleOfAnInstallLeavesTheOldOrTheNewLog) {
  publish(1);
  std::size_t whole = 0;
  std::size_t nothing = 0;
  for (int round = 0; round < 10; ++round) {
    SimNode& away = leave_behind();
    away.start();
    const raft::Index had = away.image().last_index();
    // Raft goes by the snapshot as soon as it has given it to the disk.
    const auto installs = [&] {
      return away.disk().is_in_snapshot() && away.node().status().commit_index > away.image().last_index();
    };
    ASSERT_TRUE(script_.run_until(installs)) << round;
    away.crash();
    const bool is_new = away.image().covered() > had;
    EXPECT_EQ(away.image().last_index(), is_new ? away.image().covered() : had);
    ++(is_new ? whole : nothing);
    expect_everything();
  }
  EXPECT_GT(whole, 0U);
  EXPECT_GT(nothing, 0U);
}

TEST_F(Snapshots, Fault019ARestartBeginsAtTheCheckpointAndServesTheSame) {
  publish(60);
  for (const auto& node : script_.world.nodes) {
    node->crash();
    ASSERT_GT(node->image().checkpoints().size(), 2U);
  }
  for (const auto& node : script_.world.nodes) {
    node->start();
    const raft::Index covered = node->image().covered();
    raft::Index first_seen;
    ASSERT_TRUE(script_.run_until([&] {
      first_seen = node->node().status().applied_index;
      return first_seen > raft::Index{};
    }));
    EXPECT_GE(first_seen, covered) << "what is covered is not applied again";
  }
  expect_everything();
  publish(5);
  expect_everything();
}

TEST_F(Snapshots, Fault062IdsAreKnownWhereTheyCameByASnapshot) {
  publish(1);
  SimNode& away = leave_behind();
  away.start();
  ASSERT_TRUE(script_.run_until([&] { return coverage().snapshots_installed == 1; }, 60 * kSecond));
  ASSERT_EQ(script_.converge(), "even");
  // It leads, so that it decides by what it got.
  for (int i = 0; i < 50 && script_.leader().place() != away.place(); ++i) {
    SimNode& leader = script_.leader();
    leader.later(0, [&] { static_cast<void>(leader.node().transfer_leadership(away.name())); });
    script_.run_for(kSecond);
  }
  ASSERT_EQ(script_.leader().place(), away.place());
  for (std::uint64_t i = 0; i < events_; ++i) {
    EXPECT_EQ(script_.ask(away, "id" + std::to_string(i), body_of(i), 5'000), "duplicate " + std::to_string(i));
  }
  EXPECT_EQ(script_.ask(away, "id0", "something else", 5'000), "refused");
  publish(5);
  expect_everything();
}

TEST_F(Snapshots, ALeaderThatDiesWhileItSendsOneIsFollowedByAnotherThatSendsIts) {
  publish(1);
  SimNode& away = leave_behind();
  away.start();
  const std::uint64_t until = coverage().snapshot_pieces + 4;
  ASSERT_TRUE(script_.run_until([&] { return coverage().snapshot_pieces >= until; }));
  SimNode& sender = script_.leader();
  sender.crash();
  ASSERT_TRUE(script_.run_until([&] { return coverage().snapshots_installed >= 1; }, 60 * kSecond))
      << "the two that are left need each other";
  sender.start();
  publish(5);
  expect_everything();
}

}  // namespace
}  // namespace weir::sim
