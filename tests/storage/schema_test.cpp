#include "storage/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <sstream>

#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using raft::Term;

constexpr std::size_t kPageSize = 4096;

std::string chunk_of(const ChunkHeader& header, const std::vector<raft::Entry>& entries) {
  std::vector<const raft::Entry*> pointers;
  std::size_t body_size = 0;
  for (const auto& entry : entries) {
    pointers.push_back(&entry);
    body_size += record_size(entry.data.size());
  }
  std::string out(chunk_size(body_size, kPageSize), '?');
  write_chunk(out, header, {}, pointers);
  return out;
}

// The example of storage/README.md.
std::string example_chunk() {
  std::vector<raft::Entry> entries;
  entries.push_back({Index{5}, Term{2}, raft::Command::noop, 0, {}});
  entries.push_back({Index{6}, Term{2}, raft::Command::publish, 0x1122334455667788, raft::Bytes::copy_of("hello")});
  return chunk_of({0xa1b2c3d4e5f60708, 3, Index{5}, Term{2}, 2, 0x0102030405060708}, entries);
}

// The README's example: lines of an offset, a colon and bytes in hex.
std::string example_in_readme(const std::string& what) {
  std::istringstream text(read_file("../../storage/README.md"));
  std::string bytes;
  bool inside = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("<!-- ")) inside = line == "<!-- example " + what + " -->";
    if (!inside || line.size() < 5 || line[4] != ':') continue;
    EXPECT_EQ(std::stoul(line.substr(0, 4), nullptr, 16), bytes.size()) << line;
    std::istringstream numbers(line.substr(5));
    for (std::string number; numbers >> number;) bytes += static_cast<char>(std::stoi(number, nullptr, 16));
  }
  return bytes;
}

std::string hex(std::string_view bytes) {
  std::ostringstream out;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    char text[32];
    if (at % 16 == 0) {
      std::snprintf(text, sizeof text, "%s%04zx:", at > 0 ? "\n" : "", at);
      out << text;
    }
    std::snprintf(text, sizeof text, " %02x", static_cast<unsigned>(static_cast<unsigned char>(bytes[at])));
    out << text;
  }
  return out.str();
}

TEST(Schema, TheReadmesExampleIsWhatIsWritten) {
  const std::string chunk = example_chunk();
  const std::string shown = example_in_readme("chunk");
  ASSERT_FALSE(shown.empty());
  EXPECT_EQ(hex(chunk.substr(0, shown.size())), hex(shown));
  EXPECT_EQ(chunk.find_first_not_of('\0', shown.size()), std::string::npos) << "the rest is padding";
  EXPECT_EQ(chunk.size(), 2100U);
}

// The seal of a file with the example's segment id that begins with entry 5.
TEST(Schema, TheReadmesSealIsWhatIsWritten) {
  EXPECT_EQ(hex(encode_seal(sample_seal())), hex(example_in_readme("seal")));
}

SegmentHead rewritten_head() {
  SegmentHead head = sample_seal().head;
  head.rewritten = RewrittenEnd{.last_index = sample_seal().last_index, .chain = sample_seal().chain};
  return head;
}

TEST(Schema, TheReadmesRewrittenHeadIsWhatIsWritten) {
  EXPECT_EQ(hex(encode_segment_head(rewritten_head())), hex(example_in_readme("rewritten head")));
}

// A build that knows of no such file refuses it, and goes on with a folder that has none.
TEST(Schema, OnlyTheHeadOfARewrittenFileHasVersion3) {
  EXPECT_EQ(encode_segment_head(rewritten_head())[12], 3);
  EXPECT_EQ(encode_segment_head(sample_seal().head)[12], 2);
  EXPECT_EQ(example_chunk()[12], 2);
  SegmentSeal seal = sample_seal();
  seal.head = rewritten_head();
  EXPECT_EQ(encode_seal(seal)[12], 2);
}

TEST(Schema, TheHeadAndTheSealOfARewrittenFileComeBackAsTheyWere) {
  const auto head = decode_segment_head(encode_segment_head(rewritten_head()));
  ASSERT_TRUE(head.has_value()) << head.error().text;
  EXPECT_EQ(*head, rewritten_head());
  SegmentSeal seal = sample_seal();
  seal.head = rewritten_head();
  const auto read = decode_seal(encode_seal(seal));
  ASSERT_TRUE(read.has_value()) << read.error().text;
  EXPECT_EQ(*read, seal);
  EXPECT_NE(*read, sample_seal());
}

