// The chain of segments: files are prepared, rolled, cut back, dropped, taken over from version 1, and told from what a
// crash left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "storage/segment_files.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::size_t kEntryBytes = 100'000;

class LmdbChain : public testing::Test {
 protected:
  LmdbLogStore::Options options() {
    return {.folder = data_, .node_name = "n1", .segment_bytes = segment_bytes_, .prepare_bytes_per_s = 0};
  }
  void reopen() {
    store_.reset();
    auto opened = LmdbLogStore::open(options());
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    store_ = *std::move(opened);
  }
  // Entries up to `last`, one in each call.
  void fill(std::uint64_t last, std::uint64_t term = 1) {
    for (std::uint64_t index = last_ + 1; index <= last; ++index)
      ASSERT_TRUE(append_one(*store_, {hard_state(term), std::nullopt, entries(index, index, term, kEntryBytes)}));
    last_ = last;
  }
  Error must_not_open() {
    store_.reset();
    auto opened = LmdbLogStore::open(options());
    EXPECT_FALSE(opened.has_value());
    return opened ? Error{} : opened.error();
  }

  TempFolder folder_{Medium::memory};
  const std::string data_ = folder_ / "data";
  const std::string generation_ = data_ + "/gen-000001";
  std::uint64_t segment_bytes_ = std::uint64_t{1} << 20U;
  std::uint64_t last_ = 0;
  std::unique_ptr<LmdbLogStore> store_;
};

TEST_F(LmdbChain, AFullFileIsFollowedByThePreparedOne) {
  reopen();
  fill(6);
  EXPECT_THAT(store_->segment_paths(), SizeIs(1));
  store_->wait_for_background();
  EXPECT_EQ(std::filesystem::file_size(generation_ + "/next.mdb"), segment_bytes_);
  fill(12);
  EXPECT_THAT(store_->segment_paths(), SizeIs(2));
  EXPECT_EQ(std::filesystem::file_size(store_->segment_paths()[1]), segment_bytes_) << "it was the prepared one";
  fill(60);
  EXPECT_EQ(store_->segment_paths(), segment_files(data_));
  EXPECT_GT(segment_files(data_).size(), 6U);
  EXPECT_EQ(read_all(*store_), entries(1, 60, 1, kEntryBytes));
  reopen();
  EXPECT_EQ(read_all(*store_), entries(1, 60, 1, kEntryBytes));
}

TEST_F(LmdbChain, AReadGoesOnInTheNextFile) {
  reopen();
  fill(40);
  ASSERT_GT(store_->segment_paths().size(), 3U);
  for (std::uint64_t first = 1; first <= 40; ++first) {
    const auto read = store_->read(Index{first}, Index{first + 12}, ~std::size_t{0});
    ASSERT_TRUE(read.has_value());
    ASSERT_EQ(*read, entries(first, std::min<std::uint64_t>(first + 12, 40), 1, kEntryBytes));
    ASSERT_THAT(*store_->read(Index{first}, Index{40}, 3 * kEntryBytes),
                SizeIs(std::min<std::uint64_t>(3, 41 - first)));
  }
}

TEST_F(LmdbChain, ATruncationThatReachesIntoOlderFilesRemovesTheNewer) {
  reopen();
  fill(40);
  const auto before = store_->segment_paths();
  const std::string oldest = read_file(before[0]);
  ASSERT_TRUE(append_one(*store_, {hard_state(2), Index{5}, entries(5, 7, 2)}).has_value());
  store_->wait_for_background();
  EXPECT_THAT(segment_files(data_), SizeIs(2));
  EXPECT_EQ(read_file(before[0]), oldest) << "what has rolled is never written to again";
  for (int look = 0; look < 2; ++look) {
    auto expected = entries(1, 4, 1, kEntryBytes);
    for (const auto& more : entries(5, 7, 2)) expected.push_back(more);
    EXPECT_EQ(read_all(*store_), expected);
    reopen();
  }
}

