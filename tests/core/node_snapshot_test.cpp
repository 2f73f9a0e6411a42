// FAULTS 19, 20, 26, 27. A Node and its checkpoints: a start from one, a snapshot that is sent, one that takes the
// place of what was here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/core/checkpoints.hpp"
#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// What another member has come to: CONFIG, then so many events with ids "s0", "s1", ..., and a checkpoint of it all.
struct OtherMember {
  explicit OtherMember(std::uint64_t events, const wire::ConfigEntry& config = config_of(kThree)) {
    raft::Entry entry{.index = {},
                      .term = raft::Term{1},
                      .command = raft::Command::config,
                      .checksum = 0,
                      .data = wire::encode(config)};
    entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
    machine.apply(entry);
    for (std::uint64_t i = 0; i < events; ++i) {
      machine.publish({{.events = {{.id = "s" + std::to_string(i), .body = "body"}}}});
    }
    Checkpoints checkpoints(disk, {.applied_bytes = 1, .delta_bytes = 1}, {.saved = [] {}, .notice = {}});
    checkpoints.applied(machine.state, machine.digest, *decoded(machine.log.back()), machine.log.front(),
                        machine.log.front().data);
    disk.finish_save();
  }
  [[nodiscard]] raft::Snapshot snapshot() const {
    return {.index = machine.log.back().index,
            .term = machine.log.back().term,
            .number = 77,
            .size = 10,
            .config = machine.log.front()};
  }
  /// What is installed when the node's disk gets to it.
  void lend(NodeFixture& to) const {
    to.disk.incoming_log = machine.log;
    to.disk.incoming_kept = disk.kept;
  }

  Applying machine;
  FakeDisk disk;
};

void send_piece(NodeFixture& to, const raft::Snapshot& snapshot, raft::Term term) {
  to.receive("n2", term,
             raft::InstallSnapshot{.snapshot = snapshot, .offset = 0, .data = raft::Bytes::own("0123456789")});
}

[[nodiscard]] std::size_t installed_replies(NodeFixture& fixture) {
  std::size_t count = 0;
  for (const auto& [to, message] : fixture.network.take<raft::Message>()) {
    const auto* reply = std::get_if<raft::InstallSnapshotReply>(&message.body);
    count += reply != nullptr && reply->answer == raft::InstallAnswer::installed ? 1 : 0;
  }
  return count;
}

void finish_saves(NodeFixture& fixture) {
  while (!fixture.disk.saves.empty()) {
    fixture.disk.finish_save();
  }
}

TEST(NodeSnapshots, AStartAppliesOnlyWhatTheCheckpointDoesNotCover) {
  NodeFixture alone({"n1"});
  alone.adapt = [](NodeConfig& config) { config.checkpoint_bytes = 1; };
  alone.restart();
  alone.join();
  alone.lead();
  for (const char* id : {"a", "b", "c"}) {
    alone.publish({.events = {{.id = id}}});
    alone.settle();
    finish_saves(alone);
  }
  alone.publish({.events = {{.id = "d"}}});
  alone.settle();
  ASSERT_GE(alone.disk.kept.size(), 3U);
  const raft::Index covered = alone.disk.kept.back().index;
  ASSERT_LT(covered.value, alone.disk.log.size());
  alone.disk.saves.clear();

  alone.restart();
  alone.node->start();
  EXPECT_EQ(alone.node->status().applied_index, raft::Index{}) << "nothing is shown before all of it is there";
  alone.disk.finish_all();
  EXPECT_EQ(alone.node->status().applied_index, covered);
  EXPECT_EQ(alone.node->status().commit_index, covered) << "FAULTS 19";
  EXPECT_EQ(alone.node->status().position, raft::Position{3});
  alone.lead();
  finish_saves(alone);
  EXPECT_EQ(alone.node->status().position, raft::Position{4});
  EXPECT_EQ(alone.node->counters().entries_applied, alone.disk.log.size() - covered.value) << "FAULTS 20";
  const auto first = alone.publish({.events = {{.id = "a"}}});
  const auto last = alone.publish({.events = {{.id = "d"}}});
  alone.settle();
  EXPECT_EQ(alone.outcomes[first], "0@1d");
  EXPECT_EQ(alone.outcomes[last], "3@4d");
}

