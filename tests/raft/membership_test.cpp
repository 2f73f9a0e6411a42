// Members that come and go: §6 of the paper (extended version) and chapter 4 of Ongaro's thesis, sentence by sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/describe.hpp"
#include "tests/raft/checker.hpp"
#include "tests/raft/cluster.hpp"
#include "tests/raft/solo.hpp"

namespace weir::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Configuration members(const std::vector<std::uint64_t>& voters, const std::vector<std::uint64_t>& learners = {}) {
  Configuration configuration;
  for (const std::uint64_t voter : voters) {
    configuration.voters.emplace_back(voter);
  }
  for (const std::uint64_t learner : learners) {
    configuration.learners.emplace_back(learner);
  }
  return configuration;
}

Entry config_entry(std::uint64_t index, std::uint64_t term, const Configuration& configuration) {
  Proposal proposal = change_to(configuration);
  Entry made = entry(index, term, std::string(proposal.data.view()));
  made.command = Command::config;
  made.configuration = proposal.configuration;
  return made;
}

/// A change proposed to the node; its entry is durable there when this returns.
std::expected<Index, ChangeError> change(Solo& node, const Configuration& configuration) {
  auto result = node.raft.change_membership(change_to(configuration));
  (void)node.raft.take_output();
  node.persist();
  return result;
}

AppendEntriesReply matched_reply(std::uint64_t index) {
  AppendEntriesReply reply;
  reply.answer = AppendAnswer::matched;
  reply.match_index = Index{index};
  return reply;
}

// --- When a configuration is in force

// Thesis §4.1: "The new configuration takes effect on each server as soon as it is added to that server's log"
TEST(Membership, TakesEffectOnTheLeaderWhenItIsAppended) {
  Solo node;
  node.lead_and_commit();
  ASSERT_EQ(node.raft.change_membership(change_to(members({1, 2, 3}, {4}))), Index{2});
  EXPECT_EQ(node.raft.configuration(), members({1, 2, 3}, {4}));
  EXPECT_EQ(node.raft.configuration_index(), Index{2});
  const Output output = node.raft.take_output();
  EXPECT_TRUE(has_event<ConfigurationAdopted>(output));
  EXPECT_THAT(output.messages, SizeIs(3)) << "the learner gets the log as well";
}
TEST(Membership, TakesEffectOnAFollowerWhenItIsAppended) {
  Solo node;
  node.receive(2, 1, append(0, 0, {config_entry(1, 1, members({1, 2, 3, 4}))}));
  EXPECT_EQ(node.raft.configuration(), members({1, 2, 3, 4}));
  EXPECT_EQ(node.raft.commit_index(), Index{0});
}

// Thesis §4.1: "servers always use the latest configuration in their logs, regardless of whether that configuration
// entry has been committed": so, too, after a restart.
TEST(Membership, IsFoundInTheLogAtStart) {
  Disk disk{.hard_state = {.current_term = Term{1}, .voted_for = kNobody},
            .log = {entry(1, 1), config_entry(2, 1, members({1, 2, 3}, {4})), config_entry(3, 1, members({2, 3}))},
            .founders = members({1, 2, 3})};
  Config config;
  config.id = NodeId{1};
  const Raft raft(config, disk.recover());
  EXPECT_EQ(raft.configuration(), members({2, 3}));
  EXPECT_EQ(raft.configuration_index(), Index{3});
}

// Thesis §4.1: "a server must be prepared to fall back to the previous configuration in its log" FAULTS 34
TEST(Membership, FallsBackWhenItsEntryIsTruncated) {
  Solo node;
  node.receive(2, 1, append(0, 0, {entry(1, 1), config_entry(2, 1, members({1, 2, 3, 4})), entry(3, 1)}));
  ASSERT_EQ(node.raft.configuration(), members({1, 2, 3, 4}));
  const Output output = node.receive(3, 2, append(1, 1, {entry(2, 2)}));
  EXPECT_EQ(node.raft.configuration(), members({1, 2, 3}));
  EXPECT_EQ(node.raft.configuration_index(), Index{0});
  EXPECT_TRUE(has_event<ConfigurationAdopted>(output));
}
TEST(Membership, StaysWhenOnlyLaterEntriesAreTruncated) {
  Solo node;
  node.receive(2, 1, append(0, 0, {config_entry(1, 1, members({1, 2, 3, 4})), entry(2, 1)}));
  node.receive(3, 2, append(1, 1, {entry(2, 2)}));
  EXPECT_EQ(node.raft.configuration(), members({1, 2, 3, 4}));
}

