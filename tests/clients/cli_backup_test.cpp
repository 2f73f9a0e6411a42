// `weir backup FILE`: only what was verified to its end is ever called FILE.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/clients/fake_broker.hpp"
#include "tests/clients/run_cli.hpp"
#include "wire/backup_stream.hpp"
#include "wire/entry.hpp"

namespace weir::cli {
namespace {

using test::FakeAnswer;
using test::FakeBroker;
using test::FakeRequest;
using test::run_cli;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

std::string sample() {
  wire::BackupWriter writer;
  std::string bytes = writer.head({.cluster_id = "abcdefghijkl",
                                   .epoch = "ek3f9q2ma",
                                   .node = "n2",
                                   .index = raft::Index{2},
                                   .term = raft::Term{1},
                                   .position = raft::Position{12},
                                   .events = 11,
                                   .topics = 3,
                                   .ids = 5,
                                   .digest = 0xab});
  std::vector<raft::Entry> entries;
  for (std::uint64_t index = 1; index <= 2; ++index) {
    raft::Entry entry{.index = raft::Index{index}, .term = raft::Term{1}, .data = {}};
    entries.push_back(entry);
  }
  bytes += writer.entries(entries);  // each goes on from the one before
  bytes += writer.end();
  return bytes;
}

class CliBackup : public testing::Test {
 protected:
  CliBackup() { fs::create_directories(folder_); }
  ~CliBackup() override { fs::remove_all(folder_); }

  [[nodiscard]] test::Ran take(FakeAnswer answer, const std::vector<std::string>& more = {}) const {
    FakeBroker broker([answer](const FakeRequest& request) {
      EXPECT_EQ(request.target, "/v1/backup");
      return answer;
    });
    return run_cli({"backup", file(), "--server", broker.endpoint().text(), more.empty() ? "-otable" : more.front()});
  }
  [[nodiscard]] std::string file() const { return folder_ + "/all.backup"; }
  [[nodiscard]] std::string content() const {
    std::ostringstream out;
    out << std::ifstream(file(), std::ios::binary).rdbuf();
    return out.str();
  }
  void expect_nothing_left() const { EXPECT_TRUE(fs::is_empty(folder_)); }

 private:
  const std::string folder_ = ::testing::TempDir() + "weir-cli-backup-" + std::to_string(::getpid());
};

TEST_F(CliBackup, WhatIsWholeIsKeptForItsOwnerAlone) {
  const auto ran = take({.body = sample()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, file() + " position 12, 11 events in 3 topics, 5 ids, " + std::to_string(sample().size()) +
                         " bytes, digest 00000000000000ab\n");
  EXPECT_EQ(content(), sample());
  struct stat status{};
  ASSERT_EQ(::stat(file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_FALSE(fs::exists(file() + ".part"));
}

TEST_F(CliBackup, OneThatWasCutOffOrChangedIsNone) {
  const std::string whole = sample();
  for (std::size_t size = 1; size < whole.size(); size += 7) {
    const auto ran = take({.body = whole.substr(0, size)});
    EXPECT_EQ(ran.code, 1) << size;
    EXPECT_THAT(ran.err, HasSubstr("cut off")) << size;
    expect_nothing_left();
  }
  std::string changed = whole;
  changed[whole.size() / 2] = static_cast<char>(changed[whole.size() / 2] ^ 1);
  const auto ran = take({.body = changed});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("does not match its checksum"));
  expect_nothing_left();
}

TEST_F(CliBackup, AFileIsReplacedOnlyByForce) {
  std::ofstream(file()) << "mine";
  const auto refused = take({.body = sample()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("exists already"));
  EXPECT_EQ(content(), "mine");
  EXPECT_EQ(take({.body = "no backup"}, {"--force"}).code, 1);
  EXPECT_EQ(content(), "mine") << "not before there is another";
  EXPECT_EQ(take({.body = sample()}, {"--force"}).code, 0);
  EXPECT_EQ(content(), sample());
}

TEST_F(CliBackup, ABrokerThatRefusesIsQuoted) {
  const auto ran =
      take({.status = 503,
            .body = R"({"type":"urn:weir:problem:overloaded","title":"Too much","status":503,"detail":"two"})"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("Too much: two"));
  expect_nothing_left();
}

}  // namespace
}  // namespace weir::cli
