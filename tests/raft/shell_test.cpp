// What the shell may rely on: turns, durability, bounds, and catching a follower up from the disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/describe.hpp"
#include "tests/raft/cluster.hpp"
#include "tests/raft/solo.hpp"

namespace weir::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// --- Turns

TEST(Turn, InputsBeforeOneTakeOutputShareIt) {
  Solo node;
  node.lead_and_commit();
  EXPECT_EQ(node.raft.propose({Proposal{}}), Index{2});
  EXPECT_EQ(node.raft.propose({Proposal{}, Proposal{}}), Index{3});
  const Output output = node.raft.take_output();
  EXPECT_THAT(output.append, SizeIs(3));
  ASSERT_THAT(output.messages, SizeIs(2)) << "one message per follower";
  EXPECT_THAT(bodies<AppendEntries>(output.messages).front().entries, SizeIs(3));
}

TEST(Turn, EntriesReplacedWithinATurnNeverReachTheDisk) {
  Solo node({.log = {1}});
  node.raft.step(
      {.from = NodeId{2}, .to = NodeId{1}, .term = Term{2}, .body = append(1, 1, {entry(2, 2), entry(3, 2)})});
  node.raft.step({.from = NodeId{3}, .to = NodeId{1}, .term = Term{3}, .body = append(1, 1, {entry(2, 3)})});
  const Output output = node.raft.take_output();
  EXPECT_FALSE(output.truncate_from);
  EXPECT_THAT(output.append, ElementsAre(entry(2, 3)));
  EXPECT_EQ(output.hard_state->current_term, Term{3});
}

TEST(Turn, HasOutputTellsTheTruth) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect();
  for (std::uint64_t id = 1; id <= 3; ++id) {
    for (int i = 0; i < 20; ++i) {
      cluster.raft(id).tick();
      const bool promised = cluster.raft(id).has_output();
      EXPECT_EQ(promised, !cluster.raft(id).take_output().empty());
    }
  }
}

TEST(Turn, SameInputsSameOutputs) {
  const auto life = [](std::uint64_t seed) {
    std::string story;
    Config config;
    config.seed = seed;
    Cluster cluster(3, config);
    cluster.watcher.on_deliver = [&](const Message& message, bool) { story += describe(message) + "\n"; };
    cluster.start_all();
    cluster.run(200);
    return story;
  };
  EXPECT_EQ(life(5), life(5));
  EXPECT_NE(life(5), life(6));
}

TEST(Recovery, ATermBelowTheLogsIsNeverAccepted) {
  Recovered recovered{.hard_state = {.current_term = Term{1}, .voted_for = kNobody},
                      .term_runs = {{Term{2}, Index{1}}},
                      .first_index = Index{1},
                      .last_index = Index{1},
                      .configurations = founded_by(1)};
  Config config;
  config.id = NodeId{1};
  EXPECT_DEATH(Raft(config, recovered), "broken invariant: current_term_ >= log_.last_term\\(\\).* = 1, 2");
}

// FAULTS 7: the committed prefix is untouched, whatever a message says.
TEST(Truncation, NeverReachesWhatIsCommitted) {
  Solo node;
  node.receive(2, 1, append(0, 0, log_of({1, 1}), 2));
  EXPECT_DEATH(node.receive(3, 2, append(0, 0, {entry(1, 2)})), "broken invariant.*commit_index_");
}

// --- Durability

TEST(Durability, ALeaderThatComesBackToAnEntryWaitsForItsOwnWrite) {
  Solo node({.log = {1}});
  node.receive(2, 2, append(1, 1, {entry(2, 2)}));
  node.receive(3, 3, append(1, 1, {entry(2, 3)}));
  node.receive(2, 4, append(1, 1, {entry(2, 2)}, 2));
  EXPECT_EQ(node.raft.commit_index(), Index{2});
  node.raft.persisted(Term{2}, Index{2});  // the first of the three writes
  EXPECT_EQ(node.raft.durable_index(), Index{1});
  EXPECT_FALSE(node.raft.take_output().commit_to);
  node.raft.persisted(Term{3}, Index{2});
  node.raft.persisted(Term{2}, Index{2});
  EXPECT_EQ(node.raft.take_output().commit_to, Index{2});
}

// --- Bounds

