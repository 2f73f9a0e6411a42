// Checkpoints and snapshots of the real store: what is on its disk, and what becomes of it when the disk is not as it
// was left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "storage/checkpoint_file.hpp"
#include "storage/snapshot_content.hpp"
#include "tests/storage/flush_hook.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class LmdbCheckpoints : public testing::Test {
 protected:
  LmdbCheckpoints() { store_ = open(data_).value(); }

  static std::expected<std::unique_ptr<LmdbLogStore>, Error> open(const std::string& folder) {
    return LmdbLogStore::open({.folder = folder,
                               .node_name = "n1",
                               .segment_bytes = LmdbLogStore::kSegmentBytesMin,
                               .prepare_bytes_per_s = 0});
  }
  static void grow(LogStore& store, std::uint64_t first, std::uint64_t last, std::size_t bytes = 60'000) {
    for (std::uint64_t index = first; index <= last; ++index) {
      const auto done = append_one(store, {hard_state(3), std::nullopt, entries(index, index, 3, bytes)});
      ASSERT_TRUE(done.has_value()) << done.error().text;
    }
  }
  void save(std::uint64_t index) {
    const auto saved = store_->save(checkpoint_at(index, 3));
    ASSERT_TRUE(saved.has_value()) << saved.error().text;
  }
  /// Thirty entries, checkpoints of 10, 20 and 28.
  void fill() {
    grow(*store_, 1, 30);
    for (const std::uint64_t index : {10U, 20U, 28U}) save(index);
  }
  void expect_damaged_when_opened(const std::string& text) {
    store_.reset();
    const auto opened = open(data_);
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, Errc::damaged);
    EXPECT_THAT(opened.error().text, HasSubstr(text));
    EXPECT_THAT(opened.error().text, HasSubstr("move the whole data folder away"));
  }
  std::vector<std::string> generations() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(data_))
      if (entry.is_directory()) names.push_back(entry.path().filename().string());
    return names;
  }

  const TempFolder folder_{Medium::memory};
  const std::string data_ = folder_ / "data";
  std::unique_ptr<LmdbLogStore> store_;
};

TEST_F(LmdbCheckpoints, FAULTS44_NoFlippedBitOfAFileIsServed) {
  grow(*store_, 1, 12, 100);
  save(10);
  const std::string path = checkpoint_files(data_).front();
  const std::string content = read_file(path);
  for (std::size_t offset = 0; offset < content.size(); offset += offset < 400 ? 1 : 97) {
    poke(path, offset, std::string(1, static_cast<char>(content[offset] ^ 16)));
    const auto read = store_->checkpoint(Index{10});
    ASSERT_FALSE(read.has_value()) << "byte " << offset;
    EXPECT_NE(read.error().code, Errc::gone) << "byte " << offset;
    EXPECT_THAT(read.error().text, HasSubstr(path));
    poke(path, offset, std::string(1, content[offset]));
  }
  EXPECT_TRUE(store_->checkpoint(Index{10}).has_value());
  poke(path, 20, "?");
  expect_damaged_when_opened(checkpoint_file_name(Index{10}));
}

