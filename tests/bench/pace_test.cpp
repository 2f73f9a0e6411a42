#include "bench/pace.hpp"

#include <gtest/gtest.h>

namespace weir::bench {
namespace {

TEST(OpenLoop, RequestsAreDueAtEvenTimes) {
  OpenLoop loop(1'000'000, 1000, 1);
  EXPECT_FALSE(loop.is_due(999'999));
  EXPECT_TRUE(loop.is_due(1'000'000));
  EXPECT_EQ(loop.take(), 1'000'000U);
  EXPECT_EQ(loop.take(), 2'000'000U);
  EXPECT_FALSE(loop.is_due(2'999'999));
  EXPECT_EQ(loop.next_due(), 3'000'000U);
}

// Coordinated omission: a stall must not move what was due during it.
TEST(OpenLoop, AStallDoesNotMoveTheSchedule) {
  OpenLoop loop(0, 1000, 1);
  EXPECT_EQ(loop.take(), 0U);
  const std::uint64_t after_stall = 500'000'000;
  EXPECT_EQ(loop.late(after_stall), 500U);
  for (std::uint64_t n = 1; n <= 500; ++n) {
    ASSERT_TRUE(loop.is_due(after_stall));
    ASSERT_EQ(loop.take(), n * 1'000'000);
  }
  EXPECT_FALSE(loop.is_due(after_stall));
  EXPECT_EQ(loop.late(after_stall), 0U);
}

TEST(OpenLoop, ARateCountsEventsNotRequests) {
  OpenLoop loop(0, 100'000, 100);
  EXPECT_EQ(loop.take(), 0U);
  EXPECT_EQ(loop.next_due(), 1'000'000U);
}

// 3 per second has no whole number of nanoseconds: an hour later it is still where it should be.
TEST(OpenLoop, RoundingDoesNotAddUp) {
  OpenLoop loop(0, 3, 1);
  for (int n = 0; n < 3 * 3600; ++n) static_cast<void>(loop.take());
  EXPECT_NEAR(static_cast<double>(loop.next_due()), 3600e9, 2.0);
}

TEST(OpenLoop, NothingIsLateBeforeTheStart) {
  const OpenLoop loop(5'000, 10, 1);
  EXPECT_EQ(loop.late(4'999), 0U);
  EXPECT_EQ(loop.late(5'000), 1U);
}

}  // namespace
}  // namespace weir::bench
