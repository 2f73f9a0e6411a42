#include "broker/core/sibling_ids.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace weir::broker {
namespace {

// Hashes of three bits: nearly everything collides, so the answer rests on the comparison alone.
TEST(SiblingIds, AgreesWithAMapWhateverTheHashes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  SiblingIds siblings;
  for (int turn = 0; turn < 200; ++turn) {
    std::vector<std::string> ids(1 + (random() % 300));
    for (auto& id : ids) id = std::to_string(random() % 200);
    std::map<std::string, std::uint32_t> known;
    siblings.begin(ids.size());
    for (std::uint32_t ordinal = 0; ordinal < ids.size(); ++ordinal) {
      const auto same = [&](std::uint32_t other) { return ids[other] == ids[ordinal]; };
      const auto found = siblings.find_or_add(std::hash<std::string>{}(ids[ordinal]) % 8, ordinal, same);
      const auto [first, is_first] = known.emplace(ids[ordinal], ordinal);
      ASSERT_EQ(found.has_value(), !is_first) << ids[ordinal];
      if (found) {
        ASSERT_EQ(*found, first->second);
      }
    }
  }
}

TEST(SiblingIds, EachRequestBeginsEmpty) {
  SiblingIds siblings;
  const auto same = [](std::uint32_t) { return true; };
  siblings.begin(2);
  EXPECT_EQ(siblings.find_or_add(1, 0, same), std::nullopt);
  EXPECT_EQ(siblings.find_or_add(1, 1, same), 0U);
  siblings.begin(1);
  EXPECT_EQ(siblings.find_or_add(1, 5, same), std::nullopt);
}

}  // namespace
}  // namespace weir::broker
