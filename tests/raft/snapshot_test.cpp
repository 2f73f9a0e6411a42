// §7 and Figure 13: snapshots on their way to a follower, and the log that they take the place of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/raft/checker.hpp"
#include "tests/raft/cluster.hpp"
#include "tests/raft/solo.hpp"

namespace weir::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Snapshot snapshot_of(std::uint64_t index, std::uint64_t term, std::uint64_t size = 10, std::uint64_t number = 1) {
  return {.index = Index{index},
          .term = Term{term},
          .number = number,
          .size = size,
          .config = change_entry(voters_up_to(3))};
}

InstallSnapshot piece(const Snapshot& snapshot, std::uint64_t offset, std::uint64_t size) {
  return {.snapshot = snapshot, .offset = offset, .data = Bytes::own(std::string(size, 'c'))};
}

InstallSnapshotReply answer_of(const Output& output) {
  return only<InstallSnapshotReply>(output.messages_after_persist);
}

/// The whole snapshot arrives in one piece and is in order.
Output install(Solo& node, const Snapshot& snapshot, std::uint64_t term) {
  node.receive(2, term, piece(snapshot, 0, snapshot.size));
  node.raft.snapshot_received(snapshot);
  return node.raft.take_output();
}

/// A leader of term 3 whose log begins behind a snapshot of 5@2, and whose follower 2 has nothing.
class Sender : public testing::Test {
 protected:
  Sender() {
    node_.lead();
    node_.persist();
    node_.matched(3, 6);
    node_.raft.applied(Index{6});
    node_.raft.compact(Index{5});
  }
  Output ask() {
    node_.tick(5);
    return node_.conflict(2, 0, 1);
  }
  Output read(const Snapshot& snapshot, std::uint64_t offset, std::uint64_t size) {
    node_.raft.snapshot_read(
        {.to = NodeId{2}, .snapshot = snapshot, .offset = offset, .data = Bytes::own(std::string(size, 'c'))});
    return node_.raft.take_output();
  }
  Output wants(std::uint64_t offset, std::uint64_t number = 1) {
    return node_.receive(
        2, 3,
        InstallSnapshotReply{.answer = InstallAnswer::more, .index = Index{5}, .number = number, .offset = offset});
  }
  ProgressView follower() { return node_.raft.progress().front(); }

  Solo node_{{.log = {1, 1, 2, 2, 2}}};
};

// --- The leader

