// A follower's side of writing (DESIGN §4, "Answers across leader changes").
#include "broker/core/forwarder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/fakes.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr raft::NodeId kSelf{1};
constexpr raft::NodeId kSecondNode{2};
constexpr raft::NodeId kThirdNode{3};
constexpr std::uint64_t kNonce = 42;
const Request kWithId{.events = {{.id = "a"}}};
const Request kWithoutId{.events = {{}}};

class ForwarderTest : public testing::Test {
 protected:
  void submit(const Request& request, std::uint64_t timeout_ms = 1'000) {
    const std::size_t place = outcomes.size();
    outcomes.emplace_back();
    forwarder.submit(job_of(request, clock.steady + timeout_ms * 1'000,
                            [this, place](const wire::Outcome& outcome) { outcomes[place] += text_of(outcome); }));
  }
  void reply(raft::NodeId from, std::uint64_t number, wire::Outcome outcome) {
    forwarder.replied(from, {.number = number, .boot_nonce = kNonce, .outcome = std::move(outcome)});
  }
  static wire::Outcome refusal(wire::RefusalKind kind) {
    return wire::Refused{.kind = kind, .event = 0, .offset = {}, .detail = {}};
  }
  static wire::Outcome stored() {
    return wire::Published{.results = {{.offset = {}, .position = raft::Position{1}, .time_ms = 1}}};
  }
  std::vector<raft::NodeId> receivers() {
    std::vector<raft::NodeId> nodes;
    for (const auto& [to, forward] : network.take<wire::Forward>()) {
      nodes.push_back(to);
      last_number = forward.number;
    }
    return nodes;
  }
  void pass_ms(std::uint64_t ms) {
    clock.pass_ms(ms);
    forwarder.tick();
  }

  FakeNetwork network;
  FakeClock clock;
  std::vector<WriteJob> led;
  std::vector<std::string> outcomes;
  std::uint64_t last_number = 0;
  Forwarder forwarder{network, clock, kSelf, kNonce, [this](WriteJob job) { led.push_back(std::move(job)); }};
};
using Forwarding = ForwarderTest;

TEST_F(Forwarding, WaitsForALeaderAndHandsOverToIt) {
  submit(kWithoutId);
  EXPECT_THAT(receivers(), IsEmpty());
  forwarder.leader_is(kSecondNode);
  EXPECT_THAT(receivers(), ElementsAre(kSecondNode));
  reply(kSecondNode, last_number, stored());
  EXPECT_THAT(outcomes, ElementsAre("0@1"));
  EXPECT_EQ(forwarder.pending(), 0U);
}

TEST_F(Forwarding, LeadsItselfWhenItIsTheLeader) {
  submit(kWithoutId);
  submit(kWithId);
  forwarder.leader_is(kSelf);
  EXPECT_THAT(led, SizeIs(2));
  EXPECT_EQ(forwarder.pending(), 0U);
}

TEST_F(Forwarding, TriesElsewhereAfterNotLeader) {
  forwarder.leader_is(kSecondNode);
  submit(kWithoutId);
  EXPECT_THAT(receivers(), ElementsAre(kSecondNode));
  reply(kSecondNode, last_number, refusal(wire::RefusalKind::not_leader));
  forwarder.leader_is(kThirdNode);
  EXPECT_THAT(receivers(), ElementsAre(kThirdNode));
  EXPECT_THAT(outcomes, ElementsAre(""));
}

TEST_F(Forwarding, AsksTheSameLeaderAgainAfterAPause) {
  forwarder.leader_is(kSecondNode);
  submit(kWithoutId);
  receivers();
  reply(kSecondNode, last_number, refusal(wire::RefusalKind::not_leader));
  forwarder.tick();
  EXPECT_THAT(receivers(), IsEmpty());
  pass_ms(50);
  EXPECT_THAT(receivers(), ElementsAre(kSecondNode));
}

TEST_F(Forwarding, TriesElsewhereWhenTheLeaderStopsOrDrains) {
  forwarder.leader_is(kSecondNode);
  for (const auto kind : {wire::RefusalKind::draining, wire::RefusalKind::no_leader}) {
    submit(kWithoutId);
    receivers();
    reply(kSecondNode, last_number, refusal(kind));
    EXPECT_EQ(outcomes.back(), "") << "another leader may take it before the deadline";
  }
}

TEST_F(Forwarding, IsUnknownWithoutIdsWhenThePeerIsLost) {
  forwarder.leader_is(kSecondNode);
  submit(kWithoutId);
  forwarder.peer_lost(kSecondNode);
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)"));
}

TEST_F(Forwarding, GoesOnWithIdsWhenThePeerIsLost) {
  forwarder.leader_is(kSecondNode);
  submit(kWithId);
  receivers();
  forwarder.peer_lost(kSecondNode);
  forwarder.leader_is(kThirdNode);
  EXPECT_THAT(receivers(), ElementsAre(kThirdNode));
  reply(kThirdNode, last_number, stored());
  EXPECT_THAT(outcomes, ElementsAre("0@1"));
}

TEST_F(Forwarding, WithoutIdsStaysWithWhoeverHasItWhenTheLeaderChanges) {
  forwarder.leader_is(kSecondNode);
  submit(kWithoutId);
  receivers();
  forwarder.leader_is(kThirdNode);
  EXPECT_THAT(receivers(), IsEmpty());
  reply(kSecondNode, last_number, stored());
  EXPECT_THAT(outcomes, ElementsAre("0@1"));
}

