// What "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout; extended version) says, sentence by
// sentence: terms, elections, time (for the log see paper_log_test.cpp). Pre-votes, which it does not know, are granted
// silently by Solo::campaign().
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/raft/solo.hpp"

namespace weir::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

RequestVoteReply granted() {
  return {.kind = VoteKind::vote, .answer = VoteAnswer::granted};
}

VoteAnswer answer_of(const Output& output) {
  return only<RequestVoteReply>(output.messages_after_persist).answer;
}

AppendEntriesReply reply_of(const Output& output) {
  return only<AppendEntriesReply>(output.messages_after_persist);
}

// --- Terms

// §5.1: "if one server's current term is smaller than the other's, then it updates its current term to the larger
// value"
TEST(Terms, AHigherOneIsAdopted) {
  Solo node({.term = 1});
  const Output output = node.receive(2, 5, append(0, 0, {}));
  EXPECT_EQ(node.raft.current_term(), Term{5});
  ASSERT_TRUE(output.hard_state);
  EXPECT_EQ(*output.hard_state, (HardState{.current_term = Term{5}, .voted_for = kNobody}));
}

// §5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state."
TEST(Terms, ACandidateOfAnOldTermFollows) {
  Solo node;
  node.campaign();
  node.receive(2, 7, RequestVoteReply{.kind = VoteKind::vote, .answer = VoteAnswer::refused});
  EXPECT_EQ(node.raft.role(), Role::follower);
  EXPECT_EQ(node.raft.current_term(), Term{7});
  EXPECT_EQ(node.raft.voted_for(), kNobody);
}
TEST(Terms, ALeaderOfAnOldTermFollows) {
  Solo node;
  node.lead();
  node.receive(2, 7, RequestVoteReply{.kind = VoteKind::vote, .answer = VoteAnswer::refused});
  EXPECT_EQ(node.raft.role(), Role::follower);
  EXPECT_THAT(node.raft.progress(), IsEmpty());
}

// §5.1: "If a server receives a request with a stale term number, it rejects the request." FAULTS 8
TEST(Terms, AStaleVoteRequestIsRejectedWithTheNewTerm) {
  Solo node({.term = 3});
  const Output output = node.receive(2, 2, vote_request(9, 1));
  EXPECT_EQ(answer_of(output), VoteAnswer::refused);
  EXPECT_EQ(output.messages_after_persist.front().term, Term{3});
  EXPECT_FALSE(output.hard_state);
}
TEST(Terms, AStaleAppendEntriesIsRejectedWithTheNewTermAndChangesNothing) {
  Solo node({.log = {1, 1}, .term = 3});
  const Output output = node.receive(2, 2, append(1, 1, {entry(2, 2)}, 2));
  EXPECT_EQ(reply_of(output).answer, AppendAnswer::conflict);
  EXPECT_EQ(output.messages_after_persist.front().term, Term{3});
  EXPECT_THAT(terms_of(node.raft), ElementsAre(1, 1));
  EXPECT_EQ(node.raft.leader(), kNobody);
  EXPECT_EQ(node.raft.commit_index(), Index{0});
}
TEST(Terms, StaleAnswersAreIgnored) {
  Solo node({.term = 3});
  node.lead();
  EXPECT_TRUE(node.receive(2, 3,
                           AppendEntriesReply{.answer = AppendAnswer::matched,
                                              .match_index = Index{1},
                                              .conflict_term = {},
                                              .conflict_index = {},
                                              .read_context = {}})
                  .empty());
  EXPECT_EQ(node.raft.progress().front().match_index, Index{0});
}

// --- Elections

// §5.2: "When servers start up, they begin as followers."
TEST(Election, MembersStartAsFollowers) {
  Solo node;
  EXPECT_EQ(node.raft.role(), Role::follower);
  EXPECT_EQ(node.raft.leader(), kNobody);
  EXPECT_FALSE(node.raft.has_output());
}

// §5.2: "A server remains in follower state as long as it receives valid RPCs from a leader or candidate."
TEST(Election, AFollowerThatHearsItsLeaderStays) {
  Solo node;
  for (int i = 0; i < 100; ++i) {
    node.receive(2, 1, append(0, 0, {}));
    node.tick(14);
  }
  EXPECT_EQ(node.raft.role(), Role::follower);
  EXPECT_EQ(node.raft.leader(), NodeId{2});
}

// Figure 2, followers: "without receiving AppendEntries RPC from current leader or granting vote to candidate"
TEST(Election, GrantingAVotePutsTheOwnElectionOff) {
  Solo node;
  const std::uint32_t timeout = node.raft.election_ticks_left();
  node.tick(timeout - 1);
  node.receive(2, 1, vote_request(0, 0));
  EXPECT_EQ(node.raft.election_ticks_left(), timeout);
}
TEST(Election, RefusingAVoteDoesNot) {
  Solo node({.log = {1}});
  node.tick(5);
  const std::uint32_t left = node.raft.election_ticks_left();
  node.receive(2, 9, vote_request(0, 0));
  EXPECT_EQ(node.raft.election_ticks_left(), left);
}

