// Seals: what a start believes of a file that it does not read, and when it does not (FAULTS 44, 45).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "storage/log_recovery.hpp"
#include "storage/scrub.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using raft::Term;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::size_t kEntryBytes = 100'000;
constexpr std::chrono::seconds kBound{20};

TEST(SegmentSeal, IsReadAsItWasWritten) {
  const auto read = decode_seal(encode_seal(sample_seal()));
  ASSERT_TRUE(read.has_value()) << read.error().text;
  EXPECT_EQ(*read, sample_seal());
}

TEST(SegmentSeal, FAULTS44_OneThatWasCutOrChangedAnywhereIsNone) {
  const std::string whole = encode_seal(sample_seal());
  for (std::size_t size = 0; size < whole.size(); ++size)
    ASSERT_FALSE(decode_seal(whole.substr(0, size)).has_value()) << size;
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ static_cast<char>(1U << (bit % 8)));
    ASSERT_FALSE(decode_seal(flipped).has_value()) << bit;
  }
  EXPECT_FALSE(decode_seal(whole + '\0').has_value());
}

class LmdbSeal : public testing::Test {
 protected:
  LmdbLogStore::Options options() {
    return {.folder = data_, .node_name = "n1", .segment_bytes = std::uint64_t{1} << 20U, .prepare_bytes_per_s = 0};
  }
  void reopen() {
    store_.reset();
    auto opened = LmdbLogStore::open(options());
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    store_ = *std::move(opened);
  }
  void fill(std::uint64_t first, std::uint64_t last, std::uint64_t term = 1) {
    for (std::uint64_t index = first; index <= last; ++index)
      ASSERT_TRUE(append_one(*store_, {hard_state(term), std::nullopt, entries(index, index, term, kEntryBytes)}));
  }
  // Four files and a bit, all but the last with seals.
  void fill_and_seal() {
    reopen();
    fill(1, 40);
    reopen();
    ASSERT_GT(segment_files(data_).size(), 3U);
    ASSERT_THAT(seals(), SizeIs(segment_files(data_).size() - 1));
  }
  [[nodiscard]] std::vector<std::string> seals() const { return files_like(data_, "segment-", ".seal"); }
  static void expect_same(const raft::Recovered& one, const raft::Recovered& other) {
    EXPECT_EQ(one.hard_state, other.hard_state);
    EXPECT_EQ(one.term_runs, other.term_runs);
    EXPECT_EQ(one.first_index, other.first_index);
    EXPECT_EQ(one.last_index, other.last_index);
    EXPECT_EQ(one.prev_term, other.prev_term);
    EXPECT_EQ(one.config_entries, other.config_entries);
  }
  /// Where the data of an entry stands in its file.
  static std::size_t place_of(const std::string& path, std::uint64_t index) {
    return read_file(path).find(data_for(index, 1, kEntryBytes));
  }
  Error must_be_damaged() {
    store_.reset();
    auto opened = LmdbLogStore::open(options());
    EXPECT_FALSE(opened.has_value());
    if (opened) return {};
    EXPECT_EQ(opened.error().code, Errc::damaged) << opened.error().text;
    return opened.error();
  }

  TempFolder folder_{Medium::memory};
  const std::string data_ = folder_ / "data";
  std::unique_ptr<LmdbLogStore> store_;
};

TEST_F(LmdbSeal, AStartBelievesThemAndReadsOnlyTheRest) {
  fill_and_seal();
  const auto recovered = store_->recovered();
  store_.reset();
  // What is in the file is not what was sealed: whoever reads it would say so.
  const std::string first = segment_file(data_);
  const std::size_t place = place_of(first, 2);
  ASSERT_NE(place, std::string::npos);
  poke(first, place + 500, "rot");
  reopen();
  expect_same(store_->recovered(), recovered);
  const auto rotten = store_->read(Index{2}, Index{2}, 1);
  ASSERT_FALSE(rotten.has_value()) << "what is read is verified all the same";
  EXPECT_EQ(rotten.error().code, Errc::damaged);
  EXPECT_TRUE(store_->read(Index{9}, Index{40}, ~std::size_t{0}).has_value());
}