// §7: "the leader must occasionally send snapshots to followers that lag behind. This happens when the leader has
// already discarded the next log entry that it needs to send to a follower."
TEST_F(Sender, AsksForASnapshotWhenTheNextEntryIsGone) {
  const Output output = ask();
  EXPECT_EQ(follower().state, ProgressState::snapshot);
  ASSERT_THAT(output.snapshot_requests, SizeIs(1));
  EXPECT_EQ(output.snapshot_requests.front().to, NodeId{2});
  EXPECT_EQ(output.snapshot_requests.front().offset, 0U);
}
TEST_F(Sender, SendsEntriesToAFollowerAtTheSnapshotsEnd) {
  const Output output = node_.matched(2, 5);
  EXPECT_THAT(output.snapshot_requests, IsEmpty());
  EXPECT_THAT(only<AppendEntries>(output.messages).entries, SizeIs(1));
}
TEST_F(Sender, SendsOnePieceAtATimeAndGoesOnWhereTheFollowerSays) {
  ask();
  const Output first = read(snapshot_of(5, 2), 0, 4);
  EXPECT_EQ(only<InstallSnapshot>(first.messages), piece(snapshot_of(5, 2), 0, 4));
  EXPECT_THAT(node_.tick(5).snapshot_requests, IsEmpty()) << "one at a time";
  const Output next = wants(4);
  ASSERT_THAT(next.snapshot_requests, SizeIs(1));
  EXPECT_EQ(next.snapshot_requests.front().number, 1U);
  EXPECT_EQ(next.snapshot_requests.front().offset, 4U);
}
TEST_F(Sender, KeepsItsAuthorityMeanwhile) {
  ask();
  read(snapshot_of(5, 2), 0, 4);
  EXPECT_THAT(bodies<AppendEntries>(node_.tick(5).messages), SizeIs(2));
}
TEST_F(Sender, RepeatsAPieceThatIsNotAnswered) {
  ask();
  read(snapshot_of(5, 2), 0, 4);
  Output output;
  for (std::uint32_t i = 0; i < 40 && output.snapshot_requests.empty(); ++i) {
    node_.matched(3, 6);
    node_.matched(2, 0);
    output = node_.tick();
  }
  ASSERT_THAT(output.snapshot_requests, SizeIs(1));
  EXPECT_EQ(output.snapshot_requests.front().offset, 0U);
}
TEST_F(Sender, GoesOnWithEntriesOnceTheSnapshotIsInstalled) {
  ask();
  read(snapshot_of(5, 2), 0, 10);
  const Output output = node_.receive(
      2, 3, InstallSnapshotReply{.answer = InstallAnswer::installed, .index = Index{5}, .number = 1, .offset = 0});
  EXPECT_EQ(follower().state, ProgressState::replicate);
  EXPECT_EQ(follower().match_index, Index{5});
  const AppendEntries sent = only<AppendEntries>(output.messages);
  EXPECT_EQ(sent.prev_log_index, Index{5});
  EXPECT_EQ(sent.prev_log_term, Term{2});
  EXPECT_THAT(sent.entries, SizeIs(1));
}
// FAULTS 27: a snapshot that the log does not meet would leave a hole.
TEST_F(Sender, DoesNotSendASnapshotThatItsLogDoesNotMeet) {
  ask();
  EXPECT_THAT(bodies<InstallSnapshot>(read(snapshot_of(4, 2), 0, 10).messages), IsEmpty());
  node_.tick(5);
  EXPECT_THAT(bodies<InstallSnapshot>(read(snapshot_of(5, 1), 0, 10).messages), IsEmpty());
}
// FAULTS 26: the follower was away in the middle of it, and the log went on beyond it meanwhile.
TEST_F(Sender, TakesTheNewestWhenTheLogWasCompactedBeyondTheOneItSends) {
  ask();
  read(snapshot_of(5, 2), 0, 4);
  wants(4);
  node_.raft.compact(Index{6});
  EXPECT_THAT(bodies<InstallSnapshot>(read(snapshot_of(5, 2), 4, 4).messages), IsEmpty());
  const Output output = node_.tick(5);
  ASSERT_THAT(output.snapshot_requests, SizeIs(1));
  EXPECT_EQ(output.snapshot_requests.front().number, 0U) << "whichever is the newest";
  EXPECT_EQ(output.snapshot_requests.front().offset, 0U);
}
TEST_F(Sender, AsksAgainAfterAReadThatFailed) {
  ask();
  EXPECT_THAT(read({}, 0, 0).snapshot_requests, IsEmpty());
  EXPECT_THAT(node_.tick(5).snapshot_requests, SizeIs(1));
}
TEST_F(Sender, IgnoresAnAnswerAboutAnotherSnapshot) {
  ask();
  read(snapshot_of(5, 2), 0, 4);
  EXPECT_THAT(wants(4, 99).snapshot_requests, IsEmpty());
}

// --- The follower

// Figure 13: "2. Create new snapshot file if first chunk (offset is 0). 3. Write data into snapshot file at given
// offset.
// 4. Reply and wait for more data chunks if done is false"
TEST(Receiver, StoresPiecesInOrderAndNamesWhatItWants) {
  Solo node({.term = 2});
  Output output = node.receive(2, 3, piece(snapshot_of(5, 2), 0, 4));
  ASSERT_THAT(output.snapshot_pieces, SizeIs(1));
  EXPECT_EQ(answer_of(output).offset, 4U);
  output = node.receive(2, 3, piece(snapshot_of(5, 2), 0, 4));
  EXPECT_THAT(output.snapshot_pieces, IsEmpty()) << "twice";
  EXPECT_EQ(answer_of(output).offset, 4U);
  output = node.receive(2, 3, piece(snapshot_of(5, 2), 8, 2));
  EXPECT_THAT(output.snapshot_pieces, IsEmpty()) << "out of order";
  EXPECT_EQ(answer_of(output).offset, 4U);
  output = node.receive(2, 3, piece(snapshot_of(5, 2), 4, 6));
  ASSERT_THAT(output.snapshot_pieces, SizeIs(1));
  EXPECT_THAT(output.messages_after_persist, IsEmpty()) << "the answer follows when it is installed";
  EXPECT_EQ(node.raft.last_index(), Index{0}) << "nothing is touched before the whole is in order";
}

