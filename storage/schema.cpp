#include "storage/schema.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "raft/check.hpp"
#include "storage/row_format.hpp"

namespace weir::storage {
namespace {

constexpr std::size_t kHardStateSize = 40;
constexpr std::size_t kIdentityFixedSize = 26;
constexpr std::size_t kSegmentListFixedSize = 24;
constexpr std::size_t kSegmentRecordSize = 16;
constexpr std::size_t kSegmentHeadSize = 56;
constexpr std::size_t kSegmentHeadSizeOfVersion1 = 48;
constexpr std::size_t kSegmentHeadSizeRewritten = 80;
constexpr std::uint16_t kRewrittenVersion = 3;
constexpr std::size_t kNameSizeMax = 255;

// LMDB keeps a value in the leaf page itself when, with its key, it fits twice into one; anything above this goes into
// pages of its own. 2,100 bytes with pages of 4 KiB.
constexpr std::size_t overflow_size_min(std::size_t page_size) {
  return page_size / 2 + 52;
}

std::size_t write_record(char* out, const raft::Entry& entry) {
  const std::size_t size = record_size(entry.data.size());
  store(out, entry.term.value);
  store(out + 8, entry.checksum);
  store(out + 16, static_cast<std::uint32_t>(entry.data.size()));
  store(out + 20, std::uint32_t{std::to_underlying(entry.command)});
  if (!entry.data.empty()) std::memcpy(out + kRecordHeaderSize, entry.data.view().data(), entry.data.size());
  const std::size_t end = kRecordHeaderSize + entry.data.size();
  std::memset(out + end, 0, size - end);
  return size;
}

// The records fill the body exactly and their terms never fall: then record_at is safe at every one of them.
bool records_add_up(const ChunkHeader& header, std::string_view body) {
  std::size_t offset = 0;
  raft::Term term;
  for (std::uint32_t number = 0; number < header.count; ++number) {
    if (body.size() - offset < kRecordHeaderSize) return false;
    const RecordView record = record_at(body.substr(0, offset + kRecordHeaderSize), offset);
    const std::size_t size = record_size(load<std::uint32_t>(body.data() + offset + 16));
    if (size > body.size() - offset || record.term < term) return false;
    term = record.term;
    offset += size;
  }
  return offset == body.size() && term == header.last_term;
}

}  // namespace

std::string encode_identity(const IdentityRow& row) {
  WEIR_CHECK(row.node.size() <= kNameSizeMax && row.cluster_id.size() <= kNameSizeMax, row.node, row.cluster_id);
  std::string out(kIdentityFixedSize, '\0');
  store(out.data() + 16, row.incarnation);
  store(out.data() + 24, static_cast<std::uint8_t>(row.node.size()));
  store(out.data() + 25, static_cast<std::uint8_t>(row.cluster_id.size()));
  out += row.node + row.cluster_id;
  seal(out, Magic::identity);
  return out;
}

std::expected<IdentityRow, Error> decode_identity(std::string_view value) {
  if (auto ok = check_prefix(value, Magic::identity, kIdentityFixedSize, "the identity"); !ok)
    return std::unexpected(std::move(ok.error()));
  const std::size_t node_size = load<std::uint8_t>(value.data() + 24);
  const std::size_t cluster_size = load<std::uint8_t>(value.data() + 25);
  if (value.size() != kIdentityFixedSize + node_size + cluster_size) return damaged("the identity has a wrong size");
  return IdentityRow{load_u64(value, 16), std::string(value.substr(kIdentityFixedSize, node_size)),
                     std::string(value.substr(kIdentityFixedSize + node_size))};
}

std::string encode_hard_state(const raft::HardState& state, std::uint64_t incarnation) {
  std::string out(kHardStateSize, '\0');
  store(out.data() + 16, incarnation);
  store(out.data() + 24, state.current_term.value);
  store(out.data() + 32, state.voted_for.value);
  seal(out, Magic::hard_state);
  return out;
}

std::expected<raft::HardState, Error> decode_hard_state(std::string_view value, std::uint64_t incarnation) {
  if (auto ok = check_prefix(value, Magic::hard_state, kHardStateSize, "the hard state"); !ok)
    return std::unexpected(std::move(ok.error()));
  if (value.size() != kHardStateSize) return damaged("the hard state has a wrong size");
  if (load_u64(value, 16) != incarnation) return damaged("the hard state belongs to another data folder");
  return raft::HardState{raft::Term{load_u64(value, 24)}, raft::NodeId{load_u64(value, 32)}};
}

std::string encode_segment_list(std::span<const SegmentRecord> segments) {
  std::string out(kSegmentListFixedSize + segments.size() * kSegmentRecordSize, '\0');
  store(out.data() + 16, static_cast<std::uint32_t>(segments.size()));
  char* record = out.data() + kSegmentListFixedSize;
  for (const SegmentRecord& segment : segments) {
    store(record, segment.first_index.value);
    store(record + 8, segment.segment_id);
    record += kSegmentRecordSize;
  }
  seal(out, Magic::segment_list);
  return out;
}

std::expected<std::vector<SegmentRecord>, Error> decode_segment_list(std::string_view value) {
  if (auto ok = check_prefix(value, Magic::segment_list, kSegmentListFixedSize, "the list of segments"); !ok)
    return std::unexpected(std::move(ok.error()));
  const std::size_t count = load<std::uint32_t>(value.data() + 16);
  if (value.size() != kSegmentListFixedSize + count * kSegmentRecordSize)
    return damaged("the list of segments has a wrong size");
  std::vector<SegmentRecord> segments;
  for (std::size_t offset = kSegmentListFixedSize; offset < value.size(); offset += kSegmentRecordSize)
    segments.push_back({raft::Index{load_u64(value, offset)}, load_u64(value, offset + 8)});
  return segments;
}

std::string segment_key(raft::Index index) {
  std::string key(8, '\0');
  store(key.data(), index.value);
  std::ranges::reverse(key);
  return key;
}

raft::Index index_of_key(std::string_view key) {
  std::string little(key);
  std::ranges::reverse(little);
  return raft::Index{load_u64(little, 0)};
}

std::string segment_file_name(const SegmentRecord& record) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name = "segment-" + digits_of(record.first_index) + "-";
  for (unsigned shift = 64; shift > 0; shift -= 4) name += kDigits[(record.segment_id >> (shift - 4)) & 0xfU];
  return name + ".mdb";
}