TEST(Schema, AHollowRecordIsTheOneThatAHollowEntryIsWrittenAs) {
  raft::Entry hollow{Index{5}, Term{7}, raft::Command::hollow, 0, {}};
  const std::string chunk = chunk_of({1, 3, Index{5}, Term{7}, 1, 2}, {hollow});
  const auto view = ChunkView::verify(chunk);
  ASSERT_TRUE(view.has_value()) << view.error().text;
  EXPECT_EQ(view->body(), hollow_record(Term{7}));
}

TEST(Schema, AChunkIsReadAsItWasWritten) {
  const std::string chunk = example_chunk();
  const auto view = ChunkView::verify(chunk);
  ASSERT_TRUE(view.has_value()) << view.error().text;
  EXPECT_EQ(view->header().segment_id, 0xa1b2c3d4e5f60708U);
  EXPECT_EQ(view->header().sequence, 3U);
  EXPECT_EQ(view->header().first_index, Index{5});
  EXPECT_EQ(view->last_index(), Index{6});
  EXPECT_EQ(view->header().last_term, Term{2});
  EXPECT_EQ(view->header().previous_checksum, 0x0102030405060708U);
  const RecordView noop = record_at(view->body(), 0);
  EXPECT_EQ(noop.command, raft::Command::noop);
  EXPECT_EQ(noop.data, "");
  const RecordView publish = record_at(view->body(), record_size(0));
  EXPECT_EQ(publish.term, Term{2});
  EXPECT_EQ(publish.command, raft::Command::publish);
  EXPECT_EQ(publish.checksum, 0x1122334455667788U);
  EXPECT_EQ(publish.data, "hello");
}

// As version 1 wrote it: without what came later, and with its own number.
std::string of_version_1(std::string row, std::size_t size) {
  row.resize(size);
  row[12] = 1;
  const std::uint64_t checksum = XXH3_64bits(row.data() + 8, row.size() - 8);
  for (std::size_t byte = 0; byte < 8; ++byte) row[byte] = static_cast<char>(checksum >> (8 * byte));
  return row;
}

TEST(Schema, RowsOfVersion1AreRead) {
  const std::string chunk = of_version_1(example_chunk(), 2100);
  EXPECT_EQ(chunk.substr(0, 8), "\xe8\x91\xcd\x88\x29\x6f\xe3\xfb") << "its README's example began like this";
  const auto view = ChunkView::verify(chunk);
  ASSERT_TRUE(view.has_value()) << view.error().text;
  EXPECT_EQ(view->last_index(), Index{6});
  const auto head = decode_segment_head(of_version_1(encode_segment_head({5, Index{6}, 7, 8, Term{9}}), 48));
  ASSERT_TRUE(head.has_value()) << head.error().text;
  EXPECT_EQ(head->previous_checksum, 8U);
  EXPECT_EQ(head->previous_term, Term{0});
  EXPECT_FALSE(decode_segment_head(of_version_1(encode_segment_head({5, Index{6}, 7, 8, Term{9}}), 56)).has_value());
}

TEST(Schema, DataIsAlignedForFlatBuffers) {
  EXPECT_EQ(kChunkHeaderSize % 16, 0U) << "LMDB begins a large value 16 bytes into a page";
  EXPECT_EQ(kRecordHeaderSize % 8, 0U);
  for (std::size_t size = 0; size < 40; ++size) EXPECT_EQ(record_size(size) % 8, 0U);
}

TEST(Schema, SmallChunksArePaddedOutOfSharedPages) {
  EXPECT_EQ(chunk_size(24, 4096), 2100U);
  EXPECT_EQ(chunk_size(2020, 4096), 2100U);
  EXPECT_EQ(chunk_size(2021, 4096), 2101U);
  EXPECT_EQ(chunk_size(24, 16384), 8244U);
}

