// A Node and members that come back with an older copy of their data, move, or are taken out of service.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

[[nodiscard]] raft::Entry config_entry(std::uint64_t index, std::uint64_t term, const wire::ConfigEntry& config) {
  raft::Entry entry{.index = raft::Index{index},
                    .term = raft::Term{term},
                    .command = raft::Command::config,
                    .checksum = 0,
                    .data = wire::encode(config)};
  entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
  return entry;
}

/// n3 starts again, over a folder that ends with this entry.
[[nodiscard]] wire::Hello started_again(std::uint64_t term, std::uint64_t index, std::uint64_t boot_nonce = 78) {
  wire::Hello hello = hello_of("n3", "c", 3);
  hello.boot_nonce = boot_nonce;
  hello.started_term = raft::Term{term};
  hello.started_index = raft::Index{index};
  return hello;
}

void live(NodeFixture& three, int ticks) {
  for (int i = 0; i < ticks; ++i) {
    three.tick();
    three.settle();
  }
}

TEST(NodeMembers, Fault025AnOlderCopyCountsForNothingAndIsAwaitedEmpty) {
  NodeFixture three;
  three.join();
  three.lead();
  three.publish({.events = {{.id = "a"}}});
  three.settle();
  const NodeStatus before = three.node->status();
  ASSERT_GT(before.last_index, raft::Index{2});
  three.node->peer_down(id_of("n3"));
  const auto refused = three.node->judge(started_again(before.term.value, before.last_index.value - 1));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error(), HasSubstr("remove the folder and start it empty"));
  EXPECT_THAT(three.notices, Contains(HasSubstr("older copy")));
  EXPECT_EQ(three.node->status().members.at(2).healthy, false);
  EXPECT_THAT(three.node->status().members.at(2).why, HasSubstr("older copy"));

  // What it says on a connection that stood before is not counted either.
  const std::uint64_t refused_before = three.node->counters().messages_refused;
  three.receive("n3", before.term, raft::AppendEntriesReply{});
  EXPECT_EQ(three.node->counters().messages_refused, refused_before + 1);

  three.obedient = {"n2"};
  live(three, 60);
  EXPECT_EQ(three.node->status().members.at(2).kind, wire::MemberKind::awaited);
  three.node->peer_up(hello_of("n3", "", 333));
  live(three, 60);
  EXPECT_EQ(three.node->status().members.at(2).kind, wire::MemberKind::joining) << "FAULTS 24: empty, it is let in";
}

TEST(NodeMembers, Fault025ALowerTermThanShownIsAnOlderCopy) {
  NodeFixture three;
  three.join();
  three.lead();
  const NodeStatus now = three.node->status();
  EXPECT_FALSE(three.node->judge(started_again(now.term.value - 1, now.last_index.value)));
  EXPECT_TRUE(three.node->judge(started_again(now.term.value, now.last_index.value, 79))) << "the right one is back";
  EXPECT_EQ(three.node->status().members.at(2).why, "");
}

TEST(NodeMembers, Fault025ByHandItIsForTheOperatorToRemove) {
  NodeFixture three;
  three.adapt = [](NodeConfig& config) { config.readmission = Readmission::by_hand; };
  three.restart();
  three.join();
  three.lead();
  three.node->peer_down(id_of("n3"));
  EXPECT_FALSE(three.node->judge(started_again(1, 1)));
  three.obedient = {"n2"};
  live(three, 60);
  EXPECT_EQ(three.node->status().members.at(2).kind, wire::MemberKind::voter);
  EXPECT_EQ(three.node->status().members.at(2).healthy, false);
}

/// A connection to a machine that was lost stands for a while.
TEST(NodeMembers, Fault024WhoIsAddedIsTheLifeThatKnockedLastNotTheOneWhoseConnectionStillStands) {
  NodeFixture three;
  three.join();
  three.lead();
  three.obedient = {"n2"};
  const wire::Hello next_life = hello_of("n3", "c", 333);
  EXPECT_FALSE(three.node->judge(next_life)) << "CONFIG names another";
  const auto change = [&three](MemberAction action) {
    bool done = false;
    three.node->change_members({.action = action, .node = "n3", .raft_address = {}, .http_address = {}}, 1'000,
                               [&](auto result) { done = result.has_value(); });
    live(three, 10);
    EXPECT_TRUE(done);
  };
  change(MemberAction::remove);
  change(MemberAction::add);
  EXPECT_EQ(three.node->status().members.at(2).incarnation, next_life.incarnation);
}

TEST(NodeMembers, SaysInItsHelloWhatItBeganWith) {
  NodeFixture three;
  three.join();
  three.lead();
  three.restart();
  const wire::Hello hello = three.node->hello();
  EXPECT_EQ(hello.started_index, raft::Index{three.disk.log.size()});
  EXPECT_EQ(hello.started_term, three.disk.log.back().term);
  three.join();
  three.lead();
  EXPECT_EQ(three.node->hello().started_index, hello.started_index) << "the same for all of this life";
}

