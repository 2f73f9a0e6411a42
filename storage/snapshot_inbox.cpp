#include "storage/snapshot_inbox.hpp"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "storage/row_format.hpp"

namespace weir::storage {
namespace {

/// A flush of everything at the end would hold up whatever else the disk has to do.
constexpr std::uint64_t kFlushBytes = std::uint64_t{32} << 20U;

}  // namespace

std::expected<SnapshotInbox, Error> SnapshotInbox::begin(DataFolder& folder, raft::Snapshot snapshot) {
  auto generation = folder.begin_generation();
  if (!generation) return std::unexpected(std::move(generation.error()));
  // Of a size that no content has not a single piece fits.
  const std::uint64_t bytes = content_bytes(snapshot.size).value_or(0);
  return SnapshotInbox(*std::move(generation), std::move(snapshot), bytes);
}

std::expected<PieceAnswer, Error> SnapshotInbox::take(const raft::SnapshotPiece& piece) {
  const bool fits = piece.snapshot == snapshot_ && piece.offset == received_ && !whole() && !piece.data.empty() &&
                    piece.data.size() <= snapshot_.size - received_;
  if (!fits) return PieceAnswer::refused;
  received_ += piece.data.size();
  auto taken = take_bytes(piece.data.view());
  if (taken && received_ == snapshot_.size) taken = finish();
  if (!taken && (taken.error().code == Errc::damaged || taken.error().code == Errc::version))
    return PieceAnswer::refused;
  if (!taken) return std::unexpected(std::move(taken.error()));
  return whole() ? PieceAnswer::whole : PieceAnswer::more;
}

std::expected<void, Error> SnapshotInbox::take_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::uint64_t block_bytes = std::min(kBlockBytes, content_left_);
    if (block_bytes == 0) return damaged("the snapshot is longer than its blocks");
    const std::size_t count = std::min<std::uint64_t>(bytes.size(), block_bytes + kBlockChecksumBytes - block_.size());
    block_ += bytes.substr(0, count);
    bytes.remove_prefix(count);
    if (block_.size() < block_bytes + kBlockChecksumBytes) return {};
    const std::string_view content = std::string_view(block_).substr(0, block_bytes);
    if (load_u64(block_, block_bytes) != block_checksum(content, block_number_, snapshot_.number))
      return damaged("a block of the snapshot does not match its checksum");
    if (auto taken = take_block(content); !taken) return taken;
    content_left_ -= block_bytes;
    ++block_number_;
    block_.clear();
  }
  return {};
}

std::expected<void, Error> SnapshotInbox::take_block(std::string_view content) {
  if (!manifest_) {
    list_ += content;
    const auto bytes = storage::manifest_bytes(list_);
    if (!bytes || list_.size() < *bytes) return {};
    content = content.substr(content.size() - (list_.size() - *bytes));
    list_.resize(*bytes);
    if (auto taken = take_list(); !taken) return taken;
  }
  return write(content);
}

std::expected<void, Error> SnapshotInbox::take_list() {
  auto manifest = decode_manifest(list_);
  if (!manifest) return std::unexpected(std::move(manifest.error()));
  for (const auto& part : manifest->checkpoints) targets_.push_back({checkpoint_file_name(part.index), part.bytes});
  for (const auto& part : manifest->segments) targets_.push_back({segment_file_name(part.record), part.bytes});
  const bool fits = manifest->index == snapshot_.index && manifest->term == snapshot_.term &&
                    !manifest->checkpoints.empty() &&
                    std::ranges::all_of(targets_, [](const Target& target) { return target.bytes > 0; }) &&
                    framed_bytes(list_.size() + manifest->file_bytes()) == snapshot_.size;
  if (!fits) return damaged("the snapshot's list of files is of another one");
  manifest_ = *std::move(manifest);
  return {};
}

std::expected<void, Error> SnapshotInbox::write(std::string_view bytes) {
  while (!bytes.empty()) {
    if (target_ == targets_.size()) return damaged("the snapshot is longer than its files");
    const Target& target = targets_[target_];
    if (!file_) {
      auto file = File::open(generation_ + "/" + target.name, O_WRONLY | O_CREAT | O_EXCL, "create the file");
      if (!file) return std::unexpected(std::move(file.error()));
      file_.emplace(*std::move(file));
    }
    const std::string_view part = bytes.substr(0, target.bytes - target_written_);
    if (auto written = file_->write_at(target_written_, part); !written) return written;
    bytes.remove_prefix(part.size());
    target_written_ += part.size();
    unflushed_ += part.size();
    const bool complete = target_written_ == target.bytes;
    if (complete || unflushed_ >= kFlushBytes) {
      if (auto synced = file_->sync(); !synced) return synced;
      unflushed_ = 0;
    }
    if (!complete) continue;
    file_.reset();
    target_written_ = 0;
    ++target_;
  }
  return {};
}

/// Every byte is looked at once more, as at a start: what is believed is what is on disk.
std::expected<void, Error> SnapshotInbox::finish() {
  if (target_ != targets_.size() || !manifest_) return damaged("the snapshot ends before its files do");
  if (auto synced = sync_folder(generation_); !synced) return synced;
  if (auto good = check_checkpoints(); !good) return good;
  return check_log();
}

std::expected<void, Error> SnapshotInbox::check_checkpoints() {
  const raft::Index first_index =
      manifest_->segments.empty() ? snapshot_.index.next() : manifest_->segments.front().record.first_index;
  auto records = CheckpointFiles::find(generation_, first_index, snapshot_.index.next());
  if (!records) return std::unexpected(std::move(records.error()));
  if (records->size() != manifest_->checkpoints.size()) return damaged("the snapshot has a checkpoint too many");
  for (const CheckpointRecord& record : *records) {
    const auto checkpoint = read_checkpoint(generation_ + "/" + checkpoint_file_name(record.index));
    if (!checkpoint) return std::unexpected(checkpoint.error());
    const bool is_newest = record.index == records->back().index;
    if (is_newest && (checkpoint->index != snapshot_.index || checkpoint->term != snapshot_.term ||
                      checkpoint->config != snapshot_.config))
      return damaged("the newest checkpoint is not the snapshot's");
  }
  checkpoints_ = *std::move(records);
  return {};
}

std::expected<void, Error> SnapshotInbox::check_log() {
  if (manifest_->segments.empty()) {
    log_.emplace();
    log_->last_index = snapshot_.index;
    return {};
  }
  auto log = recover_log(generation_, segments(), Seals::renewed, snapshot_.index.next());
  if (!log) return std::unexpected(std::move(log.error()));
  if (term_at(log->term_runs, snapshot_.index) != snapshot_.term)
    return damaged("the log of the snapshot ends in another term");
  log_ = *std::move(log);
  return {};
}

std::vector<SegmentRecord> SnapshotInbox::segments() const {
  std::vector<SegmentRecord> records;
  for (const auto& part : manifest_->segments) records.push_back(part.record);
  return records;
}

}  // namespace weir::storage
