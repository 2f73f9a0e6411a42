// Files of the log that were rewritten, on a real disk: seals, damage, what a crash leaves, what looks at them
// meanwhile (docs/decisions/0023; FAULTS 44, 46).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <future>
#include <optional>

#include "storage/inspect.hpp"
#include "storage/scrub.hpp"
#include "tests/storage/flush_hook.hpp"
#include "tests/storage/rewrites.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::size_t kEntryBytes = 40'000;
constexpr std::uint64_t kLast = 120;

class LmdbRewrite : public testing::Test {
 protected:
  LmdbRewrite() {
    reopen();
    for (std::uint64_t index = 1; index <= kLast; ++index) {
      log_.push_back(entry(index, 1, kEntryBytes));
      EXPECT_TRUE(append_one(*store_, {hard_state(1), std::nullopt, {&log_.back(), 1}}).has_value());
    }
    files_ = store_->log_files();
    EXPECT_GE(files_.size(), 4U);
    // As far as the third of them: a truncation may begin right behind it.
    EXPECT_TRUE(store_->save(checkpoint_at(files_[2].end.value - 1, 1)).has_value());
  }
  LmdbLogStore::Options options(const std::string& folder) const {
    return {.folder = folder, .node_name = "n1", .segment_bytes = std::uint64_t{1} << 20U, .prepare_bytes_per_s = 0};
  }
  void reopen() {
    store_.reset();
    auto opened = LmdbLogStore::open(options(data_));
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    store_ = *std::move(opened);
  }
  static KeepEntry keep() {
    return [](Index index, raft::Command) { return index.value % 10 == 0; };
  }
  /// The file `number` of those that can be.
  void rewrite(std::size_t number) {
    ASSERT_TRUE(rewrite_file(*store_, files_[number], keep()));
    hollow_out(log_, files_[number], keep());
  }
  [[nodiscard]] std::string path_of(std::size_t number) const { return store_->segment_paths()[number]; }
  [[nodiscard]] std::vector<std::string> lines_of(std::expected<void, Error> (*look)(const std::string&,
                                                                                     const LinePrinter&)) {
    store_.reset();
    std::vector<std::string> lines;
    const auto looked = look(data_, [&lines](const std::string& line) { lines.push_back(line); });
    if (!looked) lines.push_back("ERROR " + looked.error().text);
    return lines;
  }

  TempFolder folder_{Medium::memory};
  const std::string data_ = folder_ / "data";
  std::unique_ptr<LmdbLogStore> store_;
  std::vector<raft::Entry> log_;
  std::vector<LogFile> files_;
};

TEST_F(LmdbRewrite, TheNewFileTakesThePlaceOfTheOldAndHasASeal) {
  const std::string old = path_of(1);
  rewrite(1);
  store_->wait_for_background();
  EXPECT_NE(path_of(1), old);
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_FALSE(std::filesystem::exists(old + ".seal"));
  EXPECT_TRUE(std::filesystem::exists(path_of(1) + ".seal"));
  EXPECT_LT(std::filesystem::file_size(path_of(1)), files_[1].bytes / 4);
  EXPECT_EQ(store_->log_files()[1].bytes, std::filesystem::file_size(path_of(1)));
  const std::string sealed = read_file(path_of(1) + ".seal");
  std::filesystem::remove(path_of(1) + ".seal");
  reopen();
  EXPECT_EQ(read_file(path_of(1) + ".seal"), sealed) << "a start that reads all of it makes the same one";
  EXPECT_EQ(read_all(*store_), log_);
}

TEST_F(LmdbRewrite, CheckAndDumpUnderstandIt) {
  rewrite(0);
  rewrite(1);
  const auto checked = lines_of(check_folder);
  EXPECT_THAT(checked.back(), HasSubstr("entries 1..120  terms in 1 runs  whole"));
  EXPECT_THAT(checked, Not(Contains(HasSubstr("DAMAGED"))));
  const auto dumped = lines_of(dump_folder);
  EXPECT_THAT(dumped, Contains(HasSubstr("HOLLOW  data 0")));
  EXPECT_THAT(dumped, Contains(HasSubstr("rewritten to index " + std::to_string(files_[1].end.value - 1))));
}