TEST(Schema, FAULTS44_EveryFlippedBitOfAChunkIsNoticed) {
  std::string chunk = example_chunk();
  for (std::size_t bit = 0; bit < chunk.size() * 8; ++bit) {
    const char mask = static_cast<char>(1U << (bit % 8));
    chunk[bit / 8] = static_cast<char>(chunk[bit / 8] ^ mask);
    const auto view = ChunkView::verify(chunk);
    ASSERT_FALSE(view.has_value()) << "bit " << bit;
    ASSERT_EQ(view.error().code, Errc::damaged);
    chunk[bit / 8] = static_cast<char>(chunk[bit / 8] ^ mask);
  }
}

TEST(Schema, AChunkCutAnywhereIsNoticed) {
  const std::string chunk = example_chunk();
  for (std::size_t size = 0; size < chunk.size(); ++size)
    ASSERT_FALSE(ChunkView::verify(std::string_view(chunk).substr(0, size)).has_value()) << size;
  EXPECT_FALSE(ChunkView::verify(chunk + '\0').has_value());
}

TEST(Schema, RowsComeBackAsTheyWere) {
  const auto identity = decode_identity(encode_identity({42, "broker-1", "c-7hq2"}));
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(identity->incarnation, 42U);
  EXPECT_EQ(identity->node, "broker-1");
  EXPECT_EQ(identity->cluster_id, "c-7hq2");

  const auto state = decode_hard_state(encode_hard_state(hard_state(9, 8), 42), 42);
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(*state, hard_state(9, 8));
  EXPECT_FALSE(decode_hard_state(encode_hard_state(hard_state(9, 8), 42), 43).has_value()) << "of another folder";

  const std::vector<SegmentRecord> records{{Index{1}, 11}, {Index{500}, 12}};
  const auto list = decode_segment_list(encode_segment_list(records));
  ASSERT_TRUE(list.has_value());
  ASSERT_EQ(list->size(), 2U);
  EXPECT_EQ(list->back().first_index, Index{500});
  EXPECT_EQ(list->back().segment_id, 12U);

  const auto head = decode_segment_head(encode_segment_head({5, Index{6}, 7, 8, Term{9}}));
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->segment_id, 5U);
  EXPECT_EQ(head->first_index, Index{6});
  EXPECT_EQ(head->sequence_floor, 7U);
  EXPECT_EQ(head->previous_checksum, 8U);
  EXPECT_EQ(head->previous_term, Term{9});
}

TEST(Schema, FAULTS44_EveryFlippedBitOfARowIsNoticed) {
  const auto each_flip = [](std::string row, const auto& decode) {
    for (std::size_t bit = 0; bit < row.size() * 8; ++bit) {
      std::string flipped = row;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ static_cast<char>(1U << (bit % 8)));
      ASSERT_FALSE(decode(flipped).has_value()) << "bit " << bit;
    }
    for (std::size_t size = 0; size < row.size(); ++size) ASSERT_FALSE(decode(row.substr(0, size)).has_value()) << size;
  };
  const std::vector<SegmentRecord> records{{Index{1}, 11}};
  each_flip(encode_identity({42, "broker-1", "c"}), [](const auto& row) { return decode_identity(row); });
  each_flip(encode_hard_state(hard_state(9, 8), 42), [](const auto& row) { return decode_hard_state(row, 42); });
  each_flip(encode_segment_list(records), [](const auto& row) { return decode_segment_list(row); });
  each_flip(encode_segment_head({5, Index{6}, 7, 8, Term{9}}),
            [](const auto& row) { return decode_segment_head(row); });
}

TEST(Schema, KeysOrderAsTheirIndexes) {
  EXPECT_EQ(hex(segment_key(Index{0x0102})), "0000: 00 00 00 00 00 00 01 02");
  EXPECT_LT(segment_key(Index{255}), segment_key(Index{256}));
  EXPECT_LT(segment_key(Index{0}), segment_key(Index{1}));
  EXPECT_EQ(index_of_key(segment_key(Index{raft::kNumberLimit})), Index{raft::kNumberLimit});
  EXPECT_EQ(segment_file_name({Index{1}, 0xa1b2c3d4e5f60708}), "segment-00000000000000000001-a1b2c3d4e5f60708.mdb");
  EXPECT_EQ(segment_file_name_of_version_1(Index{1}), "segment-00000000000000000001.mdb");
}

}  // namespace
}  // namespace weir::storage