// §5.2: "a follower increments its current term and transitions to candidate state. It then votes for itself and issues
// RequestVote RPCs in parallel to each of the other servers in the cluster"
TEST(Election, ACandidateVotesForItselfAndAsksTheOthers) {
  Solo node({.size = 5, .log = {1, 2}});
  const Output output = node.campaign();
  EXPECT_EQ(node.raft.role(), Role::candidate);
  ASSERT_TRUE(output.hard_state);
  EXPECT_EQ(*output.hard_state, (HardState{.current_term = Term{3}, .voted_for = NodeId{1}}));
  EXPECT_THAT(output.messages, IsEmpty()) << "vote requests wait for the disk";
  ASSERT_THAT(output.messages_after_persist, SizeIs(4));
  for (const Message& message : output.messages_after_persist) {
    EXPECT_EQ(message.term, Term{3});
    EXPECT_EQ(std::get<RequestVote>(message.body), vote_request(2, 2));
  }
}

// §5.2: "A candidate wins an election if it receives votes from a majority of the servers in the full cluster for the
// same term."
TEST(Election, AMajorityOfTheFullClusterWins) {
  Solo node({.size = 5});
  node.campaign();
  node.receive(2, 1, granted());
  EXPECT_EQ(node.raft.role(), Role::candidate);
  node.receive(2, 1, granted());
  EXPECT_EQ(node.raft.role(), Role::candidate) << "one voter counts once";
  node.receive(3, 1, granted());
  EXPECT_EQ(node.raft.role(), Role::leader);
}
TEST(Election, VotesOfAnEarlierTermDoNotCount) {
  Solo node;
  node.campaign();
  node.campaign();
  EXPECT_EQ(node.raft.current_term(), Term{2});
  node.receive(2, 1, granted());
  EXPECT_EQ(node.raft.role(), Role::candidate);
}

// §5.2: "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis"
TEST(Election, OneVotePerTerm) {
  Solo node;
  EXPECT_EQ(answer_of(node.receive(2, 1, vote_request(0, 0))), VoteAnswer::granted);
  EXPECT_EQ(answer_of(node.receive(3, 1, vote_request(0, 0))), VoteAnswer::refused);
  EXPECT_EQ(answer_of(node.receive(2, 1, vote_request(0, 0))), VoteAnswer::granted)
      << "asked again, the answer was lost";
  EXPECT_EQ(answer_of(node.receive(3, 2, vote_request(0, 0))), VoteAnswer::granted) << "a new term, a new vote";
}

// Figure 2: "(Updated on stable storage before responding to RPCs)". FAULTS 2
TEST(Election, AVoteIsDurableBeforeItIsAnswered) {
  Solo node;
  const Output output = node.receive(2, 1, vote_request(0, 0));
  ASSERT_TRUE(output.hard_state);
  EXPECT_EQ(*output.hard_state, (HardState{.current_term = Term{1}, .voted_for = NodeId{2}}));
  EXPECT_THAT(output.messages, IsEmpty());
  EXPECT_THAT(output.messages_after_persist, SizeIs(1));
}
TEST(Election, AVoteOutlivesARestart) {
  Solo node({.term = 1, .voted_for = 2});
  EXPECT_EQ(answer_of(node.receive(3, 1, vote_request(0, 0))), VoteAnswer::refused);
  EXPECT_EQ(answer_of(node.receive(2, 1, vote_request(0, 0))), VoteAnswer::granted);
}

// §5.2: "It then sends heartbeat messages to all of the other servers to establish its authority and prevent new
// elections."
TEST(Election, ANewLeaderIsHeardAtOnce) {
  Solo node({.size = 5});
  const Output output = node.lead();
  EXPECT_THAT(bodies<AppendEntries>(output.messages), SizeIs(4));
}

// §5.2: "If the leader's term (included in its RPC) is at least as large as the candidate's current term, then the
// candidate recognizes the leader as legitimate and returns to follower state."
TEST(Election, ACandidateFollowsTheLeaderOfItsTerm) {
  Solo node;
  node.campaign();
  node.receive(3, 1, append(0, 0, {}));
  EXPECT_EQ(node.raft.role(), Role::follower);
  EXPECT_EQ(node.raft.leader(), NodeId{3});
  EXPECT_EQ(node.raft.voted_for(), NodeId{1}) << "its vote for this term is spent";
}
// "If the term in the RPC is smaller than the candidate's current term, then the candidate rejects the RPC and
// continues in candidate state."
TEST(Election, ACandidateRejectsALeaderOfAnEarlierTerm) {
  Solo node({.term = 4});
  node.campaign();
  const Output output = node.receive(3, 4, append(0, 0, {}));
  EXPECT_EQ(node.raft.role(), Role::candidate);
  EXPECT_EQ(output.messages_after_persist.front().term, Term{5});
}