TEST_F(LmdbSeal, WithoutThemAStartFindsTheSameLog) {
  fill_and_seal();
  const auto with = store_->recovered();
  for (const std::string& path : seals()) std::filesystem::remove(path);
  reopen();
  expect_same(store_->recovered(), with);
  EXPECT_EQ(read_all(*store_), entries(1, 40, 1, kEntryBytes));
  EXPECT_THAT(seals(), SizeIs(segment_files(data_).size() - 1)) << "and makes them again";
}

TEST_F(LmdbSeal, FAULTS44_ADamagedSealIsAsNone) {
  fill_and_seal();
  const std::string path = seals().front();
  const std::string whole = read_file(path);
  poke(path, 70, "x");
  reopen();
  EXPECT_EQ(read_all(*store_), entries(1, 40, 1, kEntryBytes));
  EXPECT_EQ(read_file(path), whole) << "it was made anew";
  write_file(path, "");
  reopen();
  EXPECT_EQ(read_file(path), whole);
}

TEST_F(LmdbSeal, FAULTS44_WithASealEveryPageOfTheTreeIsStillLookedAt) {
  fill_and_seal();
  store_.reset();
  const std::string path = segment_file(data_);
  const std::string whole = read_file(path);
  // Branch and leaf pages: those whose own number and kind stand at their beginning.
  int tree_pages = 0;
  for (std::size_t page = 2; page < whole.size() / 4096; ++page) {
    std::uint64_t number = 0;
    std::uint16_t kind = 0;
    std::memcpy(&number, whole.data() + page * 4096, sizeof number);
    std::memcpy(&kind, whole.data() + page * 4096 + 10, sizeof kind);
    if (number != page || (kind != 1 && kind != 2)) continue;
    std::string zeroed = whole;
    zeroed.replace(page * 4096, 4096, 4096, '\0');
    write_file(path, zeroed);
    const auto opened = LmdbLogStore::open(options());
    // Not every page is of the newest tree.
    if (!opened) {
      EXPECT_EQ(opened.error().code, Errc::damaged);
      ++tree_pages;
    }
    write_file(path, whole);
  }
  EXPECT_GT(tree_pages, 0);
}

TEST_F(LmdbSeal, FAULTS45_AFileWithASealThatWasCutEmptiedOrLostIsDamaged) {
  fill_and_seal();
  store_.reset();
  const std::string path = segment_files(data_)[1];
  const std::string whole = read_file(path);
  for (const std::size_t size : {whole.size() - 4096, whole.size() / 2, std::size_t{4096}, std::size_t{0}}) {
    write_file(path, whole.substr(0, size));
    EXPECT_THAT(must_be_damaged().text, HasSubstr(path));
  }
  std::filesystem::remove(path);
  EXPECT_THAT(must_be_damaged().text, HasSubstr(path));
}

TEST_F(LmdbSeal, OneOfALogThatWasCutShorterIsNotBelieved) {
  fill_and_seal();
  ASSERT_TRUE(append_one(*store_, {hard_state(2), Index{5}, entries(5, 7, 2)}).has_value());
  store_->wait_for_background();
  reopen();
  auto expected = entries(1, 4, 1, kEntryBytes);
  for (const auto& more : entries(5, 7, 2)) expected.push_back(more);
  EXPECT_EQ(read_all(*store_), expected);
  EXPECT_EQ(store_->recovered().term_runs, (std::vector<raft::TermRun>{{Term{1}, Index{1}}, {Term{2}, Index{5}}}));
  EXPECT_THAT(seals(), SizeIs(1)) << "those of files that are gone went with them";
  reopen();
  EXPECT_EQ(read_all(*store_), expected);
}

TEST_F(LmdbSeal, GoWithTheirFiles) {
  fill_and_seal();
  ASSERT_TRUE(store_->save(checkpoint_at(35, 1)).has_value());
  ASSERT_TRUE(store_->drop_before(Index{30}).has_value());
  ASSERT_GT(store_->first_index(), Index{1});
  store_->wait_for_background();
  EXPECT_THAT(seals(), SizeIs(segment_files(data_).size() - 1));
}

