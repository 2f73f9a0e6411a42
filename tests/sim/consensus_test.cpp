// Rows of the fault list about elections, replication and recovery, with whole nodes over simulated disks, network and
// clocks: FAULTS 2, 7, 11, 13, 14, 17, 19, 20, 21, 22, 35, 36, 37.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/sim/script.hpp"

namespace weir::sim {
namespace {

using testing::ElementsAre;

/// Publishes `count` events through whichever node is next, each until it is stored, and returns their bodies.
std::vector<std::string> publish_all(Script& script, std::size_t count, const std::string& name,
                                     std::uint32_t timeout_ms = 2'000) {
  std::vector<std::string> bodies;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string body = name + std::to_string(i);
    std::string answer;
    for (std::size_t attempt = 0; attempt < 20 && !answer.starts_with("stored") && !answer.starts_with("dup");
         ++attempt) {
      SimNode& node = script.node((i + attempt) % script.world.nodes.size());
      answer = node.running() ? script.ask(node, body, body, timeout_ms) : "";
      script.run_for(kMillisecond);
    }
    EXPECT_NE(answer, "") << body;
    EXPECT_NE(answer, "refused") << body;
    bodies.push_back(body);
  }
  return bodies;
}

[[nodiscard]] raft::Term term_of(Script& script) {
  return script.leader().node().status().term;
}

TEST(Consensus, SevenNodesTwoSlowAndALossyNetworkMakeProgress) {
  Script script(7);
  script.world.network->lose(50);
  for (const std::size_t slow : {std::size_t{5}, std::size_t{6}}) {
    script.world.network->slow_down(slow, 80 * kMillisecond);
    script.node(slow).disk().slow_down(40'000);
  }
  const auto term = term_of(script);
  const std::uint64_t began_us = script.world.timeline.now_us();
  const auto bodies = publish_all(script, 200, "e");
  const std::uint64_t took_us = script.world.timeline.now_us() - began_us;
  EXPECT_LE(took_us, 60 * kSecond);
  RecordProperty("events_per_virtual_second", std::to_string(bodies.size() * kSecond / took_us));
  EXPECT_LE(term_of(script) - term, 3U) << "one message in twenty lost is no reason for elections";
  EXPECT_EQ(script.converge(), "even");
  for (const auto& node : script.world.nodes) {
    EXPECT_EQ(script.read(*node), bodies) << node->name();
  }
  const auto settled = term_of(script);
  const SimNode& leader = script.leader();
  script.isolate(script.follower());
  script.run_for(5 * kSecond);
  EXPECT_EQ(script.converge(), "even");
  script.run_for(2 * kSecond);
  EXPECT_EQ(term_of(script), settled) << "FAULTS 12: who was cut off disturbs nobody when it comes back";
  EXPECT_EQ(script.leader().place(), leader.place());
}

TEST(Consensus, Fault002AVoteGivenAndForgottenInACrashIsGivenOnlyOnce) {
  Script script;
  SimNode& old_leader = script.leader();
  SimNode& voter = script.follower();
  voter.disk().stall(kSecond);
  old_leader.crash();
  const auto has_voted = [&] { return voter.node().status().term > voter.image().hard_state().current_term; };
  ASSERT_TRUE(script.run_until(has_voted, kSecond)) << "and its disk does not know";
  script.run_for(20 * kMillisecond);
  script.crash_and_start(voter);
  script.run_for(3 * kSecond);
  EXPECT_EQ(script.converge(), "even") << "the checkers count the votes";
}

TEST(Consensus, Fault007LongSuffixesOfSeveralLeadersGoAndWhatIsCommittedStays) {
  Script script;
  for (const auto& node : script.world.nodes) {
    node->disk().slow_down(200);
  }
  std::vector<std::string> acked = publish_all(script, 3, "a");
  std::size_t longest = 0;
  for (int round = 0; round < 4; ++round) {
    SimNode& leader = script.leader();
    const std::size_t kept_entries = leader.image().entries().size();
    script.isolate(leader);
    for (int i = 0; i < 60; ++i) {
      script.publish(leader, "", "lost" + std::to_string(round) + "." + std::to_string(i), 100);
      script.run_for(2 * kMillisecond);
    }
    longest = std::max(longest, leader.image().entries().size() - kept_entries);
    // The next one arises before the last is back, so that each has entries of another term.
    ASSERT_TRUE(script.run_until([&] { return leader.node().status().role != raft::Role::leader; }));
    const std::string body = "kept" + std::to_string(round);
    ASSERT_TRUE(script.ask(script.leader(), body, body, 3'000).starts_with("stored"));
    acked.push_back(body);
    script.world.network->heal_all();
    script.run_for(kSecond);
  }
  EXPECT_EQ(script.converge(), "even");
  EXPECT_GE(longest, 30U) << "entries of a leader alone";
  EXPECT_GE(script.world.history.coverage.truncations, 4U);
  for (const auto& node : script.world.nodes) {
    const auto bodies = script.read(*node);
    std::vector<std::string> kept;
    std::ranges::copy_if(bodies, std::back_inserter(kept), [](const auto& body) { return !body.starts_with("lost"); });
    EXPECT_EQ(kept, acked);
  }
}

TEST(Consensus, Fault011ABridgeLeavesOneLeaderThatMakesProgress) {
  Script script(5);
  static_cast<void>(publish_all(script, 5, "before"));
  // 0 and 1 on one side, 3 and 4 on the other; 2 sees both.
  for (const std::size_t left : {std::size_t{0}, std::size_t{1}}) {
    for (const std::size_t right : {std::size_t{3}, std::size_t{4}}) {
      script.world.network->cut(left, right);
      script.world.network->cut(right, left);
    }
  }
  script.run_for(5 * kSecond);
  const auto term = term_of(script);
  SimNode& leader = script.leader();
  for (int i = 0; i < 20; ++i) {
    const std::string body = "over the bridge " + std::to_string(i);
    EXPECT_TRUE(script.ask(leader, body, body).starts_with("stored"));
    script.run_for(500 * kMillisecond);
  }
  EXPECT_LE(term_of(script) - term, 1U) << "no storm of elections";
  EXPECT_EQ(script.converge(), "even");
}

TEST(Consensus, Fault013WhateverIsRestartedAndCutOffALeaderArisesWhenAMajorityIsConnected) {
  Script script(5);
  for (std::size_t round = 0; round < 15; ++round) {
    script.isolate(script.node(round % 5));
    script.crash_and_start(script.node((round + 1) % 5));
    script.run_for((round * 37 % 400) * kMillisecond);
    script.crash_and_start(script.node((round + 2) % 5));
    script.run_for((round * 53 % 700) * kMillisecond);
    script.world.network->heal_all();
    script.crash_and_start(script.node(round % 5));
    const bool led = script.run_until(
        [&] {
          return std::ranges::any_of(script.world.nodes, [](const auto& node) {
            const auto status = node->node().status();
            return status.role == raft::Role::leader && status.applied_index == status.last_index;
          });
        },
        3 * kSecond);
    EXPECT_TRUE(led) << "round " << round << ": no leader within ten election timeouts";
  }
  EXPECT_EQ(script.converge(), "even");
}

TEST(Consensus, Fault014ASlowNetworkElectsALeaderAndKeepsIt) {
  for (const std::uint64_t one_way_ms : {50U, 70U, 90U}) {
    Script script(5);
    for (std::size_t node = 0; node < 5; ++node) {
      script.world.network->slow_down(node, one_way_ms * kMillisecond / 2);
    }
    const auto term = term_of(script);
    script.run_for(30 * kSecond);
    EXPECT_LE(term_of(script) - term, 3U) << one_way_ms << " ms each way";
    EXPECT_TRUE(script.ask(script.leader(), "a", "a", 5'000).starts_with("stored"));
    EXPECT_EQ(script.converge(), "even");
  }
}

TEST(Consensus, Fault017ClocksThatJumpAndRunAtTwiceOrHalfTheSpeedLoseNothing) {
  Script script;
  script.node(0).clock().set_rate(2'000);
  script.node(1).clock().set_rate(500);
  std::vector<std::string> bodies;
  for (std::size_t round = 0; round < 10; ++round) {
    script.node(round % 3).clock().set_wall(round % 2 == 0 ? -3'600'000 : 7'200'000);
    for (auto& body : publish_all(script, 3, "r" + std::to_string(round) + ".")) {
      bodies.push_back(std::move(body));
    }
    script.run_for(kSecond);
  }
  EXPECT_EQ(script.converge(), "even");
  EXPECT_EQ(script.read(script.leader()), bodies);
  std::uint64_t last_ms = 0;
  for (const auto& event : script.world.checkers->model.events()) {
    EXPECT_GE(event.time_ms, last_ms) << "log time never falls";
    last_ms = event.time_ms;
  }
}

TEST(Consensus, Fault019AndFault020ARestartAppliesEverythingOnceMoreAndNothingTwice) {
  Script script;
  const auto bodies = publish_all(script, 20, "e");
  for (int round = 0; round < 3; ++round) {
    for (const auto& node : script.world.nodes) {
      script.crash_and_start(*node);
    }
    EXPECT_EQ(script.converge(), "even");
    for (const auto& node : script.world.nodes) {
      EXPECT_EQ(script.read(*node), bodies);
      EXPECT_EQ(node->node().topic("t")->next_offset.value, bodies.size());
      EXPECT_TRUE(script.ask(*node, bodies.front(), bodies.front()).starts_with("duplicate 0"));
    }
  }
}

TEST(Consensus, Fault021WhatIsCommittedIsNotShownWhereTheDiskIsBehind) {
  Script script;
  EXPECT_EQ(script.ask(script.leader(), "a", "on every disk"), "stored 0");
  script.run_for(kSecond);
  SimNode& behind = script.follower();
  behind.disk().stall(800 * kMillisecond);
  EXPECT_EQ(script.ask(script.leader(), "b", "on two disks"), "stored 1");
  script.run_for(300 * kMillisecond);
  EXPECT_GE(behind.node().status().commit_index, script.leader().node().status().commit_index);
  EXPECT_THAT(script.read(behind), ElementsAre("on every disk"));
  script.crash_and_start(behind);
  EXPECT_EQ(script.converge(), "even");
  EXPECT_THAT(script.read(behind), ElementsAre("on every disk", "on two disks"));
}

TEST(Consensus, Fault022AMemberAloneAnswersWhenItsDiskHasIt) {
  Script script(1);
  SimNode& alone = script.leader();
  alone.disk().stall(300 * kMillisecond);
  const auto early = script.publish(alone, "a", "early", 5'000);
  script.run_for(200 * kMillisecond);
  EXPECT_EQ(*early, "");
  EXPECT_THAT(script.read(alone), ElementsAre());
  EXPECT_TRUE(script.run_until([&] { return !early->empty(); }));
  EXPECT_EQ(*early, "stored 0");
  script.crash_and_start(alone);
  EXPECT_EQ(script.converge(), "even");
  EXPECT_THAT(script.read(alone), ElementsAre("early"));
}

TEST(Consensus, Fault035WhatALeaderWithoutAMajorityTakesIsBounded) {
  Script script;
  SimNode& leader = script.leader();
  script.isolate(leader);
  const std::string body(1U << 20U, 'x');
  std::vector<Answer> answers;
  std::uint64_t most_bytes = 0;
  for (int i = 0; i < 100; ++i) {
    answers.push_back(script.publish(leader, "", body + std::to_string(i), 1'000));
    script.run_for(kMillisecond);
    most_bytes = std::max(most_bytes, leader.node().counters().pending_bytes);
  }
  EXPECT_GT(std::ranges::count_if(answers, [](const auto& answer) { return *answer == "refused"; }), 10);
  EXPECT_LE(most_bytes, std::uint64_t{64} << 20U);
  script.run_for(3 * kSecond);
  EXPECT_TRUE(std::ranges::all_of(answers, [](const auto& answer) { return !answer->empty(); }));
  EXPECT_EQ(leader.node().counters().pending_bytes, 0U);
  EXPECT_EQ(script.converge(), "even");
}

TEST(Consensus, Fault036AHandOverDuringWritesLosesNothingAndPausesLessThanTwoTimeouts) {
  Script script;
  SimNode& leader = script.leader();
  SimNode& client = script.follower();
  std::vector<std::string> bodies;
  std::uint64_t longest_us = 0;
  for (int i = 0; i < 60; ++i) {
    const std::string body = "e" + std::to_string(i);
    const std::uint64_t asked_us = script.world.timeline.now_us();
    if (i == 20) {
      leader.later(0, [&] { leader.node().drain(2'000, [] {}); });
    }
    EXPECT_TRUE(script.ask(client, body, body, 5'000).starts_with("stored")) << body;
    longest_us = std::max(longest_us, script.world.timeline.now_us() - asked_us);
    bodies.push_back(body);
  }
  EXPECT_NE(script.leader().place(), leader.place());
  EXPECT_LE(longest_us, 600 * kMillisecond);
  EXPECT_EQ(script.read(script.leader()), bodies);
}

TEST(Consensus, Fault037ASlowFollowersDiskSlowsNobodyAndASlowLeaderHandsOver) {
  Script script;
  script.follower().disk().slow_down(1'000'000);
  for (int i = 0; i < 20; ++i) {
    const std::string body = "fast " + std::to_string(i);
    const std::uint64_t asked_us = script.world.timeline.now_us();
    EXPECT_TRUE(script.ask(script.leader(), body, body).starts_with("stored"));
    EXPECT_LE(script.world.timeline.now_us() - asked_us, 500 * kMillisecond);
  }
  EXPECT_EQ(script.world.checkers->verdict.violation(), "");

  Script other;
  SimNode& slow = other.leader();
  slow.disk().slow_down(1'500'000);
  other.publish(slow, "a", "a", 5'000);
  EXPECT_TRUE(other.run_until([&] { return other.leader().place() != slow.place(); }, 4 * kSecond));
  EXPECT_TRUE(other.ask(other.leader(), "b", "b").starts_with("stored"));
  EXPECT_EQ(other.world.checkers->verdict.violation(), "");
}

}  // namespace
}  // namespace weir::sim
