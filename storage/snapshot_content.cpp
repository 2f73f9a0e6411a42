#include "storage/snapshot_content.hpp"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "storage/file.hpp"
#include "storage/row_format.hpp"

namespace weir::storage {
namespace {

constexpr std::size_t kManifestFixedSize = 40;
constexpr std::size_t kCheckpointPartSize = 16;
constexpr std::size_t kSegmentPartSize = 24;
/// 64 TiB of files of the usual size: a list that claims more is none.
constexpr std::uint64_t kPartsMax = std::uint64_t{1} << 18U;
constexpr std::uint64_t kFramedBlockBytes = kBlockBytes + kBlockChecksumBytes;

std::uint64_t blocks_of(std::uint64_t bytes, std::uint64_t block_bytes) {
  return (bytes + block_bytes - 1) / block_bytes;
}

}  // namespace

std::uint64_t SnapshotManifest::file_bytes() const {
  std::uint64_t bytes = 0;
  for (const CheckpointPart& part : checkpoints) bytes += part.bytes;
  for (const SegmentPart& part : segments) bytes += part.bytes;
  return bytes;
}

std::string encode_manifest(const SnapshotManifest& manifest) {
  std::string out(kManifestFixedSize + manifest.checkpoints.size() * kCheckpointPartSize +
                      manifest.segments.size() * kSegmentPartSize,
                  '\0');
  store(out.data() + 16, manifest.index.value);
  store(out.data() + 24, manifest.term.value);
  store(out.data() + 32, static_cast<std::uint32_t>(manifest.checkpoints.size()));
  store(out.data() + 36, static_cast<std::uint32_t>(manifest.segments.size()));
  char* at = out.data() + kManifestFixedSize;
  for (const auto& part : manifest.checkpoints) {
    store(at, part.index.value);
    store(at + 8, part.bytes);
    at += kCheckpointPartSize;
  }
  for (const auto& part : manifest.segments) {
    store(at, part.record.first_index.value);
    store(at + 8, part.record.segment_id);
    store(at + 16, part.bytes);
    at += kSegmentPartSize;
  }
  seal(out, Magic::snapshot);
  return out;
}

std::optional<std::uint64_t> manifest_bytes(std::string_view bytes) {
  if (bytes.size() < kManifestFixedSize) return std::nullopt;
  const std::uint64_t checkpoints = load<std::uint32_t>(bytes.data() + 32);
  const std::uint64_t segments = load<std::uint32_t>(bytes.data() + 36);
  if (checkpoints > kPartsMax || segments > kPartsMax) return 0;
  return kManifestFixedSize + checkpoints * kCheckpointPartSize + segments * kSegmentPartSize;
}

std::expected<SnapshotManifest, Error> decode_manifest(std::string_view bytes) {
  if (auto ok = check_prefix(bytes, Magic::snapshot, kManifestFixedSize, "the snapshot's list of files"); !ok)
    return std::unexpected(std::move(ok.error()));
  if (manifest_bytes(bytes) != bytes.size()) return damaged("the snapshot's list of files has a wrong size");
  SnapshotManifest manifest{.index = raft::Index{load_u64(bytes, 16)},
                            .term = raft::Term{load_u64(bytes, 24)},
                            .checkpoints = {},
                            .segments = {}};
  manifest.checkpoints.resize(load<std::uint32_t>(bytes.data() + 32));
  manifest.segments.resize(load<std::uint32_t>(bytes.data() + 36));
  std::size_t at = kManifestFixedSize;
  for (auto& part : manifest.checkpoints) {
    part = {.index = raft::Index{load_u64(bytes, at)}, .bytes = load_u64(bytes, at + 8)};
    at += kCheckpointPartSize;
  }
  for (auto& part : manifest.segments) {
    part = {.record = {raft::Index{load_u64(bytes, at)}, load_u64(bytes, at + 8)}, .bytes = load_u64(bytes, at + 16)};
    at += kSegmentPartSize;
  }
  return manifest;
}

std::uint64_t framed_bytes(std::uint64_t content_bytes) {
  return content_bytes + blocks_of(content_bytes, kBlockBytes) * kBlockChecksumBytes;
}

std::optional<std::uint64_t> content_bytes(std::uint64_t framed_bytes) {
  const std::uint64_t checksums = blocks_of(framed_bytes, kFramedBlockBytes) * kBlockChecksumBytes;
  if (framed_bytes <= checksums) return std::nullopt;
  const std::uint64_t content = framed_bytes - checksums;
  return storage::framed_bytes(content) == framed_bytes ? std::optional(content) : std::nullopt;
}

std::uint64_t block_checksum(std::string_view block, std::uint64_t number, std::uint64_t snapshot_number) {
  return XXH3_64bits_withSeed(block.data(), block.size(), snapshot_number + number);
}

std::expected<std::unique_ptr<SnapshotSource>, Error> SnapshotSource::make(const CheckpointFiles& checkpoints,
                                                                           const Segments& segments,
                                                                           std::uint64_t incarnation) {
  const std::vector<CheckpointRecord> records = checkpoints.records();
  const raft::Index index = sendable_index(records, segments.back()->record.first_index);
  if (index == raft::Index{}) return nullptr;
  std::unique_ptr<SnapshotSource> source(new SnapshotSource());
  source->parts_.emplace_back();  // the list's place
  SnapshotManifest manifest{.index = index, .term = {}, .checkpoints = {}, .segments = {}};
  for (const CheckpointRecord& record : records) {
    if (record.index > index) break;
    if (auto added = source->add_checkpoint(checkpoints.path_of(record.index), record.file_bytes); !added)
      return std::unexpected(std::move(added.error()));
    manifest.checkpoints.push_back({.index = record.index, .bytes = record.file_bytes});
    manifest.term = record.term;
  }
  for (const auto& segment : segments) {
    if (segment->record.first_index > index) break;
    const std::uint64_t bytes = segment->env.used_bytes();
    source->add_file(segment->env.descriptor(), segment->env.path(), bytes, segment);
    manifest.segments.push_back({.record = segment->record, .bytes = bytes});
  }
  auto newest = checkpoints.read(index);
  if (!newest) return std::unexpected(std::move(newest.error()));
  Part& list = source->parts_.front();
  list.bytes = encode_manifest(manifest);
  list.size = list.bytes.size();
  source->content_bytes_ = list.size + manifest.file_bytes();
  source->snapshot_ = {.index = index,
                       .term = manifest.term,
                       .number = XXH3_64bits_withSeed(list.bytes.data(), list.bytes.size(), incarnation),
                       .size = framed_bytes(source->content_bytes_),
                       .config = std::move(newest->config)};
  return source;
}

void SnapshotSource::add_file(int descriptor, const std::string& path, std::uint64_t size,
                              std::shared_ptr<const void> owner) {
  parts_.push_back({.bytes = {}, .descriptor = descriptor, .path = path, .size = size, .owner = std::move(owner)});
}

std::expected<void, Error> SnapshotSource::add_checkpoint(const std::string& path, std::uint64_t size) {
  auto file = File::open(path, O_RDONLY);
  if (!file) {
    if (file.error().code == Errc::setup) file.error().code = Errc::gone;
    return std::unexpected(std::move(file.error()));
  }
  auto shared = std::make_shared<const File>(*std::move(file));
  const int descriptor = shared->descriptor();
  add_file(descriptor, path, size, std::move(shared));
  return {};
}

std::expected<void, Error> SnapshotSource::read_content(std::uint64_t offset, std::span<char> out) const {
  for (const Part& part : parts_) {
    if (offset >= part.size) {
      offset -= part.size;
      continue;
    }
    const std::size_t count = std::min<std::uint64_t>(out.size(), part.size - offset);
    if (part.descriptor < 0) {
      std::ranges::copy_n(part.bytes.begin() + static_cast<std::ptrdiff_t>(offset), static_cast<std::ptrdiff_t>(count),
                          out.begin());
    } else if (auto read = read_at(part.descriptor, part.path, offset, out.first(count)); !read) {
      return read;
    }
    out = out.subspan(count);
    if (out.empty()) return {};
    offset = 0;
  }
  WEIR_CHECK(out.empty(), out.size());
  return {};
}

std::expected<raft::Bytes, Error> SnapshotSource::read(std::uint64_t offset, std::size_t bytes_max) const {
  WEIR_CHECK(offset <= snapshot_.size && bytes_max > 0, offset, snapshot_.size);
  const std::uint64_t end = offset + std::min<std::uint64_t>(bytes_max, snapshot_.size - offset);
  std::string out;
  // Whole blocks, of which the edges are cut off again.
  std::uint64_t number = offset / kFramedBlockBytes;
  const std::uint64_t begin = number * kFramedBlockBytes;
  for (; begin + out.size() < end; ++number) {
    const std::uint64_t at = number * kBlockBytes;
    const std::uint64_t size = std::min(kBlockBytes, content_bytes_ - at);
    const std::size_t old_size = out.size();
    out.resize(old_size + size + kBlockChecksumBytes);
    const std::span<char> block(out.data() + old_size, size);
    if (auto read = read_content(at, block); !read) return std::unexpected(std::move(read.error()));
    store(out.data() + old_size + size, block_checksum({block.data(), block.size()}, number, snapshot_.number));
  }
  out.resize(std::min<std::uint64_t>(out.size(), end - begin));
  out.erase(0, std::min<std::uint64_t>(offset - begin, out.size()));
  return raft::Bytes::own(std::move(out));
}

}  // namespace weir::storage