// §5.2: "each candidate will time out and start a new election by incrementing its term"
TEST(Election, ACandidateWithoutAResultTriesAgain) {
  Solo node;
  node.campaign();
  node.campaign();
  EXPECT_EQ(node.raft.role(), Role::candidate);
  EXPECT_EQ(node.raft.current_term(), Term{2});
}

// §5.2: "election timeouts are chosen randomly from a fixed interval (e.g., 150–300ms)"
TEST(Election, TimeoutsAreSpreadOverTheInterval) {
  std::set<std::uint32_t> drawn;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Start start;
    start.config.seed = seed;
    const std::uint32_t ticks = Solo(start).raft.election_ticks_left();
    EXPECT_GE(ticks, 15U);
    EXPECT_LE(ticks, 30U);
    drawn.insert(ticks);
  }
  EXPECT_THAT(drawn, SizeIs(16));
}
// "they are reset ... at the start of an election": the next one is another draw.
TEST(Election, EveryElectionDrawsAnew) {
  Solo node;
  std::set<std::uint32_t> drawn;
  for (int i = 0; i < 50; ++i) {
    drawn.insert(node.raft.election_ticks_left());
    node.campaign();
  }
  EXPECT_GE(drawn.size(), 8U);
}

// §5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate", which is so "if the
// logs have last entries with different terms, then the log with the later term"; "if the logs end with the same term,
// then whichever log is longer".
TEST(Election, CandidateWithAStaleLogIsRefused) {
  const auto vote = [](std::uint64_t last_index, std::uint64_t last_term) {
    Solo node({.log = {1, 2, 2}});
    return answer_of(node.receive(2, 5, vote_request(last_index, last_term)));
  };
  EXPECT_EQ(vote(9, 1), VoteAnswer::refused) << "longer, of an earlier term";
  EXPECT_EQ(vote(2, 2), VoteAnswer::refused) << "same term, shorter";
  EXPECT_EQ(vote(3, 2), VoteAnswer::granted) << "the same";
  EXPECT_EQ(vote(4, 2), VoteAnswer::granted) << "same term, longer";
  EXPECT_EQ(vote(1, 3), VoteAnswer::granted) << "shorter, of a later term";
  EXPECT_EQ(vote(0, 0), VoteAnswer::refused) << "empty";
}

// §6: "if a server receives a RequestVote RPC within the minimum election timeout of hearing from a current leader, it
// does not update its term or grant its vote"
TEST(Stickiness, WhoHearsALeaderHelpsNobodyElse) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  node.tick(14);
  const Output output = node.receive(3, 9, vote_request(0, 0));
  EXPECT_EQ(answer_of(output), VoteAnswer::refused);
  EXPECT_EQ(node.raft.current_term(), Term{1});
  node.tick(1);
  EXPECT_EQ(answer_of(node.receive(3, 9, vote_request(0, 0))), VoteAnswer::granted);
}
TEST(Stickiness, ALeaderKeepsItsTerm) {
  Solo node;
  node.lead();
  node.receive(3, 9, vote_request(9, 8));
  EXPECT_EQ(node.raft.role(), Role::leader);
}
TEST(Stickiness, DoesNotHoldUpAHandOver) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  EXPECT_EQ(answer_of(node.receive(3, 2, vote_request(0, 0, VoteKind::transfer_vote))), VoteAnswer::granted);
}

// --- Timing

// §5.2: "Leaders send periodic heartbeats (AppendEntries RPCs that carry no log entries) to all followers in order to
// maintain their authority."
TEST(Heartbeat, ComesEveryInterval) {
  Solo node;
  node.lead_and_commit();
  EXPECT_TRUE(node.tick(4).empty());
  const Output output = node.tick();
  ASSERT_THAT(output.messages, SizeIs(2));
  EXPECT_THAT(bodies<AppendEntries>(output.messages).front().entries, IsEmpty());
}
TEST(Heartbeat, DoesNotWaitForTheDisk) {
  Solo node;
  node.lead_and_commit();
  node.propose("under way");
  EXPECT_THAT(node.tick(5).messages, SizeIs(2));
}
TEST(Heartbeat, IsAnsweredWithWhatItVerified) {
  Solo node({.log = {1, 1, 1}});
  const Output output = node.receive(2, 1, append(2, 1, {}));
  EXPECT_EQ(reply_of(output).answer, AppendAnswer::matched);
  EXPECT_EQ(reply_of(output).match_index, Index{2});
}

}  // namespace
}  // namespace weir::raft::test