// Figure 13: "7. Discard the entire log. 8. Reset state machine using snapshot contents (and load snapshot's cluster
// configuration)". Own term and vote stay.
TEST(Receiver, PutsTheSnapshotInThePlaceOfItsLog) {
  Solo node({.log = {1, 1}, .term = 3, .voted_for = 2});
  Snapshot snapshot = snapshot_of(5, 2);
  snapshot.config = change_entry(voters_up_to(4));
  const Output output = install(node, snapshot, 3);
  EXPECT_EQ(output.install, snapshot);
  EXPECT_FALSE(output.hard_state);
  EXPECT_EQ(node.raft.current_term(), Term{3});
  EXPECT_EQ(node.raft.voted_for(), NodeId{2});
  EXPECT_EQ(node.raft.first_index(), Index{6});
  EXPECT_EQ(node.raft.last_index(), Index{5});
  EXPECT_EQ(node.raft.commit_index(), Index{5});
  EXPECT_EQ(node.raft.configuration(), voters_up_to(4));
  EXPECT_EQ(answer_of(output).answer, InstallAnswer::installed);
  EXPECT_EQ(node.raft.durable_index(), Index{0});
  node.raft.persisted(Term{2}, Index{5});
  EXPECT_EQ(node.raft.durable_index(), Index{5});
  EXPECT_FALSE(node.raft.take_output().commit_to) << "what the snapshot holds is not applied again";
}
TEST(Receiver, GoesOnWithEntriesBehindTheSnapshot) {
  Solo node({.log = {1, 1}, .term = 3});
  install(node, snapshot_of(5, 2), 3);
  Output output = node.receive(2, 3, append(5, 2, {entry(6, 3)}, 6));
  EXPECT_THAT(output.append, ElementsAre(entry(6, 3)));
  EXPECT_FALSE(output.truncate_from);
  node.raft.persisted(Term{2}, Index{5});
  EXPECT_FALSE(node.raft.take_output().commit_to);
  node.raft.persisted(Term{3}, Index{6});
  EXPECT_EQ(node.raft.take_output().commit_to, Index{6});
}
// A write that was under way when the snapshot took the log's place says nothing any more.
TEST(Receiver, CountsNoWriteFromBeforeTheSnapshot) {
  Solo node({.term = 3});
  node.receive(2, 3, append(0, 0, {entry(1, 1), entry(2, 1)}));
  install(node, snapshot_of(2, 2), 3);
  node.raft.persisted(Term{1}, Index{2});
  EXPECT_EQ(node.raft.durable_index(), Index{0});
  node.raft.persisted(Term{2}, Index{2});
  EXPECT_EQ(node.raft.durable_index(), Index{2});
}

// Figure 13: "6. If existing log entry has same index and term as snapshot's last included entry, retain log entries
// following it and reply"
TEST(Receiver, RetainsALogThatHasTheSnapshotsLastEntry) {
  Solo node({.log = {1, 1, 2, 2, 2, 2}, .term = 3});
  const Output output = node.receive(2, 3, piece(snapshot_of(5, 2), 0, 4));
  EXPECT_THAT(output.snapshot_pieces, IsEmpty());
  EXPECT_EQ(answer_of(output).answer, InstallAnswer::installed);
  EXPECT_EQ(node.raft.last_index(), Index{6});
  EXPECT_EQ(node.raft.commit_index(), Index{5});
}