TEST_F(LmdbRewrite, ATruncationRightBehindItGoesOnWithTheOriginalChain) {
  rewrite(2);
  const std::uint64_t from = files_[2].end.value;
  const auto other = entries(from, from + 2, 2, 700);
  ASSERT_TRUE(append_one(*store_, {hard_state(2), Index{from}, other}).has_value());
  log_.resize(from - 1);
  log_.insert(log_.end(), other.begin(), other.end());
  EXPECT_EQ(read_all(*store_), log_);
  reopen();
  EXPECT_EQ(read_all(*store_), log_);
  EXPECT_THAT(lines_of(check_folder).back(), HasSubstr("whole"));
}

TEST_F(LmdbRewrite, FAULTS44_DamageBehindTheSealIsFoundByReadsAndByCheck) {
  rewrite(1);
  store_->wait_for_background();
  const std::string path = path_of(1);
  const std::uint64_t kept = (files_[1].first.value + 9) / 10 * 10;
  const std::size_t place = read_file(path).find(data_for(kept, 1, kEntryBytes));
  ASSERT_NE(place, std::string::npos);
  poke(path, place + 100, "rot");
  reopen();
  const auto read = store_->read(Index{kept}, Index{kept}, 1);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, Errc::damaged);
  EXPECT_THAT(lines_of(check_folder), Contains(HasSubstr("ERROR " + path)));
}