// --- One at a time

// Thesis §4.1: "the next membership change can begin only after the previous one's Cnew entry has been committed"
// FAULTS 30
TEST(Membership, ASecondChangeWaitsForTheFirst) {
  Solo node;
  node.lead_and_commit();
  ASSERT_TRUE(change(node, members({1, 2, 3}, {4})));
  EXPECT_EQ(change(node, members({1, 2, 3}, {4, 5})), std::unexpected(ChangeError::in_progress));
  node.matched(2, 2);
  EXPECT_EQ(change(node, members({1, 2, 3}, {4, 5})), Index{3});
}

// The bug of 2015 (Ongaro on raft-dev, 2015-07-10): "a leader may not append a new configuration entry until it has
// committed an entry from its current term". FAULTS 31
TEST(Membership, IsRefusedBeforeAnEntryOfTheOwnTermIsCommitted) {
  Solo node;
  node.lead();
  node.persist();
  EXPECT_EQ(change(node, members({1, 2, 3}, {4})), std::unexpected(ChangeError::term_is_new));
  node.matched(2, 1);
  EXPECT_TRUE(change(node, members({1, 2, 3}, {4})));
}

// Thesis §4.1: "Raft allows only... one server can be added or removed from the cluster at a time"
TEST(Membership, ChangesOneMemberAtATime) {
  Solo node;
  node.lead_and_commit();
  EXPECT_EQ(change(node, members({1})), std::unexpected(ChangeError::not_one_member));
  EXPECT_EQ(change(node, members({1, 2}, {4})), std::unexpected(ChangeError::not_one_member));
  EXPECT_EQ(change(node, members({1, 2, 3}, {4, 5})), std::unexpected(ChangeError::not_one_member));
  EXPECT_TRUE(change(node, members({1, 2, 3}))) << "the same members with other data";
}

TEST(Membership, IsTheLeadersToChange) {
  Solo node;
  EXPECT_EQ(change(node, members({1, 2})), std::unexpected(ChangeError::not_leader));
  node.lead_and_commit();
  node.raft.transfer_leadership(NodeId{2});
  EXPECT_EQ(change(node, members({1, 2})), std::unexpected(ChangeError::not_leader)) << "is about to hand over";
}

TEST(Membership, NeedsAConfigurationThatCanBe) {
  Solo node;
  node.lead_and_commit();
  Proposal undecoded = change_to(members({1, 2}));
  undecoded.configuration.reset();
  EXPECT_EQ(node.raft.change_membership(std::move(undecoded)), std::unexpected(ChangeError::no_configuration));
  Proposal event = change_to(members({1, 2}));
  event.command = Command::publish;
  EXPECT_EQ(node.raft.change_membership(std::move(event)), std::unexpected(ChangeError::no_configuration));
  for (const Configuration& impossible :
       {members({}), members({2, 1}), members({1, 2, 2}), members({1, 2, 3}, {3}), members({0, 1})}) {
    EXPECT_EQ(change(node, impossible), std::unexpected(ChangeError::no_configuration));
  }
}

TEST(Membership, AMessageWithAnUndecodedOrImpossibleConfigurationIsRefused) {
  Solo node;
  Entry undecoded = config_entry(1, 1, members({1, 2}));
  undecoded.configuration.reset();
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 1, append(0, 0, {undecoded}))));
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 1, append(0, 0, {config_entry(1, 1, members({}))}))));
  Entry disguised = config_entry(1, 1, members({1, 2}));
  disguised.command = Command::publish;
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 1, append(0, 0, {disguised}))));
  EXPECT_EQ(node.raft.last_index(), Index{0});
}

// --- Learners

