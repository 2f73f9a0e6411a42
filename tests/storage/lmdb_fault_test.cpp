// The real store when the disk, the folder or the process fails (FAULTS 41-54).
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "storage/env.hpp"
#include "tests/storage/flush_hook.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using testing::HasSubstr;

/// No file may grow beyond `bytes` while it lives: what a full disk is to whoever writes, on any file system.
class FullDisk {
 public:
  explicit FullDisk(std::uint64_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_{};
};

class LmdbFaults : public testing::Test {
 protected:
  TempFolder folder_;
  const std::string data_ = folder_ / "data";
};

// Appends one entry at a time until the store refuses. What was acknowledged.
std::uint64_t fill(LogStore& store, std::uint64_t from, std::size_t size, Error& refusal) {
  for (std::uint64_t index = from;; ++index) {
    const auto done = append_entries(store, entries(index, index, 1, size));
    if (done) continue;
    refusal = done.error();
    return index - 1;
  }
}

TEST_F(LmdbFaults, FAULTS41_AfterAFailedFlushNothingIsWrittenAgain) {
  auto store = must_open(data_);
  ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, entries(1, 3, 1)}).has_value());
  int flushes = 0;
  {
    const FlushHook fails_once([&](int) { return flushes++ == 0 ? EIO : 0; });
    const auto failed = append_entries(*store, entries(4, 6, 1));
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, Errc::io);
    EXPECT_THAT(failed.error().text, HasSubstr(segment_file(data_)));
    for (int again = 0; again < 3; ++again) {
      const auto refused = append_entries(*store, entries(4, 6, 1));
      ASSERT_FALSE(refused.has_value());
      EXPECT_EQ(refused.error().code, Errc::io);
    }
    EXPECT_EQ(flushes, 1) << "a failed flush must not be tried again";
    EXPECT_EQ(read_all(*store), entries(1, 3, 1)) << "what was acknowledged can be read";
  }
  store.reset();
  // The pages themselves were written. What of them the kernel still has is found behind the log and flushed anew, in
  // another file: an entry that nobody was told of may be there or not.
  store = must_open(data_);
  EXPECT_EQ(read_all(*store), entries(1, 6, 1));
  EXPECT_EQ(segment_files(data_).size(), 2U);
}

TEST_F(LmdbFaults, FAULTS2_AVoteWhoseFlushFailedIsNotAnswered) {
  auto store = must_open(data_);
  ASSERT_TRUE(append_one(*store, {hard_state(1, 7), std::nullopt, {}}).has_value());
  {
    const FlushHook fails([](int) { return EIO; });
    EXPECT_EQ(append_one(*store, {hard_state(2, 8), std::nullopt, entries(1, 1, 2)}).error().code, Errc::io);
  }
  EXPECT_EQ(append_entries(*store, {}).error().code, Errc::io);
  store.reset();
  EXPECT_EQ(must_open(data_)->recovered().hard_state, hard_state(1, 7));
}

TEST_F(LmdbFaults, TheHardStateIsDurableBeforeTheLog) {
  auto store = must_open(data_);
  {
    int flushes = 0;
    const FlushHook fails_second([&](int) { return ++flushes == 2 ? EIO : 0; });
    EXPECT_FALSE(append_one(*store, {hard_state(3, 8), std::nullopt, entries(1, 1, 3)}).has_value());
  }
  store.reset();
  store = must_open(data_);
  EXPECT_EQ(store->recovered().hard_state, hard_state(3, 8));
  EXPECT_EQ(read_all(*store), entries(1, 1, 3)) << "was written, though not flushed";
}

TEST_F(LmdbFaults, FoundingCutShortLeavesAnEmptyStore) {
  auto store = must_open(data_);
  const auto config = entry(1, 1, 100, raft::Command::config);
  {
    int flushes = 0;
    const FlushHook fails_second([&](int) { return ++flushes == 2 ? EIO : 0; });
    EXPECT_EQ(store->found("c", config).error().code, Errc::io);
  }
  store.reset();
  for (int look = 0; look < 2; ++look) {
    store = must_open(data_);
    EXPECT_EQ(store->identity().cluster_id, "");
    EXPECT_EQ(store->recovered().last_index, Index{0});
    EXPECT_TRUE(store->recovered().term_runs.empty());
    store.reset();
  }
  store = must_open(data_);
  ASSERT_TRUE(store->found("c", config).has_value());
  store.reset();
  EXPECT_EQ(must_open(data_)->identity().cluster_id, "c");
}