TEST(Bounds, ProposalsThatCannotBeCommittedAreRefusedInTime) {  // FAULTS 35
  Start start;
  start.config.uncommitted_bytes_max = 10 * kEntryOverheadBytes;
  Solo node(start);
  node.lead_and_commit();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(node.raft.propose({Proposal{}})) << i;
  }
  EXPECT_EQ(node.raft.propose({Proposal{}}), std::unexpected(ProposeError::overloaded));
  (void)node.raft.take_output();
  node.persist();
  node.matched(2, 5);
  EXPECT_TRUE(node.raft.propose({Proposal{}}));
}

TEST(Bounds, AProposalLargerThanTheBoundPassesAlone) {
  Start start;
  start.config.uncommitted_bytes_max = 100;
  Solo node(start);
  node.lead_and_commit();
  const auto large = [] {
    return Proposal{.command = Command::publish, .checksum = 0, .data = Bytes::own(std::string(1000, 'x'))};
  };
  EXPECT_TRUE(node.raft.propose({large()}));
  EXPECT_EQ(node.raft.propose({large()}), std::unexpected(ProposeError::overloaded));
}

TEST(Bounds, TheWindowHoldsBackWhatIsNotAnswered) {
  Start start;
  start.config.inflight_messages_max = 2;
  Solo node(start);
  node.lead_and_commit();
  EXPECT_THAT(node.propose("a").messages, SizeIs(2));
  EXPECT_THAT(node.propose("b").messages, SizeIs(2));
  EXPECT_THAT(node.propose("c").messages, IsEmpty());
  const auto sent = bodies<AppendEntries>(node.matched(2, 2).messages);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_THAT(sent.front().entries, SizeIs(1));
}

TEST(Bounds, MessagesStopAtTheirByteBound) {
  Start start;
  start.config.append_bytes_max = 2 * (kEntryOverheadBytes + 1);
  Solo node(start);
  node.lead_and_commit();
  for (const char* data : {"a", "b", "c"}) {
    (void)node.raft.propose({{.command = Command::publish, .checksum = 0, .data = Bytes::copy_of(data)}});
  }
  const auto sent = bodies<AppendEntries>(node.raft.take_output().messages);
  ASSERT_THAT(sent, SizeIs(4));
  EXPECT_THAT(sent[0].entries, SizeIs(2));
  EXPECT_THAT(sent[1].entries, SizeIs(1));
  EXPECT_EQ(sent[1].prev_log_index, Index{3});
}

TEST(Bounds, TheTailKeepsNoMoreThanItsBytesOfWhatIsAppliedAndDurable) {
  Start start;
  start.config.tail_bytes_max = 2 * (kEntryOverheadBytes + 1);
  Solo node(start);
  node.lead_and_commit();
  for (const char* data : {"a", "b", "c"}) {
    node.propose(data);
  }
  node.persist();
  node.matched(2, 4);
  EXPECT_THAT(node.raft.tail(Index{1}, Index{4}, 1000), SizeIs(4));
  node.raft.applied(Index{4});
  EXPECT_THAT(node.raft.tail(Index{1}, Index{4}, 1000), IsEmpty());
  EXPECT_THAT(node.raft.tail(Index{3}, Index{4}, 1000), SizeIs(2));
}

// FAULTS 39
TEST(NumberLimit, NoTermOrIndexReachesIt) {
  Solo node({.term = kNumberLimit - 1});
  node.time_out();
  EXPECT_EQ(node.raft.role(), Role::follower) << "there is no next term";
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, kNumberLimit, append(0, 0, {}))));
  EXPECT_EQ(node.raft.current_term(), Term{kNumberLimit - 1});
}
TEST(NumberLimit, NoProposalPassesIt) {
  Config config;
  config.id = NodeId{1};
  Raft raft(config, {.hard_state = {.current_term = Term{1}, .voted_for = kNobody},
                     .term_runs = {{Term{1}, Index{kNumberLimit - 3}}},
                     .first_index = Index{kNumberLimit - 3},
                     .last_index = Index{kNumberLimit - 3},
                     .snapshot_index = Index{kNumberLimit - 4},
                     .configurations = founded_by(1)});
  for (std::uint32_t left = raft.election_ticks_left(); left > 0; --left) {
    raft.tick();
  }
  ASSERT_EQ(raft.role(), Role::leader);
  EXPECT_TRUE(raft.propose({Proposal{}}));
  EXPECT_EQ(raft.propose({Proposal{}}), std::unexpected(ProposeError::number_limit));
}

// --- Catching up from the disk

