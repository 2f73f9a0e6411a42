// The table of ids that outlive their events: exact whatever the hashes.
#include "broker/core/forever_ids.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "raft/random.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

constexpr raft::TopicId kTopic{3};
constexpr storage::IdHash kHash{.high = 1, .low = 2};

ForeverRow row(std::uint64_t offset) {
  return {.log_index = raft::Index{offset + 10},
          .offset = raft::Offset{offset},
          .position = raft::Position{offset + 1},
          .time_ms = 5,
          .content = {.high = offset, .low = 7}};
}

TEST(ForeverIds, EqualHashesOfDifferentIdsAreToldApart) {
  ForeverIds ids;
  const std::vector<EventId> all{{.source = "ab", .id = "c"}, {.source = "a", .id = "bc"}, {.source = "", .id = "abc"}};
  for (std::uint64_t i = 0; i < all.size(); ++i) {
    EXPECT_FALSE(ids.find(kTopic, kHash, all[i]));
    ids.add(kTopic, kHash, all[i], row(i));
  }
  for (std::uint64_t i = 0; i < all.size(); ++i) {
    const auto found = ids.find(kTopic, kHash, all[i]);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->offset, raft::Offset{i});
    EXPECT_EQ(found->content.high, i);
    EXPECT_EQ(found->log_index, raft::Index{i + 10});
  }
  EXPECT_FALSE(ids.find(kTopic, kHash, {.source = "", .id = "ab"}));
  EXPECT_FALSE(ids.find(raft::TopicId{2}, kHash, all[0])) << "another topic's";
}

TEST(ForeverIds, AreThoseOfAMapWhileTheTableGrows) {
  const std::uint64_t seed = seed_or(5);
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed));
  raft::Random random(seed);
  ForeverIds ids;
  std::map<std::string, std::pair<storage::IdHash, std::uint64_t>> known;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    // Long ones now and then, so that blocks of texts end at odd places; every hash about four times.
    const std::string id = std::to_string(i) + std::string(random.between(0, 99) == 0 ? 1'200 : 3, 'x');
    const storage::IdHash hash{.high = 0, .low = random.between(0, 5'000) * 0x9e3779b97f4a7c15ULL};
    ids.add(kTopic, hash, {.source = "s", .id = id}, row(i));
    known[id] = {hash, i};
  }
  std::size_t bytes = 0;
  for (const auto& [id, place] : known) {
    const auto found = ids.find(kTopic, place.first, {.source = "s", .id = id});
    ASSERT_TRUE(found) << id;
    ASSERT_EQ(found->offset.value, place.second);
    bytes += ForeverIds::bytes_of({.source = "s", .id = id});
  }
  EXPECT_EQ(ids.size(), known.size());
  EXPECT_EQ(ids.bytes(), bytes);
}

TEST(ForeverIds, OfATopicGoAtOnceAndNoOthers) {
  ForeverIds ids;
  ids.add(kTopic, kHash, {.source = "", .id = "a"}, row(0));
  const std::uint64_t digest = ids.digest();
  const std::size_t bytes = ids.bytes();
  ids.add(raft::TopicId{0}, kHash, {.source = "", .id = "a"}, row(0));
  EXPECT_NE(ids.digest(), digest);
  EXPECT_NE(ids.digest(), 0U) << "the same id in two topics does not cancel out";
  ids.clear(raft::TopicId{0});
  ids.clear(raft::TopicId{9});
  EXPECT_EQ(ids.digest(), digest);
  EXPECT_EQ(ids.bytes(), bytes);
  EXPECT_EQ(ids.size(), 1U);
  EXPECT_TRUE(ids.find(kTopic, kHash, {.source = "", .id = "a"}));
  EXPECT_FALSE(ids.find(raft::TopicId{0}, kHash, {.source = "", .id = "a"}));
}

TEST(ForeverIds, HaveADigestOfEveryFieldInAnyOrder) {
  const auto digest = [](const std::vector<std::pair<EventId, ForeverRow>>& rows) {
    ForeverIds ids;
    for (const auto& [id, row] : rows) {
      ids.add(kTopic, kHash, id, row);
    }
    return ids.digest();
  };
  const EventId a{.source = "s", .id = "a"};
  const EventId b{.source = "s", .id = "b"};
  EXPECT_EQ(digest({{a, row(0)}, {b, row(1)}}), digest({{b, row(1)}, {a, row(0)}}));
  EXPECT_NE(digest({{a, row(0)}}), digest({{b, row(0)}}));
  EXPECT_NE(digest({{a, row(0)}}), digest({{{.source = "sa", .id = ""}, row(0)}}));
  for (const auto change : std::vector<void (*)(ForeverRow&)>{
           [](ForeverRow& r) { r.log_index = raft::Index{99}; }, [](ForeverRow& r) { r.offset = raft::Offset{99}; },
           [](ForeverRow& r) { r.position = raft::Position{99}; }, [](ForeverRow& r) { r.time_ms = 99; },
           [](ForeverRow& r) { r.content.high = 99; }, [](ForeverRow& r) { r.content.low = 99; }}) {
    ForeverRow changed = row(0);
    change(changed);
    EXPECT_NE(digest({{a, changed}}), digest({{a, row(0)}}));
  }
}

TEST(ForeverIds, AreMetOnceEachInSteps) {
  ForeverIds ids;
  std::map<std::string, int> met;
  for (std::uint64_t i = 0; i < 100; ++i) {
    ids.add(raft::TopicId{i % 7}, {.high = i, .low = i}, {.source = "", .id = "id " + std::to_string(i)}, row(i));
  }
  ForeverIds::Walk walk;
  int steps = 1;
  const auto meet = [&met](raft::TopicId topic, const EventId& id, const ForeverRow& found) {
    EXPECT_EQ(found.offset.value % 7, topic.value);
    ++met[std::string(id.id)];
  };
  while (!ids.visit(walk, 300, meet)) {
    ++steps;
    if (steps == 3) {
      ids.clear(raft::TopicId{6});
    }
  }
  EXPECT_GT(steps, 20);
  EXPECT_EQ(met.size(), 100U - 14U) << "those of the topic that went meanwhile are not met";
  EXPECT_THAT(met, testing::Each(testing::Pair(testing::_, 1)));
}

TEST(ForeverIds, HaveRoomUpToTheirBound) {
  const EventId id{.source = "", .id = "a"};
  ForeverIds ids(2 * ForeverIds::bytes_of(id));
  ids.add(kTopic, kHash, id, row(0));
  EXPECT_TRUE(ids.has_room(ForeverIds::bytes_of(id)));
  EXPECT_FALSE(ids.has_room(ForeverIds::bytes_of(id) + 1));
}

}  // namespace
}  // namespace weir::broker::test
