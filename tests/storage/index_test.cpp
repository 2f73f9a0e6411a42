// What apply derives from the log: where events are, and where ids were stored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "storage/dedup_index.hpp"
#include "storage/event_index.hpp"
#include "storage/grow_vector.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using raft::Offset;
using raft::Position;
using raft::TopicId;
using testing::ElementsAre;
using testing::IsEmpty;

EntryRow row(std::uint64_t log_index, std::uint64_t position, std::uint64_t time_ms, std::vector<TopicPart> topics,
             std::vector<std::uint32_t> skipped = {}) {
  std::uint32_t count = 0;
  for (auto& part : topics) {
    count += part.count;
    part.last = count - 1;  // one topic after the other
  }
  return {Index{log_index}, Position{position}, count, time_ms, std::move(skipped), std::move(topics)};
}
TopicPart part(std::uint64_t topic, std::uint64_t offset, std::uint32_t count) {
  return {TopicId{topic}, Offset{offset}, count};
}

class EventIndexExample : public testing::Test {
 protected:
  EventIndexExample() {
    for (const auto& row : rows_) index_.add(row);
  }
  const std::vector<EntryRow> rows_{row(3, 1, 100, {part(0, 0, 2)}), row(5, 3, 100, {part(1, 0, 1)}, {0, 4}),
                                    row(9, 4, 250, {part(0, 2, 3), part(2, 0, 1)}), row(10, 8, 300, {part(1, 1, 5)})};
  EventIndex index_;
};

TEST(EventIndex, AnEmptyOneKnowsNothing) {
  const EventIndex index;
  EXPECT_EQ(index.last_position(), Position{0});
  EXPECT_EQ(index.row_count(), 0U);
  EXPECT_EQ(index.next_offset(TopicId{7}), Offset{0});
  EXPECT_FALSE(index.find(Position{0}).has_value());
  EXPECT_FALSE(index.find(Position{1}).has_value());
  EXPECT_FALSE(index.find(Index{1}).has_value());
  const std::array topics{TopicId{0}};
  EXPECT_FALSE(index.next(topics, Position{0}).has_value());
  EXPECT_EQ(index.first_at(0), Position{1});
}

TEST_F(EventIndexExample, FindsByPosition) {
  const std::array<std::size_t, 12> at{0, 0, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3};
  for (std::uint64_t position = 1; position <= 12; ++position)
    EXPECT_EQ(index_.find(Position{position}), rows_[at[position - 1]]) << position;
  EXPECT_FALSE(index_.find(Position{13}).has_value());
  EXPECT_EQ(index_.last_position(), Position{12});
  EXPECT_EQ(index_.row_count(), 4U);
}

TEST_F(EventIndexExample, FindsByTopicAndOffset) {
  EXPECT_EQ(index_.find(TopicId{0}, Offset{1}), rows_[0]);
  EXPECT_EQ(index_.find(TopicId{0}, Offset{2}), rows_[2]);
  EXPECT_EQ(index_.find(TopicId{0}, Offset{4}), rows_[2]);
  EXPECT_FALSE(index_.find(TopicId{0}, Offset{5}).has_value());
  EXPECT_EQ(index_.find(TopicId{1}, Offset{0}), rows_[1]);
  EXPECT_EQ(index_.find(TopicId{1}, Offset{5}), rows_[3]);
  EXPECT_EQ(index_.find(TopicId{2}, Offset{0}), rows_[2]);
  EXPECT_FALSE(index_.find(TopicId{3}, Offset{0}).has_value());
  EXPECT_EQ(index_.next_offset(TopicId{0}), Offset{5});
  EXPECT_EQ(index_.next_offset(TopicId{1}), Offset{6});
  EXPECT_EQ(index_.next_offset(TopicId{3}), Offset{0});
}