TEST_F(LmdbCheckpoints, FAULTS45_AFileThatIsCutOffOrLongerIsDamaged) {
  fill();
  const std::string path = checkpoint_files(data_).back();
  const auto size = std::filesystem::file_size(path);
  for (const auto other : {size - 1, size + 1, std::uintmax_t{40}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(path, other);
    EXPECT_EQ(store_->checkpoint(Index{28}).error().code, Errc::damaged) << other;
  }
  expect_damaged_when_opened(checkpoint_file_name(Index{28}));
}

TEST_F(LmdbCheckpoints, FAULTS45_OneThatIsMissingBetweenOthersIsNoticed) {
  fill();
  std::filesystem::remove(checkpoint_files(data_)[1]);
  expect_damaged_when_opened("the checkpoint of entry 20, which is missing");
}

// The file is in place, but the process was told that it is not: what it saves next goes on from the one before.
TEST_F(LmdbCheckpoints, OneWhoseNameWasNotFlushedIsNoneOfThoseThatTheNextGoesOnFrom) {
  grow(*store_, 1, 30);
  save(10);
  {
    const FolderFlushFails fails;
    EXPECT_EQ(store_->save(checkpoint_at(20, 3)).error().code, Errc::io);
  }
  ASSERT_THAT(checkpoint_files(data_), SizeIs(2));
  save(28);
  store_.reset();
  store_ = open(data_).value();
  EXPECT_THAT(store_->checkpoints(), ElementsAre(Index{10}, Index{28}));
  EXPECT_THAT(checkpoint_files(data_), SizeIs(2));
}

TEST_F(LmdbCheckpoints, OneWhoseNameWasNotFlushedCountsIfItIsTheNewest) {
  grow(*store_, 1, 30);
  save(10);
  {
    const FolderFlushFails fails;
    EXPECT_EQ(store_->save(checkpoint_at(20, 3)).error().code, Errc::io);
  }
  store_.reset();
  store_ = open(data_).value();
  EXPECT_THAT(store_->checkpoints(), ElementsAre(Index{10}, Index{20}));
  EXPECT_TRUE(store_->checkpoint(Index{20}).has_value());
  save(28);
  EXPECT_THAT(store_->checkpoints(), ElementsAre(Index{10}, Index{20}, Index{28}));
}

TEST_F(LmdbCheckpoints, OneOfAnotherLogIsNoticed) {
  fill();
  const std::string other = folder_ / "other";
  {
    auto store = open(other).value();
    for (std::uint64_t index = 1; index <= 30; ++index)
      ASSERT_TRUE(append_one(*store, {hard_state(2), std::nullopt, entries(index, index, 2)}).has_value());
    ASSERT_TRUE(store->save(checkpoint_at(10, 2)).has_value());
  }
  std::filesystem::copy_file(checkpoint_files(other).front(), checkpoint_files(data_).front(),
                             std::filesystem::copy_options::overwrite_existing);
  expect_damaged_when_opened("another term");
}

TEST_F(LmdbCheckpoints, WhatWasBeingWrittenWhenTheProcessEndedIsRemoved) {
  fill();
  const std::string begun = generation_of(data_) + "/checkpoint.new";
  store_.reset();
  write_file(begun, "half");
  std::filesystem::create_directory(data_ + "/gen-000002");
  write_file(data_ + "/gen-000002/segment-half", "half");
  store_ = open(data_).value();
  EXPECT_FALSE(std::filesystem::exists(begun));
  EXPECT_THAT(generations(), ElementsAre("gen-000001"));
  EXPECT_THAT(store_->checkpoints(), ElementsAre(Index{10}, Index{20}, Index{28}));
}

// FAULTS 42: in a child, because the limit is the process's.
TEST_F(LmdbCheckpoints, FAULTS42_ASaveWithoutRoomChangesNothing) {
  grow(*store_, 1, 12, 100);
  save(10);
  const int status = status_of_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 3'000, .rlim_max = RLIM_INFINITY};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto saved = store_->save(checkpoint_at(12, 3));
    ASSERT_FALSE(saved.has_value());
    EXPECT_EQ(saved.error().code, Errc::disk_full) << saved.error().text;
    EXPECT_THAT(store_->checkpoints(), ElementsAre(Index{10}));
    EXPECT_THAT(checkpoint_files(data_), SizeIs(1));
    const rlimit enough{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &enough), 0);
    ASSERT_TRUE(store_->save(checkpoint_at(12, 3)).has_value());
    EXPECT_THAT(store_->checkpoints(), ElementsAre(Index{10}, Index{12}));
  });
  EXPECT_EQ(status, 0);
}

