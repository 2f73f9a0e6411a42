#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>

#include "broker/ticker.hpp"

namespace weir::broker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Due : public ::testing::Test {
 protected:
  const Ticker::Clock::time_point next_{seconds(1000)};
  const milliseconds tick_{10};
};

TEST_F(Due, NothingBeforeItsTime) {
  const auto due = Ticker::due(next_ - milliseconds(1), next_, tick_);
  EXPECT_EQ(due.ticks, 0);
  EXPECT_EQ(due.next, next_);
}

TEST_F(Due, ALateTickKeepsTheGrid) {
  const auto due = Ticker::due(next_ + milliseconds(4), next_, tick_);
  EXPECT_EQ(due.ticks, 1);
  EXPECT_EQ(due.next, next_ + tick_);
}

TEST_F(Due, AShortStallIsMadeUpFor) {
  const auto due = Ticker::due(next_ + milliseconds(25), next_, tick_);
  EXPECT_EQ(due.ticks, 3);
  EXPECT_EQ(due.next, next_ + milliseconds(30));
}

TEST_F(Due, ALongStallIsNot) {  // FAULTS 77
  const auto now = next_ + seconds(30);
  const auto due = Ticker::due(now, next_, tick_);
  EXPECT_EQ(due.ticks, Ticker::kTicksCaughtUpMax);
  EXPECT_EQ(due.next, now + tick_);
}

TEST(Ticker, TicksUntilItIsStopped) {
  boost::asio::io_context context;
  int ticks = 0;
  Ticker* running = nullptr;
  Ticker ticker(context.get_executor(), milliseconds(1), [&] {
    if (++ticks == 5) running->stop();
  });
  running = &ticker;
  ticker.start();
  context.run_for(seconds(20));
  EXPECT_EQ(ticks, 5);
  EXPECT_TRUE(context.stopped()) << "stopped, it leaves nothing to wait for";
}

}  // namespace
}  // namespace weir::broker