// FAULTS 28
TEST(Receiver, IgnoresAnOldSnapshotAfterANewerLog) {
  Solo node;
  node.receive(2, 3, append(0, 0, log_of({1, 1, 2}), 3));
  const Output output = node.receive(2, 3, piece(snapshot_of(2, 1), 0, 10));
  EXPECT_THAT(output.snapshot_pieces, IsEmpty());
  EXPECT_EQ(answer_of(output).answer, InstallAnswer::installed);
  EXPECT_EQ(node.raft.last_index(), Index{3});
  EXPECT_EQ(node.raft.first_index(), Index{1});
}
TEST(Receiver, IgnoresTheSameSnapshotTwice) {
  Solo node({.term = 3});
  install(node, snapshot_of(5, 2), 3);
  const Output output = node.receive(2, 3, piece(snapshot_of(5, 2), 0, 10));
  EXPECT_FALSE(output.install);
  EXPECT_EQ(answer_of(output).answer, InstallAnswer::installed);
}
TEST(Receiver, RefusesASnapshotOfNothing) {
  Solo node({.term = 3});
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 3, piece(snapshot_of(0, 0), 0, 10))));
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 3, piece(snapshot_of(5, 0), 0, 10))));
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 3, piece(snapshot_of(0, 2), 0, 10))));
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 3, piece(snapshot_of(5, 4), 0, 10)))) << "of a later term";
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 3, piece(snapshot_of(5, 2), 4, 10)))) << "beyond its end";
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 3, piece(snapshot_of(5, 2), 0, 0)))) << "of no bytes";
  Snapshot unknown = snapshot_of(5, 2);
  unknown.config.configuration.reset();
  EXPECT_TRUE(has_event<MessageRefused>(node.receive(2, 3, piece(unknown, 0, 10))));
}
TEST(Receiver, InstallsAnEmptySnapshot) {
  Solo node({.term = 3});
  EXPECT_TRUE(install(node, snapshot_of(5, 2, 0), 3).install);
}
TEST(Receiver, OfTwoSnapshotsCloseTogetherTakesTheNewer) {
  Solo node({.term = 3});
  node.receive(2, 3, piece(snapshot_of(5, 2, 10, 1), 0, 4));
  Output output = node.receive(2, 3, piece(snapshot_of(6, 2, 10, 2), 0, 4));
  ASSERT_THAT(output.snapshot_pieces, SizeIs(1));
  output = node.receive(2, 3, piece(snapshot_of(5, 2, 10, 1), 4, 6));
  EXPECT_TRUE(output.empty()) << "the older one, late";
  output = node.receive(2, 3, piece(snapshot_of(6, 2, 10, 2), 4, 6));
  EXPECT_THAT(output.snapshot_pieces, SizeIs(1));
  node.raft.snapshot_received(snapshot_of(5, 2, 10, 1));
  EXPECT_FALSE(node.raft.has_output());
}
TEST(Receiver, BeginsAnewWithANewLeadersOlderSnapshot) {
  Solo node({.term = 3});
  node.receive(2, 3, piece(snapshot_of(6, 2, 10, 2), 0, 4));
  const Output output = node.receive(3, 4, piece(snapshot_of(5, 2, 10, 7), 0, 4));
  ASSERT_THAT(output.snapshot_pieces, SizeIs(1));
  EXPECT_EQ(answer_of(output).offset, 4U);
}
TEST(Receiver, ThatFoundItDamagedAsksForItFromTheBeginning) {
  Solo node({.term = 3});
  node.receive(2, 3, piece(snapshot_of(5, 2), 0, 10));
  node.raft.snapshot_refused(snapshot_of(5, 2));
  const Output output = node.receive(2, 3, piece(snapshot_of(5, 2), 4, 6));
  EXPECT_THAT(output.snapshot_pieces, IsEmpty());
  EXPECT_EQ(answer_of(output).offset, 0U);
  EXPECT_EQ(node.raft.last_index(), Index{0});
}