TEST_F(EventIndexExample, FindsByLogIndex) {
  EXPECT_EQ(index_.find(Index{3}), rows_[0]);
  EXPECT_EQ(index_.find(Index{10}), rows_[3]);
  EXPECT_FALSE(index_.find(Index{4}).has_value());
  EXPECT_FALSE(index_.find(Index{11}).has_value());
}

TEST_F(EventIndexExample, NextIsTheNearestRowOfTheTopics) {
  const std::array one{TopicId{1}};
  EXPECT_EQ(index_.next(one, Position{0}), rows_[1]);
  EXPECT_EQ(index_.next(one, Position{2}), rows_[1]);
  EXPECT_EQ(index_.next(one, Position{3}), rows_[3]);
  EXPECT_EQ(index_.next(one, Position{11}), rows_[3]);
  EXPECT_FALSE(index_.next(one, Position{12}).has_value());
  const std::array both{TopicId{0}, TopicId{2}};
  EXPECT_EQ(index_.next(both, Position{2}), rows_[2]);
  EXPECT_EQ(index_.next(both, Position{6}), rows_[2]) << "the rest of the entry may hold what is wanted";
  EXPECT_FALSE(index_.next(both, Position{7}).has_value());
  EXPECT_FALSE(index_.next({}, Position{0}).has_value());
  EXPECT_FALSE(index_.next(both, Position{~std::uint64_t{0} - 1}).has_value());
}

TEST_F(EventIndexExample, FirstAtFindsByLogTime) {
  EXPECT_EQ(index_.first_at(0), Position{1});
  EXPECT_EQ(index_.first_at(100), Position{1});
  EXPECT_EQ(index_.first_at(101), Position{4});
  EXPECT_EQ(index_.first_at(300), Position{8});
  EXPECT_EQ(index_.first_at(301), Position{13});
}

TEST_F(EventIndexExample, RowsThatDoNotGoOnStopTheProcess) {
  EXPECT_DEATH(index_.add(row(11, 14, 300, {part(1, 6, 1)})), "position");
  EXPECT_DEATH(index_.add(row(10, 13, 300, {part(1, 6, 1)})), "log_index");
  EXPECT_DEATH(index_.add(row(11, 13, 299, {part(1, 6, 1)})), "time_ms");
  EXPECT_DEATH(index_.add(row(11, 13, 300, {part(1, 7, 1)})), "offset");
  EXPECT_DEATH(index_.add(row(11, 13, 300, {})), "stored_count");
}

TEST_F(EventIndexExample, WhatWasDroppedIsNotFoundAndTheRestIs) {
  index_.drop_before(Index{9}, 100);
  EXPECT_EQ(index_.row_count(), 2U);
  EXPECT_EQ(index_.first_index(), Index{9});
  EXPECT_FALSE(index_.find(Position{3}).has_value());
  EXPECT_FALSE(index_.find(TopicId{0}, Offset{1}).has_value());
  EXPECT_FALSE(index_.find(Index{5}).has_value());
  EXPECT_EQ(index_.find(Position{4}), rows_[2]);
  EXPECT_EQ(index_.find(TopicId{0}, Offset{2}), rows_[2]);
  const std::array topics{TopicId{0}, TopicId{1}};
  EXPECT_EQ(index_.next(topics, Position{0}), rows_[2]);
  EXPECT_EQ(index_.position_before(Index{10}), Position{7});
  index_.drop_before(Index{99}, 1);
  EXPECT_EQ(index_.row_count(), 1U) << "not more than asked for";
  index_.drop_before(Index{99}, 100);
  EXPECT_FALSE(index_.first_index().has_value());
  index_.add(row(11, 13, 300, {part(1, 6, 1)}));
  EXPECT_EQ(index_.find(Position{13})->topics.front().first_offset, Offset{6});
}

