// What a snapshot is made of on its way from one LmdbLogStore to another: a list of files, then the files, one after
// the other; cut into blocks, each with a checksum of its own, so that a piece can begin and end anywhere and a wrong
// bit is noticed in the block it is in (storage/README.md has the bytes).
//
// Thread rule: a SnapshotSource is used by one thread at a time; the rest are pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/checkpoint_file.hpp"
#include "storage/lmdb_log_store.hpp"

namespace weir::storage {

inline constexpr std::uint64_t kBlockBytes = std::uint64_t{64} << 10U;  ///< of content, without the checksum
inline constexpr std::uint64_t kBlockChecksumBytes = 8;

/// The files of a snapshot, in the order in which their bytes come.
struct SnapshotManifest {
  struct CheckpointPart {
    raft::Index index;
    std::uint64_t bytes = 0;
    friend bool operator==(const CheckpointPart&, const CheckpointPart&) = default;
  };
  struct SegmentPart {
    SegmentRecord record;
    std::uint64_t bytes = 0;
    friend bool operator==(const SegmentPart&, const SegmentPart&) = default;
  };
  raft::Index index;  ///< what the snapshot covers: the newest checkpoint's
  raft::Term term;
  std::vector<CheckpointPart> checkpoints;  ///< oldest first
  /// The log up to `index`, as a list in state.mdb; the last file may have more. None if it begins behind `index`.
  std::vector<SegmentPart> segments;

  [[nodiscard]] std::uint64_t file_bytes() const;  ///< of all of them
  friend bool operator==(const SnapshotManifest&, const SnapshotManifest&) = default;
};

[[nodiscard]] std::string encode_manifest(const SnapshotManifest& manifest);
[[nodiscard]] std::expected<SnapshotManifest, Error> decode_manifest(std::string_view bytes);
/// How long the manifest is that begins with `bytes`; nullopt if they are too few to tell, 0 if it is none.
[[nodiscard]] std::optional<std::uint64_t> manifest_bytes(std::string_view bytes);

/// Bytes on their way for so many bytes of content, and the other way round (nullopt: no content has that size).
[[nodiscard]] std::uint64_t framed_bytes(std::uint64_t content_bytes);
[[nodiscard]] std::optional<std::uint64_t> content_bytes(std::uint64_t framed_bytes);
/// Of the block `number` of the snapshot `snapshot_number`: one from another place does not fit.
[[nodiscard]] std::uint64_t block_checksum(std::string_view block, std::uint64_t number, std::uint64_t snapshot_number);

/// A snapshot that can be sent. Its files stay readable for as long as it lives, whatever is dropped meanwhile.
class SnapshotSource {
 public:
  /// Of the newest of `records` that ends before the active (last) segment of `segments`; nullptr if there is none.
  /// `gone` if a file of a checkpoint was removed meanwhile.
  [[nodiscard]] static std::expected<std::unique_ptr<SnapshotSource>, Error> make(const CheckpointFiles& checkpoints,
                                                                                  const Segments& segments,
                                                                                  std::uint64_t incarnation);

  [[nodiscard]] const raft::Snapshot& snapshot() const { return snapshot_; }
  /// At most bytes_max bytes from `offset` on. Requires offset <= snapshot().size and bytes_max > 0.
  [[nodiscard]] std::expected<raft::Bytes, Error> read(std::uint64_t offset, std::size_t bytes_max) const;

 private:
  /// A run of content: bytes in memory, or the beginning of a file.
  struct Part {
    std::string bytes;
    int descriptor = -1;
    std::string path;
    std::uint64_t size = 0;
    std::shared_ptr<const void> owner;  ///< keeps the descriptor open
  };
  SnapshotSource() = default;
  void add_file(int descriptor, const std::string& path, std::uint64_t size, std::shared_ptr<const void> owner);
  [[nodiscard]] std::expected<void, Error> add_checkpoint(const std::string& path, std::uint64_t size);
  [[nodiscard]] std::expected<void, Error> read_content(std::uint64_t offset, std::span<char> out) const;

  raft::Snapshot snapshot_;
  std::vector<Part> parts_;
  std::uint64_t content_bytes_ = 0;
};

}  // namespace weir::storage
