// Rows of the fault list, one by one, with real nodes over simulated disks, network and clocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/script.hpp"

namespace weir::sim {
namespace {

using testing::ElementsAre;

TEST(Cluster, Fault001KeepsWhatWasAcknowledgedWhenALeaderDiesWithMore) {
  Script script;
  SimNode& old_leader = script.leader();
  EXPECT_EQ(script.ask(old_leader, "a", "acked"), "stored 0");
  script.isolate(old_leader);
  const auto appended = script.publish(old_leader, "b", "on a minority", 60'000);
  script.run_for(20 * kMillisecond);
  EXPECT_EQ(*appended, "");
  old_leader.crash();
  EXPECT_EQ(script.ask(script.leader(), "c", "after"), "stored 1");
  EXPECT_EQ(script.converge(), "even");
  for (const auto& node : script.world.nodes) {
    EXPECT_THAT(script.read(*node), ElementsAre("acked", "after"));
  }
}

TEST(Cluster, Fault003KeepsWhatWasAcknowledgedWhenAllLosePowerAtThatMoment) {
  Script script;
  const auto answer = script.publish(script.leader(), "a", "acked");
  ASSERT_TRUE(script.run_until([&] { return !answer->empty(); }));
  for (const auto& node : script.world.nodes) {
    node->crash();
  }
  EXPECT_EQ(script.converge(), "even");
  for (const auto& node : script.world.nodes) {
    EXPECT_THAT(script.read(*node), ElementsAre("acked"));
  }
}

TEST(Cluster, Fault004SurvivesPowerLossOfOneAndPausesOfTheOthers) {
  Script script;
  std::vector<std::string> acked;
  for (int round = 0; round < 12; ++round) {
    const std::string body = "r" + std::to_string(round);
    if (script.ask(script.leader(), body, body).starts_with("stored")) {
      acked.push_back(body);
    }
    const auto place = static_cast<std::size_t>(round) % 3;
    script.publish(script.node((place + 1) % 3), "x" + body, "x" + body, 2'000);
    script.run_for(500);
    script.crash_and_start(script.node(place));
    script.node((place + 1) % 3).pause(700 * kMillisecond);
    script.run_for(300 * kMillisecond);
    script.node((place + 2) % 3).pause(200 * kMillisecond);
    script.run_for(kSecond);
  }
  EXPECT_EQ(script.converge(), "even");
  const auto bodies = script.read(script.leader());
  for (const auto& body : acked) {
    EXPECT_EQ(std::ranges::count(bodies, body), 1) << body;
  }
}

TEST(Cluster, Fault009AMinorityAcknowledgesNothingAndShowsNothingUncommitted) {
  Script script;
  SimNode& old_leader = script.leader();
  EXPECT_EQ(script.ask(old_leader, "a", "before"), "stored 0");
  script.isolate(old_leader);
  const auto cut_off = script.publish(old_leader, "b", "cut off", 1'000);
  std::optional<bool> linear;
  old_leader.later(10 * kMillisecond,
                   [&] { old_leader.node().barrier(1'500, [&](bool confirmed) { linear = confirmed; }); });
  script.run_for(100 * kMillisecond);
  EXPECT_THAT(script.read(old_leader), ElementsAre("before"));
  script.run_for(2 * kSecond);
  EXPECT_EQ(*cut_off, "unknown");
  EXPECT_EQ(linear, false) << "FAULTS 16";
  EXPECT_NE(old_leader.node().status().role, raft::Role::leader) << "check-quorum";
  EXPECT_EQ(script.ask(script.leader(), "c", "majority"), "stored 1");
  EXPECT_EQ(script.converge(), "even");
  EXPECT_THAT(script.read(old_leader), ElementsAre("before", "majority"));
}

TEST(Cluster, Fault010ALeaderThatCannotHearStepsDown) {
  Script script;
  SimNode& deaf = script.leader();
  const auto term = deaf.node().status().term;
  for (const auto& other : script.world.nodes) {
    if (other->place() != deaf.place()) {
      script.world.network->cut(other->place(), deaf.place());
    }
  }
  EXPECT_TRUE(script.run_until([&] { return deaf.node().status().role != raft::Role::leader; }, kSecond));
  EXPECT_TRUE(script.run_until(
      [&] {
        const SimNode& now = script.leader();
        return now.place() != deaf.place() && script.world.nodes[now.place()]->node().status().term > term;
      },
      3 * kSecond));
  EXPECT_EQ(script.converge(), "even");
}

TEST(Cluster, Fault012AnIsolatedNodeComesBackWithoutDisturbing) {
  Script script;
  const SimNode& leader = script.leader();
  const auto term = script.leader().node().status().term;
  script.isolate(script.follower());
  script.run_for(5 * kSecond);
  EXPECT_EQ(script.converge(), "even");
  script.run_for(kSecond);
  EXPECT_EQ(script.leader().place(), leader.place());
  EXPECT_EQ(script.leader().node().status().term, term) << "pre-vote";
}

// A cold cache: the leader's heartbeats, and publishers, wait for nobody who reads.
TEST(Cluster, Fault057ReadsThatTakeSecondsHoldUpNoHeartbeat) {
  Script script(3, [](broker::NodeConfig& config) { config.entry_cache_bytes = 1; });
  SimNode& leader = script.leader();
  for (int number = 0; number < 20; ++number) {
    const std::string id = "a" + std::to_string(number);
    ASSERT_EQ(script.ask(leader, id, id), "stored " + std::to_string(number));
  }
  const auto term = leader.node().status().term;
  for (const auto& node : script.world.nodes) {
    node->disk().slow_down_reads(3 * kSecond);
  }
  SimNode& behind = script.follower();
  script.crash_and_start(behind);
  raft::Position cursor;
  EXPECT_FALSE(script.read(leader, cursor).empty()) << "it took its time";
  EXPECT_EQ(script.ask(leader, "b", "b"), "stored 20");
  script.run_for(10 * kSecond);
  EXPECT_EQ(script.leader().place(), leader.place());
  EXPECT_EQ(leader.node().status().term, term) << "no election";
}

TEST(Cluster, Fault024AWipedNodeNeitherVotesNorCounts) {
  Script script;
  EXPECT_EQ(script.ask(script.leader(), "a", "one"), "stored 0");
  SimNode& wiped = script.follower();
  wiped.crash();
  wiped.wipe();
  wiped.start();
  script.run_for(2 * kSecond);
  EXPECT_EQ(wiped.node().status().phase, broker::Phase::waiting);
  EXPECT_EQ(script.ask(script.leader(), "b", "two"), "stored 1") << "two of three are a majority";

  // Without the third there is none, whatever the wiped one could say.
  SimNode& leader = script.leader();
  for (const auto& node : script.world.nodes) {
    if (node->place() != leader.place() && node->place() != wiped.place()) {
      node->crash();
    }
  }
  EXPECT_EQ(script.ask(leader, "c", "three", 2'000), "unknown");
  script.run_for(5 * kSecond);
  EXPECT_NE(leader.node().status().role, raft::Role::leader);
  EXPECT_EQ(script.converge(), "even");
}

TEST(Cluster, Fault024TwoWipedOfThreeNeverElectEachOther) {
  Script script;
  SimNode& last = script.leader();
  const auto term = last.node().status().term;
  for (const auto& node : script.world.nodes) {
    if (node->place() != last.place()) {
      node->crash();
      node->wipe();
      node->start();
    }
  }
  script.run_for(20 * kSecond);
  for (const auto& node : script.world.nodes) {
    EXPECT_NE(node->node().status().role, raft::Role::leader) << node->name();
    if (node->wiped()) {
      EXPECT_EQ(node->node().status().phase, broker::Phase::waiting);
      EXPECT_TRUE(node->image().identity().cluster_id.empty());
    }
  }
  EXPECT_EQ(last.image().hard_state().current_term, term);
  EXPECT_EQ(script.world.checkers->verdict.violation(), "");
}

TEST(Cluster, Fault041ALeaderWhoseDiskFailsLeadsNoMoreAndSaysSo) {
  Script script;
  SimNode& broken = script.leader();
  broken.disk().fail_next();
  script.publish(broken, "a", "a", 500);
  ASSERT_TRUE(script.run_until([&] { return broken.node().status().phase == broker::Phase::failed; }));
  EXPECT_EQ(broken.node().status().role, raft::Role::follower);
  EXPECT_EQ(broken.node().status().leader, std::nullopt) << "it hears nobody any more";
  EXPECT_TRUE(script.run_until([&] { return script.leader().place() != broken.place(); }));
  EXPECT_TRUE(script.ask(script.leader(), "b", "b").starts_with("stored"));
  broken.crash();
  EXPECT_EQ(script.converge(), "even");
}

TEST(Cluster, Fault058ARetryOnAnotherNodeIsTheSameEvent) {
  Script script;
  EXPECT_EQ(script.ask(script.leader(), "z", "first of all"), "stored 0");
  SimNode& asked = script.follower();
  const auto answer = script.publish(asked, "a", "once", 30'000);
  ASSERT_TRUE(script.run_until([&] { return script.world.checkers->model.is_stored("once"); }));
  ASSERT_EQ(*answer, "") << "committed, and the answer is on its way";
  asked.crash();
  EXPECT_EQ(script.ask(script.leader(), "a", "once"), "duplicate 1");
  EXPECT_EQ(script.converge(), "even");
  EXPECT_EQ(script.ask(asked, "a", "once"), "duplicate 1");
}

TEST(Cluster, Fault060OneIdOnTwoNodesAtOnceIsOneEvent) {
  Script script;
  SimNode& one = script.follower();
  SimNode& other = script.other_follower();
  const auto first = script.publish(one, "a", "once");
  const auto second = script.publish(other, "a", "once");
  ASSERT_TRUE(script.run_until([&] { return !first->empty() && !second->empty(); }));
  EXPECT_THAT((std::vector{*first, *second}), testing::UnorderedElementsAre("stored 0", "duplicate 0"));
}

TEST(Cluster, Fault066ASubscriberGoesOnElsewhereWhenItsNodeDies) {
  Script script;
  for (const char* body : {"0", "1", "2", "3", "4"}) {
    script.ask(script.leader(), body, body);
  }
  SimNode& old_leader = script.leader();
  raft::Position cursor;
  EXPECT_THAT(script.read(old_leader, cursor), ElementsAre("0", "1", "2", "3", "4"));
  old_leader.crash();
  SimNode& next = script.leader();
  script.ask(next, "5", "5");
  EXPECT_THAT(script.read(next, cursor), ElementsAre("5"));
  EXPECT_THAT(script.read(next, cursor), ElementsAre());
}

TEST(Cluster, Fault120AFlushThatHangsEndsLeadership) {
  Script script;
  SimNode& stuck = script.leader();
  EXPECT_EQ(script.ask(stuck, "a", "before"), "stored 0");
  stuck.disk().stall(30 * kSecond);
  script.publish(stuck, "b", "hangs", 500);
  EXPECT_TRUE(script.run_until([&] { return stuck.node().status().role != raft::Role::leader; }, 1'100 * kMillisecond));
  EXPECT_TRUE(script.run_until([&] { return script.leader().place() != stuck.place(); }, 2 * kSecond));
  EXPECT_TRUE(script.ask(script.leader(), "c", "after").starts_with("stored"));
  for (int i = 0; i < 20; ++i) {
    script.run_for(kSecond);
    EXPECT_EQ(stuck.node().status().role, raft::Role::follower) << "must not campaign before the flush returned";
  }
  EXPECT_EQ(script.converge(), "even");
  script.run_for(10 * kSecond);
  EXPECT_EQ(script.read(stuck), script.read(script.leader()));
}

TEST(Cluster, Fault122AClockThatJumpsYearsMovesNoEventTime) {
  Script script;
  constexpr std::int64_t kTenYearsMs = 315'360'000'000;
  script.run_for(kSecond);
  script.leader().clock().set_wall(kTenYearsMs);
  EXPECT_EQ(script.ask(script.leader(), "a", "one"), "stored 0");
  script.follower().clock().set_wall(-kTenYearsMs);
  script.run_for(kSecond);
  EXPECT_EQ(script.ask(script.leader(), "b", "two"), "stored 1");
  for (const auto& event : script.world.checkers->model.events()) {
    EXPECT_GE(event.time_ms, kWallStartMs);
    EXPECT_LE(event.time_ms, kWallStartMs + 60'000);
  }
  EXPECT_EQ(script.converge(), "even");
}

}  // namespace
}  // namespace weir::sim
