// A backup that was cut or changed anywhere is none (FAULTS 27, 38).
#include "wire/backup_stream.hpp"

#include <gtest/gtest.h>

#include "wire/entry.hpp"
#include "wire/hash.hpp"

namespace weir::wire {
namespace {

raft::Entry make_entry(std::uint64_t index, std::uint64_t term, raft::Command command, std::string data) {
  raft::Entry entry{.index = raft::Index{index}, .term = raft::Term{term}, .command = command, .data = {}};
  entry.checksum = entry_checksum(command, data);
  entry.data = raft::Bytes::own(std::move(data));
  return entry;
}

BackupHead make_head() {
  return {.cluster_id = "abcdefghijkl",
          .epoch = "ek3f9q2ma",
          .node = "n1",
          .index = raft::Index{9},
          .term = raft::Term{3},
          .time_ms = 1'700'000'000'000,
          .position = raft::Position{12},
          .events = 11,
          .topics = 2,
          .ids = 5,
          .digest = 0xabcdef};
}

raft::Snapshot make_snapshot() {
  return {.index = raft::Index{7},
          .term = raft::Term{2},
          .number = 99,
          .size = 10,
          .config = make_entry(1, 1, raft::Command::config, "config")};
}

/// Head, a snapshot in two pieces, two entries, the end.
std::vector<std::string> sample_frames() {
  BackupWriter writer;
  std::vector<std::string> frames{writer.head(make_head()), writer.snapshot(make_snapshot()), writer.piece("01234"),
                                  writer.piece("56789")};
  const std::vector<raft::Entry> entries{make_entry(8, 3, raft::Command::noop, ""),
                                         make_entry(9, 3, raft::Command::publish, "event")};
  frames.push_back(writer.entries(entries));
  frames.push_back(writer.end());
  return frames;
}

std::string joined(const std::vector<std::string>& frames) {
  std::string all;
  for (const std::string& frame : frames) all += frame;
  return all;
}

struct Read {
  std::vector<std::size_t> kinds;  ///< of the parts, as indexes of BackupPart
  std::string pieces;
  std::vector<raft::Entry> entries;
  std::expected<void, Error> result;
};

/// `step` bytes at a time.
Read read(std::string_view bytes, std::size_t step) {
  Read read;
  BackupReader reader;
  while (true) {
    auto part = reader.next();
    if (!part) {
      read.result = std::unexpected(part.error());
      return read;
    }
    if (!*part) {
      if (bytes.empty()) break;
      reader.feed(bytes.substr(0, step));
      bytes.remove_prefix(std::min(step, bytes.size()));
      continue;
    }
    read.kinds.push_back((*part)->index());
    if (const auto* piece = std::get_if<BackupPiece>(&**part)) read.pieces += piece->bytes;
    if (const auto* entries = std::get_if<BackupEntries>(&**part))
      read.entries.insert(read.entries.end(), entries->begin(), entries->end());
  }
  read.result = reader.finish();
  return read;
}

TEST(BackupStream, WhatWasWrittenIsRead) {
  const std::string bytes = joined(sample_frames());
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    const Read got = read(bytes, step);
    ASSERT_TRUE(got.result) << got.result.error().text;
    EXPECT_EQ(got.kinds, (std::vector<std::size_t>{0, 1, 2, 2, 3, 4}));
    EXPECT_EQ(got.pieces, "0123456789");
    ASSERT_EQ(got.entries.size(), 2U);
    EXPECT_EQ(got.entries[1], make_entry(9, 3, raft::Command::publish, "event"));
  }
  BackupReader reader;
  reader.feed(bytes);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.head(), make_head());
}

/// Backups of years ago must be read.
TEST(BackupStream, TheFormatStays) {
  const std::string bytes = joined(sample_frames());
  const std::vector<std::string_view> parts{bytes};
  EXPECT_EQ(bytes.size(), 364U);
  EXPECT_EQ(checksum_of(parts), 5'208'636'292'321'135'447U);
}

TEST(BackupStream, CutAtAnyByteItIsNoBackup) {
  const std::string bytes = joined(sample_frames());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(read(std::string_view(bytes).substr(0, size), bytes.size()).result) << size << " bytes";
  EXPECT_FALSE(read(bytes + "x", bytes.size() + 1).result);
}

TEST(BackupStream, AnyBitThatIsFlippedIsNoticed) {
  const std::string bytes = joined(sample_frames());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(read(changed, changed.size()).result) << "bit " << bit;
  }
}

TEST(BackupStream, AFrameThatIsMissingOrMovedIsNoticed) {
  const std::vector<std::string> frames = sample_frames();
  for (std::size_t i = 0; i < frames.size(); ++i) {
    std::vector<std::string> without = frames;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(read(joined(without), 1000).result) << "frame " << i;
    if (i == 0) continue;
    std::vector<std::string> swapped = frames;
    std::swap(swapped[i], swapped[i - 1]);
    EXPECT_FALSE(read(joined(swapped), 1000).result) << "frame " << i;
  }
}

/// Frames whose checksums hold, in an order that no broker writes.
TEST(BackupStream, WhatMakesNoBackupIsRefusedWhateverItsChecksums) {
  const auto refused = [](auto write) {
    BackupWriter writer;
    std::string bytes = writer.head(make_head());
    bytes += write(writer);
    return !read(bytes, bytes.size()).result.has_value();
  };
  using Entries = std::vector<raft::Entry>;
  EXPECT_TRUE(refused([](BackupWriter& writer) { return writer.end(); })) << "nothing in it";
  EXPECT_TRUE(refused([](BackupWriter& writer) { return writer.piece("x") + writer.end(); })) << "no snapshot";
  EXPECT_TRUE(refused([](BackupWriter& writer) { return writer.entries({}); })) << "no entries";
  EXPECT_TRUE(refused([](BackupWriter& writer) {
    return writer.entries(Entries{make_entry(2, 1, raft::Command::noop, "")});
  })) << "a hole";
  EXPECT_TRUE(refused([](BackupWriter& writer) {
    return writer.entries(
        Entries{make_entry(1, 3, raft::Command::noop, ""), make_entry(2, 2, raft::Command::noop, "")});
  })) << "a term that falls";
  EXPECT_TRUE(refused([](BackupWriter& writer) {
    auto entry = make_entry(1, 1, raft::Command::publish, "event");
    ++entry.checksum;
    return writer.entries(Entries{entry});
  })) << "an entry's own checksum";
  EXPECT_TRUE(refused([](BackupWriter& writer) {
    return writer.snapshot(make_snapshot()) + writer.entries(Entries{make_entry(8, 3, raft::Command::noop, "")});
  })) << "entries within the snapshot";
}

}  // namespace
}  // namespace weir::wire
