// A leader's snapshot while it is received: into the files of the next generation, which counts for nothing until the
// store makes it the current one.
//
// Thread rule: the store's writing thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file.hpp"
#include "storage/folder.hpp"
#include "storage/log_recovery.hpp"
#include "storage/log_store.hpp"
#include "storage/snapshot_content.hpp"

namespace weir::storage {

class SnapshotInbox {
 public:
  /// An empty generation for it; what is left of another snapshot goes.
  [[nodiscard]] static std::expected<SnapshotInbox, Error> begin(DataFolder& folder, raft::Snapshot snapshot);

  [[nodiscard]] const raft::Snapshot& snapshot() const { return snapshot_; }
  /// As LogStore::receive; behind `refused` and errors it is of no use any more.
  [[nodiscard]] std::expected<PieceAnswer, Error> take(const raft::SnapshotPiece& piece);

  // --- once it is whole
  [[nodiscard]] bool whole() const { return log_.has_value(); }
  [[nodiscard]] const std::string& generation() const { return generation_; }
  [[nodiscard]] std::vector<SegmentRecord> segments() const;
  /// What the segments hold up to the snapshot's index. Without any: an empty log behind it.
  [[nodiscard]] const RecoveredLog& log() const { return *log_; }
  [[nodiscard]] const std::vector<CheckpointRecord>& checkpoints() const { return checkpoints_; }

 private:
  struct Target {
    std::string name;
    std::uint64_t bytes = 0;
  };
  /// An error that says damaged, or version: the snapshot is refused.
  using Done = std::expected<void, Error>;
  SnapshotInbox(std::string generation, raft::Snapshot snapshot, std::uint64_t content_bytes)
      : generation_(std::move(generation)), snapshot_(std::move(snapshot)), content_left_(content_bytes) {}
  [[nodiscard]] Done take_bytes(std::string_view bytes);
  [[nodiscard]] Done take_block(std::string_view content);
  [[nodiscard]] Done take_list();
  [[nodiscard]] Done write(std::string_view bytes);
  [[nodiscard]] Done finish();
  [[nodiscard]] Done check_checkpoints();
  [[nodiscard]] Done check_log();

  std::string generation_;
  raft::Snapshot snapshot_;
  std::uint64_t received_ = 0;      ///< bytes of pieces
  std::uint64_t content_left_;      ///< not yet in blocks that were checked
  std::uint64_t block_number_ = 0;  ///< of the block that is being gathered
  std::string block_;
  std::string list_;  ///< the manifest as far as it has come
  std::optional<SnapshotManifest> manifest_;
  std::vector<Target> targets_;
  std::size_t target_ = 0;            ///< which of them is being written
  std::uint64_t target_written_ = 0;  ///< bytes of it
  std::uint64_t unflushed_ = 0;
  std::optional<File> file_;
  std::vector<CheckpointRecord> checkpoints_;
  std::optional<RecoveredLog> log_;
};

}  // namespace weir::storage
