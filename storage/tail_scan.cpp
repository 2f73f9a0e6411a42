#include "storage/tail_scan.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "storage/file.hpp"

namespace weir::storage {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 20U;
/// No chunk is larger (1 MiB and one entry, twice over); a size above is not one.
constexpr std::uint32_t kChunkBytesMax = std::uint32_t{64} << 20U;

/// Where a chunk may begin, by what its header says; nothing of it is verified yet.
struct Candidate {
  ChunkClaim claim;
  std::uint64_t offset = 0;
};

class Scan {
 public:
  Scan(const File& file, std::uint64_t size) : file_(file), size_(size) {}

  std::expected<std::vector<Candidate>, Error> candidates(std::uint64_t segment_id, std::uint64_t sequence) const {
    std::vector<Candidate> found;
    std::string block(kBlockBytes, '\0');
    for (std::uint64_t begin = 0; begin < size_; begin += kBlockBytes) {
      block.resize(std::min<std::uint64_t>(kBlockBytes, size_ - begin));
      if (auto got = file_.read_at(begin, block); !got) return std::unexpected(std::move(got.error()));
      for (std::size_t page = 0; page < block.size(); page += kScanPageSize) {
        const auto claim = claim_at(std::string_view(block).substr(page));
        if (claim && claim->segment_id == segment_id && claim->sequence > sequence)
          found.push_back({*claim, begin + page + kValueOffset});
      }
    }
    return found;
  }

  /// As much of it as there is.
  std::expected<std::string, Error> value(const Candidate& candidate) const {
    std::string bytes(std::min<std::uint64_t>(candidate.claim.size, size_ - candidate.offset), '\0');
    if (auto got = file_.read_at(candidate.offset, bytes); !got) return std::unexpected(std::move(got.error()));
    return bytes;
  }

 private:
  // LMDB's pages are 4 KiB here or a multiple of it (of larger pages the extra places hold no chunk's beginning); a
  // value in pages of its own begins behind the page's header.
  static constexpr std::size_t kScanPageSize = 4096;
  static constexpr std::size_t kValueOffset = 16;

  static std::optional<ChunkClaim> claim_at(std::string_view page) {
    if (page.size() < kValueOffset + kChunkHeaderSize) return std::nullopt;
    return claim_of_chunk(page.substr(kValueOffset, kChunkHeaderSize));
  }

  const File& file_;
  std::uint64_t size_;
};

std::vector<raft::Entry> entries_of(const ChunkView& chunk) {
  std::vector<raft::Entry> entries;
  std::size_t offset = 0;
  for (std::uint32_t number = 0; number < chunk.header().count; ++number) {
    const RecordView record = record_at(chunk.body(), offset);
    entries.push_back({chunk.header().first_index + number, record.term, record.command, record.checksum,
                       raft::Bytes::copy_of(record.data)});
    offset += record_size(record.data.size());
  }
  return entries;
}

std::expected<std::vector<LostChunk>, Error> find(const Scan& scan, std::uint64_t segment_id, ChainEnd chain,
                                                  raft::Index last_index) {
  auto candidates = scan.candidates(segment_id, chain.sequence);
  if (!candidates) return std::unexpected(std::move(candidates.error()));
  std::vector<LostChunk> lost;
  for (bool found = true; found;) {
    found = false;
    for (const Candidate& candidate : *candidates) {
      const ChunkClaim& claim = candidate.claim;
      if (claim.sequence != chain.sequence + 1 || claim.previous_checksum != chain.checksum ||
          claim.first_index != last_index.next() || claim.size > kChunkBytesMax)
        continue;
      auto value = scan.value(candidate);
      if (!value) return std::unexpected(std::move(value.error()));
      const auto chunk = ChunkView::verify(*value);
      // Not all of it reached the disk: then nobody was told that it had.
      if (!chunk) continue;
      lost.push_back({claim.first_index, entries_of(*chunk)});
      chain = chunk->chain_end();
      last_index = chunk->last_index();
      found = true;
      break;
    }
  }
  return lost;
}

}  // namespace

std::expected<std::vector<LostChunk>, Error> find_lost_chunks(const std::string& path, std::uint64_t segment_id,
                                                              ChainEnd chain, raft::Index last_index) {
  const auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(file.error());
  const auto size = file->size();
  if (!size) return std::unexpected(size.error());
  return find(Scan(*file, *size), segment_id, chain, last_index);
}

}  // namespace weir::storage