TEST(CatchUp, OldEntriesAreReadByTheShellAndSent) {
  Solo node({.log = {1, 1, 1, 1}});
  node.lead();
  EXPECT_THAT(node.conflict(2, 0, 2).catch_up, IsEmpty()) << "first an empty probe finds the place";
  Output output = node.matched(2, 1);
  ASSERT_THAT(output.catch_up, SizeIs(1));
  EXPECT_EQ(output.catch_up.front().to, NodeId{2});
  EXPECT_EQ(output.catch_up.front().first, Index{2});
  EXPECT_THAT(node.tick(5).catch_up, IsEmpty()) << "one at a time";
  node.raft.catch_up({.to = NodeId{2}, .first = Index{2}, .entries = {entry(2, 1), entry(3, 1)}});
  output = node.raft.take_output();
  EXPECT_EQ(only<AppendEntries>(output.messages), append(1, 1, {entry(2, 1), entry(3, 1)}));
  ASSERT_THAT(output.catch_up, SizeIs(1)) << "the next part is read while this one is on its way";
  EXPECT_EQ(output.catch_up.front().first, Index{4});
  node.raft.catch_up({.to = NodeId{2}, .first = Index{4}, .entries = {entry(4, 1)}});
  const auto sent = bodies<AppendEntries>(node.raft.take_output().messages);
  ASSERT_THAT(sent, SizeIs(2)) << "and the rest comes from memory";
  EXPECT_EQ(sent.back().entries.front().command, Command::noop);
}

TEST(CatchUp, AReadThatFailedIsRepeatedAfterAHeartbeat) {
  Solo node({.log = {1, 1, 1}});
  node.lead();
  node.conflict(2, 0, 2);
  node.matched(2, 1);
  node.raft.catch_up({.to = NodeId{2}, .first = Index{2}, .entries = {}});
  EXPECT_THAT(node.raft.take_output().catch_up, IsEmpty());
  EXPECT_THAT(node.matched(2, 1).catch_up, IsEmpty());
  EXPECT_THAT(node.tick(5).catch_up, SizeIs(1));
}

TEST(CatchUp, AStaleAnswerIsIgnored) {
  Solo node({.log = {1, 1, 1}});
  node.lead();
  node.conflict(2, 0, 2);
  node.matched(2, 1);
  node.matched(2, 4);
  node.raft.catch_up({.to = NodeId{2}, .first = Index{2}, .entries = {entry(2, 1)}});
  EXPECT_THAT(node.raft.take_output().messages, IsEmpty());
}

TEST(CatchUp, EntriesThatAreNotInTheLogAreNotSent) {
  Solo node({.log = {1, 1, 1}});
  node.lead();
  node.conflict(2, 0, 2);
  node.matched(2, 1);
  node.raft.catch_up({.to = NodeId{2}, .first = Index{2}, .entries = {entry(2, 2)}});
  EXPECT_THAT(node.raft.take_output().messages, IsEmpty());
}

TEST(CatchUp, WithoutLeadershipIsIgnored) {
  Solo node({.log = {1}});
  node.raft.catch_up({.to = NodeId{2}, .first = Index{1}, .entries = {entry(1, 1)}});
  EXPECT_FALSE(node.raft.has_output());
}

TEST(CatchUp, AFollowerWhoseEntriesAreNoLongerKeptStillGetsHeartbeats) {
  Config config;
  config.id = NodeId{1};
  Raft raft(config, {.hard_state = {.current_term = Term{3}, .voted_for = kNobody},
                     .term_runs = {{Term{3}, Index{100}}},
                     .first_index = Index{100},
                     .last_index = Index{105},
                     .snapshot_index = Index{99},
                     .configurations = founded_by(3)});
  const auto step = [&](std::uint64_t from, std::uint64_t term, auto body) {
    raft.step({.from = NodeId{from}, .to = NodeId{1}, .term = Term{term}, .body = body});
    return raft.take_output();
  };
  while (raft.role() == Role::follower) {
    raft.tick();
  }
  step(2, 4, RequestVoteReply{.kind = VoteKind::pre_vote, .answer = VoteAnswer::granted});
  step(2, 4, RequestVoteReply{.kind = VoteKind::vote, .answer = VoteAnswer::granted});
  ASSERT_EQ(raft.role(), Role::leader);
  AppendEntriesReply empty;
  empty.conflict_index = Index{1};
  EXPECT_THAT(step(2, 4, empty).catch_up, IsEmpty());
  for (int i = 0; i < 5; ++i) {
    raft.tick();
  }
  EXPECT_EQ(bodies<AppendEntries>(raft.take_output().messages).front(), append(0, 0, {}, 99));
}

}  // namespace
}  // namespace weir::raft::test
