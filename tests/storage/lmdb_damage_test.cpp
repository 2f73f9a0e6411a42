// Files that rot, are cut, emptied or lost while the node is down (FAULTS 44, 45), or rot while it runs. Whatever is
// done to a file: the store opens with exactly what was written, or says that it is damaged. It never crashes, never
// returns a wrong value and never takes itself for a new node.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::HasSubstr;

constexpr std::size_t kPageSize = 4096;

class LmdbDamage : public testing::Test {
 protected:
  // A log of several chunks, one of them of many pages, with freed pages from truncations.
  LmdbDamage() {
    auto store = must_open(data_);
    EXPECT_TRUE(store->found("c-1", log_[0]).has_value());
    for (const auto& [first, last, size] : {std::array{2UL, 4UL, 10UL}, {5UL, 9UL, 3000UL}, {10UL, 12UL, 500UL}})
      append(*store, first, last, size);
    EXPECT_TRUE(append_one(*store, {hard_state(2, 1), Index{11}, entries(11, 12, 2, 60)}).has_value());
    EXPECT_TRUE(append_one(*store, {hard_state(3, 2), Index{12}, {}}).has_value());
    EXPECT_TRUE(append_entries(*store, entries(12, 14, 3, 40)).has_value());
    log_.push_back(entry(11, 2, 60));
    for (const auto& more : entries(12, 14, 3, 40)) log_.push_back(more);
    EXPECT_EQ(read_all(*store), log_);
    store.reset();
    segment_ = used_part(read_file(segment_file(data_)));
    state_ = used_part(read_file(state_file(data_)));
  }

  void append(LogStore& store, std::uint64_t first, std::uint64_t last, std::size_t size) {
    EXPECT_TRUE(append_entries(store, entries(first, last, 1, size)).has_value());
    for (const auto& more : entries(first, std::min<std::uint64_t>(last, 10), 1, size)) log_.push_back(more);
  }

  // The file up to the last page that its meta pages speak of.
  static std::string used_part(const std::string& file) {
    std::uint64_t last_page = 0;
    for (const std::size_t meta : {std::size_t{0}, kPageSize}) {
      std::uint64_t page = 0;
      std::memcpy(&page, file.data() + meta + 136, sizeof page);
      last_page = std::max(last_page, page);
    }
    return file.substr(0, (last_page + 1) * kPageSize);
  }

  // Damaged, or all of the log and (tried every third time: it costs two flushes) able to go on.
  void expect_damaged_or_whole(const std::string& what) {
    auto store = open_lmdb(data_);
    if (!store) {
      ASSERT_EQ(store.error().code, Errc::damaged) << what << ": " << store.error().text;
      ++damaged_;
      return;
    }
    ASSERT_EQ(read_all(**store), log_) << what;
    ASSERT_EQ((*store)->identity().cluster_id, "c-1") << what;
    ASSERT_EQ((*store)->recovered().hard_state, hard_state(3, 2)) << what;
    if (whole_++ % 3 != 0) return;
    ASSERT_TRUE(append_one(**store, {std::nullopt, Index{14}, entries(14, 15, 3, 2000)}).has_value()) << what;
    store->reset();
    store = open_lmdb(data_);
    ASSERT_TRUE(store.has_value()) << what << ": " << store.error().text;
    auto longer = log_;
    longer.pop_back();
    longer.push_back(entry(14, 3, 2000));
    longer.push_back(entry(15, 3, 2000));
    ASSERT_EQ(read_all(**store), longer) << what;
  }

  void restore() {
    write_file(segment_file(data_), segment_);
    write_file(state_file(data_), state_);
  }

  Error must_be_damaged() {
    const auto store = open_lmdb(data_);
    EXPECT_FALSE(store.has_value());
    if (store) return {};
    EXPECT_EQ(store.error().code, Errc::damaged) << store.error().text;
    return store.error();
  }

