// What no correct member sends: it is refused, and nothing changes (FAULTS 88).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/describe.hpp"
#include "raft/random.hpp"
#include "tests/raft/solo.hpp"

namespace weir::raft::test {
namespace {

using testing::IsEmpty;

class Hostile : public testing::Test {
 protected:
  /// Refused with a reason, and the node is as before.
  void expect_refused(const Message& message) {
    const std::string before = node_.raft.describe();
    node_.raft.step(message);
    const Output output = node_.raft.take_output();
    EXPECT_TRUE(has_event<MessageRefused>(output)) << describe(message);
    EXPECT_THAT(output.messages_after_persist, IsEmpty()) << describe(message);
    EXPECT_FALSE(output.hard_state) << describe(message);
    EXPECT_EQ(node_.raft.describe(), before);
  }
  template <class Body>
  void expect_refused(std::uint64_t from, std::uint64_t term, Body body) {
    expect_refused({.from = NodeId{from}, .to = NodeId{1}, .term = Term{term}, .body = std::move(body)});
  }

  Solo node_{{.log = {1, 1, 2}}};
};

TEST_F(Hostile, Senders) {
  expect_refused(1, 9, append(0, 0, {}));
  expect_refused(0, 9, append(0, 0, {}));
  expect_refused({.from = NodeId{2}, .to = NodeId{3}, .term = Term{9}, .body = append(0, 0, {})});
}

TEST_F(Hostile, Terms) {
  expect_refused(2, kNumberLimit, append(0, 0, {}));
  expect_refused(2, UINT64_MAX, vote_request(3, 2));
  expect_refused(2, UINT64_MAX, AppendEntriesReply{});
  expect_refused(2, 0, append(0, 0, {}));
  expect_refused(2, 0, vote_request(0, 0));
  expect_refused(2, 0, TimeoutNow{});
}

TEST_F(Hostile, AppendedEntries) {
  expect_refused(2, 3, append(3, 2, {entry(5, 3)}));
  expect_refused(2, 3, append(3, 2, {entry(4, 3), entry(4, 3)}));
  expect_refused(2, 3, append(3, 2, {entry(4, 3), entry(6, 3)}));
  expect_refused(2, 3, append(3, 2, {entry(4, 1)}));
  expect_refused(2, 3, append(3, 2, {entry(4, 3), entry(5, 2)}));
  expect_refused(2, 3, append(3, 2, {entry(4, 4)}));
  expect_refused(2, 3, append(0, 0, {entry(1, 0)}));
  expect_refused(2, 3, append(0, 1, {}));
  expect_refused(2, 3, append(3, 0, {}));
  expect_refused(2, 3, append(3, 4, {}));
  expect_refused(2, 3, append(kNumberLimit, 2, {}));
  expect_refused(2, 3, append(UINT64_MAX, 2, {entry(0, 2)}));
  expect_refused(2, 3, append(kNumberLimit - 1, 2, {entry(kNumberLimit, 2)}));
  expect_refused(2, 3, append(3, 2, {}, kNumberLimit));
}

TEST_F(Hostile, EntriesOfWhichNothingIsLeft) {
  Entry hollow = entry(4, 3);
  hollow.command = Command::hollow;
  expect_refused(2, 3, append(3, 2, {hollow}));
}

TEST_F(Hostile, VoteRequests) {
  expect_refused(2, 3, vote_request(kNumberLimit, 2));
  expect_refused(2, 3, vote_request(0, 2));
  expect_refused(2, 3, vote_request(5, 0));
  expect_refused(2, 3, vote_request(5, 3));
  expect_refused(2, 3, vote_request(5, 2, static_cast<VoteKind>(9)));
  expect_refused(2, 3, vote_request(5, 2, static_cast<VoteKind>(0)));
}

TEST_F(Hostile, Answers) {
  node_.lead();
  const std::uint64_t term = node_.raft.current_term().value;
  expect_refused(2, term, confirm(5, {}));
  expect_refused(2, term, confirm(UINT64_MAX, {}));
  AppendEntriesReply hint;
  expect_refused(2, term, hint);
  hint.conflict_index = Index{1};
  hint.conflict_term = Term{term + 1};
  expect_refused(2, term, hint);
  hint.answer = static_cast<AppendAnswer>(7);
  expect_refused(2, term, hint);
  expect_refused(2, term, RequestVoteReply{.kind = VoteKind::vote, .answer = static_cast<VoteAnswer>(3)});
  expect_refused(2, term, ReadIndexReply{.context = read(1), .index = Index{kNumberLimit}});
  expect_refused(2, term, ReadIndexRequest{});
}

TEST_F(Hostile, ASecondLeaderOfOneTerm) {
  node_.receive(2, 5, append(3, 2, {}));
  expect_refused(3, 5, append(1, 1, {entry(2, 5)}));
}

// Anything whatever from other members may change the node's mind, but never stops it.
TEST(HostileMessages, NeverStopTheNode) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto number = [&] { return random.next() % 4 == 0 ? random.next() : random.next() % 6; };
    Solo node({.log = {1, 1, 2}});
    for (int i = 0; i < 100; ++i) {
      Message message{.from = NodeId{random.next() % 5}, .to = NodeId{1}, .term = Term{number()}, .body = TimeoutNow{}};
      switch (random.next() % 6) {
        case 0:
          message.body = vote_request(number(), number(), static_cast<VoteKind>(random.next() % 5));
          break;
        case 1:
          message.body = RequestVoteReply{.kind = static_cast<VoteKind>(random.next() % 5),
                                          .answer = static_cast<VoteAnswer>(random.next() % 4)};
          break;
        case 2: {
          // leader_commit 0: a member that lies about what is committed is beyond what Raft withstands.
          message.body = append(number(), number(), {entry(number(), number()), entry(number(), number())});
          break;
        }
        case 3: {
          AppendEntriesReply reply = confirm(number(), read(number(), number()));
          reply.answer = static_cast<AppendAnswer>(random.next() % 4);
          reply.conflict_index = Index{number()};
          reply.conflict_term = Term{number()};
          message.body = reply;
          break;
        }
        case 4:
          message.body = ReadIndexRequest{.context = read(number(), number())};
          break;
        default:
          message.body = ReadIndexReply{.context = read(number(), number()), .index = Index{number()}};
          break;
      }
      node.raft.step(std::move(message));
      const Output output = node.raft.take_output();
      if (!output.append.empty() && random.next() % 2 == 0) {
        node.raft.persisted(output.append.back().term, output.append.back().index);
      }
      node.tick(random.next() % 10);
    }
  }
}

}  // namespace
}  // namespace weir::raft::test
