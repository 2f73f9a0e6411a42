#include "raft/progress.hpp"

#include <gtest/gtest.h>

namespace weir::raft {
namespace {

constexpr Window kWindow{.messages_max = 2, .bytes_max = 100};

Progress replicating(Index match) {
  Progress follower(NodeId{2}, match.next());
  follower.matched(match);
  return follower;
}

TEST(Progress, ProbesWithOneMessageAtATime) {
  Progress follower(NodeId{2}, Index{10});
  EXPECT_TRUE(follower.may_send(kWindow));
  follower.sent(Index{20}, 50);
  EXPECT_FALSE(follower.may_send(kWindow));
  EXPECT_EQ(follower.next_index(), Index{10}) << "nothing is taken for granted yet";
}

TEST(Progress, AMatchAtTheProbedPlaceStartsReplication) {
  Progress follower(NodeId{2}, Index{10});
  follower.sent(Index{20}, 50);
  follower.matched(Index{20});
  EXPECT_EQ(follower.state(), ProgressState::replicate);
  EXPECT_EQ(follower.match_index(), Index{20});
  EXPECT_EQ(follower.next_index(), Index{21});
}

TEST(Progress, AnOldMatchDoesNotEndTheProbe) {
  Progress follower(NodeId{2}, Index{10});
  follower.matched(Index{3});
  EXPECT_EQ(follower.state(), ProgressState::probe);
  EXPECT_EQ(follower.match_index(), Index{3});
}

TEST(Progress, NextIndexRunsAheadWithinTheWindow) {
  Progress follower = replicating(Index{1});
  follower.sent(Index{5}, 10);
  EXPECT_EQ(follower.next_index(), Index{6});
  EXPECT_TRUE(follower.may_send(kWindow));
  follower.sent(Index{6}, 10);
  EXPECT_FALSE(follower.may_send(kWindow)) << "two messages";
  follower.matched(Index{5});
  EXPECT_TRUE(follower.may_send(kWindow));
  follower.sent(Index{7}, 500);
  follower.matched(Index{6});
  EXPECT_FALSE(follower.may_send(kWindow)) << "too many bytes";
  follower.matched(Index{7});
  EXPECT_TRUE(follower.idle());
}

TEST(Progress, OneRejectionEndsThePipeline) {
  Progress follower = replicating(Index{1});
  follower.sent(Index{5}, 10);
  follower.sent(Index{9}, 10);
  follower.rejected(Index{4});
  EXPECT_EQ(follower.state(), ProgressState::probe);
  EXPECT_EQ(follower.next_index(), Index{4});
  EXPECT_TRUE(follower.may_send(kWindow));
}

TEST(Progress, TheOtherRejectionsOfAPipelineAreOldNews) {
  Progress follower = replicating(Index{1});
  follower.sent(Index{5}, 10);
  follower.sent(Index{9}, 10);
  follower.rejected(Index{4});
  follower.sent(Index{9}, 10);
  follower.rejected(Index{4});
  EXPECT_EQ(follower.next_index(), Index{4});
  EXPECT_FALSE(follower.may_send(kWindow)) << "the probe is still on its way";
}

TEST(Progress, WhatHasMatchedIsNeverRejected) {
  Progress follower = replicating(Index{7});
  follower.sent(Index{9}, 10);
  follower.rejected(Index{2});
  EXPECT_EQ(follower.next_index(), Index{8});
  follower.rejected(Index{2});
  EXPECT_EQ(follower.next_index(), Index{8});
  EXPECT_EQ(follower.match_index(), Index{7});
}

TEST(CatchUpRead, IsOneAtATime) {
  Progress follower = replicating(Index{1});
  EXPECT_TRUE(follower.may_catch_up());
  follower.catch_up_requested();
  EXPECT_FALSE(follower.may_catch_up());
  EXPECT_TRUE(follower.catch_up_answered(Index{2}));
  EXPECT_TRUE(follower.may_catch_up());
}

TEST(CatchUpRead, IsOfNoUseOnceTheFollowerHasMovedOn) {
  Progress follower = replicating(Index{1});
  follower.catch_up_requested();
  follower.matched(Index{5});
  EXPECT_FALSE(follower.may_catch_up()) << "the shell is still reading";
  EXPECT_FALSE(follower.catch_up_answered(Index{2}));
  EXPECT_TRUE(follower.may_catch_up());
}

TEST(CatchUpRead, IsOfNoUseOnceTheFollowerIsProbedAgain) {
  Progress follower = replicating(Index{1});
  follower.sent(Index{5}, 10);
  follower.catch_up_requested();
  follower.rejected(Index{3});
  EXPECT_FALSE(follower.catch_up_answered(Index{6}));
  EXPECT_TRUE(follower.may_catch_up());
}

TEST(CatchUpRead, WaitsForAHeartbeatAfterAFailure) {
  Progress follower = replicating(Index{1});
  follower.pause_catch_up();
  EXPECT_FALSE(follower.may_catch_up());
  follower.resume_catch_up();
  EXPECT_TRUE(follower.may_catch_up());
}

}  // namespace
}  // namespace weir::raft