// Figure 13: "1. Reply immediately if term < currentTerm"
TEST(Receiver, AnswersALeaderOfThePastWithItsTerm) {
  Solo node({.term = 4});
  const Output output = node.receive(2, 3, piece(snapshot_of(5, 2), 0, 10));
  EXPECT_THAT(output.snapshot_pieces, IsEmpty());
  ASSERT_THAT(output.messages_after_persist, SizeIs(1));
  EXPECT_EQ(output.messages_after_persist.front().term, Term{4});
}

// --- AppendEntries races with a snapshot: FAULTS 29

TEST(Race, EntriesThatArriveWhileTheSnapshotIsCheckedMakeItNeedless) {
  Solo node({.term = 3});
  node.receive(2, 3, piece(snapshot_of(3, 2), 0, 10));
  node.receive(2, 3, append(0, 0, log_of({1, 1, 2, 2})));
  node.raft.snapshot_received(snapshot_of(3, 2));
  EXPECT_FALSE(node.raft.take_output().install);
  EXPECT_EQ(node.raft.last_index(), Index{4});
}
TEST(Race, ALateMessageFromBeforeTheSnapshotLeavesNoHole) {
  Solo node({.term = 3});
  install(node, snapshot_of(5, 2), 3);
  Output output = node.receive(2, 3, append(1, 1, {entry(2, 1), entry(3, 2)}));
  EXPECT_THAT(output.append, IsEmpty());
  EXPECT_EQ(node.raft.last_index(), Index{5});
  output = node.receive(2, 3, append(4, 2, {entry(5, 2), entry(6, 3)}));
  EXPECT_THAT(output.append, ElementsAre(entry(6, 3)));
  output = node.receive(2, 3, append(7, 3, {entry(8, 3)}));
  EXPECT_THAT(output.append, IsEmpty()) << "7 is missing";
}

// --- Whole clusters

// FAULTS 26
TEST(Snapshots, BringBackAFollowerWhoseEntriesAreGone) {
  Config config;
  config.append_bytes_max = 100;
  Cluster cluster(3, config);
  Checker checker(cluster);
  cluster.start_all();
  const std::uint64_t leader = cluster.elect().value;
  const std::uint64_t away = leader % 3 + 1;
  cluster.isolate(away);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(cluster.propose(leader, std::to_string(i)));
    cluster.run(1);
  }
  cluster.take_snapshot(leader);
  ASSERT_TRUE(cluster.propose(leader, "behind"));
  cluster.heal();
  cluster.run(100);
  EXPECT_EQ(checker.installs(), 1U);
  EXPECT_EQ(cluster.member(away).applied, cluster.member(leader).applied);
  EXPECT_EQ(cluster.member(away).applied.back().data.view(), "behind");
  cluster.crash(away);
  cluster.start(away);
  cluster.run(100);
  EXPECT_EQ(cluster.member(away).applied, cluster.member(leader).applied) << "and after a restart";
  EXPECT_THAT(checker.violations(), IsEmpty());
}
// FAULTS 27: a power cut before the install is on disk leaves the log as it was.
TEST(Snapshots, AreInstalledWholeOrNotAtAll) {
  Cluster cluster(3);
  Checker checker(cluster);
  cluster.start_all();
  const std::uint64_t leader = cluster.elect().value;
  const std::uint64_t away = leader % 3 + 1;
  cluster.isolate(away);
  ASSERT_TRUE(cluster.propose(leader, "sally"));
  cluster.run(5);
  cluster.take_snapshot(leader);
  cluster.member(away).disk_is_held = true;
  cluster.heal();
  cluster.run(60);
  ASSERT_EQ(checker.installs(), 1U);
  cluster.crash(away);
  EXPECT_EQ(cluster.member(away).disk.snapshot.index, Index{0});
  cluster.member(away).disk_is_held = false;
  cluster.start(away);
  cluster.run(100);
  EXPECT_EQ(checker.installs(), 2U);
  EXPECT_EQ(cluster.member(away).applied, cluster.member(leader).applied);
  EXPECT_THAT(checker.violations(), IsEmpty());
}

}  // namespace
}  // namespace weir::raft::test