TEST_F(LmdbSeal, AFileOfAnotherFolderUnderASealIsNoticed) {
  fill_and_seal();
  store_.reset();
  const std::string path = segment_file(data_);
  TempFolder elsewhere(Medium::memory);
  auto other = LmdbLogStore::open({.folder = elsewhere / "data", .node_name = "n1"});
  ASSERT_TRUE(other.has_value());
  other->reset();
  std::filesystem::copy_file(segment_file(elsewhere / "data"), path, std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(must_be_damaged().text, HasSubstr("not the segment that state.mdb names"));
}

// --- the scrub

class LmdbScrub : public LmdbSeal {
 protected:
  void begin(Scrub::Options options) {
    scrub_.emplace(*store_, options, [this](const Error& error) { found_.set_value(error); });
  }
  static Scrub::Options fast() {
    return {.bytes_per_s = std::uint64_t{1} << 30U,
            .pause = std::chrono::milliseconds(1),
            .seal_bytes_per_s = 0,
            .poll = std::chrono::milliseconds(1)};
  }
  template <class Condition>
  [[nodiscard]] static bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kBound;
    while (!condition())
      if (std::chrono::steady_clock::now() > end) return false;
    return true;
  }

  std::promise<Error> found_;
  std::optional<Scrub> scrub_;
};

TEST_F(LmdbScrub, AFileThatRollsGetsItsSeal) {
  reopen();
  begin({.bytes_per_s = 0, .seal_bytes_per_s = 0, .poll = std::chrono::milliseconds(1)});
  fill(1, 40);
  ASSERT_TRUE(comes_true([&] { return seals().size() + 1 == segment_files(data_).size(); }));
  EXPECT_EQ(scrub_->passes(), 0U);
  scrub_.reset();
  const auto made = read_file(seals().front());
  for (const std::string& path : seals()) std::filesystem::remove(path);
  reopen();
  EXPECT_EQ(read_file(seals().front()), made) << "a start makes the same one";
}

TEST_F(LmdbScrub, GoesOverEverythingAgainAndAgainWhileTheLogGrowsAndIsDropped) {
  fill_and_seal();
  begin(fast());
  for (std::uint64_t index = 41; index < 100; index += 10) {
    fill(index, index + 9);
    ASSERT_TRUE(store_->save(checkpoint_at(index, 1)).has_value());
    ASSERT_TRUE(store_->drop_before(Index{index - 20}).has_value());
  }
  const std::uint64_t before = scrub_->passes();
  ASSERT_TRUE(comes_true([&] { return scrub_->passes() > before + 2; }));
  EXPECT_GT(scrub_->bytes(), std::uint64_t{4} << 20U);
  EXPECT_NE(found_.get_future().wait_for(std::chrono::seconds(0)), std::future_status::ready);
}

TEST_F(LmdbScrub, FAULTS44_ABitThatRotsInAFileOfTheLogIsFound) {
  fill_and_seal();
  const std::string path = segment_files(data_)[1];
  const std::size_t place = read_file(path).find(data_for(12, 1, kEntryBytes));
  ASSERT_NE(place, std::string::npos);
  begin(fast());
  ASSERT_TRUE(comes_true([&] { return scrub_->passes() > 0; }));
  poke(path, place + 90'000, "!");
  auto found = found_.get_future();
  ASSERT_EQ(found.wait_for(kBound), std::future_status::ready);
  const Error error = found.get();
  EXPECT_EQ(error.code, Errc::damaged);
  EXPECT_THAT(error.text, HasSubstr(path));
}

TEST_F(LmdbScrub, FAULTS44_ABitThatRotsInACheckpointIsFound) {
  fill_and_seal();
  ASSERT_TRUE(store_->save(checkpoint_at(35, 1)).has_value());
  poke(checkpoint_files(data_).front(), 2'000, "!");
  begin(fast());
  auto found = found_.get_future();
  ASSERT_EQ(found.wait_for(kBound), std::future_status::ready);
  EXPECT_THAT(found.get().text, HasSubstr("checkpoint-"));
}

TEST_F(LmdbScrub, IsPaced) {
  fill_and_seal();
  Scrub::Options slow = fast();
  slow.bytes_per_s = 200'000;
  const auto begun = std::chrono::steady_clock::now();
  begin(slow);
  ASSERT_TRUE(comes_true([&] { return scrub_->bytes() >= 6 * kEntryBytes; }));
  // Two seconds' worth, and the chunk that is read before its pace is counted.
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(1'900));
}

}  // namespace
}  // namespace weir::storage