TEST(NodeMembers, OneThatMovedIsDialledWhereConfigSaysItIsNow) {
  NodeFixture three;
  three.join();
  three.follow(raft::Term{2}, 1, 1);
  wire::ConfigEntry moved = config_of(kThree);
  moved.members[2].raft_address = "elsewhere:7401";
  three.receive("n2", raft::Term{2},
                raft::AppendEntries{.prev_log_index = raft::Index{2},
                                    .prev_log_term = raft::Term{2},
                                    .leader_commit = raft::Index{2},
                                    .entries = {config_entry(3, 2, moved)},
                                    .read_context = {}});
  three.disk.finish_all();
  ASSERT_THAT(three.network.moves, SizeIs(1)) << "and nobody else";
  EXPECT_EQ(three.network.moves["n3"], "elsewhere:7401");
}

TEST(NodeMembers, AWriteToANodeThatWaitsIsRefusedAtOnceWithTheReason) {
  NodeFixture wiped;
  wiped.make_empty("n1", 900);
  wiped.node->start();
  wiped.node->peer_up(hello_of("n2", "c", 2));
  ASSERT_EQ(wiped.node->status().phase, Phase::waiting);
  std::string detail;
  wiped.node->publish(bytes_of({.events = {{.id = "a"}}}), 60'000, [&](const wire::Outcome& outcome) {
    detail = std::get<wire::Refused>(outcome).detail;
    EXPECT_EQ(std::get<wire::Refused>(outcome).kind, wire::RefusalKind::no_leader);
  });
  EXPECT_THAT(detail, HasSubstr("waits to be admitted"));
}

TEST(NodeMembers, ADrainedLeaderHandsOverAndTakesNoWrites) {
  NodeFixture three;
  three.join();
  three.lead();
  ASSERT_TRUE(three.node->set_service(Service::drained));
  EXPECT_EQ(three.node->status().phase, Phase::draining);
  three.publish({.events = {{.id = "a"}}});
  EXPECT_EQ(three.outcomes.back(), "draining(0)");
  three.disk.finish_all();
  std::size_t asked = 0;
  for (const auto& [to, message] : three.network.take<raft::Message>()) {
    asked += std::holds_alternative<raft::TimeoutNow>(message.body) ? 1 : 0;
  }
  EXPECT_EQ(asked, 1U);
  EXPECT_TRUE(three.node->set_service(Service::drained)) << "it is";

  ASSERT_TRUE(three.node->set_service(Service::normal));
  EXPECT_EQ(three.node->status().phase, Phase::running);
  EXPECT_TRUE(three.node->set_service(Service::normal)) << "it is";
}

/// How often others were asked to lead, within 30 ticks.
[[nodiscard]] std::size_t hand_overs(NodeFixture& three) {
  std::size_t asked = 0;
  for (int i = 0; i < 30; ++i) {
    three.tick();
    for (const auto& [to, message] : three.network.sent) {
      const auto* said = std::get_if<raft::Message>(&message);
      asked += said != nullptr && std::holds_alternative<raft::TimeoutNow>(said->body) ? 1 : 0;
    }
    three.settle();
  }
  return asked;
}

TEST(NodeMembers, ADrainedNodeThatIsElectedAllTheSameHandsOverAgain) {
  NodeFixture three;
  three.join();
  ASSERT_TRUE(three.node->set_service(Service::drained));
  three.lead();
  ASSERT_EQ(three.node->status().role, raft::Role::leader) << "somebody must";
  EXPECT_GT(hand_overs(three), 0U);
}

TEST(NodeMembers, Fault042ALeaderWhoseDiskFillsHandsOverOnce) {
  NodeFixture three;
  three.join();
  three.lead();
  ASSERT_EQ(hand_overs(three), 0U);
  three.disk.room = storage::DiskSpace::nearly_full;
  EXPECT_GT(hand_overs(three), 0U);
  live(three, 100);  // nobody takes it
  ASSERT_EQ(three.node->status().role, raft::Role::leader);
  EXPECT_EQ(hand_overs(three), 0U) << "they may be full as well";
  three.disk.room = storage::DiskSpace::enough;
  live(three, 30);
  three.disk.room = storage::DiskSpace::nearly_full;
  EXPECT_GT(hand_overs(three), 0U);
  EXPECT_THAT(three.notices, Contains(HasSubstr("room on the disk again")));
}

TEST(NodeMembers, TheOnlyVoterAndOneThatWaitsCannotBeDrained) {
  NodeFixture alone({"n1"});
  alone.join();
  alone.lead();
  const auto refused = alone.node->set_service(Service::drained);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().detail, HasSubstr("only voter"));
  NodeFixture empty;
  empty.make_empty("n1", 900);
  empty.node->start();
  EXPECT_FALSE(empty.node->set_service(Service::drained));
}

}  // namespace
}  // namespace weir::broker::test
