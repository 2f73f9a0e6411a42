// A folder that is damaged is left aside for an empty one, and is there until the node is whole again (FAULTS 44, 45;
// docs/decisions/0018).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/folder.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::HasSubstr;
using testing::IsEmpty;

class LmdbRejoin : public testing::Test {
 protected:
  LmdbRejoin() {
    auto store = must_open(data_);
    EXPECT_TRUE(store->found("c-1", founding()).has_value());
    EXPECT_TRUE(append_entries(*store, entries(2, 9, 1, 3'000)).has_value());
    incarnation_ = store->identity().incarnation;
  }
  [[nodiscard]] std::expected<std::unique_ptr<LmdbLogStore>, Error> open(bool rejoin = true) const {
    return LmdbLogStore::open({.folder = data_, .node_name = "n1", .rejoin = rejoin});
  }
  void damage() {
    const std::string path = segment_file(data_);
    const std::size_t place = read_file(path).find(data_for(5, 1, 3'000));
    ASSERT_NE(place, std::string::npos);
    poke(path, place + 10, "rot");
  }
  [[nodiscard]] bool has(const std::string& name) const { return std::filesystem::exists(data_ + "/" + name); }

  TempFolder folder_{Medium::memory};
  const std::string data_ = folder_ / "data";
  std::uint64_t incarnation_ = 0;
};

TEST_F(LmdbRejoin, AFolderInOrderIsOpenedAsEver) {
  const auto store = open();
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ((*store)->identity().incarnation, incarnation_);
  EXPECT_FALSE((*store)->identity().lost_data);
  EXPECT_THAT((*store)->lost_because(), IsEmpty());
}

TEST_F(LmdbRejoin, FAULTS45_WithoutLeaveADamagedOneIsRefusedAndNothingChanges) {
  damage();
  EXPECT_EQ(open(false).error().code, Errc::damaged);
  EXPECT_FALSE(has("DAMAGED"));
  EXPECT_FALSE(has("gen-000002"));
}

TEST_F(LmdbRejoin, FAULTS44_ADamagedOneIsLeftAsideForAnEmptyOneThatSaysSo) {
  damage();
  const std::string before = read_file(segment_file(data_));
  const auto store = open();
  ASSERT_TRUE(store.has_value()) << store.error().text;
  EXPECT_NE((*store)->identity().incarnation, incarnation_) << "its votes are forgotten: it is somebody else";
  EXPECT_TRUE((*store)->identity().lost_data);
  EXPECT_THAT((*store)->identity().cluster_id, IsEmpty());
  EXPECT_EQ((*store)->recovered().last_index, Index{0});
  EXPECT_THAT((*store)->lost_because(), HasSubstr("segment-"));
  bool is_kept = false;
  for (const auto& entry : std::filesystem::directory_iterator(data_ + "/gen-000001"))
    is_kept = is_kept || read_file(entry.path()) == before;
  EXPECT_TRUE(is_kept) << "what was damaged is still there, byte for byte";
}

TEST_F(LmdbRejoin, StaysEmptyAndKeepsWhatWasDamagedOverStarts) {
  damage();
  std::uint64_t second = 0;
  for (int start = 0; start < 3; ++start) {
    const auto store = open(start != 1);
    ASSERT_TRUE(store.has_value()) << store.error().text;
    if (start == 0) second = (*store)->identity().incarnation;
    EXPECT_EQ((*store)->identity().incarnation, second);
    EXPECT_TRUE((*store)->identity().lost_data);
    EXPECT_TRUE(has("gen-000001"));
  }
}

TEST_F(LmdbRejoin, OnceItIsWholeAgainWhatWasDamagedGoes) {
  damage();
  {
    auto store = open();
    ASSERT_TRUE(store.has_value());
    ASSERT_TRUE((*store)->found("c-1", founding()).has_value());
    ASSERT_TRUE((*store)->identity().lost_data) << "until it has everything";
    ASSERT_TRUE((*store)->forget_damage().has_value());
    (*store)->wait_for_background();
  }
  EXPECT_FALSE(has("DAMAGED"));
  EXPECT_FALSE(has("gen-000001"));
  const auto store = open();
  ASSERT_TRUE(store.has_value());
  EXPECT_FALSE((*store)->identity().lost_data);
  EXPECT_EQ((*store)->identity().cluster_id, "c-1");
}

TEST_F(LmdbRejoin, OneThatWasCondemnedWhileItRanIsNotOpenedAgain) {
  must_open(data_).reset();
  ASSERT_TRUE(condemn_folder(data_, "a bit has rotted").has_value());
  EXPECT_THAT(files_like(data_, "segment-", ".seal"), IsEmpty());
  const auto refused = open(false);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::damaged);
  EXPECT_THAT(refused.error().text, HasSubstr("a bit has rotted"));
  EXPECT_THAT(refused.error().text, HasSubstr("DAMAGED"));
  const auto store = open();
  ASSERT_TRUE(store.has_value());
  EXPECT_NE((*store)->identity().incarnation, incarnation_);
  EXPECT_EQ((*store)->lost_because(), "a bit has rotted");
}

TEST_F(LmdbRejoin, OnceTheMarkIsRemovedItIsLookedAtAgain) {
  ASSERT_TRUE(condemn_folder(data_, "so it seemed").has_value());
  std::filesystem::remove(data_ + "/DAMAGED");
  const auto store = open();
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ((*store)->identity().incarnation, incarnation_);
}

TEST_F(LmdbRejoin, TheFirstThatWasDamagedIsKeptWhateverBecomesOfTheNext) {
  damage();
  open()->reset();
  write_file(segment_file(data_), "");
  const auto third = open();
  ASSERT_TRUE(third.has_value()) << third.error().text;
  EXPECT_TRUE((*third)->identity().lost_data);
  EXPECT_TRUE(has("gen-000001"));
  EXPECT_FALSE(has("gen-000002"));
  EXPECT_TRUE(has("gen-000003"));
}

TEST_F(LmdbRejoin, CutShortAnywhereItIsGoneOnWith) {
  damage();
  // As a crash leaves it: condemned, the next generation half made.
  ASSERT_TRUE(condemn_folder(data_, "rot").has_value());
  std::filesystem::create_directory(data_ + "/gen-000002");
  write_file(data_ + "/gen-000002/begun.mdb", "half");
  write_file(data_ + "/DAMAGED.new", "half");
  const auto store = open();
  ASSERT_TRUE(store.has_value()) << store.error().text;
  EXPECT_TRUE((*store)->identity().lost_data);
  EXPECT_TRUE(has("gen-000001"));
}

TEST_F(LmdbRejoin, AMarkThatNamesNothingIsSaid) {
  write_file(data_ + "/DAMAGED", "whatever\n");
  const auto store = open();
  ASSERT_FALSE(store.has_value());
  EXPECT_THAT(store.error().text, HasSubstr("remove the file"));
}

TEST_F(LmdbRejoin, AFolderOfAnotherNodeIsNotLeftAside) {
  const auto store = LmdbLogStore::open({.folder = data_, .node_name = "n2", .rejoin = true});
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, Errc::mismatch);
  EXPECT_FALSE(has("DAMAGED"));
}

}  // namespace
}  // namespace weir::storage