  void flip_random_bits(const std::string& path, const std::string& content, int rounds) {
    std::mt19937_64 random(test_seed());
    for (int round = 0; round < rounds && !HasFatalFailure(); ++round) {
      const std::size_t bit = random() % (content.size() * 8);
      std::string flipped = content;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ static_cast<char>(1U << (bit % 8)));
      restore();
      write_file(path, flipped);
      expect_damaged_or_whole(path + " bit " + std::to_string(bit));
    }
  }

  TempFolder folder_{Medium::memory};
  const std::string data_ = folder_ / "data";
  std::vector<raft::Entry> log_{entry(1, 1, 100, raft::Command::config)};
  std::string segment_;
  std::string state_;
  int damaged_ = 0;
  int whole_ = 0;
};

TEST_F(LmdbDamage, UntouchedFilesAreWhole) {
  restore();
  expect_damaged_or_whole("untouched");
  EXPECT_EQ(whole_, 1);
}

TEST_F(LmdbDamage, FAULTS44_EveryChunkByteCounts) {
  const std::string magic = "WCHK";
  std::mt19937_64 random(test_seed());
  int chunks = 0;
  const auto chunk_count = [&] {
    int count = 0;
    for (std::size_t at = segment_.find(magic); at != std::string::npos; at = segment_.find(magic, at + 1)) ++count;
    return count;
  };
  const auto list = *must_open(data_)->read(Index{1}, Index{14}, ~std::size_t{0});
  ASSERT_EQ(list, log_);
  // Every chunk that is part of the log begins, after the page's header, with its checksum; the others are free pages.
  for (std::size_t at = segment_.find(magic); at != std::string::npos; at = segment_.find(magic, at + 1)) {
    const std::size_t begin = at - 8;
    std::uint32_t size = 0;
    std::memcpy(&size, segment_.data() + begin + 24, sizeof size);
    std::size_t noticed = 0;
    constexpr std::size_t kTries = 60;
    for (std::size_t tries = 0; tries < kTries; ++tries) {
      const std::size_t offset = begin + (tries < 30 ? random() % kChunkHeaderSize : random() % size);
      restore();
      poke(segment_file(data_), offset, std::string(1, static_cast<char>(~segment_[offset])));
      const auto store = open_lmdb(data_);
      if (store) {
        ASSERT_EQ(read_all(**store), log_);
      } else {
        EXPECT_EQ(store.error().code, Errc::damaged);
        ++noticed;
      }
    }
    EXPECT_TRUE(noticed == 0 || noticed == kTries) << "a page is part of the log or free, at " << begin;
    chunks += noticed == kTries;
  }
  EXPECT_EQ(chunks, 5) << "of " << chunk_count() << " in the file";
}

TEST_F(LmdbDamage, FAULTS44_RandomFlipsInTheLogAreNoticedOrHarmless) {
  EXPECT_EQ(status_of_child([&] { flip_random_bits(segment_file(data_), segment_, 400); }), 0);
}

TEST_F(LmdbDamage, FAULTS44_RandomFlipsInTheStateAreNoticedOrHarmless) {
  EXPECT_EQ(status_of_child([&] { flip_random_bits(state_file(data_), state_, 200); }), 0);
}

TEST_F(LmdbDamage, FAULTS44_FlipsInMetaPagesAreNoticedOrHarmless) {
  const auto flip_metas = [&](const std::string& path, const std::string& content) {
    for (std::size_t bit = 0; bit < 160 * 8; bit += 5) {
      for (const std::size_t meta : {std::size_t{0}, kPageSize}) {
        std::string flipped = content;
        char& byte = flipped[meta + bit / 8];
        byte = static_cast<char>(byte ^ static_cast<char>(1U << (bit % 8)));
        restore();
        write_file(path, flipped);
        ASSERT_NO_FATAL_FAILURE(expect_damaged_or_whole(path + " meta bit " + std::to_string(meta * 8 + bit)));
      }
    }
  };
  EXPECT_EQ(status_of_child([&] { flip_metas(segment_file(data_), segment_); }), 0);
  EXPECT_EQ(status_of_child([&] { flip_metas(state_file(data_), state_); }), 0);
}

