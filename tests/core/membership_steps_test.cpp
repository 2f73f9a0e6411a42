// FAULTS 24: what the leader does by itself about members that come back without their disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/core/membership.hpp"
#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using wire::MemberKind;

class NextStep : public testing::Test {
 protected:
  /// n3 has this standing in CONFIG; what becomes of it, or unset if nothing does.
  MemberKind after(MemberKind kind, std::uint64_t incarnation, const wire::Hello& heard, bool caught_up) {
    wire::ConfigEntry config = config_of({"n1", "n2", "n3"});
    config.members[2].kind = kind;
    config.members[2].incarnation = incarnation;
    const raft::NodeId n3 = config.members[2].node;
    const auto next = next_step(config, config.members[0].node, {{n3, heard}},
                                caught_up ? std::set{n3} : std::set<raft::NodeId>{}, {});
    return next ? next->members[2].kind : kind;
  }
};

TEST_F(NextStep, Fault024AVoterThatShowsUpEmptyIsAwaitedThenJoinsThenVotes) {
  EXPECT_EQ(after(MemberKind::voter, 3, hello_of("n3", "", 33), false), MemberKind::awaited);
  EXPECT_EQ(after(MemberKind::awaited, 33, hello_of("n3", "", 33), false), MemberKind::joining);
  EXPECT_EQ(after(MemberKind::joining, 33, hello_of("n3", "c", 33), false), MemberKind::joining);
  EXPECT_EQ(after(MemberKind::joining, 33, hello_of("n3", "c", 33), true), MemberKind::voter);
}

TEST_F(NextStep, Fault024ALearnerThatLostItsDiskBeforeItsPromotionIsNoVoter) {
  EXPECT_EQ(after(MemberKind::joining, 33, hello_of("n3", "", 34), true), MemberKind::awaited);
}

TEST_F(NextStep, Fault034OneThatWasLetInByAConfigThatDidNotLastIsLetInAgain) {
  EXPECT_EQ(after(MemberKind::awaited, 33, hello_of("n3", "c", 33), false), MemberKind::joining);
  EXPECT_EQ(after(MemberKind::awaited, 33, hello_of("n3", "c", 3), false), MemberKind::awaited)
      << "another data folder, which it was told to remove";
}

TEST_F(NextStep, Fault025AnOlderCopyIsNotWhatIsAwaited) {
  const wire::ConfigEntry config = config_of({"n1", "n2", "n3"});
  const raft::NodeId n3 = config.members[2].node;
  const auto next = next_step(config, config.members[0].node, {{n3, hello_of("n3", "c", 3)}}, {}, {n3});
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->members[2].kind, MemberKind::awaited);
  EXPECT_FALSE(next_step(*next, config.members[0].node, {{n3, hello_of("n3", "c", 3)}}, {}, {}).has_value())
      << "a leader that never saw more of it does not take it for what it was";
}

/// Of three, with those that lost their data: what becomes of a request to remove one; "" if it is granted.
[[nodiscard]] std::string removal(const std::string& name, const std::vector<std::string>& lost) {
  std::set<raft::NodeId> nodes;
  for (const auto& each : lost) {
    nodes.insert(id_of(each));
  }
  const auto next =
      changed(config_of({"n1", "n2", "n3"}), {.action = MemberAction::remove, .node = name}, nullptr, nodes);
  return next ? "" : next.error().detail;
}

TEST(Removal, Fault024LeavesNoQuorumToThoseThatLostTheirData) {
  EXPECT_EQ(removal("n2", {}), "");
  EXPECT_THAT(removal("n2", {"n3"}), testing::HasSubstr("of the 2 voters left, 'n3' lost the data folder"));
  EXPECT_EQ(removal("n3", {"n3"}), "") << "this is the way out";
  EXPECT_EQ(removal("n3", {"n2", "n3"}), "") << "and so it is if nothing can make it worse";
}

TEST_F(NextStep, ANewcomerThatHasNotBeenFoundedYetIsLeftToIt) {
  EXPECT_EQ(after(MemberKind::joining, 33, hello_of("n3", "", 33), false), MemberKind::joining);
}

}  // namespace
}  // namespace weir::broker::test
