// `weir storage check` and `dump` show what is really there, and change nothing.
#include "storage/inspect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

class Inspect : public testing::Test {
 protected:
  Inspect() {
    auto store = *LmdbLogStore::open(
        {.folder = data_, .node_name = "n1", .segment_bytes = std::uint64_t{1} << 20U, .prepare_bytes_per_s = 0});
    EXPECT_TRUE(store->found("c-7hq2", entry(1, 1, 100, raft::Command::config)).has_value());
    for (std::uint64_t index = 2; index <= 30; ++index)
      EXPECT_TRUE(append_one(*store, {hard_state(2, 5), std::nullopt, entries(index, index, 2, 90'000)}).has_value());
    store->wait_for_background();
  }
  std::expected<void, Error> check() {
    lines_.clear();
    return check_folder(data_, [this](const std::string& line) { lines_.push_back(line); });
  }

  TempFolder folder_{Medium::memory};
  const std::string data_ = folder_ / "data";
  std::vector<std::string> lines_;
};

TEST_F(Inspect, CheckVerifiesEveryFileAndTheChain) {
  const auto files = segment_files(data_);
  ASSERT_GT(files.size(), 2U);
  std::vector<std::string> contents;
  for (const auto& path : files) contents.push_back(read_file(path));
  const auto checked = check();
  ASSERT_TRUE(checked.has_value()) << checked.error().text;
  EXPECT_THAT(lines_, Contains(AllOf(HasSubstr("node n1"), HasSubstr("cluster c-7hq2"))));
  EXPECT_THAT(lines_, Contains(HasSubstr("term 2  voted for 0000000000000005")));
  EXPECT_THAT(lines_, Contains(HasSubstr("whole")).Times(files.size() + 1));
  EXPECT_THAT(lines_.back(), HasSubstr("entries 1..30  terms in 2 runs"));
  EXPECT_EQ(segment_files(data_), files);
  for (std::size_t number = 0; number < files.size(); ++number) EXPECT_EQ(read_file(files[number]), contents[number]);
}

TEST_F(Inspect, FAULTS44_CheckNamesEveryDamagedFile) {
  const auto files = segment_files(data_);
  for (const std::size_t number : {std::size_t{0}, std::size_t{2}}) {
    const std::size_t at = read_file(files[number]).rfind("WCHK");
    ASSERT_NE(at, std::string::npos);
    poke(files[number], at + 200, "!!");
  }
  const auto checked = check();
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().code, Errc::damaged);
  EXPECT_THAT(checked.error().text, HasSubstr(files[0]));
  EXPECT_THAT(lines_, Contains(HasSubstr("DAMAGED")).Times(2));
  EXPECT_THAT(lines_, Contains(AllOf(HasSubstr("DAMAGED"), HasSubstr(files[2]))));
}

TEST_F(Inspect, DumpShowsEveryRow) {
  std::vector<std::string> lines;
  const auto dumped = dump_folder(data_, [&](const std::string& line) { lines.push_back(line); });
  ASSERT_TRUE(dumped.has_value()) << dumped.error().text;
  EXPECT_THAT(lines, Contains(HasSubstr("  head   id ")).Times(segment_files(data_).size()));
  EXPECT_THAT(lines, Contains(HasSubstr("  chunk  ")).Times(30));
  EXPECT_THAT(lines, Contains(HasSubstr("    30  term 2  SET  data 90000  checksum ")));
}

TEST_F(Inspect, CheckpointsAreReadToTheirLastByteAndNothingIsTidiedUp) {
  {
    auto store = must_open(data_);
    ASSERT_TRUE(store->save(checkpoint_at(12, 2)).has_value());
    ASSERT_TRUE(store->save(checkpoint_at(20, 2)).has_value());
  }
  const auto files = checkpoint_files(data_);
  write_file(generation_of(data_) + "/checkpoint.new", "half");
  ASSERT_TRUE(check().has_value());
  EXPECT_THAT(
      lines_,
      Contains(AllOf(HasSubstr("checkpoint-"), HasSubstr("state 300 bytes  delta 5000 bytes  whole"))).Times(2U));
  poke(files[0], 1'000, "!!");
  const auto checked = check();
  ASSERT_FALSE(checked.has_value());
  EXPECT_THAT(checked.error().text, HasSubstr(files[0]));
  EXPECT_THAT(lines_, Contains(AllOf(HasSubstr("checkpoint-"), HasSubstr("DAMAGED"))).Times(1U));
  EXPECT_EQ(checkpoint_files(data_), files);
  EXPECT_TRUE(std::filesystem::exists(generation_of(data_) + "/checkpoint.new"));
}

TEST_F(Inspect, AFolderInUseOrNoneIsSaid) {
  const auto store = must_open(data_);
  EXPECT_EQ(check().error().code, Errc::in_use);
  const auto nothing = check_folder(folder_ / "nothing", [](const std::string&) {});
  EXPECT_EQ(nothing.error().code, Errc::setup);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "nothing"));
}

}  // namespace
}  // namespace weir::storage
