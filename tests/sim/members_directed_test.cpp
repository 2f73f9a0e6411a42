// Members that come and go, and what becomes of changes that do not last, with real nodes (FAULTS 24, 30-34).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/script.hpp"

namespace weir::sim {
namespace {

using broker::MemberAction;
using testing::HasSubstr;
using testing::StartsWith;
using wire::MemberKind;

void bring_back(broker::NodeConfig& config) {
  config.readmission = broker::Readmission::automatic;
}

void start_with_peers(SimNode& node, const std::vector<std::string>& names) {
  node.crash();
  node.set_peers(names);
  node.start();
}

/// Leadership goes there, and stays.
void hand_over(Script& script, SimNode& to) {
  ASSERT_TRUE(script.run_until([&] {
    SimNode& leader = script.leader();
    if (leader.place() == to.place()) {
      return true;
    }
    leader.later(0, [&leader, &to] { static_cast<void>(leader.node().transfer_leadership(to.name())); });
    script.run_for(500 * kMillisecond);
    return false;
  }));
}

void wipe(SimNode& node) {
  node.crash();
  node.wipe();
  node.start();
}

TEST(Members, GrowFromThreeToFiveAndShrinkAgainWhileEventsAreStored) {
  Script script(3, bring_back, 2);
  EXPECT_EQ(script.ask(script.leader(), "a", "a"), "stored 0");
  for (const std::size_t spare : {3U, 4U}) {
    start_with_peers(script.node(spare), {"n1", "n2", "n3", script.node(spare).name()});
    script.run_for(kSecond);
    EXPECT_EQ(script.change(script.leader(), MemberAction::add, script.node(spare)), "done");
    EXPECT_TRUE(script.becomes(script.node(spare), MemberKind::voter));
  }
  EXPECT_EQ(script.ask(script.leader(), "b", "b"), "stored 1");
  for (const std::size_t old : {0U, 1U}) {
    EXPECT_EQ(script.change(script.leader(), MemberAction::remove, script.node(old)), "done");
  }
  EXPECT_EQ(script.ask(script.leader(), "c", "c"), "stored 2");
  EXPECT_EQ(script.converge(), "even");
  EXPECT_EQ(script.read(script.node(4)), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Members, Fault032ALeaderThatIsRemovedStepsDownAndTheOthersGoOn) {
  Script script;
  SimNode& removed = script.leader();
  EXPECT_EQ(script.change(removed, MemberAction::remove, removed), "done");
  EXPECT_NE(removed.node().status().role, raft::Role::leader);
  EXPECT_EQ(removed.node().status().phase, broker::Phase::waiting);
  EXPECT_TRUE(script.run_until([&] { return script.leader().place() != removed.place(); }, kSecond));
  const auto term = script.leader().node().status().term;
  EXPECT_THAT(script.ask(script.leader(), "a", "a"), StartsWith("stored"));
  script.run_for(10 * kSecond);
  EXPECT_EQ(script.leader().node().status().term, term) << "FAULTS 33: it calls no elections";
}

TEST(Members, Fault024AFounderIsBroughtBackByALeaderThatItWasNotStartedWith) {
  Script script(3, bring_back, 1);
  SimNode& spare = script.node(3);
  start_with_peers(spare, {"n1", "n2", "n3", "n4"});
  script.run_for(kSecond);
  ASSERT_EQ(script.change(script.leader(), MemberAction::add, spare), "done");
  ASSERT_TRUE(script.becomes(spare, MemberKind::voter));
  hand_over(script, spare);
  EXPECT_EQ(script.ask(script.leader(), "a", "a"), "stored 0");
  SimNode& wiped = script.node(1);
  const std::uint64_t before = wiped.incarnation();
  wipe(wiped);
  ASSERT_NE(wiped.incarnation(), before);
  EXPECT_TRUE(script.run_until([&] {
    const auto* member = find_member(*script.world.checkers->raft.config(), wiped.id());
    return member != nullptr && member->kind == MemberKind::voter && member->incarnation == wiped.incarnation();
  }));
  EXPECT_EQ(script.leader().place(), spare.place());
  EXPECT_EQ(script.converge(), "even");
  EXPECT_EQ(script.read(wiped), (std::vector<std::string>{"a"}));
}

TEST(Members, Fault034OneThatLagsFollowsALeaderThatItKnewAsAStranger) {
  Script script(3, bring_back, 1);
  SimNode& spare = script.node(3);
  start_with_peers(spare, {"n1", "n2", "n3", "n4"});
  script.run_for(kSecond);
  const SimNode& lagging = script.follower();
  for (const std::size_t other : {0U, 1U, 2U}) {
    if (other != lagging.place()) {
      script.world.network->cut(other, lagging.place());
      script.world.network->cut(lagging.place(), other);
    }
  }
  ASSERT_EQ(script.change(script.leader(), MemberAction::add, spare), "done");
  ASSERT_TRUE(script.becomes(spare, MemberKind::voter));
  hand_over(script, spare);
  EXPECT_EQ(script.ask(spare, "a", "a"), "stored 0");
  script.run_for(kSecond);
  EXPECT_EQ(script.node(lagging.place()).node().status().position, raft::Position{1});
}

/// A leader of five that is cut off from the voters, and not from `one`.
void cut_off_with(Script& script, const SimNode& leader, const SimNode& one) {
  for (const auto& other : script.world.nodes) {
    if (other->place() != leader.place() && other->place() != one.place()) {
      script.world.network->cut(leader.place(), other->place());
      script.world.network->cut(other->place(), leader.place());
      script.world.network->cut(one.place(), other->place());
      script.world.network->cut(other->place(), one.place());
    }
  }
}

TEST(Members, Fault034AReadmissionThatIsUndoneHalfWayIsMadeAgain) {
  Script script(5, bring_back);
  EXPECT_EQ(script.ask(script.leader(), "a", "a"), "stored 0");
  SimNode& old_leader = script.leader();
  SimNode& wiped = script.follower();
  wipe(wiped);
  ASSERT_TRUE(script.becomes(wiped, MemberKind::awaited));
  cut_off_with(script, old_leader, wiped);
  for (const auto& node : script.world.nodes) {
    if (node->place() != old_leader.place() && node->place() != wiped.place()) {
      script.crash_and_start(*node);  // these have not heard the newcomer, then
    }
  }
  ASSERT_TRUE(script.run_until([&] { return !wiped.is_empty(); }, 5 * kSecond))
      << "let in by a CONFIG of the cut off one";
  ASSERT_EQ(script.kind_of(wiped), MemberKind::awaited);
  ASSERT_TRUE(script.run_until([&] { return script.leader().place() != old_leader.place(); }));
  EXPECT_EQ(script.ask(script.leader(), "b", "b"), "stored 1");
  script.world.network->heal_all();
  EXPECT_TRUE(script.becomes(wiped, MemberKind::voter));
  EXPECT_GT(script.world.history.coverage.configs_cut_off, 0U);
  EXPECT_EQ(script.converge(), "even");
  EXPECT_EQ(script.read(wiped), (std::vector<std::string>{"a", "b"}));
}

TEST(Members, Fault034AnAdditionThatIsUndoneHalfWayCanBeAskedForAgain) {
  Script script(3, nullptr, 1);
  SimNode& spare = script.node(3);
  start_with_peers(spare, {"n1", "n2", "n3", "n4"});
  script.run_for(kSecond);
  SimNode& old_leader = script.leader();
  cut_off_with(script, old_leader, spare);
  const auto undone = std::make_shared<std::string>();
  old_leader.later(0, [&] {
    old_leader.node().change_members({.action = MemberAction::add, .node = spare.name()}, 60'000,
                                     [undone](const auto& changed) { *undone = changed.error().detail; });
  });
  ASSERT_TRUE(script.run_until([&] { return !spare.is_empty(); }, 5 * kSecond));
  ASSERT_TRUE(script.run_until([&] { return script.leader().place() != old_leader.place(); }));
  EXPECT_EQ(script.ask(script.leader(), "a", "a"), "stored 0");
  script.run_for(6 * kSecond);  // until all that was connected is not any more
  script.world.network->heal_all();
  ASSERT_TRUE(script.run_until([&] { return !undone->empty(); }));
  EXPECT_THAT(*undone, HasSubstr("another leader undid it"));
  script.run_for(3 * kSecond);
  EXPECT_EQ(script.change(script.leader(), MemberAction::add, spare), "done");
  EXPECT_TRUE(script.becomes(spare, MemberKind::voter));
  EXPECT_EQ(script.converge(), "even");
  EXPECT_EQ(script.read(spare), (std::vector<std::string>{"a"}));
}

TEST(Members, Fault024OneThatIsInOrderStaysWhileTheOthersWouldBeNoQuorum) {
  Script script;
  SimNode& wiped = script.follower();
  SimNode& healthy = script.other_follower();
  wipe(wiped);
  script.run_for(2 * kSecond);
  EXPECT_THAT(script.change(script.leader(), MemberAction::remove, healthy),
              HasSubstr("remove those first, or wait until they are back"));
  EXPECT_EQ(script.change(script.leader(), MemberAction::remove, wiped), "done");
  EXPECT_EQ(script.change(script.leader(), MemberAction::remove, healthy), "done") << "now it may go";
  EXPECT_EQ(script.ask(script.leader(), "a", "a"), "stored 0");
}

}  // namespace
}  // namespace weir::sim
