// What the storage tests share: folders that vanish, entries that know what they should hold, children that may crash.
// One thread.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "raft/entry.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/segment_seal.hpp"

namespace weir::storage {

/// Memory, where there is such a folder: for tests that write thousands of times and are not about flushing.
enum class Medium : std::uint8_t { disk = 1, memory = 2 };

class TempFolder {
 public:
  explicit TempFolder(Medium medium = Medium::disk) {
    const char* given = std::getenv("TMPDIR");
    std::string base = given != nullptr ? given : "/tmp";
    if (medium == Medium::memory && access("/dev/shm", W_OK | X_OK) == 0) base = "/dev/shm";
    std::string pattern = base + "/weir-storage-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
    path_ = pattern;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

/// Data that only this index and term has, and of this size.
inline std::string data_for(std::uint64_t index, std::uint64_t term, std::size_t size) {
  std::string data(size, '\0');
  std::uint64_t state = index * 1'000'003 + term;
  for (std::size_t at = 0; at < size; ++at) {
    if (at % 8 == 0) state = state * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
    data[at] = static_cast<char>(state >> (8 * (at % 8)));
  }
  return data;
}

inline raft::Entry entry(std::uint64_t index, std::uint64_t term, std::size_t size = 10,
                         raft::Command command = raft::Command::publish) {
  return {raft::Index{index}, raft::Term{term}, command, index * 31 + term,
          raft::Bytes::own(data_for(index, term, size))};
}

/// Entries first..last of one term and size.
inline std::vector<raft::Entry> entries(std::uint64_t first, std::uint64_t last, std::uint64_t term,
                                        std::size_t size = 10) {
  std::vector<raft::Entry> result;
  for (std::uint64_t index = first; index <= last; ++index) result.push_back(entry(index, term, size));
  return result;
}

inline raft::HardState hard_state(std::uint64_t term, std::uint64_t vote = 0) {
  return {raft::Term{term}, raft::NodeId{vote}};
}

inline std::expected<void, Error> append_one(LogStore& store, const LogWrite& write) {
  return store.append({&write, 1});
}

inline std::expected<void, Error> append_entries(LogStore& store, const std::vector<raft::Entry>& entries) {
  return append_one(store, {std::nullopt, std::nullopt, entries});
}

inline raft::Entry founding() {
  return entry(1, 1, 200, raft::Command::config);
}

/// A checkpoint that only this index and term has.
inline Checkpoint checkpoint_at(std::uint64_t index, std::uint64_t term) {
  return {.index = raft::Index{index},
          .term = raft::Term{term},
          .config = founding(),
          .state = raft::Bytes::own(data_for(index, term + 100, 300)),
          .delta = raft::Bytes::own(data_for(index, term + 200, 5'000))};
}

/// The example of storage/README.md.
inline SegmentSeal sample_seal() {
  return {.head = {0xa1b2c3d4e5f60708, raft::Index{5}, 2, 0x0102030405060708, raft::Term{1}},
          .last_index = raft::Index{9},
          .chain = {.sequence = 7, .checksum = 0x1112131415161718},
          .rows = 3,
          .used_bytes = 20'480,
          .first_command = raft::Command::noop,
          .term_runs = {{raft::Term{2}, raft::Index{5}}, {raft::Term{4}, raft::Index{8}}},
          .config_entries = {raft::Index{6}}};
}

/// The newest snapshot as it travels; none if there is none.
inline std::vector<raft::SnapshotPiece> pieces_of(LogStore& store, std::size_t bytes_max) {
  std::vector<raft::SnapshotPiece> pieces;
  std::uint64_t number = 0;
  std::uint64_t offset = 0;
  do {
    auto data = store.read_snapshot(number, offset, bytes_max);
    EXPECT_TRUE(data.has_value()) << data.error().text;
    if (!data || data->snapshot.index == raft::Index{}) return pieces;
    EXPECT_EQ(data->offset, offset);
    EXPECT_FALSE(data->data.empty());
    EXPECT_LE(data->data.size(), bytes_max);
    number = data->snapshot.number;
    offset += data->data.size();
    pieces.push_back({.snapshot = data->snapshot, .offset = data->offset, .data = data->data});
  } while (offset < pieces.back().snapshot.size);
  EXPECT_EQ(offset, pieces.back().snapshot.size);
  return pieces;
}

/// The whole log. What cannot be read is a failure of the test.
inline std::vector<raft::Entry> read_all(const LogStore& store) {
  auto result = store.read(raft::Index{1}, raft::Index{raft::kNumberLimit}, ~std::size_t{0});
  EXPECT_TRUE(result.has_value()) << result.error().text;
  return result.value_or(std::vector<raft::Entry>{});
}

inline std::expected<std::unique_ptr<LmdbLogStore>, Error> open_lmdb(const std::string& folder,
                                                                     const std::string& node = "n1") {
  return LmdbLogStore::open({.folder = folder, .node_name = node});
}

/// As open_lmdb, where it must succeed.
inline std::unique_ptr<LmdbLogStore> must_open(const std::string& folder) {
  auto store = open_lmdb(folder);
  EXPECT_TRUE(store.has_value()) << store.error().text;
  return store ? *std::move(store) : nullptr;
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  std::string content(in ? static_cast<std::size_t>(in.tellg()) : 0, '\0');
  in.seekg(0);
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  return content;
}
inline void write_file(const std::string& path, std::string_view content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
}
/// The generation in use.
inline std::string generation_of(const std::string& folder) {
  std::string name = read_file(folder + "/CURRENT");
  if (name.ends_with('\n')) name.pop_back();
  return folder + "/" + (name.empty() ? "gen-000001" : name);
}
/// Its files whose names begin and end like this, in the order of their indexes.
inline std::vector<std::string> files_like(const std::string& folder, std::string_view begin, std::string_view end) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(generation_of(folder))) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(begin) && name.ends_with(end)) paths.push_back(entry.path().string());
  }
  std::ranges::sort(paths);
  return paths;
}
inline std::vector<std::string> segment_files(const std::string& folder) {
  return files_like(folder, "segment-", ".mdb");
}
inline std::vector<std::string> checkpoint_files(const std::string& folder) {
  return files_like(folder, "checkpoint-", ".wck");
}
/// The first of them.
inline std::string segment_file(const std::string& folder) {
  const auto paths = segment_files(folder);
  return paths.empty() ? generation_of(folder) + "/no-segment" : paths.front();
}
inline std::string state_file(const std::string& folder) {
  return generation_of(folder) + "/state.mdb";
}

/// Overwrites a part of a file in place, seen by whoever has it mapped.
inline void poke(const std::string& path, std::size_t offset, std::string_view bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const ssize_t written = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  EXPECT_EQ(written, static_cast<ssize_t>(bytes.size())) << path;
  ::close(file);
}

/// Runs `body` in a child, where a crash is only a status; its gtest failures make the status non-zero.
inline int status_of_child(const std::function<void()>& body) {
  std::cout.flush();
  const pid_t child = fork();
  if (child == 0) {
    body();
    std::cout.flush();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

/// The seed of a random test: WEIR_SEED, or a new one. Printed, so that a failure can be repeated.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("WEIR_SEED");
  const std::uint64_t seed = given != nullptr ? std::stoull(given) : std::random_device{}();
  std::cout << "WEIR_SEED=" << seed << '\n';
  return seed;
}

}  // namespace weir::storage