TEST_F(LmdbChain, FAULTS56_DroppedFilesGoInTheBackgroundAndTheFirstIndexNeverFalls) {
  reopen();
  fill(60);
  const std::size_t count = segment_files(data_).size();
  ASSERT_TRUE(store_->drop_before(Index{61}).has_value());
  EXPECT_EQ(store_->first_index(), Index{1}) << "without a snapshot nobody could be helped";
  ASSERT_TRUE(store_->save(checkpoint_at(55, 1)).has_value());
  Index first{1};
  for (std::uint64_t index = 2; index <= 61; index += 7) {
    ASSERT_TRUE(store_->drop_before(Index{index}).has_value());
    EXPECT_GE(store_->first_index(), first);
    EXPECT_LE(store_->first_index(), Index{index});
    first = store_->first_index();
    if (first > Index{1}) {
      EXPECT_EQ(store_->read(Index{1}, Index{60}, 1).error().code, Errc::gone);
    }
  }
  store_->wait_for_background();
  EXPECT_LT(segment_files(data_).size(), count / 2);
  reopen();
  EXPECT_EQ(store_->first_index(), first);
  EXPECT_EQ(store_->recovered().first_index, first);
}

TEST_F(LmdbChain, FAULTS49_AReaderOfADroppedFileFinishes) {
  reopen();
  fill(30);
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::thread reader([&] {
    while (!stop) {
      const Index first = store_->first_index();
      const auto read = store_->read(first, first + 5, ~std::size_t{0});
      if (!read && read.error().code != Errc::gone) ++wrong;
      if (read && *read != entries(first.value, first.value + 5, 1, kEntryBytes)) ++wrong;
    }
  });
  while (last_ < 200) {
    fill(last_ + 10);
    EXPECT_TRUE(store_->save(checkpoint_at(last_ - 9, 1)).has_value());
    EXPECT_TRUE(store_->drop_before(Index{last_ - 15}).has_value());
  }
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
  store_->wait_for_background();
  EXPECT_LT(segment_files(data_).size(), 6U);
}

TEST_F(LmdbChain, AFolderOfVersion1IsTakenOver) {
  reopen();
  fill(5);
  store_.reset();
  const std::string path = segment_file(data_);
  std::filesystem::rename(path, generation_ + "/" + segment_file_name_of_version_1(Index{1}));
  reopen();
  fill(20);
  EXPECT_EQ(read_all(*store_), entries(1, 20, 1, kEntryBytes));
  EXPECT_EQ(segment_file(data_), path);
}

TEST_F(LmdbChain, WhatACrashLeftIsRemoved) {
  reopen();
  fill(20);
  store_.reset();
  const auto files = segment_files(data_);
  // Prepared, begun, begun and put in place but not listed, cut off but not removed.
  write_file(generation_ + "/next.mdb", "half written");
  write_file(generation_ + "/begun.mdb", "");
  std::filesystem::copy_file(files.front(), generation_ + "/segment-00000000000000000003-00000000000000aa.mdb");
  reopen();
  EXPECT_EQ(segment_files(data_), files);
  EXPECT_FALSE(std::filesystem::exists(generation_ + "/next.mdb"));
  EXPECT_FALSE(std::filesystem::exists(generation_ + "/begun.mdb"));
  EXPECT_EQ(read_all(*store_), entries(1, 20, 1, kEntryBytes));
}

TEST_F(LmdbChain, FAULTS25_AListOlderThanTheFilesIsRefusedAndNothingIsRemoved) {
  reopen();
  fill(5);
  store_.reset();
  const std::string older = read_file(state_file(data_));
  reopen();
  fill(30);
  store_.reset();
  const auto files = segment_files(data_);
  write_file(state_file(data_), older);
  const Error error = must_not_open();
  EXPECT_EQ(error.code, Errc::damaged);
  EXPECT_THAT(error.text, HasSubstr("older than the log"));
  EXPECT_EQ(segment_files(data_), files);
}

