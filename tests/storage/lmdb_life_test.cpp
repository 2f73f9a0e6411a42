// A log goes on as another cluster's at once or not at all; a folder into which a backup is restored is nothing before
// it is whole (FAULTS 27; docs/decisions/0020).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/folder.hpp"
#include "storage/inspect.hpp"
#include "tests/storage/disk_recorder.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::HasSubstr;

namespace fs = std::filesystem;

LmdbLogStore::Options options(const std::string& data) {
  return {.folder = data, .node_name = "n1", .segment_bytes = LmdbLogStore::kSegmentBytesMin};
}

class LmdbLife : public testing::Test {
 protected:
  LmdbLife() {
    store_ = *LmdbLogStore::open(options(data_));
    EXPECT_TRUE(store_->found("c-1", founding()).has_value());
    EXPECT_TRUE(append_entries(*store_, entries(2, 9, 1, 3'000)).has_value());
  }
  [[nodiscard]] static raft::Entry config() { return entry(10, 2, 200, raft::Command::config); }
  [[nodiscard]] static std::vector<raft::Entry> old_log() {
    std::vector<raft::Entry> log{founding()};
    for (raft::Entry& each : entries(2, 9, 1, 3'000)) log.push_back(std::move(each));
    return log;
  }
  [[nodiscard]] static std::vector<raft::Entry> new_log() {
    std::vector<raft::Entry> log = old_log();
    log.push_back(config());
    return log;
  }

  TempFolder folder_{Medium::memory};
  const std::string data_ = folder_ / "data";
  std::unique_ptr<LmdbLogStore> store_;
};

TEST_F(LmdbLife, ItGoesOnAsAnotherClustersAndStaysTheFoldersOwn) {
  const std::uint64_t incarnation = store_->identity().incarnation;
  ASSERT_TRUE(store_->begin_life("c-2", config()).has_value());
  EXPECT_EQ(store_->identity().cluster_id, "c-2");
  ASSERT_TRUE(append_entries(*store_, entries(11, 12, 2)).has_value());
  store_.reset();
  EXPECT_EQ(identity_of_folder(data_)->cluster_id, "c-2");
  EXPECT_EQ(identity_of_folder(data_)->node, "n1");
  store_ = *LmdbLogStore::open(options(data_));
  EXPECT_EQ(store_->identity().incarnation, incarnation);
  EXPECT_EQ(store_->recovered().last_index, Index{12});
  EXPECT_THAT(store_->recovered().config_entries, testing::ElementsAre(Index{1}, Index{10}));
}

/// The cluster's id is never there without its CONFIG. The reverse is what a node refuses, and is done again.
TEST_F(LmdbLife, FAULTS27_APowerCutAtAnyMomentLeavesOneLifeOrTheOtherOrBothToBeDoneAgain) {
  std::mt19937_64 random(test_seed());
  DiskRecorder recorder(data_);
  PowerCuts cuts(recorder);
  ASSERT_TRUE(store_->begin_life("c-2", config()).has_value());
  store_.reset();
  int lives_begun = 0;
  const auto ops = recorder.stop();
  ASSERT_GT(ops.size(), 4U);
  for (const DiskOp& op : ops) {
    cuts.pass(op);
    const TempFolder folder(Medium::memory);
    const std::string data = folder / "data";
    fs::create_directories(data);
    cuts.cut(data, random);
    auto store = LmdbLogStore::open(options(data));
    ASSERT_TRUE(store.has_value()) << store.error().text;
    const auto log = read_all(**store);
    if ((*store)->identity().cluster_id == "c-2") {
      EXPECT_EQ(log, new_log());
      ++lives_begun;
      continue;
    }
    EXPECT_EQ((*store)->identity().cluster_id, "c-1");
    EXPECT_TRUE(log == old_log() || log == new_log());
    const raft::Entry again =
        entry(log.size() + 1, (*store)->recovered().hard_state.current_term.value + 1, 200, raft::Command::config);
    EXPECT_TRUE((*store)->begin_life("c-3", again).has_value());
    EXPECT_EQ(read_all(**store).back(), again);
  }
  EXPECT_GT(lives_begun, 0);
  EXPECT_LT(lives_begun, static_cast<int>(ops.size()));
}

/// A folder in which the store that was made in kRestoringName is about to be put in place.
class Adopting : public LmdbLife {
 protected:
  Adopting() {
    store_.reset();
    fs::create_directories(target_);
    fs::rename(data_, target_ + kRestoringName);
    begun_ = generation_of(target_ + kRestoringName);
  }
  const std::string target_ = folder_ / "target";
  std::string begun_;
};

TEST_F(Adopting, WhatIsAdoptedIsTheFoldersOwn) {
  fs::rename(target_ + kRestoringName, folder_ / "aside");
  auto folder = DataFolder::open(target_);
  ASSERT_TRUE(folder.has_value()) << folder.error().text;
  fs::rename(folder_ / "aside", target_ + kRestoringName);
  ASSERT_TRUE(folder->adopt(begun_).has_value());
  folder = std::unexpected(Error{});
  EXPECT_FALSE(fs::exists(target_ + kRestoringName));
  auto store = LmdbLogStore::open(options(target_));
  ASSERT_TRUE(store.has_value()) << store.error().text;
  EXPECT_EQ(read_all(**store), old_log());
}

/// As a kill leaves it behind each of the steps of adopt().
TEST_F(Adopting, FAULTS27_BeforeItIsWholeNothingBeginsThere) {
  const auto expect_refused = [this](const char* when) {
    const auto store = LmdbLogStore::open(options(target_));
    ASSERT_FALSE(store.has_value()) << when;
    EXPECT_EQ(store.error().code, Errc::setup) << when;
    EXPECT_THAT(store.error().text, HasSubstr("being restored")) << when;
  };
  expect_refused("while it is restored");
  write_file(target_ + "/CREATING", "");
  expect_refused("marked");
  fs::create_directories(target_ + "/gen-000001");
  expect_refused("an empty generation");
  fs::rename(begun_, target_ + "/gen-000001");
  expect_refused("in place, not yet named");
  write_file(target_ + "/CURRENT", "gen-000001\n");
  auto store = LmdbLogStore::open(options(target_));
  ASSERT_TRUE(store.has_value()) << store.error().text;
  EXPECT_EQ(read_all(**store), old_log());
  EXPECT_FALSE(fs::exists(target_ + kRestoringName)) << "what was left is tidied up";
}

}  // namespace
}  // namespace weir::storage
