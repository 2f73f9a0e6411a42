// What weir adds to the paper's elections: pre-vote, check-quorum, hand-over, and disks that hang.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/raft/checker.hpp"
#include "tests/raft/cluster.hpp"
#include "tests/raft/solo.hpp"

namespace weir::raft::test {
namespace {

using testing::Each;
using testing::IsEmpty;
using testing::SizeIs;

RequestVoteReply pre_vote(VoteAnswer answer) {
  return {.kind = VoteKind::pre_vote, .answer = answer};
}

VoteAnswer answer_of(const Output& output) {
  return only<RequestVoteReply>(output.messages_after_persist).answer;
}

TEST(PreVote, RaisesNoTermAndRecordsNoVote) {
  Solo node({.log = {1}});
  const Output output = node.time_out();
  EXPECT_EQ(node.raft.role(), Role::pre_candidate);
  EXPECT_EQ(node.raft.current_term(), Term{1});
  EXPECT_FALSE(output.hard_state);
  ASSERT_THAT(output.messages_after_persist, SizeIs(2));
  EXPECT_EQ(output.messages_after_persist.front().term, Term{2}) << "the term it would start";
}

TEST(PreVote, IsGrantedToAllWhoCouldWin) {
  Solo node({.log = {1}});
  const Output output = node.receive(2, 2, vote_request(1, 1, VoteKind::pre_vote));
  EXPECT_EQ(answer_of(output), VoteAnswer::granted);
  EXPECT_EQ(output.messages_after_persist.front().term, Term{2});
  EXPECT_FALSE(output.hard_state);
  EXPECT_EQ(answer_of(node.receive(3, 2, vote_request(1, 1, VoteKind::pre_vote))), VoteAnswer::granted);
  EXPECT_EQ(answer_of(node.receive(3, 2, vote_request(0, 0, VoteKind::pre_vote))), VoteAnswer::refused);
  EXPECT_EQ(node.raft.current_term(), Term{1});
}

TEST(PreVote, IsRefusedByWhoHearsALeader) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  EXPECT_EQ(answer_of(node.receive(3, 2, vote_request(5, 1, VoteKind::pre_vote))), VoteAnswer::refused);
  node.tick(15);
  EXPECT_EQ(answer_of(node.receive(3, 2, vote_request(5, 1, VoteKind::pre_vote))), VoteAnswer::granted);
}

TEST(PreVote, LostMeansAnotherWait) {
  Solo node;
  node.time_out();
  node.receive(2, 0, pre_vote(VoteAnswer::refused));
  EXPECT_EQ(node.raft.role(), Role::pre_candidate);
  node.receive(3, 0, pre_vote(VoteAnswer::refused));
  EXPECT_EQ(node.raft.role(), Role::follower);
  EXPECT_GE(node.raft.election_ticks_left(), 15U);
}

TEST(PreVote, AnswersOfAnotherRoundDoNotCount) {
  Solo node({.term = 4});
  node.time_out();
  node.receive(2, 4, pre_vote(VoteAnswer::granted));
  EXPECT_EQ(node.raft.role(), Role::pre_candidate);
  node.receive(2, 9, pre_vote(VoteAnswer::granted));
  EXPECT_EQ(node.raft.role(), Role::pre_candidate);
  EXPECT_EQ(node.raft.current_term(), Term{4});
}

// FAULTS 12
TEST(PreVote, AMemberThatWasAwayDisturbsNobody) {
  Cluster cluster(3);
  cluster.start_all();
  const NodeId leader = cluster.elect();
  const Term term = cluster.raft(leader.value).current_term();
  const std::uint64_t away = leader.value % 3 + 1;
  cluster.isolate(away);
  cluster.run(500);
  EXPECT_EQ(cluster.raft(away).current_term(), term);
  cluster.heal();
  cluster.run(50);
  EXPECT_EQ(cluster.leader(), leader);
  EXPECT_EQ(cluster.raft(leader.value).current_term(), term);
}

// FAULTS 13: a member whose term is higher hears the leader of a lower one. It must be able to say so, or it would
// neither follow nor be voted for.
TEST(CheckQuorum, AMemberOfAHigherTermComesBack) {
  Cluster cluster(3);
  cluster.member(3).disk.hard_state.current_term = Term{9};
  cluster.start(1);
  cluster.start(2);
  ASSERT_NE(cluster.elect(), kNobody);
  cluster.start(3);
  cluster.run(100);
  const NodeId leader = cluster.elect();
  ASSERT_NE(leader, kNobody);
  for (const NodeId id : cluster.ids()) {
    EXPECT_EQ(cluster.raft(id.value).leader(), leader);
    EXPECT_EQ(cluster.raft(id.value).current_term(), Term{10});
  }
}

// FAULTS 9
TEST(CheckQuorum, ALeaderThatHearsNobodyStepsDownWithinAnElectionTimeout) {
  Solo node;
  node.lead_and_commit();
  node.tick(29);
  EXPECT_EQ(node.raft.role(), Role::leader);
  const Output output = node.tick();
  EXPECT_EQ(node.raft.role(), Role::follower);
  EXPECT_EQ(node.raft.leader(), kNobody);
  EXPECT_EQ(node.raft.current_term(), Term{1}) << "its term goes on";
  EXPECT_TRUE(has_event<RoleChanged>(output));
  EXPECT_EQ(node.raft.propose({Proposal{}}), std::unexpected(ProposeError::not_leader));
}

TEST(CheckQuorum, OneFollowerOfTwoIsEnough) {
  Solo node;
  node.lead_and_commit();
  for (int i = 0; i < 50; ++i) {
    node.tick(20);
    node.matched(2, 1);
  }
  EXPECT_EQ(node.raft.role(), Role::leader);
  EXPECT_TRUE(node.raft.progress()[0].recently_active);
  EXPECT_FALSE(node.raft.progress()[1].recently_active);
}

// FAULTS 10
TEST(CheckQuorum, ALeaderThatIsHeardButHearsNobodyIsReplaced) {
  Cluster cluster(3);
  cluster.start_all();
  const std::uint64_t leader = cluster.elect().value;
  for (std::uint64_t other = 1; other <= 3; ++other) {
    cluster.cut(other, leader);
  }
  cluster.run(200);
  const NodeId next = cluster.elect();
  ASSERT_NE(next, kNobody);
  EXPECT_NE(next.value, leader);
  EXPECT_NE(cluster.raft(leader).role(), Role::leader);
}

// FAULTS 11: 3 is the only one who sees both sides.
TEST(CheckQuorum, ABridgeDoesNotLeadToAStormOfElections) {
  Cluster cluster(5);
  cluster.start_all();
  ASSERT_NE(cluster.elect(), kNobody);
  for (const auto& [from, to] : {std::pair{1, 4}, {1, 5}, {2, 4}, {2, 5}}) {
    cluster.cut(static_cast<std::uint64_t>(from), static_cast<std::uint64_t>(to));
    cluster.cut(static_cast<std::uint64_t>(to), static_cast<std::uint64_t>(from));
  }
  cluster.run(300);
  const NodeId leader = cluster.elect();
  ASSERT_NE(leader, kNobody);
  const Term term = cluster.raft(leader.value).current_term();
  cluster.run(1000);
  EXPECT_LE(cluster.raft(cluster.elect().value).current_term() - term, 2U);
}

// FAULTS 120
TEST(DiskStall, ALeaderStepsDownAndStaysDownUntilTheDiskIsBack) {
  Solo node({.size = 1});
  node.time_out();
  node.persist();
  node.raft.disk_health(DiskHealth::stalled);
  EXPECT_EQ(node.raft.role(), Role::follower);
  node.tick(500);
  EXPECT_EQ(node.raft.role(), Role::follower);
  node.raft.disk_health(DiskHealth::flowing);
  node.time_out();
  EXPECT_EQ(node.raft.role(), Role::leader);
}

TEST(DiskStall, ACandidateGivesUp) {
  Solo node;
  node.campaign();
  node.raft.disk_health(DiskHealth::stalled);
  EXPECT_EQ(node.raft.role(), Role::follower);
  node.receive(2, 1, RequestVoteReply{.kind = VoteKind::vote, .answer = VoteAnswer::granted});
  EXPECT_EQ(node.raft.role(), Role::follower);
}

TEST(DiskStall, NobodyTakesOverByOrder) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  node.raft.disk_health(DiskHealth::stalled);
  node.receive(2, 1, append(0, 0, {}));
  node.receive(2, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::follower);
}

