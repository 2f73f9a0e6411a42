#include "clients/cli/discovery.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace weir::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DiscoveryTest : public ::testing::Test {
 protected:
  DiscoveryTest() {
    std::string name = (fs::temp_directory_path() / "weir-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    places_.temp = name;
    places_.user = ::geteuid();
  }
  ~DiscoveryTest() override { fs::remove_all(places_.temp); }

  [[nodiscard]] static DevFile file() {
    return {.pid = 7, .folder = "/x", .temporary = true, .nodes = {{"n1", 8, "127.0.0.1:7400", "127.0.0.1:7401"}}};
  }
  [[nodiscard]] std::string found(const std::string& named = {}) const {
    const auto servers = find_servers(named, places_);
    if (!servers) return "error: " + servers.error().text;
    std::string text;
    for (const auto& server : *servers) text += server.text() + " ";
    return text;
  }

  Places places_;
};

TEST_F(DiscoveryTest, ServerThatIsNamedComesFirst) {
  EXPECT_EQ(found("a:1,b:2"), "a:1 b:2 ");
}

TEST_F(DiscoveryTest, WithoutAnythingItIsTheDefaultPort) {
  EXPECT_EQ(found(), "127.0.0.1:7400 ");
}

TEST_F(DiscoveryTest, FileOfARunningDevIsRead) {
  const auto lock = DevLock::take(places_);
  ASSERT_TRUE(lock) << lock.error();
  auto two = file();
  two.nodes.push_back({"n2", 9, "127.0.0.1:7402", "127.0.0.1:7403"});
  ASSERT_TRUE(write_dev_file(places_.dev_file(), two));
  EXPECT_EQ(found(), "127.0.0.1:7400 127.0.0.1:7402 ");
}

TEST_F(DiscoveryTest, FileThatAKilledDevLeftIsNotBelieved) {
  {
    const auto lock = DevLock::take(places_);
    ASSERT_TRUE(lock) << lock.error();
    auto other = file();
    other.nodes[0].http = "127.0.0.1:9999";
    ASSERT_TRUE(write_dev_file(places_.dev_file(), other));
  }
  EXPECT_EQ(found(), "127.0.0.1:7400 ");
  const auto left = read_dev_file(places_);
  ASSERT_TRUE(left && *left);
  EXPECT_EQ((*left)->nodes[0].http, "127.0.0.1:9999") << "still there for the next dev to clean up after";
}

TEST_F(DiscoveryTest, OnlyOneDevAtATime) {
  const auto lock = DevLock::take(places_);
  ASSERT_TRUE(lock) << lock.error();
  const auto second = DevLock::take(places_);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error(), HasSubstr("another 'weir dev'"));
}

TEST_F(DiscoveryTest, FolderIsPrivate) {
  const auto lock = DevLock::take(places_);
  ASSERT_TRUE(lock) << lock.error();
  struct stat status{};
  ASSERT_EQ(::stat(places_.dev_folder().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  ASSERT_TRUE(write_dev_file(places_.dev_file(), file()));
  ASSERT_EQ(::stat(places_.dev_file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(DiscoveryTest, FolderOpenToOthersIsAnError) {
  fs::create_directory(places_.dev_folder());
  fs::permissions(places_.dev_folder(), fs::perms(0755));
  EXPECT_THAT(found(), HasSubstr("open to other users"));
  EXPECT_FALSE(DevLock::take(places_));
}

TEST_F(DiscoveryTest, FolderOfAnotherUserIsAnError) {
  fs::create_directory(places_.dev_folder());
  fs::permissions(places_.dev_folder(), fs::perms(0700));
  const auto folder = places_.dev_folder();
  const auto checked = check_private(folder, places_.user + 1);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error(), HasSubstr("belongs to another user"));
}

TEST_F(DiscoveryTest, LinkInPlaceOfTheFolderIsAnError) {
  const auto elsewhere = places_.temp / "elsewhere";
  fs::create_directory(elsewhere);
  fs::permissions(elsewhere, fs::perms(0700));
  fs::create_directory_symlink(elsewhere, places_.dev_folder());
  EXPECT_THAT(found(), HasSubstr("error: "));
}

TEST_F(DiscoveryTest, FileSurvivesItsOwnEncoding) {
  const auto again = decode_dev_file(encode_dev_file(file()));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->pid, 7);
  EXPECT_EQ(again->nodes[0].pid, 8);
  EXPECT_EQ(again->nodes[0].raft, "127.0.0.1:7401");
  EXPECT_TRUE(again->temporary);
  EXPECT_FALSE(decode_dev_file("{"));
  EXPECT_FALSE(decode_dev_file("{}"));
}

}  // namespace
}  // namespace weir::cli
