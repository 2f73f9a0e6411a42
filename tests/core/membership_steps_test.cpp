// FAULTS 24: what the leader does by itself about members that come back without their disk.
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

TEST_F(NextStep, ANewcomerThatHasNotBeenFoundedYetIsLeftToIt) {
  EXPECT_EQ(after(MemberKind::joining, 33, hello_of("n3", "", 33), false), MemberKind::joining);
}

}  // namespace
}  // namespace weir::broker::test
