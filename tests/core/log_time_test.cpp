#include "broker/core/log_time.hpp"

#include <gtest/gtest.h>

namespace weir::broker {
namespace {

constexpr raft::NodeId kSecondNode{2};
constexpr raft::NodeId kThirdNode{3};
constexpr std::uint64_t kNow = 1'700'000'000'000;
constexpr std::uint64_t kTenYearsMs = 315'360'000'000;

TEST(LogTime, OfANodeAloneIsItsWallClock) {
  LogTime time;
  EXPECT_EQ(time.next(kNow, 0), kNow);
  EXPECT_EQ(time.next(kNow + 5, 5'000), kNow + 5);
}

TEST(LogTime, NeverFalls) {
  LogTime time;
  EXPECT_EQ(time.next(kNow, 0), kNow);
  EXPECT_EQ(time.next(kNow - 1'000, 1'000), kNow);
  time.at_least(kNow + 7);
  EXPECT_EQ(time.next(kNow + 1, 2'000), kNow + 7);
}

TEST(LogTime, IsTheMedianOfTheMembersClocks) {
  LogTime time;
  time.observe(kSecondNode, kNow + 10, 0);
  time.observe(kThirdNode, kNow + 20, 0);
  EXPECT_EQ(time.next(kNow, 0), kNow + 10);
}

TEST(LogTime, OfAPeerGoesOnByTheSteadyClockFromItsStamp) {
  LogTime time;
  time.observe(kSecondNode, kNow, 0);
  time.observe(kThirdNode, kNow, 0);
  EXPECT_EQ(time.next(kNow - 1'000'000, 250'000), kNow + 250);
}

TEST(LogTime, Fault122AClockThatJumpsYearsMovesNothing) {
  for (const std::uint64_t wrong : {kNow + kTenYearsMs, kNow - kTenYearsMs}) {
    LogTime own;  // the leader's own clock
    own.observe(kSecondNode, kNow, 0);
    own.observe(kThirdNode, kNow + 1, 0);
    const std::uint64_t by_own = own.next(wrong, 0);
    EXPECT_GE(by_own, kNow);
    EXPECT_LE(by_own, kNow + 1);

    LogTime other;  // a follower's
    other.observe(kSecondNode, wrong, 0);
    other.observe(kThirdNode, kNow + 1, 0);
    const std::uint64_t by_other = other.next(kNow, 0);
    EXPECT_GE(by_other, kNow);
    EXPECT_LE(by_other, kNow + 1);
  }
}

TEST(LogTime, Fault122OfTwoClocksTheOneAheadHasNoSay) {
  LogTime time;
  time.observe(kSecondNode, kNow + kTenYearsMs, 0);
  EXPECT_EQ(time.next(kNow, 0), kNow);
  EXPECT_EQ(time.next(kNow + kTenYearsMs, 1'000), kNow + kTenYearsMs) << "both say so now";
}

TEST(LogTime, ForgetsAPeerThatWasNotHeardForTenMinutes) {
  LogTime time;
  time.observe(kSecondNode, kNow + 50'000, 0);
  time.observe(kThirdNode, kNow + 60'000, 0);
  EXPECT_EQ(time.next(kNow, 599'999'999), kNow + 50'000 + 599'999);
  LogTime later;
  later.observe(kSecondNode, kNow + 50'000, 0);
  later.observe(kThirdNode, kNow + 60'000, 0);
  EXPECT_EQ(later.next(kNow, 600'000'000), kNow);
}

TEST(LogTime, TakesNoStampThatIsNoTime) {
  LogTime time;
  time.observe(kSecondNode, 0, 0);
  time.observe(kThirdNode, raft::kNumberLimit, 0);
  EXPECT_EQ(time.next(kNow, 0), kNow);
}

}  // namespace
}  // namespace weir::broker