// Thesis §4.2.1: "the leader replicates log entries to it, but it is not yet counted towards majorities for voting or
// commitment purposes"
TEST(Learner, CountsForNothing) {
  Solo node;
  node.lead_and_commit();
  change(node, members({1, 2, 3}, {4}));
  node.receive(4, 1, matched_reply(2));
  EXPECT_EQ(node.raft.commit_index(), Index{1});
  node.raft.read_index(read(1));
  const ReadContext round = only<AppendEntries>({node.raft.take_output().messages.front()}).read_context;
  EXPECT_THAT(node.receive(4, 1, confirm(2, round)).read_states, IsEmpty());
  for (std::uint32_t i = 0; i < Config{}.election_ticks_max; ++i) {
    node.tick();
    node.receive(4, 1, matched_reply(2));
  }
  EXPECT_EQ(node.raft.role(), Role::follower) << "it heard no majority of voters";
}
TEST(Learner, GetsTheWholeLog) {
  Cluster cluster(4, {}, 3);
  Checker checker(cluster);
  cluster.start_all();
  const std::uint64_t leader = cluster.elect().value;
  ASSERT_TRUE(cluster.propose(leader, "sally"));
  cluster.settle();
  ASSERT_TRUE(cluster.change(leader, members({1, 2, 3}, {4})));
  cluster.run(20);
  EXPECT_EQ(cluster.member(4).applied, cluster.member(leader).applied);
  EXPECT_EQ(cluster.raft(4).configuration(), members({1, 2, 3}, {4}));
  EXPECT_THAT(checker.violations(), IsEmpty());
}
TEST(Learner, DoesNotCampaign) {
  Solo node;
  node.receive(2, 1, append(0, 0, {config_entry(1, 1, members({2, 3}, {1}))}, 1));
  EXPECT_THAT(node.tick(500).messages_after_persist, IsEmpty());
  EXPECT_EQ(node.raft.role(), Role::follower);
}
// Thesis §4.1: "a server also grants its vote to a candidate that is not part of the server's latest configuration",
// and whether this one votes is the candidate's to know: the entry that promoted it may be on its way.
TEST(Learner, VotesWhenItIsAsked) {
  Solo node;
  node.receive(2, 1, append(0, 0, {config_entry(1, 1, members({2, 3}, {1}))}, 1));
  node.tick(Config{}.election_ticks_max);
  const Output output = node.receive(3, 2, vote_request(2, 1));
  EXPECT_EQ(only<RequestVoteReply>(output.messages_after_persist).answer, VoteAnswer::granted);
}
TEST(Learner, IsNoSuccessor) {
  Solo node;
  node.lead_and_commit();
  change(node, members({1, 2, 3}, {4}));
  node.matched(2, 2);
  node.receive(4, 1, matched_reply(2));
  node.raft.transfer_leadership(NodeId{4});
  EXPECT_THAT(bodies<TimeoutNow>(node.raft.take_output().messages), IsEmpty());
  EXPECT_TRUE(node.raft.propose({Proposal{}})) << "nothing is handed over";
}

// Thesis §4.2.1: "the leader should... wait until the new server is caught up"; "If the last round lasts less than an
// election timeout, then the leader adds the new server to the cluster"
TEST(Learner, IsPromotedOnlyWhenItIsCaughtUp) {
  Solo node;
  node.lead_and_commit();
  change(node, members({1, 2, 3}, {4}));
  node.matched(2, 2);
  EXPECT_EQ(change(node, members({1, 2, 3, 4})), std::unexpected(ChangeError::not_caught_up)) << "never heard";
  for (std::uint32_t i = 0; i < Config{}.election_ticks_min; ++i) {
    node.tick();
    node.matched(2, 2);
  }
  node.receive(4, 1, matched_reply(2));
  EXPECT_EQ(change(node, members({1, 2, 3, 4})), std::unexpected(ChangeError::not_caught_up)) << "a slow round";
  node.receive(4, 1, matched_reply(2));
  EXPECT_EQ(change(node, members({1, 2, 3, 4})), Index{3});
  EXPECT_TRUE(node.raft.configuration().is_voter(NodeId{4}));
}
TEST(Learner, CannotBeSkipped) {
  Solo node;
  node.lead_and_commit();
  EXPECT_EQ(change(node, members({1, 2, 3, 4})), std::unexpected(ChangeError::not_one_member));
}
TEST(Learner, ThatFellSilentIsNotPromoted) {
  Solo node;
  node.lead_and_commit();
  change(node, members({1, 2, 3}, {4}));
  node.matched(2, 2);
  node.receive(4, 1, matched_reply(2));
  for (std::uint32_t i = 0; i < Config{}.election_ticks_min; ++i) {
    node.tick();
    node.matched(2, 2);
  }
  EXPECT_EQ(change(node, members({1, 2, 3, 4})), std::unexpected(ChangeError::not_caught_up));
}

// --- Majorities