TEST_F(LmdbDamage, FAULTS44_AByteThatRotsWhileTheNodeRunsIsNeverServed) {
  restore();
  const auto store = must_open(data_);
  const std::size_t data = segment_.find(std::string(log_[5].data.view().substr(100, 16)));
  ASSERT_NE(data, std::string::npos);
  poke(segment_file(data_), data, "X");
  const auto log = store->read(Index{5}, Index{6}, ~std::size_t{0});
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().code, Errc::damaged);
  EXPECT_THAT(log.error().text, HasSubstr(segment_file(data_)));
  EXPECT_TRUE(store->read(Index{1}, Index{4}, ~std::size_t{0}).has_value()) << "other chunks are well";
  const auto truncated = append_one(*store, {hard_state(4), Index{6}, entries(6, 6, 4)});
  ASSERT_FALSE(truncated.has_value()) << "what is kept of a rotten chunk must not get a new checksum";
  EXPECT_EQ(truncated.error().code, Errc::damaged);
}

TEST_F(LmdbDamage, FAULTS45_AFileCutAnywhereIsDamaged) {
  const int status = status_of_child([&] {
    for (const auto& [path, content] : {std::pair{segment_file(data_), segment_}, {state_file(data_), state_}})
      for (std::size_t size = 0; size < content.size(); size += 1000) {
        restore();
        write_file(path, content.substr(0, size));
        ASSERT_THAT(must_be_damaged().text, HasSubstr(path));
      }
  });
  EXPECT_EQ(status, 0);
}

TEST_F(LmdbDamage, FAULTS45_AZeroedPageIsNoticedOrWasFree) {
  const int status = status_of_child([&] {
    for (const auto& [path, content] : {std::pair{segment_file(data_), segment_}, {state_file(data_), state_}})
      for (std::size_t page = 0; page < content.size() / kPageSize; ++page) {
        std::string zeroed = content;
        zeroed.replace(page * kPageSize, kPageSize, kPageSize, '\0');
        restore();
        write_file(path, zeroed);
        ASSERT_NO_FATAL_FAILURE(expect_damaged_or_whole(path + " page " + std::to_string(page)));
      }
    EXPECT_GT(damaged_, 5);
  });
  EXPECT_EQ(status, 0);
}

TEST_F(LmdbDamage, FAULTS45_AnEmptiedOrLostFileIsNeverANewNode) {
  for (const std::string& path : {segment_file(data_), state_file(data_), data_ + "/CURRENT"}) {
    const std::string content = read_file(path);
    write_file(path, "");
    EXPECT_THAT(must_be_damaged().text, HasSubstr(path));
    std::filesystem::remove(path);
    EXPECT_THAT(must_be_damaged().text, HasSubstr(path));
    write_file(path, content);
  }
  std::filesystem::remove_all(data_ + "/gen-000001");
  must_be_damaged();
}

TEST_F(LmdbDamage, FAULTS45_TheTextSaysTheWayOut) {
  write_file(segment_file(data_), "");
  EXPECT_THAT(must_be_damaged().text, HasSubstr("move the whole data folder away"));
}

TEST_F(LmdbDamage, FAULTS25_AStateOlderThanTheLogIsRefused) {
  TempFolder other(Medium::memory);
  auto young = must_open(other / "data");
  ASSERT_TRUE(append_one(*young, {hard_state(1), std::nullopt, entries(1, 1, 1)}).has_value());
  young.reset();
  const std::string older = read_file(state_file(other / "data"));
  young = must_open(other / "data");
  ASSERT_TRUE(append_one(*young, {hard_state(2), std::nullopt, entries(2, 2, 2)}).has_value());
  young.reset();
  write_file(state_file(other / "data"), older);
  const auto store = open_lmdb(other / "data");
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, Errc::damaged);
  EXPECT_THAT(store.error().text, HasSubstr("current term 1 is below the log's last term 2"));
}

TEST_F(LmdbDamage, AFileOfAnotherFolderIsNoticed) {
  TempFolder other(Medium::memory);
  must_open(other / "data").reset();
  std::filesystem::copy_file(segment_file(other / "data"), segment_file(data_),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(must_be_damaged().text, HasSubstr("not the segment that state.mdb names"));
}

}  // namespace
}  // namespace weir::storage