TEST(Transfer, SendsTimeoutNowToAFollowerThatHasEverything) {
  Solo node;
  node.lead_and_commit();
  node.raft.transfer_leadership(NodeId{3});
  const Output output = node.raft.take_output();
  ASSERT_THAT(bodies<TimeoutNow>(output.messages), SizeIs(1));
  EXPECT_EQ(output.messages.back().to, NodeId{3});
}

TEST(Transfer, CatchesTheSuccessorUpFirst) {
  Solo node;
  node.lead_and_commit();
  node.propose("sally");
  node.raft.transfer_leadership(NodeId{3});
  EXPECT_THAT(bodies<TimeoutNow>(node.raft.take_output().messages), IsEmpty());
  EXPECT_THAT(bodies<TimeoutNow>(node.matched(2, 2).messages), IsEmpty());
  EXPECT_THAT(bodies<TimeoutNow>(node.matched(3, 2).messages), SizeIs(1));
}

TEST(Transfer, PicksTheFollowerThatIsFurthest) {
  Solo node;
  node.lead_and_commit();
  node.propose("sally");
  node.matched(3, 2);
  node.raft.transfer_leadership();
  const Output output = node.raft.take_output();
  ASSERT_THAT(bodies<TimeoutNow>(output.messages), SizeIs(1));
  EXPECT_EQ(output.messages.back().to, NodeId{3});
}

