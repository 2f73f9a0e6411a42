// The parts of a Node together: answers across leader changes, callbacks that come back, damage, foreign clusters.
#include "broker/core/node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Node, AloneLeadsAndStores) {
  NodeFixture alone({"n1"});
  alone.join();
  alone.lead();
  const auto place = alone.publish({.events = {{.id = "a"}}});
  EXPECT_EQ(alone.outcomes[place], "") << "FAULTS 22: not before the write";
  alone.settle();
  EXPECT_EQ(alone.outcomes[place], "0@1");
}

TEST(Node, WritesThatComeBeforeItIsSettledShareAnEntry) {
  NodeFixture alone({"n1"});
  int told = 0;
  alone.unsettled = [&told] { ++told; };
  alone.restart();
  alone.join();
  alone.lead();
  const auto last = alone.node->status().last_index;
  for (const char* id : {"a", "b", "c"}) alone.publish({.events = {{.id = id}}});
  EXPECT_EQ(told, 1) << "once for all that wait";
  EXPECT_EQ(alone.node->status().last_index, last);
  alone.node->settle();
  EXPECT_EQ(alone.node->status().last_index, last.next());
  alone.settle();
  EXPECT_THAT(alone.outcomes, ElementsAre("0@1", "1@2", "2@3"));
  alone.publish({.events = {{.id = "d"}}});
  EXPECT_EQ(told, 2) << "and again for what comes later";
}

TEST(Node, AnswersWhenAMajorityHasTheEntryOnDisk) {
  NodeFixture three;
  three.join();
  three.lead();
  three.obedient.clear();
  const auto place = three.publish({.events = {{.id = "a"}}});
  three.settle();
  EXPECT_EQ(three.outcomes[place], "");
  three.obedient = {"n3"};
  three.tick(6);
  three.settle();
  EXPECT_EQ(three.outcomes[place], "0@1");
}

// Two leaderships of one node may put different proposals at the same index.
TEST(Node, AnswersProposalsOfTwoOfItsLeadershipsAtTheSameIndex) {
  NodeFixture three;
  three.join();
  three.lead();
  const auto term = three.node->status().term;
  const auto committed = three.node->status().last_index.value;
  three.obedient.clear();
  for (const char* id : {"a", "b", "c"}) {
    three.publish({.events = {{.id = id, .body = id}}}, 60'000);
    three.settle();
  }
  ASSERT_EQ(three.node->status().last_index.value, committed + 3);

  three.follow(term.next(), committed, term.value);
  three.settle();
  ASSERT_EQ(three.node->status().last_index.value, committed + 1);
  three.obedient = {"n2", "n3"};
  three.lead();
  ASSERT_GT(three.node->status().term, term.next());
  const auto fourth = three.publish({.events = {{.id = "d", .body = "d"}}}, 60'000);
  three.settle();
  EXPECT_THAT(three.outcomes, testing::Each(testing::Not(""))) << "committed at the index of an earlier proposal";
  EXPECT_THAT(three.outcomes[fourth], testing::HasSubstr("@"));
  EXPECT_EQ(three.node->counters().pending_requests, 0U);
}

TEST(Node, ThatStepsDownAnswersUnknownForWhatItAppended) {
  NodeFixture three;
  three.join();
  three.lead();
  const auto term = three.node->status().term;
  const auto last = three.node->status().last_index.value;
  three.obedient.clear();
  const auto appended = three.publish({.events = {{.topic = "t"}}}, 200);
  three.settle();
  three.follow(term.next(), last, term.value);
  three.settle();
  three.tick(30);
  EXPECT_EQ(three.outcomes[appended], "outcome_unknown(0)");
}

TEST(Node, LetsCallbacksComeBackAndWaitsForNoTick) {
  NodeFixture alone({"n1"});
  alone.join();
  alone.lead();
  std::string second;
  alone.node->barrier(1'000, [&](bool confirmed) {
    EXPECT_TRUE(confirmed);
    alone.node->publish(bytes_of({.events = {{.id = "x"}}}), 1'000,
                        [&](const wire::Outcome& outcome) { second = text_of(outcome); });
  });
  alone.settle();
  EXPECT_EQ(second, "0@1");
}

TEST(Node, LetsABarrierAskForAnother) {
  NodeFixture alone({"n1"});
  alone.join();
  alone.lead();
  bool confirmed = false;
  alone.node->barrier(1'000, [&](bool) { alone.node->barrier(1'000, [&](bool second) { confirmed = second; }); });
  EXPECT_TRUE(confirmed);
}