TEST_F(LmdbFaults, FAULTS42_AFullDiskRefusesAndGoesOnWhenThereIsRoom) {
  auto store = must_open(data_);
  ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, {}}).has_value());
  std::uint64_t acked = 0;
  {
    const FullDisk full(std::uint64_t{12} << 20U);
    Error refusal{};
    acked = fill(*store, 1, 300'000, refusal);
    EXPECT_EQ(refusal.code, Errc::disk_full) << refusal.text;
    EXPECT_GT(acked, 20U);
    EXPECT_EQ(append_entries(*store, entries(acked + 1, acked + 1, 1, 300'000)).error().code, Errc::disk_full);
    EXPECT_TRUE(append_one(*store, {hard_state(2, 5), std::nullopt, {}}).has_value()) << "votes need no new space";
    EXPECT_EQ(read_all(*store), entries(1, acked, 1, 300'000));
  }
  ASSERT_TRUE(append_entries(*store, entries(acked + 1, acked + 1, 1, 300'000)).has_value());
  store.reset();
  store = must_open(data_);
  EXPECT_EQ(read_all(*store), entries(1, acked + 1, 1, 300'000));
  EXPECT_EQ(store->recovered().hard_state, hard_state(2, 5));
}

TEST_F(LmdbFaults, FAULTS42_ADiskFullFromTheBeginningIsSaid) {
  const FullDisk full(std::uint64_t{1} << 20U);
  const auto store = open_lmdb(data_);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, Errc::disk_full) << store.error().text;
}

TEST_F(LmdbFaults, AFolderWhoseCreationFailedIsMadeAnew) {
  {
    const FullDisk full(std::uint64_t{1} << 20U);
    ASSERT_FALSE(open_lmdb(data_).has_value());
  }
  auto store = must_open(data_);
  ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, entries(1, 3, 1)}).has_value());
  store.reset();
  EXPECT_EQ(read_all(*must_open(data_)), entries(1, 3, 1));
}

// What LMDB maps and writes to must have its blocks before: a file system without room answers such a write by SIGBUS.
TEST_F(LmdbFaults, FAULTS42_ADiskThatIsFullToAnyPageKillsNobody) {
  constexpr std::size_t kPageBytes = 4096;
  constexpr std::size_t kDiskPages = 64;
  constexpr int kNotTried = 77;
  const std::string disk = folder_ / "disk";
  std::filesystem::create_directory(disk);
  const auto try_with = [&disk](std::size_t free_pages) {
    const auto free_bytes = [&disk] { return std::filesystem::space(disk).available; };
    std::ofstream filler(disk + "/filler", std::ios::binary);
    while (free_bytes() > free_pages * kPageBytes) filler << std::string(kPageBytes, 'x') << std::flush;
    const auto env = Env::open({.path = disk + "/data.mdb", .map_bytes = std::uint64_t{1} << 20U, .readers_max = 68});
    if (!env) {
      EXPECT_EQ(env.error().code, Errc::disk_full) << env.error().text;
      return false;
    }
    EXPECT_TRUE(ReadTxn::begin(*env).has_value()) << "a reader has its place in the lock file";
    return true;
  };
  const int status = status_of_child([&] {
    const std::string size = "size=" + std::to_string(kDiskPages * kPageBytes);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", disk.c_str(), "tmpfs", 0, size.c_str()) != 0) {
      std::perror("no file system of its own");
      _exit(kNotTried);
    }
    int opened = 0;
    for (std::size_t free_pages = 0; free_pages < 16; ++free_pages) {
      opened += try_with(free_pages) ? 1 : 0;
      for (const auto& file : std::filesystem::directory_iterator(disk)) std::filesystem::remove(file);
    }
    EXPECT_GT(opened, 4);
    EXPECT_LT(opened, 16);
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotTried)
    GTEST_SKIP() << "this machine does not let a test mount a tmpfs of its own";
  EXPECT_EQ(status, 0) << (WIFSIGNALED(status) ? "ended by signal " + std::to_string(WTERMSIG(status)) : "");
}

TEST_F(LmdbFaults, FAULTS43_TheMapsEndIsNeverReached) {
  const LmdbLogStore::Options options{
      .folder = data_, .node_name = "n1", .segment_bytes = LmdbLogStore::kSegmentBytesMin, .prepare_bytes_per_s = 0};
  auto store = *LmdbLogStore::open(options);
  ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, {}}).has_value());
  // More in one call than a file may hold, an entry larger than a file, and truncations of all of it in turn.
  std::vector<raft::Entry> log;
  for (std::uint64_t round = 1; round <= 6; ++round) {
    const std::uint64_t from = round % 2 == 0 ? 1 : log.size() + 1;
    log.resize(from - 1);
    for (const auto& more : entries(from, from + 9, 1, round == 3 ? 8'000'000 : 900'000)) log.push_back(more);
    ASSERT_TRUE(append_one(*store, {std::nullopt, Index{from}, std::span(log).subspan(from - 1)}).has_value());
  }
  EXPECT_EQ(read_all(*store), log);
  store.reset();
  EXPECT_EQ(read_all(**LmdbLogStore::open(options)), log);
}

TEST_F(LmdbFaults, FAULTS47_AShortWriteIsNoCommit) {
  auto store = must_open(data_);
  ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, entries(1, 3, 1)}).has_value());
  {
    // Space was taken ahead, so nobody asks for more; the kernel writes up to the limit and says so.
    const FullDisk cuts_writes(std::uint64_t{100} << 10U);
    for (int again = 0; again < 2; ++again)
      EXPECT_EQ(append_entries(*store, entries(4, 4, 1, 300'000)).error().code, Errc::io);
  }
  EXPECT_EQ(append_entries(*store, entries(4, 4, 1)).error().code, Errc::io);
  store.reset();
  store = must_open(data_);
  EXPECT_EQ(read_all(*store), entries(1, 3, 1));
  EXPECT_TRUE(append_entries(*store, entries(4, 4, 1, 300'000)).has_value());
}

TEST_F(LmdbFaults, FAULTS50_MoreReadersThanThePoolHasTakeTurns) {
  auto store = must_open(data_);
  ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, entries(1, 50, 1, 2000)}).has_value());
  std::atomic<int> wrong = 0;
  std::atomic<bool> go = false;
  std::vector<std::thread> readers;
  for (std::uint32_t reader = 0; reader < 2 * LmdbLogStore::kReadersMax; ++reader)
    readers.emplace_back([&] {
      go.wait(false);
      for (int round = 0; round < 5; ++round) {
        const auto log = store->read(Index{1}, Index{50}, ~std::size_t{0});
        if (!log || *log != entries(1, 50, 1, 2000)) ++wrong;
      }
    });
  go = true;
  go.notify_all();
  for (std::uint64_t index = 51; index <= 80; ++index)
    ASSERT_TRUE(append_entries(*store, entries(index, index, 1, 2000)).has_value());
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(LmdbFaults, FAULTS52_ASecondProcessIsTurnedAway) {
  const auto store = must_open(data_);
  EXPECT_EQ(status_of_child([&] {
              const auto second = open_lmdb(data_);
              ASSERT_FALSE(second.has_value());
              EXPECT_EQ(second.error().code, Errc::in_use);
              EXPECT_THAT(second.error().text, HasSubstr("in use by process " + std::to_string(getppid())));
            }),
            0);
}

TEST_F(LmdbFaults, FAULTS53_LockFilesOfTheDeadAndOfOthersAreNoObstacle) {
  const int status = status_of_child([&] {
    auto store = must_open(data_);
    static_cast<void>(append_one(*store, {hard_state(1), std::nullopt, entries(1, 3, 1)}));
    kill(getpid(), SIGKILL);
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(read_all(*must_open(data_)), entries(1, 3, 1));
  write_file(segment_file(data_) + "-lock", std::string(8192, '\x5a'));
  write_file(state_file(data_) + "-lock", std::string(100, '\x5a'));
  EXPECT_EQ(read_all(*must_open(data_)), entries(1, 3, 1));
}

TEST_F(LmdbFaults, FAULTS54_AMissingParentIsNotMade) {
  const auto store = open_lmdb(folder_ / "a/b");
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, Errc::setup);
  EXPECT_THAT(store.error().text, HasSubstr("a/b"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a"));
}

TEST_F(LmdbFaults, FAULTS54_APathTooLongIsRefused) {
  for (const std::string& name : {std::string(300, 'x'), std::string(5000, 'x')}) {
    const auto store = open_lmdb(folder_ / name);
    ASSERT_FALSE(store.has_value());
    EXPECT_EQ(store.error().code, Errc::setup);
  }
}

TEST_F(LmdbFaults, FAULTS54_AFileInPlaceOfTheFolderIsLeftAlone) {
  write_file(data_, "mine");
  const auto store = open_lmdb(data_);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, Errc::setup);
  EXPECT_EQ(read_file(data_), "mine");
}

TEST_F(LmdbFaults, FAULTS54_AFolderThatCannotBeWrittenIsRefused) {
  must_open(data_).reset();
  std::filesystem::permissions(folder_ / "", std::filesystem::perms(0755));
  std::filesystem::permissions(data_, std::filesystem::perms(0555));
  const int status = status_of_child([&] {
    // Permissions do not bind root.
    if (getuid() == 0) {
      ASSERT_EQ(setgroups(0, nullptr), 0);
      ASSERT_EQ(setgid(65534), 0);
      ASSERT_EQ(setuid(65534), 0);
    }
    for (const std::string& path : {data_, folder_ / "data/inner", folder_ / "../no-such-parent/data"}) {
      const auto store = open_lmdb(path);
      ASSERT_FALSE(store.has_value()) << path;
      EXPECT_EQ(store.error().code, Errc::setup) << store.error().text;
    }
  });
  EXPECT_EQ(status, 0);
  std::filesystem::permissions(data_, std::filesystem::perms(0700));
}

TEST_F(LmdbFaults, ANodeNeedsAName) {
  EXPECT_EQ(open_lmdb(data_, "").error().code, Errc::setup);
  EXPECT_EQ(open_lmdb(data_, std::string(256, 'n')).error().code, Errc::setup);
  EXPECT_TRUE(open_lmdb(data_, std::string(255, 'n')).has_value());
}

TEST_F(LmdbFaults, FAULTS24_AnotherFolderIsAnotherIncarnation) {
  const auto first = must_open(data_)->identity().incarnation;
  std::filesystem::remove_all(data_);
  EXPECT_NE(must_open(data_)->identity().incarnation, first);
}

}  // namespace
}  // namespace weir::storage