std::string segment_file_name_of_version_1(raft::Index first_index) {
  return "segment-" + digits_of(first_index) + ".mdb";
}

std::string encode_segment_head(const SegmentHead& head) {
  std::string out(head.rewritten ? kSegmentHeadSizeRewritten : kSegmentHeadSize, '\0');
  store(out.data() + 16, head.segment_id);
  store(out.data() + 24, head.first_index.value);
  store(out.data() + 32, head.sequence_floor);
  store(out.data() + 40, head.previous_checksum);
  store(out.data() + 48, head.previous_term.value);
  if (head.rewritten) {
    store(out.data() + 56, head.rewritten->last_index.value);
    store(out.data() + 64, head.rewritten->chain.checksum);
    store(out.data() + 72, head.rewritten->chain.sequence);
  }
  seal(out, Magic::segment_head, head.rewritten ? kRewrittenVersion : kRowVersion);
  return out;
}

std::expected<SegmentHead, Error> decode_segment_head(std::string_view value) {
  if (auto ok = check_prefix(value, Magic::segment_head, kSegmentHeadSizeOfVersion1, "the segment's head"); !ok)
    return std::unexpected(std::move(ok.error()));
  const auto version = load<std::uint16_t>(value.data() + kVersionOffset);
  const std::size_t size = version == 1                   ? kSegmentHeadSizeOfVersion1
                           : version == kRewrittenVersion ? kSegmentHeadSizeRewritten
                                                          : kSegmentHeadSize;
  if (value.size() != size) return damaged("the segment's head has a wrong size");
  SegmentHead head{load_u64(value, 16), raft::Index{load_u64(value, 24)}, load_u64(value, 32), load_u64(value, 40),
                   raft::Term{version == 1 ? 0 : load_u64(value, 48)}};
  if (version == kRewrittenVersion)
    head.rewritten = RewrittenEnd{.last_index = raft::Index{load_u64(value, 56)},
                                  .chain = {.sequence = load_u64(value, 72), .checksum = load_u64(value, 64)}};
  return head;
}

