#include "raft/quorum.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "raft/random.hpp"

namespace weir::raft {
namespace {

TEST(Quorum, IsMoreThanHalf) {
  EXPECT_EQ(majority(1), 1U);
  EXPECT_EQ(majority(2), 2U);
  EXPECT_EQ(majority(3), 2U);
  EXPECT_EQ(majority(4), 3U);
  EXPECT_EQ(majority(5), 3U);
}

TEST(Quorum, AnElectionIsDecidedAsSoonAsItCanBe) {
  EXPECT_EQ(tally(1, 0, 1), Tally::won);
  EXPECT_EQ(tally(1, 1, 3), Tally::pending);
  EXPECT_EQ(tally(2, 0, 3), Tally::won);
  EXPECT_EQ(tally(1, 2, 3), Tally::lost);
  EXPECT_EQ(tally(2, 1, 4), Tally::pending);
  EXPECT_EQ(tally(2, 2, 4), Tally::lost) << "a split vote";
  EXPECT_EQ(tally(2, 2, 5), Tally::pending);
}

TEST(Quorum, ReachedByAMajority) {
  EXPECT_EQ(reached_by_majority({}), 0U);
  EXPECT_EQ(reached_by_majority({7}), 7U);
  EXPECT_EQ(reached_by_majority({7, 3}), 3U);
  EXPECT_EQ(reached_by_majority({7, 3, 5}), 5U);
  EXPECT_EQ(reached_by_majority({7, 3, 5, 5}), 5U);
  EXPECT_EQ(reached_by_majority({9, 1, 1, 1, 9}), 1U);
}

TEST(Quorum, AgreesWithCounting) {
  constexpr std::uint64_t kSeed = 1;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  Random random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::uint64_t> reached(1 + random.next() % 9);
    std::ranges::generate(reached, [&] { return random.next() % 6; });
    std::uint64_t highest = 0;
    for (const std::uint64_t candidate : reached) {
      const auto count = std::ranges::count_if(reached, [&](std::uint64_t each) { return each >= candidate; });
      if (static_cast<std::size_t>(count) >= majority(reached.size())) {
        highest = std::max(highest, candidate);
      }
    }
    ASSERT_EQ(reached_by_majority(reached), highest) << testing::PrintToString(reached);
  }
}

}  // namespace
}  // namespace weir::raft
