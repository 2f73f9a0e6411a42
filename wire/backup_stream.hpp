// A backup as bytes: what GET /v1/backup sends, a backup file holds and `weir restore` reads (wire/README.md has the
// layout). Frames, each checksummed together with all before it, so that neither a changed bit, nor a frame that is
// missing, nor a cut end goes unnoticed.
//
// Thread rule: a writer or reader is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "raft/message.hpp"
#include "wire/error.hpp"

namespace weir::wire {

/// A frame holds a piece of a snapshot, or entries: the largest entry fits, with what stands around it.
inline constexpr std::size_t kBackupFrameBytesMax = std::size_t{17} << 20U;

/// What a backup is of; everything is as of `index`.
struct BackupHead {
  std::string cluster_id;
  std::string epoch;
  std::string node;           ///< that wrote it
  raft::Index index;          ///< the last entry it holds
  raft::Term term;            ///< of that entry
  std::uint64_t time_ms = 0;  ///< log time
  raft::Position position;
  std::uint64_t events = 0;  ///< that are retained
  std::uint64_t topics = 0;
  std::uint64_t ids = 0;     ///< that are remembered
  std::uint64_t digest = 0;  ///< what the node made of the log (DESIGN §9)
  friend bool operator==(const BackupHead&, const BackupHead&) = default;
};
/// The next bytes of the snapshot.
struct BackupPiece {
  std::string_view bytes;  ///< into the reader: until its next call
};
/// Contiguous; behind the snapshot, if there is one, else from index 1 on.
using BackupEntries = std::vector<raft::Entry>;
/// The backup is whole.
struct BackupEnd {};
using BackupPart = std::variant<BackupHead, raft::Snapshot, BackupPiece, BackupEntries, BackupEnd>;

class BackupWriter {
 public:
  [[nodiscard]] std::string head(const BackupHead& head);
  [[nodiscard]] std::string snapshot(const raft::Snapshot& snapshot);
  /// At most kBackupFrameBytesMax bytes.
  [[nodiscard]] std::string piece(std::string_view bytes);
  [[nodiscard]] std::string entries(std::span<const raft::Entry> entries);
  [[nodiscard]] std::string end();

 private:
  [[nodiscard]] std::string frame(std::uint32_t kind, std::string_view payload);
  std::uint64_t checksum_ = 0;  ///< of the frame before
};

/// Takes bytes as they come and gives back parts that are verified, in an order that makes a backup.
class BackupReader {
 public:
  void feed(std::string_view bytes);
  /// nullopt: more bytes are needed. After an error, or the end, it is of no use any more.
  [[nodiscard]] std::expected<std::optional<BackupPart>, Error> next();
  /// No byte comes any more. The error says that the end is missing, or that bytes follow it.
  [[nodiscard]] std::expected<void, Error> finish() const;

  [[nodiscard]] const std::optional<BackupHead>& head() const { return head_; }
  [[nodiscard]] bool ended() const { return ended_; }
  /// Of the entries and pieces so far: how much of it is here, for people that wait.
  [[nodiscard]] raft::Index reached() const { return reached_; }

 private:
  using Part = std::expected<BackupPart, Error>;
  [[nodiscard]] Part take(std::uint32_t kind, std::string_view payload);
  [[nodiscard]] Part take_head(std::string_view payload);
  [[nodiscard]] Part take_snapshot(std::string_view payload);
  [[nodiscard]] Part take_piece(std::string_view payload);
  [[nodiscard]] Part take_entries(std::string_view payload);
  [[nodiscard]] Part take_end(std::string_view payload);

  std::string bytes_;
  std::size_t taken_ = 0;
  std::uint64_t checksum_ = 0;  ///< of the frame before
  std::optional<BackupHead> head_;
  std::uint64_t snapshot_left_ = 0;
  raft::Index reached_;  ///< the last entry that came
  raft::Term term_;      ///< of it
  bool begun_ = false;   ///< a snapshot, or entries, came
  bool ended_ = false;
};

}  // namespace weir::wire
