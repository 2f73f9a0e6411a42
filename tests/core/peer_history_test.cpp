// FAULTS 25: an older copy of a data folder is told by what it had shown before; nothing else is taken for one.
#include "broker/core/peer_history.hpp"

#include <gtest/gtest.h>

#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

constexpr std::uint64_t kFolder = 2;
constexpr std::uint64_t kBefore = 70;
constexpr std::uint64_t kNow = 71;

[[nodiscard]] raft::Message message(std::uint64_t term, decltype(raft::Message::body) body) {
  return {
      .from = id_of("n2"), .to = id_of("n1"), .term = raft::Term{term}, .wall_clock_ms = 0, .body = std::move(body)};
}
[[nodiscard]] raft::Message matched(std::uint64_t term, std::uint64_t index) {
  raft::AppendEntriesReply reply;
  reply.answer = raft::AppendAnswer::matched;
  reply.match_index = raft::Index{index};
  return message(term, reply);
}
[[nodiscard]] wire::Hello hello(std::uint64_t nonce, std::uint64_t term, std::uint64_t index) {
  wire::Hello hello = hello_of("n2", "c", kFolder);
  hello.boot_nonce = nonce;
  hello.started_term = raft::Term{term};
  hello.started_index = raft::Index{index};
  return hello;
}

class PeerHistoryTest : public testing::Test {
 protected:
  void heard(std::uint64_t nonce, const raft::Message& message, std::uint64_t incarnation = kFolder) {
    history_.heard(id_of("n2"), {.incarnation = incarnation, .boot_nonce = nonce}, message);
  }
  [[nodiscard]] bool is_older(const wire::Hello& hello) const { return history_.contradiction(hello).has_value(); }

  PeerHistory history_;
};

TEST_F(PeerHistoryTest, Fault025ALowerTermOrAShorterLogIsAnOlderCopy) {
  EXPECT_FALSE(is_older(hello(kNow, 0, 0))) << "nothing is known";
  heard(kBefore, matched(5, 100));
  EXPECT_TRUE(is_older(hello(kNow, 4, 200)));
  EXPECT_TRUE(is_older(hello(kNow, 5, 99)));
  EXPECT_FALSE(is_older(hello(kNow, 5, 100)));
  EXPECT_FALSE(is_older(hello(kNow, 6, 80))) << "a later leader may have cut it off";
}

TEST_F(PeerHistoryTest, TheLifeThatShowedItIsNotMeasuredByIt) {
  heard(kNow, matched(5, 100));
  EXPECT_FALSE(is_older(hello(kNow, 1, 10))) << "it began so, and has gone on";
  heard(kBefore, matched(4, 50));
  EXPECT_FALSE(is_older(hello(kNow, 4, 50))) << "a late message of the life before";
  EXPECT_TRUE(is_older(hello(kNow, 4, 49)));
}

TEST_F(PeerHistoryTest, AnotherFolderIsAnotherStory) {
  heard(kBefore, matched(5, 100));
  wire::Hello wiped = hello(kNow, 0, 0);
  wiped.incarnation = 3;
  EXPECT_FALSE(is_older(wiped)) << "FAULTS 24: it says itself that it is new";
  heard(kNow, matched(6, 10), 3);
  EXPECT_FALSE(is_older(hello(kNow + 1, 1, 1))) << "what is known is of the folder that came after";
}

TEST_F(PeerHistoryTest, ATermThatMayNeverComeAboutShowsNothing) {
  heard(kBefore,
        message(9, raft::RequestVote{.kind = raft::VoteKind::pre_vote, .last_log_index = {}, .last_log_term = {}}));
  heard(kBefore, message(9, raft::RequestVoteReply{.kind = raft::VoteKind::pre_vote, .answer = {}}));
  EXPECT_FALSE(is_older(hello(kNow, 1, 1)));
  heard(kBefore,
        message(9, raft::RequestVote{.kind = raft::VoteKind::vote, .last_log_index = {}, .last_log_term = {}}));
  EXPECT_TRUE(is_older(hello(kNow, 1, 1)));
}

TEST_F(PeerHistoryTest, AConflictAcknowledgesNothing) {
  auto conflict = matched(5, 100);
  std::get<raft::AppendEntriesReply>(conflict.body).answer = raft::AppendAnswer::conflict;
  heard(kBefore, conflict);
  EXPECT_FALSE(is_older(hello(kNow, 5, 0)));
}

TEST_F(PeerHistoryTest, ManyLivesAreRememberedTogether) {
  heard(1, matched(7, 1));
  for (std::uint64_t nonce = 2; nonce < 40; ++nonce) {
    heard(nonce, matched(6, 1));
  }
  EXPECT_TRUE(is_older(hello(50, 6, 10)));
  EXPECT_FALSE(is_older(hello(50, 7, 1)));
}

}  // namespace
}  // namespace weir::broker::test
