// The stores that a contract's cases run against, and what the cases share. One thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tests/sim/sim_log_store.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {

class LmdbBackend {
 public:
  std::expected<std::unique_ptr<LogStore>, Error> open(const std::string& node = "n1") {
    return open_lmdb(folder_ / "data", node);
  }

 private:
  TempFolder folder_{Medium::memory};
};

/// Files of the smallest size, so that nearly every call of append rolls, and one flush.
class LmdbChainBackend {
 public:
  std::expected<std::unique_ptr<LogStore>, Error> open(const std::string& node = "n1") {
    return LmdbLogStore::open({.folder = folder_ / "data",
                               .node_name = node,
                               .segment_bytes = LmdbLogStore::kSegmentBytesMin,
                               .durability = Durability::one_flush,
                               .prepare_bytes_per_s = 0});
  }

 private:
  TempFolder folder_{Medium::memory};
};

/// Files of some twenty entries of 40 kB each.
class LmdbFilesBackend {
 public:
  std::expected<std::unique_ptr<LogStore>, Error> open(const std::string& node = "n1") {
    return LmdbLogStore::open({.folder = folder_ / "data",
                               .node_name = node,
                               .segment_bytes = std::uint64_t{1} << 20U,
                               .durability = Durability::one_flush,
                               .prepare_bytes_per_s = 0});
  }

 private:
  TempFolder folder_{Medium::memory};
};

class SimBackend {
 public:
  std::expected<std::unique_ptr<LogStore>, Error> open(const std::string& node = "n1") {
    return sim::SimLogStore::open(disk_, node);
  }

 private:
  sim::SimDisk disk_{"n1", 77};
};

template <class Backend>
class LogStoreContract : public testing::Test {
 protected:
  LogStoreContract() { reopen(); }

  void reopen() {
    store_.reset();
    auto opened = backend_.open();
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    store_ = *std::move(opened);
  }
  void must_append(const LogWrite& write) {
    const auto done = append_one(*store_, write);
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
  /// The log now and after a restart, and what recovery says of it.
  void expect_log(const std::vector<raft::Entry>& expected) {
    EXPECT_EQ(read_all(*store_), expected);
    reopen();
    EXPECT_EQ(read_all(*store_), expected);
    EXPECT_EQ(store_->recovered().last_index, raft::Index{expected.size()});
    std::vector<raft::TermRun> runs;
    for (const auto& entry : expected)
      if (runs.empty() || runs.back().term != entry.term) runs.push_back({entry.term, entry.index});
    EXPECT_EQ(store_->recovered().term_runs, runs);
  }
  std::vector<raft::Entry> must_read(std::uint64_t first, std::uint64_t last, std::size_t bytes_max = 1 << 30) {
    auto result = store_->read(raft::Index{first}, raft::Index{last}, bytes_max);
    EXPECT_TRUE(result.has_value()) << result.error().text;
    return result.value_or(std::vector<raft::Entry>{});
  }

  Backend backend_;
  std::unique_ptr<LogStore> store_;
};

using Backends = testing::Types<LmdbBackend, LmdbChainBackend, SimBackend>;
class BackendNames {
 public:
  template <class T>
  static std::string GetName(int /*number*/) {
    if (std::is_same_v<T, LmdbChainBackend>) return "LmdbChain";
    if (std::is_same_v<T, LmdbFilesBackend>) return "LmdbFiles";
    return std::is_same_v<T, LmdbBackend> ? "Lmdb" : "Sim";
  }
};
inline std::vector<raft::Entry> joined(std::vector<raft::Entry> front, const std::vector<raft::Entry>& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

}  // namespace weir::storage