TEST_F(Forwarding, NeverHandedOverIsRefusedAtItsDeadline) {
  submit(kWithId, 100);
  network.unreachable = {kSecondNode};
  forwarder.leader_is(kSecondNode);
  pass_ms(100);
  EXPECT_THAT(outcomes, ElementsAre("no_leader(0)")) << "503: nothing was stored";
}

TEST_F(Forwarding, HandedOverIsUnknownAtItsDeadline) {
  forwarder.leader_is(kSecondNode);
  submit(kWithId, 100);
  pass_ms(100);
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)")) << "504";
}

TEST_F(Forwarding, ToldNotLeaderByAllIsRefusedAtItsDeadline) {
  forwarder.leader_is(kSecondNode);
  submit(kWithId, 100);
  receivers();
  reply(kSecondNode, last_number, refusal(wire::RefusalKind::not_leader));
  clock.pass_ms(100);
  forwarder.leader_is(raft::kNobody);
  forwarder.tick();
  EXPECT_THAT(outcomes, ElementsAre("no_leader(0)"));
}

// FAULTS 65: what an earlier leader was handed may still be stored, whatever a later one says.
TEST_F(Forwarding, Fault065ARefusalIsUnknownWhileAnEarlierHandOverIsOpen) {
  for (const auto kind : {wire::RefusalKind::overloaded, wire::RefusalKind::expectation_failed}) {
    forwarder.leader_is(kSecondNode);
    submit(kWithId);
    forwarder.peer_lost(kSecondNode);
    forwarder.leader_is(kThirdNode);
    receivers();
    reply(kThirdNode, last_number, refusal(kind));
    EXPECT_EQ(outcomes.back(), "outcome_unknown(0)");
  }
}

TEST_F(Forwarding, Fault065ContentThatDiffersStaysRefusedWhateverIsOpen) {
  forwarder.leader_is(kSecondNode);
  submit(kWithId);
  forwarder.peer_lost(kSecondNode);
  forwarder.leader_is(kThirdNode);
  receivers();
  reply(kThirdNode, last_number, refusal(wire::RefusalKind::id_reuse));
  EXPECT_THAT(outcomes, ElementsAre("id_reuse(0)"));
}

TEST_F(Forwarding, Fault065WhatWasHandedOverIsUnknownAlsoWhenThisNodeLeadsNow) {
  forwarder.leader_is(kSecondNode);
  submit(kWithId);
  forwarder.peer_lost(kSecondNode);
  forwarder.leader_is(kSelf);
  ASSERT_THAT(led, SizeIs(1));
  led.front().refuse(wire::RefusalKind::overloaded, "the log did not take it in time");
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)"));
}

TEST_F(Forwarding, Fault065WhatWasHandedOverIsUnknownAlsoWhenItIsGivenBack) {
  forwarder.leader_is(kSecondNode);
  submit(kWithId, 100);
  forwarder.peer_lost(kSecondNode);
  forwarder.leader_is(kSelf);
  ASSERT_THAT(led, SizeIs(1));
  forwarder.leader_is(raft::kNobody);
  forwarder.submit(std::move(led.front()));
  pass_ms(100);
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)"));
}

TEST_F(Forwarding, IgnoresRepliesToAnEarlierLifeAndSecondReplies) {
  forwarder.leader_is(kSecondNode);
  submit(kWithId);
  receivers();
  forwarder.replied(kSecondNode, {.number = last_number, .boot_nonce = kNonce + 1, .outcome = stored()});
  EXPECT_THAT(outcomes, ElementsAre(""));
  reply(kSecondNode, last_number, stored());
  reply(kSecondNode, last_number, stored());
  EXPECT_THAT(outcomes, ElementsAre("0@1"));
}

TEST_F(Forwarding, LetsACallbackChangeTheLeader) {
  for (const char* id : {"a", "b", "c"}) {
    forwarder.submit(job_of({.events = {{.id = id}}}, clock.steady + 100'000, [this](const wire::Outcome& outcome) {
      outcomes.push_back(text_of(outcome));
      forwarder.leader_is(kSelf);
    }));
  }
  submit(kWithId, 60'000);
  pass_ms(100);
  EXPECT_THAT(outcomes, ElementsAre("", "no_leader(0)", "no_leader(0)", "no_leader(0)"));
  EXPECT_THAT(led, SizeIs(1));
}

TEST_F(Forwarding, ACallbackMayForwardAgainWhenThePeerIsLost) {
  forwarder.leader_is(kSecondNode);
  forwarder.submit(job_of(kWithoutId, clock.steady + 100'000, [this](const wire::Outcome&) { submit(kWithoutId); }));
  forwarder.peer_lost(kSecondNode);
  EXPECT_EQ(forwarder.pending(), 1U);
}

TEST_F(Forwarding, AJobThatCannotBeLedComesBackOnce) {
  Forwarder* self = nullptr;
  Forwarder bouncing(network, clock, kSelf, kNonce, [&](WriteJob job) { self->submit(std::move(job)); });
  self = &bouncing;
  for (int i = 0; i < 3; ++i) {
    bouncing.submit(job_of(kWithId, clock.steady + 100'000, [](const wire::Outcome&) {}));
  }
  bouncing.leader_is(kSelf);  // would not return if it took what comes back
  EXPECT_EQ(bouncing.pending(), 3U);
}

TEST_F(Forwarding, AbandonedSaysWhatIsUnknown) {
  submit(kWithId);
  forwarder.leader_is(kSecondNode);
  network.unreachable = {kSecondNode};
  submit(kWithId);
  forwarder.abandon("stopping");
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)", "no_leader(0)"));
}

}  // namespace
}  // namespace weir::broker::test
