// Checkpoints on disk: a file for each, written once and never changed (storage/README.md has the bytes).
//
// Thread rule: any thread; save() one call at a time.
#pragma once

#include <cstdint>
#include <expected>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/log_store.hpp"

namespace weir::storage {

/// What a file's head says.
struct CheckpointRecord {
  raft::Index index;
  raft::Term term;
  raft::Index previous;          ///< the checkpoint that its delta goes on from; 0 = from the log's beginning
  std::uint64_t file_bytes = 0;  ///< of the whole file
};

[[nodiscard]] std::string checkpoint_file_name(raft::Index index);
/// The newest of them that ends before `active_first`: the one that can be sent. 0 = there is none.
[[nodiscard]] raft::Index sendable_index(const std::vector<CheckpointRecord>& checkpoints, raft::Index active_first);
/// By the names of the files in the folder, ascending.
[[nodiscard]] std::expected<std::vector<raft::Index>, Error> checkpoints_in(const std::string& generation);
/// Verified to the last byte. damaged, io; setup if there is no such file.
[[nodiscard]] std::expected<Checkpoint, Error> read_checkpoint(const std::string& path);

/// Those of one generation.
class CheckpointFiles {
 public:
  /// Looks at the head of each that is needed, and removes what a crash left: files half written, those that forget()
  /// would have forgotten, and those that no later one goes on from. damaged if one between others is missing.
  [[nodiscard]] static std::expected<std::vector<CheckpointRecord>, Error> find(const std::string& generation,
                                                                                raft::Index first_index,
                                                                                raft::Index active_first);

  CheckpointFiles(std::string generation, std::vector<CheckpointRecord> records)
      : generation_(std::move(generation)), records_(std::move(records)) {}

  [[nodiscard]] std::string path_of(raft::Index index) const { return generation_ + "/" + checkpoint_file_name(index); }
  /// Oldest first.
  [[nodiscard]] std::vector<CheckpointRecord> records() const;
  /// As LogStore::save.
  [[nodiscard]] std::expected<void, Error> save(const Checkpoint& checkpoint);
  /// As LogStore::checkpoint.
  [[nodiscard]] std::expected<Checkpoint, Error> read(raft::Index index) const;
  /// Those whose entries are all before `first_index` are forgotten, but for what a snapshot that ends before
  /// `active_first` is made of. Their paths: nobody needs the files.
  [[nodiscard]] std::vector<std::string> forget(raft::Index first_index, raft::Index active_first);

 private:
  const std::string generation_;
  mutable std::mutex mutex_;  // of records_ (docs/decisions/0014)
  std::vector<CheckpointRecord> records_;
};

}  // namespace weir::storage
