#include "bench/events.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace weir::bench {
namespace {

TEST(BenchEvents, CarryWhenTheyWereMeantToBeSent) {
  EXPECT_EQ(stamp_text(0x1fU), "000000000000001f");
  EXPECT_EQ(stamp_of("000000000000001fabc"), 0x1fU);
  EXPECT_EQ(stamp_of("000000000000001"), std::nullopt);
  EXPECT_EQ(stamp_of("00000000000000x0"), std::nullopt);
  EventMaker maker("r", 128, Ids::every_event, 0);
  for (const BenchEvent& event : maker.make(3, 77)) {
    EXPECT_EQ(event.body.size(), 128U);
    EXPECT_EQ(stamp_of(event.body), 77U);
  }
}

TEST(BenchEvents, IdsAreDifferentUnlessNone) {
  EventMaker maker("r", 16, Ids::every_event, 0);
  std::set<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    for (const BenchEvent& event : maker.make(100, 1)) ids.insert(event.id);
  }
  EXPECT_EQ(ids.size(), 1000U);
  EventMaker without("r", 16, Ids::none, 0);
  EXPECT_EQ(without.make(1, 1).front().id, "");
}

// The same id with other bytes would be refused as id-reuse.
TEST(BenchEvents, RepeatsAreTheShareAskedForAndTheSameBytes) {
  EventMaker maker("r", 32, Ids::every_event, 0.1);
  std::map<std::string, std::string> bodies;
  std::size_t again = 0;
  for (std::uint64_t turn = 0; turn < 100; ++turn) {
    for (const BenchEvent& event : maker.make(1000, turn)) {
      const auto [found, is_new] = bodies.emplace(event.id, event.body);
      ASSERT_EQ(found->second, event.body) << event.id;
      again += is_new ? 0 : 1;
    }
  }
  EXPECT_EQ(again, maker.repeated());
  EXPECT_NEAR(static_cast<double>(again), 10'000, 2);
}

}  // namespace
}  // namespace weir::bench