// What an empty member is founded with is in the checkpoint: the log's first entry is gone.
TEST(NodeSnapshots, TheLogsFrontGoesWhenNothingRefersToIt) {
  NodeFixture three;
  three.adapt = [](NodeConfig& config) { config.checkpoint_bytes = 1; };
  three.restart();
  three.join();
  three.lead();
  three.publish({.events = {{.id = "a"}}});
  three.settle();
  while (three.disk.drops.empty() && !three.disk.saves.empty()) {
    three.disk.finish_save();
    three.publish({.events = {{.id = "b"}}});
    three.settle();
  }
  ASSERT_THAT(three.disk.drops, SizeIs(1));
  three.disk.finish_drop();
  ASSERT_GT(three.disk.first, raft::Index{1}) << "CONFIG and NOOP";
  ASSERT_LE(three.disk.first, three.disk.kept.back().index.next()) << "FAULTS 27";

  three.restart();
  three.join();
  three.lead();
  EXPECT_EQ(three.node->status().phase, Phase::running);
  const auto known = three.publish({.events = {{.id = "a"}}});
  three.settle();
  EXPECT_EQ(three.outcomes[known], "0@1d");
  three.network.sent.clear();
  three.node->peer_up(hello_of("n3", "", 3));
  const auto found = three.network.take<wire::Found>();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found.front().second.config.view(), three.disk.log.front().data.view());
}

TEST(NodeSnapshots, TheLogsFrontGoesAndIdsThatOutliveItStay) {
  NodeFixture alone({"n1"});
  alone.adapt = [](NodeConfig& config) {
    config.checkpoint_bytes = 1;
    config.retention.count = 1;
  };
  alone.restart();
  alone.join();
  alone.lead();
  const wire::TopicSettings forever{
      .age_ms = {}, .bytes = {}, .count = {}, .dedup_ms = {wire::Setting::Kind::forever, 0}};
  alone.node->change_topic({.topic = "t", .action = wire::TopicAction::put, .settings = forever}, 1'000,
                           [](const wire::Outcome& /*outcome*/) {});
  alone.settle();
  for (const char* id : {"a", "b", "c"}) {
    alone.publish({.events = {{.id = id}}});
    alone.settle();
    finish_saves(alone);
  }
  constexpr raft::Index kFirstEvent{4};  // behind CONFIG, NOOP and TOPIC
  for (int i = 0; i < 2'000 && alone.disk.first <= kFirstEvent; ++i) {
    alone.tick();
    if (i % 100 == 99) {
      alone.publish({.events = {{}}});
    }
    alone.settle();
    finish_saves(alone);
    while (!alone.disk.drops.empty()) {
      alone.disk.finish_drop();
    }
  }
  ASSERT_GT(alone.disk.first, kFirstEvent);
  const std::size_t kept = alone.disk.kept.size();
  std::erase_if(alone.disk.kept, [&alone](const auto& checkpoint) { return checkpoint.index < alone.disk.first; });
  ASSERT_LT(alone.disk.kept.size(), kept);

  alone.restart();
  alone.join();
  alone.lead();
  EXPECT_EQ(alone.node->counters().forever_ids, 3U);
  const auto known = alone.publish({.events = {{.id = "a"}}});
  const auto other = alone.publish({.events = {{.id = "a", .body = "other"}}});
  alone.settle();
  EXPECT_EQ(alone.outcomes[known], "0@1d");
  EXPECT_EQ(alone.outcomes[other], "id_reuse(0)");
}

TEST(NodeSnapshots, ALogWithoutItsFrontAndWithoutACheckpointStopsTheNode) {
  NodeFixture three;
  for (std::uint64_t index = 2; index <= 5; ++index) {
    three.disk.log.push_back(noop_entry(index));
  }
  three.disk.first = raft::Index{3};
  three.restart();
  three.join();
  EXPECT_EQ(three.node->status().phase, Phase::failed);
  EXPECT_THAT(three.node->status().why, HasSubstr("no checkpoint"));
}

TEST(NodeSnapshots, ACheckpointThatTheLogDoesNotMeetStopsTheNode) {
  NodeFixture alone({"n1"});
  const OtherMember other(3, config_of({"n1"}));
  alone.disk.kept = other.disk.kept;
  alone.join();
  EXPECT_EQ(alone.node->status().phase, Phase::failed);
  EXPECT_THAT(alone.node->status().why, HasSubstr("does not meet the log"));
}

