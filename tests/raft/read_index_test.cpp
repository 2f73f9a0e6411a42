// Linear reads without a log entry (FAULTS 15, 16).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/raft/solo.hpp"

namespace weir::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(LinearRead, IsConfirmedByAMajorityThatAnsweredAfterwards) {
  Solo node({.size = 5});
  node.lead_and_commit();
  node.raft.read_index(read(1));
  const Output asked = node.raft.take_output();
  ASSERT_THAT(asked.messages, SizeIs(4)) << "at once, not with the next heartbeat";
  const ReadContext round = bodies<AppendEntries>(asked.messages).front().read_context;
  EXPECT_THAT(node.receive(2, 1, confirm(1, {})).read_states, IsEmpty()) << "an answer to something earlier";
  EXPECT_THAT(node.receive(2, 1, confirm(1, round)).read_states, IsEmpty());
  EXPECT_THAT(node.receive(2, 1, confirm(1, round)).read_states, IsEmpty()) << "the same one again";
  EXPECT_THAT(node.receive(3, 1, confirm(1, round)).read_states,
              ElementsAre(ReadState{.context = read(1), .index = Index{1}}));
}

TEST(LinearRead, ReadsOfOneTurnShareARound) {
  Solo node;
  node.lead_and_commit();
  node.raft.read_index(read(1));
  node.raft.read_index(read(2));
  const Output asked = node.raft.take_output();
  ASSERT_THAT(asked.messages, SizeIs(2));
  const ReadContext round = bodies<AppendEntries>(asked.messages).front().read_context;
  node.raft.read_index(read(3));
  (void)node.raft.take_output();
  EXPECT_THAT(node.receive(2, 1, confirm(1, round)).read_states, SizeIs(2)) << "the third needs its own";
}

TEST(LinearRead, ARefusalOfEntriesConfirmsTooThatTheLeaderLeads) {
  Solo node;
  node.lead_and_commit();
  node.raft.read_index(read(1));
  AppendEntriesReply reply;
  reply.conflict_index = Index{1};
  reply.read_context = bodies<AppendEntries>(node.raft.take_output().messages).front().read_context;
  EXPECT_THAT(node.receive(2, 1, reply).read_states, SizeIs(1));
}

TEST(LinearRead, WaitsForTheNoopOfTheTerm) {  // FAULTS 15
  Solo node({.log = {1, 1}});
  node.lead();
  node.persist();
  node.raft.read_index(read(1));
  EXPECT_FALSE(node.raft.has_output());
  const Output committed = node.matched(2, 3);
  EXPECT_THAT(committed.read_states, IsEmpty());
  const ReadContext round = bodies<AppendEntries>(committed.messages).front().read_context;
  EXPECT_THAT(node.receive(2, 2, confirm(3, round)).read_states,
              ElementsAre(ReadState{.context = read(1), .index = Index{3}}));
}

TEST(LinearRead, AMemberAloneAnswersAtOnce) {
  Solo node({.size = 1});
  node.time_out();
  node.persist();
  node.raft.read_index(read(1));
  EXPECT_THAT(node.raft.take_output().read_states, SizeIs(1));
}

TEST(LinearRead, IsRefusedWithoutALeader) {
  Solo node;
  node.raft.read_index(read(1));
  EXPECT_THAT(node.raft.take_output().reads_refused, ElementsAre(ReadRefused{.context = read(1)}));
}

TEST(LinearRead, IsRefusedWhenLeadershipIsLost) {  // FAULTS 16
  Solo node;
  node.lead_and_commit();
  node.raft.read_index(read(1));
  (void)node.raft.take_output();
  EXPECT_THAT(node.receive(2, 5, append(0, 0, {})).reads_refused, ElementsAre(ReadRefused{.context = read(1)}));
}

TEST(LinearRead, AnswersToAnEarlierLeadershipConfirmNothing) {
  Solo node;
  node.lead_and_commit();
  node.raft.read_index(read(1));
  const ReadContext old_round = bodies<AppendEntries>(node.raft.take_output().messages).front().read_context;
  node.receive(2, 1, RequestVoteReply{.kind = VoteKind::vote, .answer = VoteAnswer::refused});
  node.tick(30);
  node.lead_and_commit();
  node.raft.read_index(read(2));
  (void)node.raft.take_output();
  EXPECT_THAT(node.receive(2, node.raft.current_term().value, confirm(2, old_round)).read_states, IsEmpty());
}

TEST(LinearRead, IsForwardedByAFollower) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  node.raft.read_index(read(1));
  EXPECT_THAT(bodies<ReadIndexRequest>(node.raft.take_output().messages), SizeIs(1));
  const ReadIndexReply reply{.context = read(1), .index = Index{7}};
  EXPECT_THAT(node.receive(3, 1, reply).read_states, IsEmpty()) << "3 does not lead";
  EXPECT_THAT(node.receive(2, 1, reply).read_states, SizeIs(1));
  EXPECT_THAT(node.receive(2, 1, reply).read_states, IsEmpty()) << "once";
}

TEST(LinearRead, AForwardedOneIsGivenUpAfterAnElectionTimeout) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  node.raft.read_index(read(1));
  (void)node.raft.take_output();
  for (int i = 0; i < 29; ++i) {
    node.raft.tick();
    EXPECT_THAT(node.receive(2, 1, append(0, 0, {})).reads_refused, IsEmpty());
  }
  EXPECT_THAT(node.tick().reads_refused, SizeIs(1));
}

TEST(LinearRead, AForwardedOneIsRefusedWhenTheLeaderChanges) {
  Solo node;
  node.receive(2, 1, append(0, 0, {}));
  node.raft.read_index(read(1));
  (void)node.raft.take_output();
  EXPECT_THAT(node.receive(3, 2, append(0, 0, {})).reads_refused, SizeIs(1));
}

TEST(LinearRead, NoMoreThanSoManyWait) {
  Solo node;
  node.lead();
  for (std::uint64_t i = 1; i <= kReadsMax; ++i) {
    node.raft.read_index(read(i));
  }
  EXPECT_FALSE(node.raft.has_output());
  node.raft.read_index(read(kReadsMax + 1));
  EXPECT_THAT(node.raft.take_output().reads_refused, SizeIs(1));
}

}  // namespace
}  // namespace weir::raft::test