TEST_F(LmdbCheckpoints, OnlyOneThatEndsBeforeTheFileInUseCanBeSent) {
  grow(*store_, 1, 2, 100);
  save(2);
  EXPECT_EQ(store_->snapshot_index(), Index{0});
  EXPECT_THAT(pieces_of(*store_, 1'000), IsEmpty());
  grow(*store_, 3, 12);
  EXPECT_EQ(store_->snapshot_index(), Index{2});
  EXPECT_EQ(pieces_of(*store_, 100'000).front().snapshot.index, Index{2});
}

TEST_F(LmdbCheckpoints, NothingThatTheNewestSnapshotIsMadeOfIsDropped) {
  fill();
  save(30);
  ASSERT_LT(store_->snapshot_index(), Index{30}) << "the file in use has the last entry";
  ASSERT_TRUE(store_->drop_before(Index{31}).has_value());
  EXPECT_LE(store_->first_index(), store_->snapshot_index().next());
  EXPECT_THAT(store_->checkpoints(), testing::Contains(store_->snapshot_index()));
  EXPECT_GT(store_->first_index(), Index{1});
}

// A follower that is being helped is not thrown back by retention.
TEST_F(LmdbCheckpoints, FAULTS56_ASnapshotUnderWayOutlivesTheFilesItIsMadeOf) {
  fill();
  const auto pieces = pieces_of(*store_, 50'000);
  grow(*store_, 31, 60);
  save(55);
  ASSERT_TRUE(store_->drop_before(Index{56}).has_value());
  store_->wait_for_background();
  ASSERT_GT(store_->first_index(), pieces.front().snapshot.index);
  for (const auto& piece : pieces) {
    const auto again = store_->read_snapshot(piece.snapshot.number, piece.offset, 50'000);
    ASSERT_TRUE(again.has_value()) << again.error().text;
    ASSERT_EQ(again->snapshot, piece.snapshot);
    ASSERT_EQ(again->data, piece.data);
  }
}

TEST_F(LmdbCheckpoints, FAULTS26_AnInstallLeavesNothingOfTheOldFolder) {
  fill();
  const std::string follower = folder_ / "follower";
  auto store = open(follower).value();
  grow(*store, 1, 9);
  const auto pieces = pieces_of(*store_, 40'000);
  for (const auto& piece : pieces) ASSERT_TRUE(store->receive(piece).has_value());
  LogWrite write{.hard_state = hard_state(3, 1), .truncate_from = {}, .entries = {}};
  write.install = pieces.front().snapshot;
  ASSERT_TRUE(append_one(*store, write).has_value());
  store->wait_for_background();
  EXPECT_EQ(generation_of(follower), follower + "/gen-000002");
  EXPECT_FALSE(std::filesystem::exists(follower + "/gen-000001"));
  // What it has can be sent on.
  const auto passed_on = pieces_of(*store, 40'000);
  EXPECT_EQ(passed_on.front().snapshot.index, pieces.front().snapshot.index);
  store = nullptr;
  store = open(follower).value();
  EXPECT_EQ(store->recovered().hard_state, hard_state(3, 1));
  EXPECT_EQ(store->recovered().last_index, pieces.front().snapshot.index);
}

// Where everything before the snapshot's end was dropped, a log begins behind it.
TEST_F(LmdbCheckpoints, ASnapshotWithoutEntriesIsOne) {
  const std::string follower = folder_ / "follower";
  grow(*store_, 1, 10);
  std::uint64_t last = 10;
  // Until a file ends just where a checkpoint does.
  while (store_->first_index() <= Index{10}) {
    ASSERT_LT(last, 100U);
    const auto files = store_->segment_paths().size();
    ++last;
    grow(*store_, last, last);
    if (store_->segment_paths().size() == files) continue;
    save(last - 1);
    ASSERT_TRUE(store_->drop_before(Index{last}).has_value());
  }
  ASSERT_EQ(store_->first_index(), Index{last});
  ASSERT_EQ(store_->snapshot_index(), Index{last - 1});
  auto store = open(follower).value();
  const auto pieces = pieces_of(*store_, 1'000);
  for (const auto& piece : pieces) ASSERT_TRUE(store->receive(piece).has_value());
  LogWrite write{.hard_state = hard_state(3), .truncate_from = {}, .entries = {}};
  write.install = pieces.front().snapshot;
  ASSERT_TRUE(append_one(*store, write).has_value());
  EXPECT_EQ(store->first_index(), Index{last});
  grow(*store, last, last + 2);
  store = nullptr;
  store = open(follower).value();
  EXPECT_EQ(store->recovered().prev_term, raft::Term{3});
  EXPECT_EQ(store->recovered().last_index, Index{last + 2});
  EXPECT_THAT(store->checkpoints(), ElementsAre(Index{last - 1}));
}

TEST(SnapshotContent, SizesOfContentAndOfWhatTravelsBelongTogether) {
  for (const std::uint64_t content :
       {std::uint64_t{1}, kBlockBytes - 1, kBlockBytes, kBlockBytes + 1, 5 * kBlockBytes, 7 * kBlockBytes + 12'345}) {
    EXPECT_EQ(content_bytes(framed_bytes(content)), content);
  }
  for (std::uint64_t none = 0; none <= kBlockChecksumBytes; ++none) {
    EXPECT_EQ(content_bytes(none), std::nullopt);
    EXPECT_EQ(content_bytes(kBlockBytes + kBlockChecksumBytes + none),
              none == 0 ? std::optional(kBlockBytes) : std::nullopt);
  }
}

TEST(SnapshotContent, AListOfFilesComesBackOrIsRefused) {
  const SnapshotManifest manifest{.index = Index{28},
                                  .term = raft::Term{3},
                                  .checkpoints = {{.index = Index{10}, .bytes = 5}, {.index = Index{28}, .bytes = 7}},
                                  .segments = {{.record = {Index{1}, 77}, .bytes = 4'096}}};
  const std::string bytes = encode_manifest(manifest);
  ASSERT_TRUE(decode_manifest(bytes).has_value());
  EXPECT_EQ(*decode_manifest(bytes), manifest);
  EXPECT_EQ(manifest.file_bytes(), 4'108U);
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode_manifest(bytes.substr(0, size))) << size;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string wrong = bytes;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    EXPECT_FALSE(decode_manifest(wrong)) << at;
  }
}

}  // namespace
}  // namespace weir::storage