// FAULTS 27: told as installed, and shown to readers, when it is durable; not before.
TEST(NodeSnapshots, AnInstallCountsWhenItIsOnDisk) {
  NodeFixture three;
  const OtherMember other(5);
  three.join();
  three.follow(raft::Term{3}, 1, 1);
  three.settle();
  bool reached = false;
  three.node->wait_applied(raft::Position{5}, 60'000, [&](bool yes) { reached = yes; });
  bool woken = false;
  three.node->wait(selector_of({"t"}), raft::Position{}, [&] { woken = true; });
  three.network.sent.clear();

  send_piece(three, other.snapshot(), raft::Term{3});
  ASSERT_THAT(three.disk.pieces, SizeIs(1));
  EXPECT_THAT(three.disk.writes, IsEmpty());
  three.disk.finish_piece(storage::PieceAnswer::whole);
  ASSERT_THAT(three.disk.writes, SizeIs(1));
  EXPECT_EQ(three.disk.writes.front().what.install, other.snapshot());
  EXPECT_EQ(installed_replies(three), 0U);
  EXPECT_EQ(three.node->status().position, raft::Position{0});

  other.lend(three);
  three.disk.finish_write();
  EXPECT_EQ(installed_replies(three), 1U);
  EXPECT_EQ(three.node->status().position, raft::Position{0}) << "readers keep the old state until the new is there";
  EXPECT_FALSE(reached || woken);
  three.disk.finish_all();
  EXPECT_EQ(three.node->status().applied_index, other.snapshot().index);
  EXPECT_EQ(three.node->status().position, raft::Position{5});
  EXPECT_TRUE(reached);
  EXPECT_TRUE(woken);
  EXPECT_EQ(three.node->counters().snapshots_installed, 1U);
  EXPECT_EQ(three.node->status().term, raft::Term{3}) << "its own term is kept";
}

TEST(NodeSnapshots, TheMembersAreThoseOfTheSnapshot) {
  NodeFixture three;
  auto config = config_of(kThree);
  config.members.push_back(config_of({"n4"}).members.front());
  const OtherMember other(2, config);
  three.join();
  three.follow(raft::Term{3}, 1, 1);
  three.settle();
  send_piece(three, other.snapshot(), raft::Term{3});
  other.lend(three);
  three.disk.finish_piece(storage::PieceAnswer::whole);
  three.settle();
  EXPECT_THAT(three.node->status().members, SizeIs(4));
  EXPECT_TRUE(three.network.dialled.contains("n4"));
}

TEST(NodeSnapshots, ASnapshotThatIsNotInOrderIsAskedForAgain) {
  NodeFixture three;
  const OtherMember other(5);
  three.join();
  three.follow(raft::Term{3}, 1, 1);
  three.settle();
  send_piece(three, other.snapshot(), raft::Term{3});
  three.disk.finish_piece(storage::PieceAnswer::refused);
  EXPECT_THAT(three.disk.writes, IsEmpty());
  EXPECT_THAT(three.notices, Contains(HasSubstr("asked for again")));
  send_piece(three, other.snapshot(), raft::Term{3});
  EXPECT_THAT(three.disk.pieces, SizeIs(1)) << "from the beginning";
}

TEST(NodeSnapshots, AnInstallWaitsForTheCheckpointThatIsBeingSaved) {
  NodeFixture three;
  three.adapt = [](NodeConfig& config) { config.checkpoint_bytes = 1; };
  three.restart();
  three.join();
  three.lead();
  three.settle();
  ASSERT_THAT(three.disk.saves, SizeIs(1));
  const raft::Term term = three.node->status().term.next();
  const OtherMember other(20);
  three.follow(term, three.node->status().last_index.value, three.node->status().term.value);
  three.settle();
  send_piece(three, other.snapshot(), term);
  three.disk.finish_piece(storage::PieceAnswer::whole);
  EXPECT_THAT(three.disk.writes, IsEmpty());
  three.disk.finish_save();
  ASSERT_THAT(three.disk.writes, SizeIs(1));
  EXPECT_TRUE(three.disk.writes.front().what.install.has_value());
  other.lend(three);
  three.settle();
  EXPECT_EQ(three.node->status().position, raft::Position{20});
}

// FAULTS 65: whether the entry it proposed as a leader is among those that the snapshot covers, it cannot know.
TEST(NodeSnapshots, WhatWasProposedHereAndIsCoveredIsAnsweredAsUnknown) {
  NodeFixture three;
  three.join();
  three.lead();
  three.obedient.clear();
  const auto pending = three.publish({.events = {{.id = "mine"}}}, 60'000);
  three.settle();
  const auto status = three.node->status();
  const OtherMember other(20);
  send_piece(three, other.snapshot(), status.term.next());
  three.disk.finish_all();
  EXPECT_EQ(three.outcomes[pending], "");
  other.lend(three);
  three.disk.finish_piece(storage::PieceAnswer::whole);
  three.disk.finish_all();
  EXPECT_EQ(three.outcomes[pending], "outcome_unknown(0)");
  EXPECT_EQ(three.node->status().position, raft::Position{20});
}

/// A leader of three that keeps checkpoints of all it has and offers no entry that they cover.
void lead_and_save(NodeFixture& three) {
  three.adapt = [](NodeConfig& config) {
    config.checkpoint_bytes = 1;
    config.log_entries_kept = 0;
    config.snapshot_piece_bytes = 4;
  };
  three.restart();
  three.join();
  three.obedient = {"n2"};
  three.lead();
  for (const char* id : {"a", "b", "c"}) {
    three.publish({.events = {{.id = id}}});
    three.settle();
    finish_saves(three);
  }
}

/// n3 is there and asks for the entries from `next` on, until it is to get something of a snapshot.
void ask_for(NodeFixture& three, raft::Index next) {
  for (int i = 0; i < 20 && three.disk.snapshot_reads.empty(); ++i) {
    three.tick();
    three.receive("n3", three.node->status().term,
                  raft::AppendEntriesReply{.answer = raft::AppendAnswer::conflict,
                                           .match_index = {},
                                           .conflict_term = {},
                                           .conflict_index = next,
                                           .read_context = {}});
    three.settle();
  }
}

// Else a follower that has just got the newest snapshot that can be sent would be sent it again, for ever.
TEST(NodeSnapshots, EntriesBehindTheNewestThatCanBeSentAreOffered) {
  NodeFixture three;
  three.disk.sendable = raft::Index{1};
  lead_and_save(three);
  ASSERT_GT(three.disk.kept.back().index, raft::Index{2});
  ask_for(three, raft::Index{2});
  EXPECT_THAT(three.disk.snapshot_reads, IsEmpty());
}

TEST(NodeSnapshots, AFollowerBehindWhatIsKeptIsSentTheNewestInPieces) {
  NodeFixture three;
  lead_and_save(three);
  ask_for(three, raft::Index{2});
  ASSERT_THAT(three.disk.snapshot_reads, SizeIs(1));
  EXPECT_EQ(three.disk.snapshot_reads.front().bytes_max, 4U);
  const storage::Checkpoint& newest = three.disk.kept.back();
  three.network.sent.clear();
  three.disk.finish_snapshot_read(storage::SnapshotData{
      .snapshot =
          {.index = newest.index, .term = newest.term, .number = 5, .size = 8, .config = three.disk.log.front()},
      .offset = 0,
      .data = raft::Bytes::own("0123")});
  std::size_t sent = 0;
  for (const auto& [to, message] : three.network.take<raft::Message>()) {
    const auto* piece = std::get_if<raft::InstallSnapshot>(&message.body);
    if (piece != nullptr) {
      EXPECT_EQ(to, id_of("n3"));
      EXPECT_EQ(piece->data.view(), "0123");
      EXPECT_EQ(piece->snapshot.index, newest.index);
      ++sent;
    }
  }
  EXPECT_EQ(sent, 1U);
}

TEST(NodeSnapshots, ADamagedSnapshotStopsTheNodeThatWasToSendIt) {
  NodeFixture three;
  three.adapt = [](NodeConfig& config) {
    config.checkpoint_bytes = 1;
    config.log_entries_kept = 0;
  };
  three.restart();
  three.join();
  three.obedient = {"n2"};
  three.lead();
  for (int i = 0; i < 30 && three.disk.snapshot_reads.empty(); ++i) {
    three.publish({.events = {{.id = "e" + std::to_string(i)}}});
    three.settle();
    finish_saves(three);
    three.tick();
    three.receive("n3", three.node->status().term,
                  raft::AppendEntriesReply{.answer = raft::AppendAnswer::conflict,
                                           .match_index = {},
                                           .conflict_term = {},
                                           .conflict_index = raft::Index{2},
                                           .read_context = {}});
    three.settle();
  }
  ASSERT_THAT(three.disk.snapshot_reads, SizeIs(1));
  three.disk.finish_snapshot_read(std::unexpected(storage::Error{storage::Errc::damaged, "a checksum does not hold"}));
  EXPECT_EQ(three.node->status().phase, Phase::failed);
}

}  // namespace
}  // namespace weir::broker::test