// FAULTS 40
TEST(Node, Fault040StopsAtAnUnknownCommandAndSaysNothingMore) {
  NodeFixture three;
  three.join();
  const auto unknown = static_cast<raft::Command>(200);
  three.follow(raft::Term{2}, 1, 1);
  three.receive("n2", raft::Term{2},
                raft::AppendEntries{.prev_log_index = raft::Index{2},
                                    .prev_log_term = raft::Term{2},
                                    .leader_commit = raft::Index{3},
                                    .entries = {{.index = raft::Index{3},
                                                 .term = raft::Term{2},
                                                 .command = unknown,
                                                 .checksum = wire::entry_checksum(unknown, ""),
                                                 .data = {}}},
                                    .read_context = {}});
  three.follow(raft::Term{2}, 3, 2);
  while (three.node->status().phase != Phase::failed && !three.disk.writes.empty()) {
    three.network.sent.clear();
    three.disk.reads.empty() ? three.disk.finish_write() : three.disk.finish_read();
  }
  ASSERT_EQ(three.node->status().phase, Phase::failed);
  ASSERT_THAT(three.disk.writes, testing::Not(IsEmpty())) << "a reply waits for a write in flight";
  three.network.sent.clear();
  three.disk.finish_all();
  three.tick(100);
  EXPECT_THAT(three.network.sent, IsEmpty()) << "a damaged node does not vote, reply or lead";
}

