// What "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout; extended version) says, sentence by
// sentence: the log and what of it is committed (for the rest see paper_test.cpp).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/describe.hpp"
#include "tests/raft/solo.hpp"

namespace weir::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

AppendEntriesReply reply_of(const Output& output) {
  return only<AppendEntriesReply>(output.messages_after_persist);
}

// Figure 2, leaders: "If command received from client: append entry to local log"; §5.3: "then issues AppendEntries
// RPCs in parallel to each of the other servers"
TEST(Replication, AProposalGoesToTheLogAndToTheFollowersAtOnce) {
  Solo node;
  node.lead_and_commit();
  const Output output = node.propose("sally");
  ASSERT_THAT(output.append, SizeIs(1));
  EXPECT_EQ(describe(output.append.front()), "2@1 SET sally");
  const auto sent = bodies<AppendEntries>(output.messages);
  ASSERT_THAT(sent, SizeIs(2)) << "without waiting for the leader's own disk";
  EXPECT_EQ(sent.front(), append(1, 1, output.append, 1));
}
TEST(Replication, OnlyALeaderTakesProposals) {
  Solo node;
  EXPECT_EQ(node.raft.propose({Proposal{}}), std::unexpected(ProposeError::not_leader));
}

// §5.3: "A log entry is committed once the leader that created the entry has replicated it on a majority of the
// servers"
TEST(Replication, AMajorityOfDisksCommits) {
  Solo node({.size = 5});
  node.lead_and_commit();
  node.propose("sally");
  node.matched(2, 2);
  node.matched(3, 2);
  EXPECT_EQ(node.raft.commit_index(), Index{1}) << "two followers, and the leader's own disk has not reported";
  const Output output = node.persist();
  EXPECT_EQ(node.raft.commit_index(), Index{2});
  EXPECT_EQ(output.commit_to, Index{2});
}
TEST(Replication, FollowersMayBeFasterThanTheLeadersOwnDisk) {
  Solo node({.size = 5});
  node.lead_and_commit();
  node.propose("sally");
  for (const std::uint64_t follower : {2U, 3U, 4U}) {
    node.matched(follower, 2);
  }
  EXPECT_EQ(node.raft.commit_index(), Index{2});
  EXPECT_EQ(node.raft.durable_index(), Index{1});
  EXPECT_EQ(node.persist().commit_to, Index{2}) << "applied here only once it is durable here";
}
TEST(Replication, AMemberAloneCommitsWhatItsDiskHas) {  // FAULTS 22
  Solo node({.size = 1});
  node.time_out();
  ASSERT_EQ(node.raft.role(), Role::leader);
  EXPECT_EQ(node.raft.commit_index(), Index{0});
  EXPECT_EQ(node.persist().commit_to, Index{1});
  EXPECT_FALSE(node.propose("sally").commit_to);
  EXPECT_EQ(node.persist().commit_to, Index{2});
}

// §5.3: "This also commits all preceding entries in the leader's log, including entries created by previous leaders."
TEST(Replication, ACommitTakesEverythingBeforeItAlong) {
  Solo node({.log = {1, 1}});
  node.lead();
  node.persist();
  EXPECT_EQ(node.matched(2, 3).commit_to, Index{3});
}

// §5.3: "it includes that index in future AppendEntries RPCs (including heartbeats) so that the other servers
// eventually find out"
TEST(Replication, FollowersAreToldOfTheCommit) {
  Solo node;
  node.lead();
  node.persist();
  const Output output = node.matched(2, 1);
  ASSERT_THAT(bodies<AppendEntries>(output.messages), SizeIs(1)) << "at once, if nothing else is on its way";
  EXPECT_EQ(bodies<AppendEntries>(output.messages).front(), append(1, 1, {}, 1));
  node.tick(5);
  EXPECT_EQ(bodies<AppendEntries>(node.tick(5).messages).back().leader_commit, Index{1});
}

// §5.3: "Once a follower learns that a log entry is committed, it applies the entry to its local state machine (in log
// order)."
TEST(Replication, AFollowerAppliesWhatItLearnsToBeCommittedOnceItsDiskHasIt) {
  Solo node;
  Output output = node.receive(2, 1, append(0, 0, log_of({1, 1, 1}), 2));
  EXPECT_EQ(node.raft.commit_index(), Index{2});
  EXPECT_FALSE(output.commit_to);
  EXPECT_EQ(node.persist().commit_to, Index{2});
  output = node.receive(2, 1, append(3, 1, {}, 3));
  EXPECT_EQ(output.commit_to, Index{3});
}