TEST_F(EventIndexExample, RowsOfOldComeBackUpToWhereItEnded) {
  EventIndex resumed;
  const std::array next{Offset{5}, Offset{6}, Offset{1}};
  resumed.resume(Position{12}, next);
  EXPECT_TRUE(resumed.is_whole()) << "nothing of old may be wanted any more";
  EXPECT_EQ(resumed.defect_of(row(9, 14, 250, {part(0, 2, 3)})), "position");
  resumed.add(rows_[2]);
  EXPECT_FALSE(resumed.is_whole());
  EXPECT_EQ(resumed.defect_of(row(10, 9, 300, {part(1, 1, 4)})), "position");
  resumed.add(rows_[3]);
  EXPECT_TRUE(resumed.is_whole());
  EXPECT_EQ(resumed.next_offset(TopicId{1}), Offset{6});
  EXPECT_EQ(resumed.find(Position{9}), rows_[3]);
}

TEST(EventIndex, BytesOfATopicCountFromItsFloorOn) {
  EventIndex index;
  for (std::uint64_t i = 0; i < 5; ++i) index.add(row(i + 1, 2 * i + 1, 100, {{TopicId{0}, Offset{2 * i}, 2, 100}}));
  EXPECT_EQ(index.kept_bytes(TopicId{0}), 500U);
  EXPECT_EQ(index.first_offset_within(TopicId{0}, 500), Offset{0});
  EXPECT_EQ(index.first_offset_within(TopicId{0}, 250), Offset{6});
  EXPECT_EQ(index.first_offset_within(TopicId{0}, 0), Offset{10});
  index.raise_floor(TopicId{0}, Offset{5});
  EXPECT_EQ(index.kept_bytes(TopicId{0}), 300U) << "whole parts";
  index.raise_floor(TopicId{0}, Offset{10});
  EXPECT_EQ(index.kept_bytes(TopicId{0}), 0U);
}

