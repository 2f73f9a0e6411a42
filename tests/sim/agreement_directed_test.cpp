// FAULTS 25 and 44: a member that holds something else than the others, or less than it had, is found out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/script.hpp"

namespace weir::sim {
namespace {

using testing::HasSubstr;

void publish_many(Script& script, const std::string& prefix, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string body = prefix + std::to_string(i);
    ASSERT_THAT(script.ask(script.leader(), body, body), HasSubstr("stored"));
  }
}

[[nodiscard]] broker::MemberStatus member_of(SimNode& at, const SimNode& member) {
  for (const auto& status : at.node().status().members) {
    if (status.node == member.id()) {
      return status;
    }
  }
  return {};
}

TEST(Agreement, MembersAreComparedAsTheLogGrows) {
  Script script;
  publish_many(script, "a", 3 * kDigestEvery);
  script.run_for(kSecond);
  ASSERT_EQ(script.converge(), "even");
  for (const auto& node : script.world.nodes) {
    EXPECT_GE(node->node().status().compared_index, raft::Index{2 * kDigestEvery}) << node->name();
    EXPECT_EQ(node->node().counters().digests_differing, 0U);
  }
}

TEST(Agreement, Fault044AMemberWhoseLogIsAnotherStopsItselfAndTheOthersGoOn) {
  Script script;
  script.world.alarms_expected = true;
  publish_many(script, "a", 4);
  SimNode& odd = script.follower();
  script.crash_and_start(odd);
  script.run_for(kSecond);
  odd.crash();
  // The newest entry with an event, in other words and with a checksum that holds.
  auto forged = odd.image().entries().back();
  ASSERT_EQ(forged.command, raft::Command::publish);
  wire::PublishBuilder builder;
  wire::EventView view;
  view.topic = "t";
  view.id = "forged";
  builder.add(view);
  const auto request = wire::PublishView::verify(*builder.finish());
  forged.data = wire::merge({&*request, 1}, 1'000);
  forged.checksum = wire::entry_checksum(forged.command, forged.data.view());
  SimDisk disk = odd.image();
  disk.forge(forged);
  odd.put_back(disk);
  odd.start();
  for (std::uint64_t i = 0; i < 4 * kDigestEvery; ++i) {
    const std::string body = "b" + std::to_string(i);
    EXPECT_THAT(script.ask(script.leader(), body, body), HasSubstr("stored"));
  }
  ASSERT_TRUE(script.run_until([&] { return odd.node().status().phase == broker::Phase::failed; }));
  EXPECT_THAT(odd.node().status().why, HasSubstr("this node's data differs from the majority's"));
  EXPECT_EQ(member_of(script.leader(), odd).healthy, false);
  EXPECT_THAT(script.ask(script.leader(), "c", "c"), HasSubstr("stored"));
}

TEST(Agreement, Fault025AnOldCopyOfADiskIsNotCountedByTheLeader) {
  Script script;
  script.world.alarms_expected = true;
  publish_many(script, "a", 3);
  SimNode& leader = script.leader();
  SimNode& restored = script.follower();
  restored.crash();
  const SimDisk old = restored.image();
  restored.start();
  publish_many(script, "b", 5);
  const auto is_even = [&] { return restored.node().status().applied_index == leader.node().status().applied_index; };
  ASSERT_TRUE(script.run_until(is_even)) << "it has acknowledged it all";
  restored.crash();
  restored.put_back(old);
  restored.start();
  script.run_for(3 * kSecond);
  ASSERT_EQ(script.leader().place(), leader.place());
  EXPECT_EQ(member_of(leader, restored).healthy, false);
  EXPECT_THAT(member_of(leader, restored).why, HasSubstr("older copy"));
  EXPECT_THAT(script.ask(leader, "c", "c"), HasSubstr("stored")) << "two of three";
  for (const auto& node : script.world.nodes) {
    if (node->place() != leader.place() && node->place() != restored.place()) {
      node->crash();
    }
  }
  EXPECT_EQ(script.ask(leader, "d", "d", 2'000), "unknown") << "and one is not a majority with it";
}

TEST(Agreement, Fault048ADiskThatLiesAboutFlushesLosesItsOwnCopyAndNothingElse) {
  Script script;
  script.world.alarms_expected = true;
  publish_many(script, "a", 3);
  SimNode& liar = script.follower();
  liar.crash();
  const SimDisk really_flushed = liar.image();
  liar.start();
  publish_many(script, "b", 5);
  const auto is_even = [&] {
    return liar.node().status().applied_index == script.leader().node().status().applied_index;
  };
  ASSERT_TRUE(script.run_until(is_even)) << "it has acknowledged it all";
  // The power goes everywhere; of the others all is there that was acknowledged.
  for (const auto& node : script.world.nodes) {
    node->crash();
  }
  liar.put_back(really_flushed);
  for (const auto& node : script.world.nodes) {
    node->start();
  }
  SimNode& leader = script.leader();
  ASSERT_NE(leader.place(), liar.place());
  EXPECT_THAT(script.ask(leader, "c", "c"), HasSubstr("stored 8"));
  EXPECT_EQ(script.read(leader).size(), 9U) << "three, five and this one";
  EXPECT_EQ(script.world.checkers->verdict.violation(), "");
}

}  // namespace
}  // namespace weir::sim