// Figure 2, AppendEntries 5: "set commitIndex = min(leaderCommit, index of last new entry)". FAULTS 18
TEST(Replication, AFollowerCommitsOnlyWhatThisLeaderVerified) {
  Solo node({.log = {1, 1, 1}});
  node.receive(2, 2, append(1, 1, {}, 3));
  EXPECT_EQ(node.raft.commit_index(), Index{1}) << "2 and 3 may be leftovers of another leader";
  node.receive(2, 2, append(1, 1, {entry(2, 1)}, 9));
  EXPECT_EQ(node.raft.commit_index(), Index{2});
}
TEST(Replication, CommitIndexNeverFalls) {
  Solo node({.log = {1, 1, 1}});
  node.receive(2, 1, append(3, 1, {}, 3));
  node.receive(2, 1, append(1, 1, {}, 1));
  EXPECT_EQ(node.raft.commit_index(), Index{3});
}

// §5.3: "If the follower does not find an entry in its log with the same index and term, then it refuses the new
// entries."
TEST(Replication, EntriesThatDoNotFitAreRefused) {
  Solo node({.log = {1, 1, 2}});
  Output output = node.receive(2, 3, append(5, 2, {entry(6, 3)}));
  EXPECT_EQ(reply_of(output).answer, AppendAnswer::conflict);
  EXPECT_EQ(reply_of(output).conflict_term, Term{0}) << "the log is shorter";
  EXPECT_EQ(reply_of(output).conflict_index, Index{4});
  output = node.receive(2, 3, append(3, 3, {entry(4, 3)}));
  EXPECT_EQ(reply_of(output).answer, AppendAnswer::conflict);
  EXPECT_TRUE(output.append.empty());
  EXPECT_THAT(terms_of(node.raft), ElementsAre(1, 1, 2)) << "nothing is cut off before the logs are known to meet";
}
// "the follower can include the term of the conflicting entry and the first index it stores for that term"
TEST(Replication, ARefusalNamesTheTermInTheWay) {
  Solo node({.log = {1, 1, 4, 4, 4}});
  const Output output = node.receive(2, 6, append(4, 5, {entry(5, 5)}));
  EXPECT_EQ(reply_of(output).conflict_term, Term{4});
  EXPECT_EQ(reply_of(output).conflict_index, Index{3});
}

// Figure 2, AppendEntries 3: "If an existing entry conflicts with a new one (same index but different terms), delete
// the existing entry and all that follow it"
TEST(Replication, AConflictingEntryGoesWithAllThatFollowIt) {
  Solo node({.log = {1, 1, 2, 2}});
  const Output output = node.receive(2, 3, append(1, 1, {entry(2, 1), entry(3, 3)}));
  EXPECT_EQ(output.truncate_from, Index{3});
  EXPECT_THAT(output.append, ElementsAre(entry(3, 3)));
  EXPECT_THAT(terms_of(node.raft), ElementsAre(1, 1, 3));
  EXPECT_EQ(node.raft.durable_index(), Index{2});
  EXPECT_TRUE(has_event<LogTruncated>(output));
}
// §5.5: "If a follower receives an AppendEntries request that includes log entries already present in its log, it
// ignores those entries in the new request." FAULTS 6
TEST(Replication, EntriesAlreadyPresentChangeNothing) {
  Solo node({.log = {1, 1, 1, 1}});
  const Output output = node.receive(2, 1, append(1, 1, {entry(2, 1)}));
  EXPECT_FALSE(output.truncate_from);
  EXPECT_TRUE(output.append.empty());
  EXPECT_THAT(terms_of(node.raft), ElementsAre(1, 1, 1, 1));
  EXPECT_EQ(reply_of(output).match_index, Index{2}) << "of 3 and 4 this message says nothing";
}

