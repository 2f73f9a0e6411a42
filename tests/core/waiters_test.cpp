#include "broker/core/waiters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string_view>

#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

constexpr std::array<std::string_view, 1> kKitchen{"sensors/kitchen"};

TEST(Waiters, WakeOnceForATopicTheyWant) {
  Waiters waiters;
  int exact = 0;
  int pattern = 0;
  int other = 0;
  waiters.add(selector_of({"sensors/kitchen"}), [&] { ++exact; });
  waiters.add(selector_of({"x", "sensors/*"}), [&] { ++pattern; });
  waiters.add(selector_of({"sensors/bath"}), [&] { ++other; });
  waiters.advance(kKitchen);
  waiters.advance(kKitchen);
  EXPECT_EQ(exact, 1);
  EXPECT_EQ(pattern, 1);
  EXPECT_EQ(other, 0);
  EXPECT_EQ(waiters.size(), 1U);
}

TEST(Waiters, MayComeBackOrCancelOthersWhenWoken) {
  Waiters waiters;
  int woken = 0;
  std::uint64_t second = 0;
  waiters.add(selector_of({"**"}), [&] {
    ++woken;
    waiters.cancel(second);
    waiters.add(selector_of({"**"}), [&] { ++woken; });
  });
  second = waiters.add(selector_of({"nothing"}), [&] { woken += 100; });
  waiters.advance(kKitchen);
  EXPECT_EQ(woken, 1);
  waiters.advance(kKitchen);
  EXPECT_EQ(woken, 2);
}

TEST(Waiters, AreForgottenWhenTheyCancel) {
  Waiters waiters;
  const auto waiter = waiters.add(selector_of({"**"}), [] { FAIL(); });
  EXPECT_NE(waiter, 0U);
  waiters.cancel(waiter);
  waiters.advance(kKitchen);
  EXPECT_EQ(waiters.size(), 0U);
}

TEST(Waiters, AllWakeWhenTheNodeStops) {
  Waiters waiters;
  int woken = 0;
  waiters.add(selector_of({"a"}), [&] { ++woken; });
  waiters.add(selector_of({"b"}), [&] { ++woken; });
  waiters.wake_all();
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(waiters.size(), 0U);
}

}  // namespace
}  // namespace weir::broker::test
