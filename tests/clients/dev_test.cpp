// `weir dev` as a process, with nodes that only pretend (cli_only/main.cpp).

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "clients/cli/discovery.hpp"

namespace weir::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr int kBoundMs = 20'000;

/// A child with its output in a pipe; killed and reaped at the end.
class Process {
 public:
  Process(std::vector<std::string> words, const fs::path& home) {
    words.insert(words.begin(), WEIR_CLI_ONLY);
    std::vector<std::string> variables{"XDG_RUNTIME_DIR=" + (home / "run").string(),
                                       "TMPDIR=" + (home / "tmp").string()};
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    EXPECT_EQ(
        ::posix_spawn(&pid_, WEIR_CLI_ONLY, &actions, nullptr, pointers(words).data(), pointers(variables).data()), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    output_ = ends[0];
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(output_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

  /// Everything printed so far, once `text` is among it; or what there is when the bound is over or the output ends.
  const std::string& read_until(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBoundMs);
    while (text.empty() || printed_.find(text) == std::string::npos) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd wanted{.fd = output_, .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || ::poll(&wanted, 1, static_cast<int>(left.count())) <= 0) break;
      char bytes[4096];
      const auto got = ::read(output_, bytes, sizeof bytes);
      if (got <= 0) break;
      printed_.append(bytes, static_cast<std::size_t>(got));
    }
    return printed_;
  }

  /// Reads to the end of the output, then the exit code; -1 for a signal.
  int finish() {
    read_until("");
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    for (auto& word : words) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
  }

  pid_t pid_ = -1;
  int output_ = -1;
  std::string printed_;
};

/// True once the process is gone, within the bound; no child of ours.
bool ends(pid_t process) {
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
  if (descriptor < 0) return true;
  pollfd wanted{.fd = descriptor, .events = POLLIN, .revents = 0};
  const bool gone = ::poll(&wanted, 1, kBoundMs) > 0;
  ::close(descriptor);
  return gone;
}

class DevTest : public ::testing::Test {
 protected:
  DevTest() {
    std::string name = (fs::temp_directory_path() / "weir-devtest-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    home_ = name;
    fs::create_directory(home_ / "run");
    fs::create_directory(home_ / "tmp");
    places_ = {.runtime = home_ / "run", .temp = home_ / "tmp", .user = ::geteuid()};
  }
  ~DevTest() override { fs::remove_all(home_); }

  [[nodiscard]] DevFile file() const {
    const auto read = read_dev_file(places_);
    return read && *read ? **read : DevFile{};
  }
  [[nodiscard]] bool nothing_left() const { return fs::is_empty(home_ / "run") && fs::is_empty(home_ / "tmp"); }

  fs::path home_;
  Places places_;
};

TEST_F(DevTest, StartsSaysWhoLeadsAndLeavesNothingBehind) {
  Process dev({"dev", "--nodes", "3", "--port", "0"}, home_);
  const auto& printed = dev.read_until("Ctrl-C stops\n");
  EXPECT_THAT(printed, HasSubstr("weir dev: 3 nodes, leader n1 of term 1\n"));
  EXPECT_THAT(printed, HasSubstr("console http://127.0.0.1:"));
  const auto running = file();
  ASSERT_EQ(running.nodes.size(), 3U);
  EXPECT_TRUE(fs::exists(running.folder / "n2"));
  EXPECT_TRUE(fs::exists(running.folder / "n2.log"));
  ::kill(dev.pid(), SIGINT);
  EXPECT_EQ(dev.finish(), 0);
  for (const auto& node : running.nodes) EXPECT_TRUE(ends(node.pid));
  EXPECT_TRUE(nothing_left());
}

TEST_F(DevTest, KilledLeaderIsFollowedAndComesBack) {
  Process dev({"dev", "--port", "0", "--restart-after", "0.2"}, home_);
  dev.read_until("Ctrl-C stops\n");
  Process kill_leader({"dev", "kill", "leader"}, home_);
  EXPECT_EQ(kill_leader.finish(), 0);
  EXPECT_THAT(kill_leader.read_until(""),
              MatchesRegex("killed n1 \\(leader of term 1\\); n2 leads term 2 after [0-9]+ ms\n"));
  const auto& printed = dev.read_until("n1 is back\n");
  EXPECT_THAT(printed, HasSubstr("n1 ended with signal 9; it comes back at once\n"));
  ::kill(dev.pid(), SIGTERM);
  EXPECT_EQ(dev.finish(), 0);
  EXPECT_TRUE(nothing_left());
}

TEST_F(DevTest, ANodeKilledBeforeTheClusterIsUpComesBackToo) {
  Process dev({"dev", "--port", "0", "--restart-after", "0.2"}, home_);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBoundMs);
  while (file().nodes.size() != 3 || file().nodes.back().pid == 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  }
  const auto nodes = file().nodes;
  ::kill(nodes[0].pid, SIGSTOP);  // the cluster is not up before all have answered
  ::kill(nodes[2].pid, SIGKILL);
  EXPECT_THAT(dev.read_until("n3 ended with signal 9"), HasSubstr("n3 ended with signal 9"));
  ::kill(nodes[0].pid, SIGCONT);
  EXPECT_THAT(dev.read_until("n3 is back\n"), HasSubstr("n3 is back\n"));
  EXPECT_THAT(dev.read_until("Ctrl-C stops\n"), HasSubstr("weir dev: 3 nodes, leader n1"));
  ::kill(dev.pid(), SIGTERM);
  EXPECT_EQ(dev.finish(), 0);
}

TEST_F(DevTest, AnyNodeCanBeKilledByName) {
  Process dev({"dev", "--port", "0"}, home_);
  dev.read_until("Ctrl-C stops\n");
  Process kill_follower({"dev", "kill", "n3"}, home_);
  EXPECT_EQ(kill_follower.finish(), 0);
  EXPECT_EQ(kill_follower.read_until(""), "killed n3 (follower of term 1); n1 leads term 1\n");
  dev.read_until("n3 ended with signal 9");
  Process again({"dev", "kill", "n3"}, home_);
  EXPECT_EQ(again.finish(), 1);
  EXPECT_EQ(again.read_until(""), "weir: n3 is down already\n");
  Process unknown({"dev", "kill", "n9"}, home_);
  EXPECT_EQ(unknown.finish(), 1);
  EXPECT_EQ(unknown.read_until(""), "weir: this 'weir dev' has no node 'n9'\n");
}

TEST_F(DevTest, NodesDieWithAKilledDevAndTheNextOneCleansUp) {
  std::vector<DevNode> orphans;
  fs::path folder;
  {
    Process dev({"dev", "--port", "0"}, home_);
    dev.read_until("Ctrl-C stops\n");
    orphans = file().nodes;
    folder = file().folder;
    ::kill(dev.pid(), SIGKILL);
    EXPECT_EQ(dev.finish(), -1);
  }
  ASSERT_EQ(orphans.size(), 3U);
  for (const auto& node : orphans) EXPECT_TRUE(ends(node.pid)) << node.node;
  EXPECT_TRUE(fs::exists(folder));
  Process next({"dev", "--port", "0", "--nodes", "1"}, home_);
  EXPECT_THAT(next.read_until("Ctrl-C stops\n"), HasSubstr("weir dev: 1 node, leader n1 of term 1\n"));
  EXPECT_FALSE(fs::exists(folder));
  ::kill(next.pid(), SIGINT);
  EXPECT_EQ(next.finish(), 0);
  EXPECT_TRUE(nothing_left());
}

TEST_F(DevTest, SecondDevAndTakenPortAreNamed) {
  Process dev({"dev", "--port", "0", "--nodes", "1"}, home_);
  dev.read_until("Ctrl-C stops\n");
  const auto http = file().nodes.at(0).http;
  Process second({"dev", "--port", "0"}, home_);
  EXPECT_EQ(second.finish(), 1);
  EXPECT_THAT(second.read_until(""), HasSubstr("another 'weir dev' of this user is running"));
  fs::create_directory(home_ / "other");
  fs::create_directory(home_ / "other" / "run");
  fs::create_directory(home_ / "other" / "tmp");
  const auto port = http.substr(http.find(':') + 1);
  Process taken({"dev", "--port", port}, home_ / "other");
  EXPECT_EQ(taken.finish(), 1);
  EXPECT_THAT(taken.read_until(""), HasSubstr("port " + port + " of 127.0.0.1 cannot be used"));
}

TEST_F(DevTest, GivenFolderIsKept) {
  const auto data = home_ / "data";
  Process dev({"dev", "--port", "0", "--nodes", "1", "--dir", data.string()}, home_);
  dev.read_until("Ctrl-C stops\n");
  ::kill(dev.pid(), SIGINT);
  EXPECT_EQ(dev.finish(), 0);
  EXPECT_TRUE(fs::exists(data / "n1"));
  EXPECT_TRUE(nothing_left());
}

TEST_F(DevTest, KillWithoutADevSaysSo) {
  Process kill_leader({"dev", "kill", "leader"}, home_);
  EXPECT_EQ(kill_leader.finish(), 3);
  EXPECT_EQ(kill_leader.read_until(""), "weir: no 'weir dev' of this user is running\n");
}

}  // namespace
}  // namespace weir::cli