TEST(Majority, IsOneOfTheLatestConfiguration) {
  Start start;
  start.size = 5;
  Solo node(start);
  node.lead_and_commit();
  change(node, members({1, 2, 3, 4}));
  node.matched(2, 2);
  EXPECT_EQ(node.raft.commit_index(), Index{1}) << "two of four";
  node.matched(5, 2);
  EXPECT_EQ(node.raft.commit_index(), Index{1}) << "the removed one does not count";
  node.matched(3, 2);
  EXPECT_EQ(node.raft.commit_index(), Index{2});
}
TEST(Majority, OfAnElectionIsOneOfTheLatestConfiguration) {
  Solo node;
  node.receive(2, 1, append(0, 0, {config_entry(1, 1, members({1, 2, 3, 4, 5}))}));
  const Output output = node.campaign();
  EXPECT_THAT(bodies<RequestVote>(output.messages_after_persist), SizeIs(4));
  const RequestVoteReply granted{.kind = VoteKind::vote, .answer = VoteAnswer::granted};
  node.receive(2, 2, granted);
  node.receive(9, 2, granted);
  EXPECT_EQ(node.raft.role(), Role::candidate) << "9 is no voter";
  node.receive(5, 2, granted);
  EXPECT_EQ(node.raft.role(), Role::leader);
}

// --- Removal

// Thesis §4.2.2: "a leader that is removed from the configuration steps down once the Cnew entry is committed"; "it
// replicates log entries but does not count itself in majorities" FAULTS 32
TEST(RemovedLeader, ReplicatesUntilItsRemovalIsCommittedAndDoesNotCountItself) {
  Solo node;
  node.lead_and_commit();
  ASSERT_EQ(change(node, members({2, 3})), Index{2});
  node.matched(2, 2);
  EXPECT_EQ(node.raft.commit_index(), Index{1}) << "its own disk counts no more";
  EXPECT_EQ(node.raft.role(), Role::leader);
  EXPECT_THAT(node.propose("still").messages, SizeIs(2));
  node.matched(2, 3);
  const Output output = node.matched(3, 2);
  EXPECT_EQ(node.raft.commit_index(), Index{2});
  EXPECT_EQ(node.raft.role(), Role::follower);
  ASSERT_THAT(output.messages, SizeIs(1)) << "the successor need not wait for its timeout";
  EXPECT_EQ(output.messages.front().to, NodeId{2});
  EXPECT_TRUE(std::holds_alternative<TimeoutNow>(output.messages.front().body));
  EXPECT_THAT(node.tick(500).messages_after_persist, IsEmpty()) << "and never comes back";
}
TEST(RemovedLeader, LeavesAClusterThatGoesOn) {
  Cluster cluster(3);
  Checker checker(cluster);
  cluster.start_all();
  const std::uint64_t leader = cluster.elect().value;
  const std::uint64_t a = leader % 3 + 1;
  const std::uint64_t b = a % 3 + 1;
  ASSERT_TRUE(cluster.change(leader, members({std::min(a, b), std::max(a, b)})));
  cluster.run(5);
  EXPECT_NE(cluster.leader(), NodeId{leader});
  const NodeId successor = cluster.elect();
  ASSERT_NE(successor, kNobody);
  ASSERT_TRUE(cluster.propose(successor.value, "sally"));
  cluster.run(200);
  EXPECT_EQ(cluster.member(a).applied, cluster.member(b).applied);
  EXPECT_EQ(cluster.member(a).applied.back().data.view(), "sally");
  EXPECT_EQ(cluster.leader(), successor) << "the removed one does not disturb it";
  EXPECT_THAT(checker.violations(), IsEmpty());
}

// Thesis §4.2.2: "a server that is not part of its own latest configuration should still start new elections, as it
// might still be needed until the Cnew entry is committed"; "it does not count its own vote"
TEST(RemovedMember, CampaignsWhileItsRemovalMayBeUncommittedWithoutItsOwnVote) {
  Solo node;
  node.receive(2, 1, append(0, 0, {config_entry(1, 1, members({2, 3}))}));
  node.time_out();
  EXPECT_EQ(node.raft.role(), Role::pre_candidate);
  const RequestVoteReply granted{.kind = VoteKind::pre_vote, .answer = VoteAnswer::granted};
  node.receive(2, 2, granted);
  EXPECT_EQ(node.raft.role(), Role::pre_candidate) << "one of two";
  node.receive(3, 2, granted);
  EXPECT_EQ(node.raft.role(), Role::candidate);
}
TEST(RemovedMember, IsQuietOnceItsRemovalIsCommitted) {
  Solo node;
  node.receive(2, 1, append(0, 0, {config_entry(1, 1, members({2, 3}))}, 1));
  EXPECT_THAT(node.tick(500).messages_after_persist, IsEmpty());
}
// Without the campaign of the member that leaves, the one that stays could never be elected: its log is older.
TEST(RemovedMember, FinishesItsOwnRemovalAfterACrash) {
  Cluster cluster(2);
  Checker checker(cluster);
  cluster.start_all();
  const std::uint64_t leader = cluster.elect().value;
  const std::uint64_t other = 3 - leader;
  cluster.isolate(leader);
  ASSERT_TRUE(cluster.change(leader, members({other})));
  cluster.crash(leader);
  cluster.crash(other);
  cluster.heal();
  cluster.start_all();
  cluster.run(300);
  EXPECT_EQ(cluster.leader(), NodeId{other});
  EXPECT_EQ(cluster.raft(other).configuration(), members({other}));
  EXPECT_GE(cluster.raft(other).commit_index(), cluster.raft(other).configuration_index());
  EXPECT_THAT(checker.violations(), IsEmpty());
}

