#include "broker/core/read_barriers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace weir::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Barriers : public testing::Test {
 protected:
  void add(std::uint64_t deadline_us = 10'000'000) {
    barriers.add(deadline_us, [this](bool confirmed) { answers.push_back(confirmed); });
  }
  ReadBarriers barriers{raft::NodeId{1}, 42};
  std::vector<bool> answers;
};

TEST_F(Barriers, AreConfirmedWhenTheirIndexIsApplied) {
  add();
  const auto context = barriers.ask(0);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->node, raft::NodeId{1});
  EXPECT_EQ(context->boot_nonce, 42U);
  barriers.settle(raft::Index{100}, 1);
  EXPECT_THAT(answers, IsEmpty()) << "applied, and nobody confirmed it";
  barriers.confirmed(*context, raft::Index{7});
  barriers.settle(raft::Index{6}, 2);
  EXPECT_THAT(answers, IsEmpty());
  barriers.settle(raft::Index{7}, 3);
  EXPECT_THAT(answers, ElementsAre(true));
  EXPECT_TRUE(barriers.empty());
}

TEST_F(Barriers, ShareOneQuestion) {
  add();
  add();
  const auto context = barriers.ask(0);
  EXPECT_FALSE(barriers.ask(1));
  barriers.confirmed(*context, raft::Index{1});
  barriers.settle(raft::Index{1}, 2);
  EXPECT_THAT(answers, ElementsAre(true, true));
}

TEST_F(Barriers, Fault016AQuestionFromBeforeABarrierDoesNotConfirmIt) {
  add();
  const auto first = barriers.ask(0);
  add();
  const auto second = barriers.ask(1);
  ASSERT_TRUE(second);
  barriers.confirmed(*first, raft::Index{3});
  barriers.settle(raft::Index{9}, 2);
  EXPECT_THAT(answers, ElementsAre(true));
  barriers.confirmed(*second, raft::Index{9});
  barriers.settle(raft::Index{9}, 3);
  EXPECT_THAT(answers, ElementsAre(true, true));
}

TEST_F(Barriers, AreAskedAgainAndTakeTheLateAnswerToAnEarlierQuestion) {
  add();
  const auto first = barriers.ask(0);
  const auto second = barriers.ask(100'000);
  ASSERT_TRUE(second);
  EXPECT_GT(second->sequence, first->sequence);
  // On a slow network every answer is to the question before.
  barriers.confirmed(*first, raft::Index{3});
  barriers.settle(raft::Index{3}, 150'000);
  EXPECT_THAT(answers, ElementsAre(true));
}

TEST_F(Barriers, EndWithTheirDeadline) {
  add(1'000);
  static_cast<void>(barriers.ask(0));
  barriers.settle(raft::Index{9}, 999);
  EXPECT_THAT(answers, IsEmpty());
  barriers.settle(raft::Index{9}, 1'000);
  EXPECT_THAT(answers, ElementsAre(false));
}

TEST_F(Barriers, AllEndWhenAbandoned) {
  add();
  add();
  barriers.abandon();
  EXPECT_THAT(answers, ElementsAre(false, false));
  EXPECT_TRUE(barriers.empty());
}

}  // namespace
}  // namespace weir::broker