TEST_F(LmdbChain, FAULTS45_AMissingOrForeignFileInTheMiddleIsNamed) {
  reopen();
  fill(40);
  store_.reset();
  const auto files = segment_files(data_);
  ASSERT_GT(files.size(), 3U);
  for (const std::string& path : files) {
    const std::string content = read_file(path);
    std::filesystem::remove(path);
    EXPECT_THAT(must_not_open().text, HasSubstr(path));
    write_file(path, content.substr(0, std::size_t{64} << 10U));
    EXPECT_THAT(must_not_open().text, HasSubstr(path));
    write_file(path, read_file(&path == &files[1] ? files[2] : files[1]));
    EXPECT_THAT(must_not_open().text, HasSubstr(path));
    write_file(path, content);
  }
  reopen();
  EXPECT_EQ(read_all(*store_), entries(1, 40, 1, kEntryBytes));
}

TEST_F(LmdbChain, FAULTS44_AFlippedByteInARolledFileIsNamedAndTheOthersAreRead) {
  reopen();
  fill(40);
  const std::string path = store_->segment_paths()[1];
  const std::string content = read_file(path);
  const std::size_t at = content.find(data_for(12, 1, kEntryBytes).substr(0, 64));
  ASSERT_NE(at, std::string::npos);
  poke(path, at + 10'000, "~");
  const auto read = store_->read(Index{12}, Index{12}, 1);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, Errc::damaged);
  EXPECT_THAT(read.error().text, HasSubstr(path));
  EXPECT_TRUE(store_->read(Index{30}, Index{40}, ~std::size_t{0}).has_value());
  const Error error = must_not_open();
  EXPECT_EQ(error.code, Errc::damaged);
  EXPECT_THAT(error.text, HasSubstr(path));
}

/// No file may grow beyond `bytes` while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uint64_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_{};
};

bool becomes(const SegmentFiles& files, DiskSpace space) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (files.space() != space && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return files.space() == space;
}

TEST_F(LmdbChain, FAULTS42_APreparationWithoutRoomIsSaidAndTriedAgain) {
  SegmentFiles files({.folder = folder_ / "",
                      .segment_bytes = std::uint64_t{4} << 20U,
                      .bytes_per_s = 0,
                      .retry = std::chrono::milliseconds(1)});
  EXPECT_EQ(files.space(), DiskSpace::enough);
  {
    const FileSizeLimit full(std::uint64_t{2} << 20U);
    files.prepare();
    EXPECT_TRUE(becomes(files, DiskSpace::nearly_full));
    EXPECT_EQ(*files.take(folder_ / "taken.mdb"), Taken::none_ready);
  }
  EXPECT_TRUE(becomes(files, DiskSpace::enough));
  files.wait_until_idle();
  EXPECT_EQ(*files.take(folder_ / "taken.mdb"), Taken::prepared);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "taken.mdb"), std::uint64_t{4} << 20U);
  EXPECT_EQ(*files.take(folder_ / "taken.mdb"), Taken::none_ready) << "each file is given once";
}

TEST_F(LmdbChain, FAULTS42_ARollWithoutRoomRefusesAndGoesOnWhenThereIsRoom) {
  reopen();
  fill(5);
  store_->wait_for_background();
  const auto large = entries(6, 6, 1, 5'000'000);
  {
    const FileSizeLimit full(std::uint64_t{4} << 20U);
    for (int again = 0; again < 2; ++again) {
      const auto refused = append_entries(*store_, large);
      ASSERT_FALSE(refused.has_value());
      EXPECT_EQ(refused.error().code, Errc::disk_full) << refused.error().text;
      EXPECT_THAT(segment_files(data_), SizeIs(1)) << "nothing is left of it";
    }
    fill(6);
  }
  ASSERT_TRUE(append_one(*store_, {hard_state(2), Index{6}, entries(6, 6, 2, 5'000'000)}).has_value());
  reopen();
  auto expected = entries(1, 5, 1, kEntryBytes);
  expected.push_back(entry(6, 2, 5'000'000));
  EXPECT_EQ(read_all(*store_), expected);
}

TEST_F(LmdbChain, ASegmentsSizeHasBounds) {
  for (const std::uint64_t bytes : {std::uint64_t{0}, LmdbLogStore::kSegmentBytesMin - 1, ~std::uint64_t{0}}) {
    segment_bytes_ = bytes;
    EXPECT_EQ(must_not_open().code, Errc::setup);
  }
}

}  // namespace
}  // namespace weir::storage