// Thesis §4.2.3: "removed servers (those not in Cnew) can disrupt the cluster": not with pre-vote and stickiness.
// FAULTS 33
TEST(RemovedMember, ThatNeverHeardOfItRaisesNoTerm) {
  Cluster cluster(4);
  Checker checker(cluster);
  cluster.start_all();
  const std::uint64_t leader = cluster.elect().value;
  const std::uint64_t gone = leader % 4 + 1;
  Configuration rest = voters_up_to(4);
  std::erase(rest.voters, NodeId{gone});
  cluster.isolate(gone);
  ASSERT_TRUE(cluster.change(leader, rest));
  cluster.run(10);
  ASSERT_EQ(cluster.raft(leader).commit_index(), cluster.raft(leader).configuration_index());
  cluster.heal();
  const Term term = cluster.raft(leader).current_term();
  cluster.run(500);
  EXPECT_EQ(cluster.leader(), NodeId{leader});
  EXPECT_EQ(cluster.raft(leader).current_term(), term);
  EXPECT_EQ(cluster.raft(gone).current_term(), term);
  EXPECT_THAT(checker.violations(), IsEmpty());
}
TEST(RemovedMember, AnswersCountForNothing) {
  Solo node;
  node.lead_and_commit();
  change(node, members({1, 2}));
  node.receive(3, 1, matched_reply(2));
  EXPECT_EQ(node.raft.commit_index(), Index{1});
  EXPECT_THAT(node.raft.progress(), SizeIs(1));
}

// Thesis §4.1: "A server accepts AppendEntries requests from a leader that is not part of the server's latest
// configuration. Otherwise, a new server could never be added to the cluster".
TEST(Stranger, MayLead) {
  Solo node;
  const Output output = node.receive(9, 1, append(0, 0, {entry(1, 1)}));
  EXPECT_EQ(only<AppendEntriesReply>(output.messages_after_persist).answer, AppendAnswer::matched);
  EXPECT_EQ(node.raft.leader(), NodeId{9});
}
TEST(Stranger, GetsAVote) {
  Solo node;
  const Output output = node.receive(9, 1, vote_request(0, 0));
  EXPECT_EQ(only<RequestVoteReply>(output.messages_after_persist).answer, VoteAnswer::granted);
}

// --- A life

TEST(Membership, GrowsFromOneToFiveAndShrinksToOneOther) {
  Cluster cluster(5, {}, 1);
  Checker checker(cluster);
  cluster.start_all();
  ASSERT_EQ(cluster.elect(), NodeId{1});
  Configuration now = voters_up_to(1);
  for (std::uint64_t id = 2; id <= 5; ++id) {
    now.learners = {NodeId{id}};
    ASSERT_TRUE(cluster.change(cluster.leader().value, now)) << id;
    cluster.run(20);
    now = voters_up_to(id);
    ASSERT_TRUE(cluster.change(cluster.leader().value, now)) << id;
    cluster.run(20);
  }
  for (std::uint64_t id = 1; id <= 4; ++id) {
    std::erase(now.voters, NodeId{id});
    const NodeId leader = cluster.elect();
    ASSERT_NE(leader, kNobody);
    const auto changed = cluster.change(leader.value, now);
    ASSERT_TRUE(changed) << to_string(changed.error());
    cluster.run(100);
  }
  EXPECT_EQ(cluster.leader(), NodeId{5});
  EXPECT_EQ(cluster.raft(5).configuration(), members({5}));
  ASSERT_TRUE(cluster.propose(5, "alone"));
  cluster.run(2);
  EXPECT_EQ(cluster.member(5).applied.back().data.view(), "alone");
  EXPECT_THAT(checker.violations(), IsEmpty());
}

}  // namespace
}  // namespace weir::raft::test