// Figure 2: log[] is "updated on stable storage before responding to RPCs". FAULTS 3, 121
TEST(Replication, AnAnswerWaitsForTheDisk) {
  Solo node;
  const Output first = node.receive(2, 1, append(0, 0, {entry(1, 1)}));
  EXPECT_THAT(first.messages, IsEmpty());
  EXPECT_EQ(reply_of(first).match_index, Index{1});
  const Output again = node.receive(2, 1, append(0, 0, {entry(1, 1)}));
  EXPECT_TRUE(again.append.empty());
  EXPECT_THAT(again.messages, IsEmpty());
  EXPECT_EQ(reply_of(again).match_index, Index{1}) << "behind the first write, though it writes nothing itself";
}

// §5.3: "When a leader first comes to power, it initializes all nextIndex values to the index just after the last one
// in its log"
TEST(Replication, ANewLeaderBeginsAtTheEndOfItsLog) {
  Solo node({.log = {1, 1}});
  const Output output = node.lead();
  EXPECT_EQ(bodies<AppendEntries>(output.messages).front().prev_log_index, Index{2});
  EXPECT_EQ(node.raft.progress().front().next_index, Index{3});
  EXPECT_EQ(node.raft.progress().front().match_index, Index{0});
}
// "After a rejection, the leader decrements nextIndex and retries the AppendEntries RPC."
TEST(Replication, ARejectionMakesTheLeaderStepBackAndRetry) {
  Solo node({.log = {1, 1, 1, 1}});
  node.lead();
  const Output output = node.conflict(2, 0, 3);
  EXPECT_EQ(only<AppendEntries>(output.messages).prev_log_index, Index{2});
}
// "one AppendEntries RPC will be required for each term with conflicting entries, rather than one RPC per entry"
TEST(Replication, SteppingBackTakesOneRoundPerTerm) {
  Solo node({.log = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6}, .term = 7});
  node.lead();
  EXPECT_EQ(only<AppendEntries>(node.conflict(2, 3, 7).messages).prev_log_index, Index{6});
  EXPECT_EQ(only<AppendEntries>(node.conflict(2, 2, 4).messages).prev_log_index, Index{3});
}
TEST(Replication, ATermThatBothHaveIsSearchedFromTheLeadersEnd) {
  Solo node({.log = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6}, .term = 7});
  node.lead();
  // The follower has term 4 at 4 to 10; the leader's last entry of term 4 is 5.
  EXPECT_EQ(only<AppendEntries>(node.conflict(2, 4, 4).messages).prev_log_index, Index{5});
}
// §5.3: "the leader retries AppendEntries RPCs indefinitely ... until all followers eventually store all log entries"
TEST(Replication, ALeaderNeverGivesUp) {
  Solo node;
  node.lead();
  node.persist();
  node.matched(3, 1);
  for (int i = 0; i < 1000; ++i) {
    const Output output = node.tick(5);
    node.matched(3, 1);
    EXPECT_THAT(bodies<AppendEntries>(output.messages), SizeIs(2)) << "node 2 is still asked";
  }
}
// Figure 3: "a leader never overwrites or deletes entries in its log; it only appends new entries"
TEST(Replication, ALeaderOnlyAppends) {
  Solo node({.log = {1, 1}});
  node.lead();
  const Output output = node.receive(2, 2, append(1, 1, {entry(2, 2)}));
  EXPECT_TRUE(has_event<MessageRefused>(output)) << "a second leader of one term cannot be";
  EXPECT_THAT(terms_of(node.raft), ElementsAre(1, 1, 2));
}

// --- Commitment

// §5.4.2: "Raft never commits log entries from previous terms by counting replicas. Only log entries from the leader's
// current term are committed by counting replicas". FAULTS 5
TEST(Commitment, EntriesOfEarlierTermsAreNotCounted) {
  Solo node({.log = {1, 2}, .term = 3});
  node.lead();
  node.persist();
  node.matched(2, 2);
  node.matched(3, 2);
  EXPECT_EQ(node.raft.commit_index(), Index{0});
  node.matched(2, 3);
  EXPECT_EQ(node.raft.commit_index(), Index{3});
}

// §8: "having each leader commit a blank no-op entry into the log at the start of its term"
TEST(Commitment, ATermBeginsWithANoop) {
  Solo node({.log = {1}});
  const Output output = node.lead();
  ASSERT_THAT(output.append, SizeIs(1));
  EXPECT_EQ(describe(output.append.front()), "2@2 NOOP");
}

}  // namespace
}  // namespace weir::raft::test