TEST(DedupIndex, ForgetsIdsOfEntriesThatAreGoneRoundByRound) {
  DedupIndex index;
  for (std::uint64_t i = 1; i <= 200'000; ++i)
    index.insert({i * 0x9E3779B97F4A7C15ULL, i * 0xBF58476D1CE4E5B9ULL}, {Index{i}, 0});
  const auto before = index.memory_bytes();
  index.forget_before(Index{150'001});
  for (int i = 0; i < 500; ++i) index.sweep();
  index.forget_before(Index{199'001});
  for (int i = 0; i < 1'024; ++i) index.sweep();
  EXPECT_EQ(index.size(), 1'000U);
  EXPECT_LT(index.memory_bytes(), before / 4);
  for (std::uint64_t i = 199'001; i <= 200'000; ++i)
    EXPECT_THAT(index.find({i * 0x9E3779B97F4A7C15ULL, i * 0xBF58476D1CE4E5B9ULL}), ElementsAre(IdPlace{Index{i}, 0}));
}

// Random rows against plain search.
TEST(EventIndex, AgreesWithAModel) {
  std::mt19937_64 random(test_seed());
  constexpr std::uint64_t kTopics = 12;
  EventIndex index;
  std::vector<EntryRow> model;
  std::vector<std::uint64_t> offsets(kTopics);
  std::uint64_t log_index = 0;
  std::uint64_t position = 1;
  std::uint64_t time_ms = 1000;
  for (int step = 0; step < 3000; ++step) {
    std::vector<TopicPart> parts;
    for (std::uint64_t topic = random() % kTopics; topic < kTopics && parts.size() < 3; topic += 1 + random() % 6) {
      parts.push_back(part(topic, offsets[topic], static_cast<std::uint32_t>(1 + random() % 4)));
      offsets[topic] += parts.back().count;
      if (random() % 2 == 0) break;
    }
    std::vector<std::uint32_t> skipped;
    if (random() % 5 == 0) skipped = {0, static_cast<std::uint32_t>(1 + random() % 9)};
    log_index += 1 + random() % 3;
    time_ms += random() % 3;
    model.push_back(row(log_index, position, time_ms, parts, skipped));
    position += model.back().stored_count;
    index.add(model.back());
  }
  const auto find = [&](const auto& holds) {
    const auto it = std::ranges::find_if(model, holds);
    return it == model.end() ? std::nullopt : std::optional(*it);
  };
  for (int query = 0; query < 1500; ++query) {
    const std::uint64_t at = random() % (position + 3);
    EXPECT_EQ(index.find(Position{at}), find([&](const EntryRow& row) {
                return at >= row.first_position.value && at < row.first_position.value + row.stored_count;
              }));
    const TopicId topic{random() % kTopics};
    const std::uint64_t offset = random() % (offsets[topic.value] + 2);
    EXPECT_EQ(index.find(topic, Offset{offset}), find([&](const EntryRow& row) {
                return std::ranges::any_of(row.topics, [&](const TopicPart& part) {
                  return part.topic == topic && offset >= part.first_offset.value &&
                         offset < part.first_offset.value + part.count;
                });
              }));
    const std::uint64_t log = random() % (log_index + 2);
    EXPECT_EQ(index.find(Index{log}), find([&](const EntryRow& row) { return row.log_index.value == log; }));
    std::set<TopicId> topics;
    for (std::uint64_t count = random() % 4; count > 0; --count) topics.insert(TopicId{random() % (kTopics + 2)});
    const std::vector<TopicId> asked(topics.begin(), topics.end());
    EXPECT_EQ(index.next(asked, Position{at}), find([&](const EntryRow& row) {
                return row.first_position.value + row.stored_count > at + 1 &&
                       std::ranges::any_of(row.topics, [&](const auto& part) { return topics.contains(part.topic); });
              }));
    const std::uint64_t time = 990 + random() % (time_ms - 980);
    const auto first = find([&](const EntryRow& row) { return row.time_ms >= time; });
    EXPECT_EQ(index.first_at(time), first ? first->first_position : Position{position});
  }
}

TEST(GrowVector, HasBlocksOfOneSizeHoweverManyThereAre) {
  constexpr std::size_t kCount = std::size_t{80} << 15U;  // 80 blocks of the largest size
  GrowVector<std::uint32_t> vector;
  for (std::size_t i = 0; i < kCount; ++i) vector.push_back(static_cast<std::uint32_t>(i));
  for (std::size_t i = 0; i < kCount; ++i) ASSERT_EQ(vector[i], i);
}

TEST(GrowVector, KeepsWhatItWasGivenInPlace) {
  GrowVector<std::uint64_t> vector;
  std::vector<const std::uint64_t*> places;
  for (std::uint64_t number = 0; number < 200'000; ++number) {
    vector.push_back(number * 3);
    places.push_back(&vector.back());
  }
  ASSERT_EQ(vector.size(), 200'000U);
  for (std::uint64_t number = 0; number < 200'000; ++number) {
    ASSERT_EQ(vector[number], number * 3);
    ASSERT_EQ(&vector[number], places[number]);
  }
  EXPECT_EQ(vector.first_where([](std::uint64_t value) { return value >= 150'001; }), 50'001U);
  EXPECT_EQ(vector.first_where([](std::uint64_t) { return false; }), 200'000U);
}

IdHash id_hash(std::uint64_t number) {
  std::mt19937_64 mix(number);
  const std::uint64_t high = mix();
  return {high, mix()};
}

TEST(DedupIndex, FindsWhatItWasTold) {
  DedupIndex index;
  EXPECT_EQ(index.size(), 0U);
  EXPECT_FALSE(index.may_contain(id_hash(1)));
  EXPECT_THAT(index.find(id_hash(1)), IsEmpty());
  index.insert(id_hash(1), {Index{7}, 65'535});
  index.insert(id_hash(2), {Index{8}, 0});
  EXPECT_EQ(index.size(), 2U);
  EXPECT_TRUE(index.may_contain(id_hash(1)));
  EXPECT_THAT(index.find(id_hash(1)), ElementsAre(IdPlace{Index{7}, 65'535}));
  EXPECT_THAT(index.find(id_hash(2)), ElementsAre(IdPlace{Index{8}, 0}));
  EXPECT_THAT(index.find(id_hash(3)), IsEmpty());
}

TEST(DedupIndex, EqualHashesKeepAllTheirPlacesInOrder) {
  DedupIndex index;
  for (const std::uint64_t log_index : {9U, 4U, 12U, 4U}) index.insert({5, 6}, {Index{log_index}, 1});
  EXPECT_THAT(index.find({5, 6}),
              ElementsAre(IdPlace{Index{9}, 1}, IdPlace{Index{4}, 1}, IdPlace{Index{12}, 1}, IdPlace{Index{4}, 1}));
  EXPECT_EQ(index.size(), 4U);
}

TEST(DedupIndex, PlacesTooLargeForASlotAreKeptAllTheSame) {
  DedupIndex index;
  const IdPlace far{Index{raft::kNumberLimit - 1}, 3};
  const IdPlace deep{Index{2}, ~std::uint32_t{0}};
  const IdPlace last_that_fits{Index{(std::uint64_t{1} << 46U) - 1}, (1U << 17U) - 1};
  index.insert(id_hash(1), far);
  index.insert(id_hash(2), deep);
  index.insert(id_hash(3), last_that_fits);
  index.insert(id_hash(1), {Index{5}, 6});
  EXPECT_THAT(index.find(id_hash(1)), ElementsAre(far, IdPlace{Index{5}, 6}));
  EXPECT_THAT(index.find(id_hash(2)), ElementsAre(deep));
  EXPECT_THAT(index.find(id_hash(3)), ElementsAre(last_that_fits));
}

TEST(DedupIndex, AgreesWithAModel) {
  std::mt19937_64 random(test_seed());
  DedupIndex index;
  DedupIndex by_many;  // told the same, many at a time
  std::vector<DedupIndex::Id> many;
  std::map<IdHash, std::vector<IdPlace>> model;
  for (std::uint64_t log_index = 1; log_index <= 40'000; ++log_index) {
    const IdHash hash = id_hash(random() % 30'000);
    const IdPlace place{Index{log_index}, static_cast<std::uint32_t>(random() % 65'536)};
    index.insert(hash, place);
    many.push_back({hash, place});
    model[hash].push_back(place);
    if (random() % 5'000 != 0 && log_index < 40'000) continue;
    by_many.insert(many);
    many.clear();
  }
  EXPECT_EQ(index.size(), 40'000U);
  EXPECT_EQ(by_many.size(), 40'000U);
  int strangers = 0;
  for (std::uint64_t number = 0; number < 31'000; ++number) {
    const IdHash hash = id_hash(number);
    const auto it = model.find(hash);
    const std::vector<IdPlace> known = it == model.end() ? std::vector<IdPlace>{} : it->second;
    // A place is a candidate: one of an id with the same 42 bits may be among them, but none is missing or out of
    // order.
    std::vector<IdPlace> found = index.find(hash);
    ASSERT_EQ(by_many.find(hash), found);
    ASSERT_EQ(index.may_contain(hash), !found.empty());
    if (found.size() > known.size()) ++strangers;
    std::erase_if(found, [&](const IdPlace& place) { return std::ranges::find(known, place) == known.end(); });
    ASSERT_EQ(found, known);
  }
  EXPECT_LE(strangers, 2);
}

TEST(DedupIndex, MemoryIsCountedAndModest) {
  DedupIndex index;
  const std::size_t empty = index.memory_bytes();
  EXPECT_LT(empty, std::size_t{256} << 10U);
  constexpr std::uint64_t kIds = 500'000;
  for (std::uint64_t number = 0; number < kIds; ++number)
    index.insert({number * 0x9e3779b97f4a7c15ULL, number * 0xc2b2ae3d27d4eb4fULL}, {Index{number}, 0});
  const std::size_t per_id = (index.memory_bytes() - empty) / kIds;
  EXPECT_GE(per_id, 12U);
  EXPECT_LE(per_id, 20U);
}

}  // namespace
}  // namespace weir::storage