// Without its seal the file is read as a whole: no flipped bit makes of it another log.
TEST_F(LmdbRewrite, FAULTS44_NoFlippedBitChangesWhatIsRead) {
  rewrite(1);
  const std::string path = path_of(1);
  store_.reset();
  std::filesystem::remove(path + ".seal");
  const std::string whole = read_file(path);
  std::mt19937_64 random{test_seed()};
  std::size_t damaged = 0;
  for (std::size_t round = 0; round < 60; ++round) {
    std::string rotten = whole;
    // The head, the tree and the first chunk's beginning are in the first pages.
    const std::size_t at = random() % (round % 2 == 0 ? std::min<std::size_t>(whole.size(), 32'768) : whole.size());
    rotten[at] = static_cast<char>(rotten[at] ^ static_cast<char>(1U << (random() % 8)));
    write_file(path, rotten);
    const int status = status_of_child([&] {
      auto opened = LmdbLogStore::open(options(data_));
      if (!opened) {
        EXPECT_EQ(opened.error().code, Errc::damaged) << at << ": " << opened.error().text;
        return _exit(2);
      }
      EXPECT_EQ(read_all(**opened), log_) << at;
    });
    std::filesystem::remove(path + ".seal");
    ASSERT_TRUE(status == 0 || status == 2 << 8) << "byte " << at << ", status " << status;
    damaged += status == 0 ? 0 : 1;
  }
  EXPECT_GT(damaged, 30U);
  write_file(path, whole);
  reopen();
  EXPECT_EQ(read_all(*store_), log_);
}

TEST_F(LmdbRewrite, FAULTS44_DamageInTheOldFileIsNeverCopied) {
  const std::string path = path_of(1);
  const std::size_t place = read_file(path).find(data_for(files_[1].first.value + 3, 1, kEntryBytes));
  ASSERT_NE(place, std::string::npos);
  poke(path, place + 100, "rot");
  std::expected<RewriteAnswer, Error> answer = RewriteAnswer::more;
  while (answer == RewriteAnswer::more) answer = store_->rewrite(files_[1].first, keep(), 100'000);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Errc::damaged);
  EXPECT_THAT(answer.error().text, HasSubstr(path));
  EXPECT_THAT(files_like(data_, "rewrite", ""), IsEmpty());
}

TEST_F(LmdbRewrite, FAULTS46_WhatACrashLeavesGoesWithTheNextStart) {
  const std::string begun = folder_ / "begun";
  const std::string ready = folder_ / "ready";
  ASSERT_EQ(*store_->rewrite(files_[1].first, keep(), 1), RewriteAnswer::more);
  ASSERT_THAT(files_like(data_, "rewrite", ".mdb"), Not(IsEmpty()));
  std::filesystem::copy(data_, begun, std::filesystem::copy_options::recursive);
  ASSERT_EQ(write_anew(*store_, files_[1], keep()), RewriteAnswer::ready);
  std::filesystem::copy(data_, ready, std::filesystem::copy_options::recursive);
  ASSERT_EQ(segment_files(ready).size(), store_->segment_paths().size() + 1);
  for (const std::string& folder : {begun, ready}) {
    const auto opened = LmdbLogStore::open(options(folder));
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    EXPECT_EQ(read_all(**opened), log_);
    EXPECT_THAT(files_like(folder, "rewrite", ""), IsEmpty());
    EXPECT_EQ(segment_files(folder).size(), (*opened)->segment_paths().size());
    EXPECT_EQ((*opened)->hollow_to(), Index{});
  }
}

TEST_F(LmdbRewrite, FAULTS41_AFlushThatFailsLeavesTheOldFile) {
  {
    const FlushHook hook([](int) { return EIO; });
    std::expected<RewriteAnswer, Error> answer = RewriteAnswer::more;
    while (answer == RewriteAnswer::more) answer = store_->rewrite(files_[1].first, keep(), 100'000);
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, Errc::io);
  }
  EXPECT_THAT(files_like(data_, "rewrite", ""), IsEmpty());
  EXPECT_EQ(read_all(*store_), log_);
  // Nothing of the log was touched: it goes on, and so does the next attempt.
  log_.push_back(entry(kLast + 1, 1, 100));
  ASSERT_TRUE(append_entries(*store_, {log_.back()}).has_value());
  rewrite(1);
  EXPECT_EQ(read_all(*store_), log_);
}

TEST_F(LmdbRewrite, TheScrubFindsNothingWrongWhileFilesAreReplaced) {
  std::promise<Error> found;
  Scrub scrub(*store_,
              {.bytes_per_s = std::uint64_t{1} << 30U,
               .pause = std::chrono::milliseconds(1),
               .seal_bytes_per_s = 0,
               .poll = std::chrono::milliseconds(1)},
              [&found](const Error& error) { found.set_value(error); });
  const auto passes_to = [&scrub](std::uint64_t wanted) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (scrub.passes() < wanted)
      if (std::chrono::steady_clock::now() > end) return false;
    return true;
  };
  ASSERT_TRUE(passes_to(1));
  for (const std::size_t number : {2U, 0U, 1U}) rewrite(number);
  ASSERT_TRUE(passes_to(scrub.passes() + 3));
  EXPECT_NE(found.get_future().wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(read_all(*store_), log_);
}

TEST_F(LmdbRewrite, SmallEntriesComeToFewPages) {
  const TempFolder other(Medium::memory);
  auto store = *LmdbLogStore::open(options(other / "data"));
  // Each in a chunk, and so in a page, of its own.
  std::vector<raft::Entry> log;
  for (std::uint64_t index = 1; index <= 700; ++index) {
    log.push_back(entry(index, 1, 100));
    ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, {&log.back(), 1}}).has_value());
  }
  const LogFile file = store->log_files().front();
  ASSERT_GT(file.end.value, 150U);
  ASSERT_TRUE(store->save(checkpoint_at(file.end.value, 1)).has_value());
  ASSERT_TRUE(rewrite_file(*store, file, keep()));
  hollow_out(log, file, keep());
  EXPECT_LT(store->log_files().front().bytes, 100'000U);
  EXPECT_EQ(read_all(*store), log);
}

}  // namespace
}  // namespace weir::storage
