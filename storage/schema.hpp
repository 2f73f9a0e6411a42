// Every byte that storage/ puts into its files: keys, rows, chunks (storage/README.md has the pictures). Pure
// functions, safe from any thread.
//
// Numbers are little-endian, except in keys, which are big-endian so that LMDB's byte order is their order. Magic
// numbers, versions and row keys are never re-used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/entry.hpp"
#include "storage/error.hpp"

namespace weir::storage {

/// Version of everything in a data folder. Older builds refuse what is newer. 2 = segments roll: a segment's head has
/// the term before it, file names have the segment's id. Folders of version 1 (one segment) are taken over as they are.
/// 3 = files are rewritten: only the head of such a file has it, all other rows are of version 2.
inline constexpr std::uint16_t kFormatVersion = 3;

// --- rows of state.mdb

inline constexpr std::string_view kIdentityKey{"\x01", 1};
inline constexpr std::string_view kHardStateKey{"\x02", 1};
inline constexpr std::string_view kSegmentListKey{"\x03", 1};

struct IdentityRow {
  std::uint64_t incarnation = 0;
  std::string node;        ///< at most 255 bytes
  std::string cluster_id;  ///< at most 255 bytes; empty until the node is a member
};

/// One segment that must be there. What it holds ends before the first index of the next one in the list; entries that
/// its file has from there on were truncated.
struct SegmentRecord {
  raft::Index first_index;
  std::uint64_t segment_id = 0;  ///< random: tells a file from another that was begun at the same index
  friend bool operator==(const SegmentRecord&, const SegmentRecord&) = default;
};

[[nodiscard]] std::string encode_identity(const IdentityRow& row);
[[nodiscard]] std::expected<IdentityRow, Error> decode_identity(std::string_view value);

/// `incarnation` ties the row to its folder.
[[nodiscard]] std::string encode_hard_state(const raft::HardState& state, std::uint64_t incarnation);
[[nodiscard]] std::expected<raft::HardState, Error> decode_hard_state(std::string_view value,
                                                                      std::uint64_t incarnation);

[[nodiscard]] std::string encode_segment_list(std::span<const SegmentRecord> segments);
[[nodiscard]] std::expected<std::vector<SegmentRecord>, Error> decode_segment_list(std::string_view value);

// --- rows of a segment: the head under key 0, chunks under their first Raft index. Keys from 2^63 on are kept for what
// sealing adds (raft::kNumberLimit keeps indexes far below).

[[nodiscard]] std::string segment_key(raft::Index index);
[[nodiscard]] raft::Index index_of_key(std::string_view key);
[[nodiscard]] std::string segment_file_name(const SegmentRecord& record);
/// What version 1 called the one segment it had.
[[nodiscard]] std::string segment_file_name_of_version_1(raft::Index first_index);

/// The part of a chunk that the next one continues.
struct ChainEnd {
  std::uint64_t sequence = 0;
  std::uint64_t checksum = 0;
  friend bool operator==(const ChainEnd&, const ChainEnd&) = default;
};

/// What a file was before it was rewritten, as far as the next one goes on from it: its own chunks say it no more.
struct RewrittenEnd {
  raft::Index last_index;  ///< the rewritten file ends there too, for good
  /// Of the chunk that held last_index; the sequence is the highest that was used up to there.
  ChainEnd chain;
  friend bool operator==(const RewrittenEnd&, const RewrittenEnd&) = default;
};

struct SegmentHead {
  std::uint64_t segment_id = 0;
  raft::Index first_index;  ///< of the first chunk that may stand here
  /// Sequences up to this one were used, even if no chunk has them any more (a truncation removed it).
  std::uint64_t sequence_floor = 0;
  std::uint64_t previous_checksum = 0;  ///< of the chunk that holds the entry before; 0 for the first
  raft::Term previous_term;             ///< of the entry before; 0 for the first
  std::optional<RewrittenEnd> rewritten = std::nullopt;
  friend bool operator==(const SegmentHead&, const SegmentHead&) = default;
};

[[nodiscard]] std::string encode_segment_head(const SegmentHead& head);
[[nodiscard]] std::expected<SegmentHead, Error> decode_segment_head(std::string_view value);

struct ChunkHeader {
  std::uint64_t segment_id = 0;
  std::uint64_t sequence = 0;  ///< rises with every write, across truncations
  raft::Index first_index;
  raft::Term last_term;
  std::uint32_t count = 0;
  std::uint64_t previous_checksum = 0;
};

inline constexpr std::size_t kChunkHeaderSize = 80;
inline constexpr std::size_t kRecordHeaderSize = 24;

/// Bytes of an entry's record: header, data, padding to a multiple of 8.
[[nodiscard]] std::size_t record_size(std::size_t data_size);
/// Bytes of a chunk whose records take `body_size`: never so few that LMDB would put it into a shared leaf page.
[[nodiscard]] std::size_t chunk_size(std::size_t body_size, std::size_t page_size);

/// Fills `out` (chunk_size bytes) with `kept` (finished records of an older chunk) and a record for each of `entries`.
/// Returns the chunk's checksum.
std::uint64_t write_chunk(std::span<char> out, const ChunkHeader& header, std::string_view kept,
                          std::span<const raft::Entry* const> entries);

/// The record of a hollow entry, as it stands in a chunk's body.
[[nodiscard]] std::string hollow_record(raft::Term term);

/// What the header of something that looks like a chunk says of it; unverified.
struct ChunkClaim {
  std::uint64_t segment_id = 0;
  std::uint64_t sequence = 0;
  raft::Index first_index;
  std::uint64_t previous_checksum = 0;
  std::uint32_t size = 0;  ///< of the whole value
};
/// Empty if `bytes` (kChunkHeaderSize of them) do not even look like one. For scans only.
[[nodiscard]] std::optional<ChunkClaim> claim_of_chunk(std::string_view bytes);

struct RecordView {
  raft::Term term;
  raft::Command command = raft::Command::noop;
  std::uint64_t checksum = 0;
  std::string_view data;
};

/// A verified chunk, read in place. Ends with the bytes it was made from.
class ChunkView {
 public:
  /// damaged unless every byte is as it was written; version if a later build wrote it.
  [[nodiscard]] static std::expected<ChunkView, Error> verify(std::string_view value);

  [[nodiscard]] const ChunkHeader& header() const { return header_; }
  [[nodiscard]] std::uint64_t checksum() const { return checksum_; }
  [[nodiscard]] ChainEnd chain_end() const { return {header_.sequence, checksum_}; }
  [[nodiscard]] raft::Index last_index() const { return header_.first_index + (header_.count - 1); }
  /// All records, one after the other.
  [[nodiscard]] std::string_view body() const { return body_; }

 private:
  ChunkView(const ChunkHeader& header, std::uint64_t checksum, std::string_view body)
      : header_(header), checksum_(checksum), body_(body) {}
  ChunkHeader header_;
  std::uint64_t checksum_;
  std::string_view body_;
};

/// The record at `offset` of a verified body. Requires that one starts there.
[[nodiscard]] RecordView record_at(std::string_view body, std::size_t offset);

}  // namespace weir::storage