std::size_t record_size(std::size_t data_size) {
  return kRecordHeaderSize + (data_size + 7) / 8 * 8;
}

std::size_t chunk_size(std::size_t body_size, std::size_t page_size) {
  return std::max(kChunkHeaderSize + body_size, overflow_size_min(page_size));
}

std::uint64_t write_chunk(std::span<char> out, const ChunkHeader& header, std::string_view kept,
                          std::span<const raft::Entry* const> entries) {
  std::size_t end = kChunkHeaderSize;
  if (!kept.empty()) std::memcpy(out.data() + end, kept.data(), kept.size());
  end += kept.size();
  for (const raft::Entry* entry : entries) end += write_record(out.data() + end, *entry);
  WEIR_CHECK(end <= out.size(), end, out.size());
  std::memset(out.data() + end, 0, out.size() - end);

  std::memset(out.data() + kPrefixSize, 0, kChunkHeaderSize - kPrefixSize);
  store(out.data() + 20, header.count);
  store(out.data() + 24, static_cast<std::uint32_t>(out.size()));
  store(out.data() + 28, static_cast<std::uint32_t>(end - kChunkHeaderSize));
  store(out.data() + 32, header.segment_id);
  store(out.data() + 40, header.sequence);
  store(out.data() + 48, header.first_index.value);
  store(out.data() + 56, header.last_term.value);
  store(out.data() + 64, header.previous_checksum);
  return seal(out, Magic::chunk);
}

std::string hollow_record(raft::Term term) {
  std::string out(record_size(0), '\0');
  raft::Entry hollow;
  hollow.term = term;
  hollow.command = raft::Command::hollow;
  write_record(out.data(), hollow);
  return out;
}

std::optional<ChunkClaim> claim_of_chunk(std::string_view bytes) {
  WEIR_CHECK(bytes.size() == kChunkHeaderSize, bytes.size());
  if (load<std::uint32_t>(bytes.data() + kMagicOffset) != std::to_underlying(Magic::chunk)) return std::nullopt;
  return ChunkClaim{load_u64(bytes, 32), load_u64(bytes, 40), raft::Index{load_u64(bytes, 48)}, load_u64(bytes, 64),
                    load<std::uint32_t>(bytes.data() + 24)};
}

std::expected<ChunkView, Error> ChunkView::verify(std::string_view value) {
  if (auto ok = check_prefix(value, Magic::chunk, kChunkHeaderSize, "a chunk"); !ok)
    return std::unexpected(std::move(ok.error()));
  ChunkHeader header;
  header.count = load<std::uint32_t>(value.data() + 20);
  const std::size_t size = load<std::uint32_t>(value.data() + 24);
  const std::size_t body_size = load<std::uint32_t>(value.data() + 28);
  header.segment_id = load_u64(value, 32);
  header.sequence = load_u64(value, 40);
  header.first_index = raft::Index{load_u64(value, 48)};
  header.last_term = raft::Term{load_u64(value, 56)};
  header.previous_checksum = load_u64(value, 64);
  if (size != value.size() || body_size > size - kChunkHeaderSize) return damaged("a chunk has a wrong size");
  const std::string_view body = value.substr(kChunkHeaderSize, body_size);
  if (header.count == 0 || !records_add_up(header, body)) return damaged("a chunk's entries do not add up");
  return ChunkView(header, load_u64(value, 0), body);
}

RecordView record_at(std::string_view body, std::size_t offset) {
  const char* record = body.data() + offset;
  return {raft::Term{load<std::uint64_t>(record)}, static_cast<raft::Command>(load<std::uint8_t>(record + 20)),
          load<std::uint64_t>(record + 8), body.substr(offset + kRecordHeaderSize, load<std::uint32_t>(record + 16))};
}

}  // namespace weir::storage
