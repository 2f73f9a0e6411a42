// Ids on disk: runs, their filters, and the files of a generation.
#include "storage/id_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "storage/id_filter.hpp"
#include "storage/id_run_files.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kKeys = std::uint64_t{1} << IdKey::kBits;

std::uint64_t mixed(std::uint64_t number) {
  number = (number + 1) * 0x9e3779b97f4a7c15ULL;
  number = (number ^ (number >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  return number ^ (number >> 27U);
}
IdKey key(std::uint64_t number) {
  return {mixed(number) % kKeys};
}
/// Ids of entries [first, last], `of_entry` of each.
std::vector<KeyedPlace> ids_of(std::uint64_t first, std::uint64_t last, std::uint32_t of_entry) {
  std::vector<KeyedPlace> ids;
  for (std::uint64_t index = first; index <= last; ++index)
    for (std::uint32_t ordinal = 0; ordinal < of_entry; ++ordinal)
      ids.push_back({key(index * 1'000 + ordinal), {Index{index}, ordinal}});
  return ids;
}
std::vector<IdPlace> find(const IdRuns& runs, IdKey wanted) {
  std::vector<IdPlace> places;
  for (const auto& run : runs)
    if (run->may_contain(wanted)) {
      EXPECT_TRUE(run->find(wanted, places).has_value());
    }
  return places;
}

class IdRunTest : public testing::Test {
 protected:
  std::shared_ptr<const IdRun> written(std::vector<KeyedPlace> ids, std::uint64_t first, std::uint64_t last) {
    EXPECT_TRUE(write_id_run(path_, Index{first}, Index{last}, ids).has_value());
    auto run = open_id_run(path_);
    EXPECT_TRUE(run.has_value()) << run.error().text;
    return run.value_or(nullptr);
  }

  TempFolder folder_{Medium::memory};
  const std::string path_ = folder_ / "run.wid";
};

TEST(IdKey, IsTheSameAsTheTablesShardAndFingerprint) {
  EXPECT_EQ(key_of({.high = ~std::uint64_t{0}, .low = 0}).value, std::uint64_t{0x3ff} << 32U);
  EXPECT_EQ(key_of({.high = 0, .low = ~std::uint64_t{0}}).value, 0xffff'ffffU);
}

TEST_F(IdRunTest, FindsEveryIdAndNothingElse) {
  const auto ids = ids_of(5, 14, 300);
  const auto run = written(ids, 5, 14);
  EXPECT_EQ(run->first_index(), Index{5});
  EXPECT_EQ(run->last_index(), Index{14});
  EXPECT_EQ(run->size(), 3'000U);
  EXPECT_EQ(run->disk_bytes(), std::filesystem::file_size(path_));
  for (const KeyedPlace& id : ids) {
    ASSERT_TRUE(run->may_contain(id.key));
    ASSERT_THAT(find({run}, id.key), ElementsAre(id.place));
  }
  int seen = 0;
  for (std::uint64_t number = 0; number < 20'000; ++number) {
    std::vector<IdPlace> places;
    ASSERT_TRUE(run->find(key(5'000'000 + number), places).has_value());
    ASSERT_THAT(places, IsEmpty());
    seen += run->may_contain(key(5'000'000 + number)) ? 1 : 0;
  }
  EXPECT_LT(seen, 20) << "of 20,000";
}

TEST_F(IdRunTest, AnEmptyOneHasNothing) {
  const auto run = written({}, 1, 9);
  EXPECT_EQ(run->size(), 0U);
  EXPECT_THAT(find({run}, key(1)), IsEmpty());
}

TEST_F(IdRunTest, EqualKeysGoOnOverBlocks) {
  std::vector<KeyedPlace> ids;
  for (std::uint32_t ordinal = 0; ordinal < 1'000; ++ordinal) ids.push_back({IdKey{77}, {Index{3}, ordinal}});
  for (std::uint64_t other = 0; other < 600; ++other)
    ids.push_back({IdKey{other * 7'000'000'001 % kKeys}, {Index{4}, 0}});
  ids.push_back({IdKey{0}, {Index{2}, 4'194'303}});
  ids.push_back({IdKey{kKeys - 1}, {Index{2}, 1}});
  const auto run = written(ids, 2, 4);
  EXPECT_THAT(find({run}, IdKey{77}), SizeIs(1'000));
  EXPECT_THAT(find({run}, IdKey{0}), testing::Contains(IdPlace{Index{2}, 4'194'303}));
  EXPECT_THAT(find({run}, IdKey{kKeys - 1}), ElementsAre(IdPlace{Index{2}, 1}));
  EXPECT_THAT(find({run}, IdKey{76}), IsEmpty());
  EXPECT_THAT(find({run}, IdKey{78}), IsEmpty());
}

TEST_F(IdRunTest, FAULTS44_ABitThatFlipsAnywhereIsNoticedOrMeansNothing) {
  const auto ids = ids_of(1, 3, 300);
  written(ids, 1, 3);
  const std::string whole = read_file(path_);
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 600; ++round) {
    const std::size_t bit = random() % (whole.size() * 8);
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ static_cast<char>(1U << (bit % 8)));
    write_file(path_, flipped);
    const auto run = open_id_run(path_);
    if (!run) {
      ASSERT_EQ(run.error().code, Errc::damaged) << run.error().text;
      continue;
    }
    // The rest of the head's page is not read.
    bool noticed = false;
    for (const KeyedPlace& id : ids) {
      std::vector<IdPlace> places;
      const auto found = (*run)->find(id.key, places);
      noticed = noticed || !found;
      if (found) {
        ASSERT_THAT(places, ElementsAre(id.place));
      }
    }
    ASSERT_TRUE(noticed || (bit / 8 >= 64 && bit / 8 < 4096)) << bit;
  }
}

TEST_F(IdRunTest, FAULTS45_OneThatWasCutIsNoticed) {
  written(ids_of(1, 3, 300), 1, 3);
  const std::string whole = read_file(path_);
  for (std::size_t size = 0; size < whole.size(); size += size < 100 ? 1 : 777) {
    write_file(path_, whole.substr(0, size));
    ASSERT_FALSE(open_id_run(path_).has_value()) << size;
  }
}

TEST_F(IdRunTest, MergedTheyHoldWhatIsStillWanted) {
  IdRuns runs;
  std::vector<KeyedPlace> all;
  for (std::uint64_t first = 1; first <= 31; first += 10) {
    auto ids = ids_of(first, first + 9, 200);
    all.insert(all.end(), ids.begin(), ids.end());
    const std::string path = folder_ / std::to_string(first);
    ASSERT_TRUE(write_id_run(path, Index{first}, Index{first + 9}, ids).has_value());
    runs.push_back(*open_id_run(path));
  }
  ASSERT_TRUE(merge_id_runs(path_, runs, Index{16}).has_value());
  const auto merged = open_id_run(path_);
  ASSERT_TRUE(merged.has_value()) << merged.error().text;
  EXPECT_EQ((*merged)->first_index(), Index{1});
  EXPECT_EQ((*merged)->last_index(), Index{40});
  EXPECT_EQ((*merged)->size(), 25U * 200);
  for (const KeyedPlace& id : all) {
    if (id.place.log_index < Index{16}) {
      ASSERT_THAT(find({*merged}, id.key), IsEmpty());
    } else {
      ASSERT_THAT(find({*merged}, id.key), ElementsAre(id.place));
    }
  }
}

TEST(IdFilter, SeldomSeesWhatIsNotThere) {
  constexpr std::uint64_t kIds = 200'000;
  IdFilter filter(kIds);
  for (std::uint64_t number = 0; number < kIds; ++number) filter.add(key(number));
  int seen = 0;
  for (std::uint64_t number = 0; number < kIds; ++number) {
    ASSERT_TRUE(filter.may_contain(key(number)));
    seen += filter.may_contain(key(kIds + number)) ? 1 : 0;
  }
  EXPECT_LT(seen, 100) << "of 200,000: one in 2,000";
}

// --- the files of a generation

class IdRunFilesTest : public testing::Test {
 protected:
  IdRunFilesTest() { std::filesystem::create_directory(generation_); }
  void reopen(std::uint64_t first_needed = 1, std::uint64_t last_covered = 1'000) {
    auto opened = IdRunFiles::find(generation_, Index{first_needed}, Index{last_covered});
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    files_ = *std::move(opened);
  }
  void add(std::uint64_t last, Index first_needed = {}) {
    auto ids = ids_of(files_->covered().value + 1, last, 50);
    ASSERT_TRUE(files_->add(Index{last}, ids, first_needed).has_value());
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(generation_)) found.push_back(entry.path().filename());
    std::ranges::sort(found);
    return found;
  }
  void expect_all(std::uint64_t first, std::uint64_t last) const {
    for (const KeyedPlace& id : ids_of(first, last, 50))
      ASSERT_THAT(find(files_->runs(), id.key), ElementsAre(id.place));
  }

  TempFolder folder_{Medium::memory};
  const std::string generation_ = folder_ / "gen-000001";
  std::shared_ptr<IdRunFiles> files_;
};

TEST_F(IdRunFilesTest, FollowEachOtherAndAreThereAgainAfterAStart) {
  reopen();
  EXPECT_EQ(files_->covered(), Index{});
  add(10);
  add(25);
  for (int look = 0; look < 2; ++look) {
    EXPECT_EQ(files_->covered(), Index{25});
    ASSERT_THAT(files_->runs(), SizeIs(2));
    EXPECT_EQ(files_->runs()[1]->first_index(), Index{11});
    expect_all(1, 25);
    reopen();
  }
}

TEST_F(IdRunFilesTest, ManyBecomeOne) {
  reopen();
  for (std::uint64_t last = 10; last <= 400; last += 10) {
    add(last);
    ASSERT_LT(files_->runs().size(), IdRunFiles::kFanIn);
    ASSERT_THAT(names(), SizeIs(files_->runs().size())) << "what became part of another is gone";
  }
  expect_all(1, 400);
  reopen();
  expect_all(1, 400);
}

TEST_F(IdRunFilesTest, ThoseThatRetentionHasPassedGo) {
  reopen();
  add(10);
  add(20);
  add(30);
  files_->forget_before(Index{20});
  EXPECT_THAT(files_->runs(), SizeIs(2));
  files_->forget_before(Index{21});
  EXPECT_THAT(files_->runs(), SizeIs(1));
  EXPECT_THAT(names(), SizeIs(1));
  add(40);
  reopen(21);
  expect_all(21, 40);
  EXPECT_EQ(files_->covered(), Index{40});
}

TEST_F(IdRunFilesTest, WhatACrashLeavesIsTidiedUp) {
  reopen();
  add(10);
  add(20);
  // A merge whose parts were not removed, and a run half written.
  ASSERT_TRUE(merge_id_runs(generation_ + "/" + id_run_file_name(Index{1}, Index{20}), files_->runs(), {}).has_value());
  write_file(generation_ + "/ids.new", "half");
  reopen();
  EXPECT_THAT(names(), ElementsAre(id_run_file_name(Index{1}, Index{20})));
  expect_all(1, 20);
}

TEST_F(IdRunFilesTest, WithoutTheOldestAllAreMadeAgain) {
  reopen();
  add(10);
  add(20);
  std::filesystem::remove(generation_ + "/" + id_run_file_name(Index{1}, Index{10}));
  reopen();
  EXPECT_EQ(files_->covered(), Index{}) << "else what is missing would stay in memory for good";
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(IdRunFilesTest, OfEntriesThatNoCheckpointCoversThereIsNone) {
  reopen();
  add(10);
  add(20);
  reopen(1, 15);
  EXPECT_EQ(files_->covered(), Index{10}) << "they are applied again, and would find themselves";
  EXPECT_THAT(names(), SizeIs(1));
}

TEST_F(IdRunFilesTest, AMergeThatFailsHidesNothing) {
  reopen();
  add(10);
  poke(generation_ + "/" + id_run_file_name(Index{1}, Index{10}), 4096 + 100, "x");
  for (std::uint64_t last = 20; last <= 60; last += 10) add(last);
  EXPECT_EQ(files_->covered(), Index{60});
  EXPECT_THAT(files_->runs(), SizeIs(6));
}

TEST_F(IdRunFilesTest, FAULTS44_FromOneThatIsDamagedOnTheyAreRemovedAndMadeAgain) {
  reopen();
  add(10);
  add(20);
  add(30);
  poke(generation_ + "/" + id_run_file_name(Index{11}, Index{20}), 30, "x");
  reopen();
  EXPECT_EQ(files_->covered(), Index{10});
  EXPECT_THAT(names(), SizeIs(1));
  add(30);
  expect_all(1, 30);
}

TEST_F(IdRunFilesTest, FAULTS44_ABlockThatRotsIsNotBelievedAndItsFileGoes) {
  reopen();
  add(10);
  const std::string path = generation_ + "/" + id_run_file_name(Index{1}, Index{10});
  poke(path, 4096 + 100, "x");
  std::vector<IdPlace> places;
  std::expected<void, Error> found;
  for (const KeyedPlace& id : ids_of(1, 10, 50))
    if (found) found = files_->runs()[0]->find(id.key, places);
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, Errc::io) << "the log has it all: the node is not damaged";
  EXPECT_THAT(found.error().text, HasSubstr("a start makes it again"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace weir::storage