TEST(Transfer, TakesNoProposalsMeanwhileAndGivesUpAfterAnElectionTimeout) {
  Solo node;
  node.lead_and_commit();
  node.raft.transfer_leadership(NodeId{3});
  EXPECT_EQ(node.raft.propose({Proposal{}}), std::unexpected(ProposeError::not_leader));
  for (int i = 0; i < 6; ++i) {
    node.tick(5);
    node.matched(2, 1);
  }
  EXPECT_TRUE(node.raft.propose({Proposal{}}).has_value());
}

TEST(Transfer, IsIgnoredByFollowersAndForStrangers) {
  Solo node;
  node.raft.transfer_leadership(NodeId{2});
  EXPECT_FALSE(node.raft.has_output());
  node.lead_and_commit();
  node.raft.transfer_leadership(NodeId{9});
  node.raft.transfer_leadership(NodeId{1});
  EXPECT_TRUE(node.raft.propose({Proposal{}}).has_value());
}

TEST(Transfer, TheSuccessorAsksForVotesWithoutAPreVote) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  const Output output = node.receive(2, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::candidate);
  EXPECT_THAT(bodies<RequestVote>(output.messages_after_persist), Each(vote_request(0, 0, VoteKind::transfer_vote)));
}

TEST(Transfer, OnlyTheLeaderMayOrderIt) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  node.receive(3, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::follower);
}

// FAULTS 36
TEST(Transfer, LosesNothingAndTakesLessThanTwoTimeouts) {
  Cluster cluster(3);
  Checker checker(cluster);
  cluster.start_all();
  const std::uint64_t leader = cluster.elect().value;
  const std::uint64_t next = leader % 3 + 1;
  ASSERT_TRUE(cluster.propose(leader, "sally"));
  cluster.act(leader, [&](Raft& raft) { raft.transfer_leadership(NodeId{next}); });
  cluster.run(5);
  EXPECT_EQ(cluster.leader(), NodeId{next});
  ASSERT_TRUE(cluster.propose(next, "bob"));
  cluster.run(10);
  EXPECT_EQ(cluster.member(leader).applied.back().data.view(), "bob");
  EXPECT_THAT(checker.violations(), IsEmpty());
}

}  // namespace
}  // namespace weir::raft::test