TEST(Node, ThatFailedServesNothingAndLetsNobodyWait) {
  NodeFixture alone({"n1"});
  alone.join();
  alone.lead();
  int woken = 0;
  std::vector<bool> waits;
  alone.node->wait(selector_of({"t"}), raft::Position{}, [&] { ++woken; });
  alone.node->wait_applied(raft::Position{5}, 60'000, [&](bool reached) { waits.push_back(reached); });
  alone.publish({.events = {{.id = "a"}}});
  alone.disk.fail_write();
  EXPECT_THAT(alone.outcomes, ElementsAre("outcome_unknown(0)")) << "FAULTS 41";
  EXPECT_EQ(woken, 1) << "a subscriber must learn of it";
  EXPECT_THAT(waits, ElementsAre(false));
  alone.node->wait_applied(raft::Position{5}, 60'000, [&](bool reached) { waits.push_back(reached); });
  EXPECT_THAT(waits, ElementsAre(false, false));
  bool damaged = false;
  alone.node->find_id({.topic = "t", .source = {}, .id = "a"},
                      [&](const auto& found) { damaged = !found && found.error() == ReadError::damaged; });
  EXPECT_TRUE(damaged);
  alone.publish({.events = {{.id = "b"}}});
  EXPECT_EQ(alone.outcomes.back(), "no_leader(0)");
}

TEST(Node, Fault121RepliesNotBeforeTheFirstWriteIsDurable) {
  NodeFixture three;
  three.join();
  three.follow(raft::Term{2}, 1, 1);
  three.network.sent.clear();
  three.follow(raft::Term{2}, 1, 1);  // the same again, while the write is in flight
  EXPECT_THAT(three.network.take<raft::Message>(), IsEmpty());
  three.disk.finish_write();
  while (!three.disk.writes.empty()) {
    three.disk.finish_write();
  }
  const auto replies = three.network.take<raft::Message>();
  ASSERT_THAT(replies, SizeIs(2));
  EXPECT_EQ(std::get<raft::AppendEntriesReply>(replies[1].second.body).match_index, raft::Index{2});
}

// --- founding

TEST(Node, FoundsWhenAllAreEmptyAndAgreeAndTellsThemAll) {
  NodeFixture three;
  three.make_empty("n1", 1);
  three.node->start();
  three.node->peer_up(hello_of("n2", "", 2));
  EXPECT_THAT(three.founded, IsEmpty());
  three.node->peer_up(hello_of("n3", "", 3));
  ASSERT_THAT(three.founded, SizeIs(1));
  EXPECT_THAT(three.network.take<wire::Found>(), IsEmpty()) << "not before it is durable here";
  three.founding.front()({});
  EXPECT_THAT(three.network.take<wire::Found>(), SizeIs(2));
  EXPECT_EQ(three.node->status().phase, Phase::running);
}

TEST(Node, AMemberHelpsTheEmptyOnesThatConfigNamesAfterTheFounderDied) {
  NodeFixture three;
  three.join();
  three.node->peer_down(id_of("n3"));
  three.network.sent.clear();
  three.node->peer_up(hello_of("n3", "", 3));
  EXPECT_THAT(three.network.take<wire::Found>(), ElementsAre(testing::Pair(id_of("n3"), testing::_)));
}

TEST(Node, Fault024AWipedMemberIsNotFoundedAgainAndNothingOfItCounts) {
  NodeFixture three;
  three.join();
  three.node->peer_down(id_of("n3"));
  three.network.sent.clear();
  three.node->peer_up(hello_of("n3", "", 333));
  EXPECT_THAT(three.network.take<wire::Found>(), IsEmpty());
  EXPECT_THAT(three.notices, SizeIs(1));
  three.node->peer_message(id_of("n3"), {.incarnation = 333, .boot_nonce = 77},
                           raft::Message{.from = id_of("n3"),
                                         .to = id_of("n1"),
                                         .term = raft::Term{9},
                                         .wall_clock_ms = 0,
                                         .body = raft::TimeoutNow{}});
  EXPECT_EQ(three.node->status().term, raft::Term{1});
  EXPECT_EQ(three.node->counters().messages_refused, 1U);
  three.obedient = {"n2"};
  three.lead();
  for (const auto& [to, message] : three.network.take<raft::Message>()) {
    EXPECT_NE(to, id_of("n3"));
  }
}

TEST(Node, Fault045OneWhoseDataWasDamagedSaysSoFoundsNothingAndWaits) {
  NodeFixture damaged;
  damaged.make_damaged("n1", 900);
  damaged.node->start();
  EXPECT_TRUE(damaged.node->hello().lost_data);
  damaged.node->peer_up(hello_of("n2", "", 901));
  damaged.node->peer_up(hello_of("n3", "", 902));
  damaged.tick(200);
  EXPECT_THAT(damaged.founded, IsEmpty()) << "all are empty, but this one was not always";
  EXPECT_EQ(damaged.node->status().phase, Phase::waiting);
  EXPECT_THAT(damaged.node->status().why, testing::HasSubstr("damaged"));
}

TEST(Node, Fault044DamageOnDiskIsToldAsSuchAndNothingElseIs) {
  for (const auto code : {storage::Errc::damaged, storage::Errc::io}) {
    NodeFixture alone({"n1"});
    alone.adapt = [](NodeConfig& config) { config.entry_cache_bytes = 1; };
    alone.restart();
    alone.join();
    alone.lead();
    alone.publish({.events = {{.id = "a"}}});
    alone.publish({.events = {{.id = "b"}}});
    alone.disk.finish_all();
    alone.node->find_id({.topic = "t", .source = {}, .id = "a"}, [](const auto&) {});
    ASSERT_THAT(alone.disk.reads, SizeIs(1));
    alone.disk.fail_read(code);
    EXPECT_EQ(alone.node->status().phase, Phase::failed);
    EXPECT_THAT(alone.damages, SizeIs(code == storage::Errc::damaged ? 1 : 0));
  }
}

TEST(Node, Fault024TwoWipedOfThreeFoundNothing) {
  for (const char* name : {"n1", "n2"}) {
    NodeFixture wiped;
    wiped.make_empty(name, 900);
    wiped.node->start();
    wiped.node->peer_up(hello_of(name == std::string("n1") ? "n2" : "n1", "", 901));
    wiped.node->peer_up(hello_of("n3", "c", 3));
    wiped.tick(200);
    EXPECT_THAT(wiped.founded, IsEmpty());
    EXPECT_EQ(wiped.node->status().phase, Phase::waiting);
    EXPECT_THAT(wiped.network.take<raft::Message>(), IsEmpty());
  }
}

// FAULTS 24: the way back of a member that lost its disk: the old one goes, the new one comes as a learner and votes
// when it is caught up. Nobody asks for it.
TEST(Node, Fault024TheLeaderBringsAWipedMemberBackByMembershipChanges) {
  NodeFixture three;
  three.join();
  three.node->peer_down(id_of("n3"));
  three.node->peer_up(hello_of("n3", "", 333));
  three.obedient = {"n2"};
  three.lead();
  const auto n3 = [&] { return three.node->status().members.at(2); };
  const auto until = [&](auto condition) {
    for (int i = 0; i < 200 && !condition(); ++i) {
      three.tick();
      three.settle();
    }
    return condition();
  };
  ASSERT_TRUE(until([&] { return n3().kind == wire::MemberKind::awaited; }));
  EXPECT_EQ(n3().incarnation, 333U);
  std::vector<std::pair<raft::NodeId, wire::Found>> found;
  ASSERT_TRUE(until([&] { return n3().kind == wire::MemberKind::joining; }));
  for (int i = 0; i < 40 && found.empty(); ++i) {
    three.tick();
    found = three.network.take<wire::Found>();
    three.settle();
  }
  ASSERT_FALSE(found.empty()) << "it learns of its cluster";
  EXPECT_EQ(found.front().first, id_of("n3"));
  EXPECT_EQ(wire::decode_config(found.front().second.config).value(), config_of(kThree)) << "the log's first entry";
  EXPECT_EQ(wire::decode_config(found.front().second.admission).value().members.at(2).incarnation, 333U);
  const raft::Term term = three.node->status().term;
  EXPECT_FALSE(until([&] { return n3().kind == wire::MemberKind::voter; })) << "not before it has caught up";
  const auto catch_up = [&] {
    raft::AppendEntriesReply reply;
    reply.answer = raft::AppendAnswer::matched;
    reply.match_index = three.node->status().last_index;
    three.node->peer_message(
        id_of("n3"), {.incarnation = 333, .boot_nonce = 77},
        raft::Message{.from = id_of("n3"), .to = id_of("n1"), .term = term, .wall_clock_ms = 0, .body = reply});
    return n3().kind == wire::MemberKind::voter;
  };
  EXPECT_TRUE(until(catch_up));
  EXPECT_EQ(three.node->status().term, term);
}

TEST(Node, Fault024AnAdmittedNodeStartsFromTheFirstConfigAndIsNoVoterInItsOwnEyes) {
  NodeFixture wiped;
  wiped.make_empty("n1", 900);
  wiped.node->start();
  wiped.node->peer_up(hello_of("n2", "c", 2));
  wire::ConfigEntry admission = config_of(kThree);
  admission.members[0].incarnation = 900;
  admission.members[0].kind = wire::MemberKind::joining;
  wiped.node->peer_message(
      id_of("n2"), {.incarnation = 2, .boot_nonce = 77},
      wire::Found{.config = wire::encode(config_of(kThree)), .admission = wire::encode(admission)});
  ASSERT_THAT(wiped.founded, SizeIs(1));
  EXPECT_EQ(wire::decode_config(wiped.founded.front().second.data).value(), config_of(kThree));
  wiped.founding.front()({});
  EXPECT_EQ(wiped.node->status().phase, Phase::waiting);
  wiped.network.sent.clear();
  wiped.tick(200);
  EXPECT_THAT(wiped.network.take<raft::Message>(), IsEmpty()) << "it asks for no votes";
}

// A log that was restored begins with the CONFIG of the cluster that it was copied from (docs/decisions/0020).
TEST(Node, Fault025ANodeThatIsLetIntoARestoredClusterIsOfThatOneAndShowsNoEpochOfTheOld) {
  NodeFixture fresh;
  fresh.make_empty("n1", 900);
  fresh.node->start();
  fresh.node->peer_up(hello_of("n2", "new", 2));
  wire::ConfigEntry admission = config_of(kThree, "new");
  admission.members[0].incarnation = 900;
  admission.members[0].kind = wire::MemberKind::joining;
  fresh.node->peer_message(
      id_of("n2"), {.incarnation = 2, .boot_nonce = 77},
      wire::Found{.config = wire::encode(config_of(kThree, "old")), .admission = wire::encode(admission)});
  ASSERT_THAT(fresh.founded, SizeIs(1));
  EXPECT_EQ(fresh.founded.front().first, "new");
  EXPECT_EQ(wire::decode_config(fresh.founded.front().second.data).value(), config_of(kThree, "old"));
  fresh.network.sent.clear();
  fresh.founding.front()({});
  EXPECT_EQ(fresh.node->status().cluster_id, "new");
  EXPECT_EQ(fresh.node->status().epoch, "") << "its log has not come to this life";
  EXPECT_EQ(fresh.node->hello().cluster_id, "new");
  const auto told = fresh.network.take<wire::Found>();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(wire::decode_config(told.front().second.admission).value().cluster_id, "new");
}

/// Of a cluster of one, with no word on where it is reached.
raft::Entry config_of_alone(std::uint64_t index, std::uint64_t term, const std::string& cluster_id) {
  wire::ConfigEntry config = config_of({"n1"}, cluster_id);
  config.members[0].raft_address.clear();
  config.members[0].http_address.clear();
  raft::Entry entry{
      .index = raft::Index{index}, .term = raft::Term{term}, .command = raft::Command::config, .data = {}};
  entry.data = wire::encode(config);
  entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
  return entry;
}

TEST(Node, Fault027OneWhoseRecoveryWasCutShortRefusesToStart) {
  NodeFixture alone({"n1"});
  alone.disk.log.push_back(config_of_alone(2, 2, "other"));
  alone.restart();
  alone.join();
  EXPECT_EQ(alone.node->status().phase, Phase::failed);
  EXPECT_THAT(alone.node->status().why, testing::HasSubstr("run it again"));
}

TEST(Node, OneThatWasRestoredSaysWhereItIsReachedOnceItLeads) {
  NodeFixture alone({"n1"});
  alone.disk.log = {config_of_alone(1, 1, "c")};
  alone.adapt = [](NodeConfig& config) {
    config.raft_address = "host1:7401";
    config.http_address = "host1:7400";
  };
  alone.restart();
  alone.join();
  alone.lead();
  for (int i = 0; i < 100; ++i) {
    alone.tick();
    alone.settle();
  }
  const raft::Entry& said = alone.disk.log.back();
  ASSERT_EQ(said.command, raft::Command::config);
  EXPECT_EQ(wire::decode_config(said.data)->members[0].raft_address, "host1:7401");
  EXPECT_EQ(wire::decode_config(said.data)->members[0].http_address, "host1:7400");
  const auto last_index = alone.node->status().last_index;
  for (int i = 0; i < 100; ++i) {
    alone.tick();
    alone.settle();
  }
  EXPECT_EQ(alone.node->status().last_index, last_index) << "once";
}

TEST(Node, AddsPromotesAndRemovesMembersOneAtATime) {
  NodeFixture three;
  three.join();
  three.lead();
  std::vector<std::string> outcomes;
  const auto ask = [&](MemberAction action, const std::string& name) {
    three.node->change_members({.action = action, .node = name}, 1'000, [&](const auto& result) {
      outcomes.push_back(result ? "done" : std::to_string(static_cast<int>(result.error().kind)));
    });
    three.settle();
    return outcomes.empty() ? std::string() : outcomes.back();
  };
  EXPECT_EQ(ask(MemberAction::add, "n4"), "4") << "nobody has heard of it";
  three.node->peer_up(hello_of("n4", "", 4, {"n1", "n2", "n3", "n4"}));
  EXPECT_EQ(three.network.dialled.at("n4"), "n4:7401");
  EXPECT_EQ(ask(MemberAction::add_learner, "n4"), "done");
  EXPECT_EQ(three.node->status().members.at(3).kind, wire::MemberKind::learner);
  EXPECT_EQ(ask(MemberAction::add, "n4"), "3");
  EXPECT_EQ(ask(MemberAction::promote, "n4"), "5") << "not caught up";
  EXPECT_EQ(ask(MemberAction::promote, "n5"), "2");
  EXPECT_EQ(ask(MemberAction::remove, "n4"), "done");
  EXPECT_THAT(three.node->status().members, SizeIs(3));
  EXPECT_EQ(ask(MemberAction::remove, "n1"), "done") << "itself";
  EXPECT_EQ(three.node->status().role, raft::Role::follower);
  EXPECT_EQ(three.node->status().phase, Phase::waiting);
  EXPECT_EQ(ask(MemberAction::remove, "n2"), "1");
}

// A founder that is wiped in the middle of founding may found a second cluster with those that had not heard of the
// first: both name the others' incarnations, and connections from before know no cluster.
TEST(Node, DoesNotTalkRaftWithAMemberThatWasFoundedIntoAnotherCluster) {
  NodeFixture three;
  three.join();
  three.node->peer_down(id_of("n3"));
  three.node->peer_up(hello_of("n3", "", 3));
  three.node->peer_message(id_of("n3"), {.incarnation = 3, .boot_nonce = 77},
                           wire::Found{.config = wire::encode(config_of(kThree, "other"))});
  three.receive("n3", raft::Term{9},
                raft::RequestVote{
                    .kind = raft::VoteKind::vote, .last_log_index = raft::Index{50}, .last_log_term = raft::Term{8}});
  EXPECT_EQ(three.node->status().term, raft::Term{1});
  three.obedient = {"n2"};
  three.network.sent.clear();
  three.lead();
  for (const auto& [to, message] : three.network.take<raft::Message>()) {
    EXPECT_NE(to, id_of("n3"));
  }
}

TEST(Node, AFollowerStopsSendingFoundOnceTheClusterHasALeader) {
  NodeFixture three;
  three.join();
  three.node->peer_down(id_of("n3"));
  three.node->peer_up(hello_of("n3", "", 3));
  three.follow(raft::Term{2}, 1, 1);
  three.settle();
  three.network.sent.clear();
  for (int i = 0; i < 40; ++i) {
    three.tick();
    three.receive("n2", raft::Term{2},
                  raft::AppendEntries{.prev_log_index = raft::Index{2},
                                      .prev_log_term = raft::Term{2},
                                      .leader_commit = raft::Index{},
                                      .entries = {},
                                      .read_context = {}});
  }
  EXPECT_THAT(three.network.take<wire::Found>(), IsEmpty());
}

TEST(Node, KeepsItsPhaseWhilePeersConnectBeforeItsLogIsRead) {
  NodeFixture three;
  three.node->start();
  three.node->peer_up(hello_of("n2", "c", 2));
  EXPECT_EQ(three.node->status().phase, Phase::forming) << "not 'waiting to be admitted': it is a member";
}

TEST(Node, DrainsAndRefusesMeanwhile) {
  NodeFixture alone({"n1"});
  alone.join();
  alone.lead();
  alone.publish({.events = {{.id = "a"}}});
  bool drained = false;
  alone.node->drain(5'000, [&] { drained = true; });
  EXPECT_FALSE(drained);
  alone.publish({.events = {{.id = "b"}}});
  EXPECT_EQ(alone.outcomes[1], "draining(0)");
  alone.settle();
  alone.tick();
  EXPECT_TRUE(drained);
  EXPECT_EQ(alone.outcomes[0], "0@1");
}

TEST(Node, BoundsWhatWaits) {
  NodeFixture three;
  three.join();
  const Request large{.events = {{.id = "x", .body = std::string(1'000'000, 'x')}}};
  for (int i = 0; i < 80; ++i) {
    three.publish(large, 60'000);
  }
  EXPECT_EQ(three.outcomes.back(), "overloaded(0)");
  EXPECT_LE(three.node->counters().pending_bytes, std::size_t{64} << 20U);
}

}  // namespace
}  // namespace weir::broker::test
