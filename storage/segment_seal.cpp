#include "storage/segment_seal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "storage/file.hpp"
#include "storage/row_format.hpp"

namespace weir::storage {
namespace {

constexpr std::size_t kFixedSize = 112;
constexpr std::size_t kRunSize = 16;
constexpr std::size_t kIndexSize = 8;
/// Byte 97 of a rewritten file's seal, of others 0. What its head says of its end is where that ends.
constexpr std::uint8_t kRewritten = 1;
/// A file's part of the log has at most this many runs of terms and CONFIG entries; a size above is not a seal's.
constexpr std::uint64_t kSealBytesMax = std::uint64_t{64} << 20U;

}  // namespace

std::string encode_seal(const SegmentSeal& seal_of) {
  std::string out(kFixedSize, '\0');
  store(out.data() + 16, seal_of.head.segment_id);
  store(out.data() + 24, seal_of.head.first_index.value);
  store(out.data() + 32, seal_of.head.sequence_floor);
  store(out.data() + 40, seal_of.head.previous_checksum);
  store(out.data() + 48, seal_of.head.previous_term.value);
  store(out.data() + 56, seal_of.last_index.value);
  store(out.data() + 64, seal_of.chain.checksum);
  store(out.data() + 72, seal_of.chain.sequence);
  store(out.data() + 80, seal_of.rows);
  store(out.data() + 88, seal_of.used_bytes);
  store(out.data() + 96, std::to_underlying(seal_of.first_command));
  store(out.data() + 97, std::uint8_t{seal_of.head.rewritten ? kRewritten : std::uint8_t{0}});
  store(out.data() + 104, static_cast<std::uint32_t>(seal_of.term_runs.size()));
  store(out.data() + 108, static_cast<std::uint32_t>(seal_of.config_entries.size()));
  const auto add = [&out](std::uint64_t number) {
    out.resize(out.size() + sizeof number);
    store(out.data() + out.size() - sizeof number, number);
  };
  for (const raft::TermRun& run : seal_of.term_runs) {
    add(run.term.value);
    add(run.first.value);
  }
  for (const raft::Index index : seal_of.config_entries) add(index.value);
  seal(out, Magic::segment_seal);
  return out;
}

std::expected<SegmentSeal, Error> decode_seal(std::string_view value) {
  if (auto ok = check_prefix(value, Magic::segment_seal, kFixedSize, "the seal"); !ok)
    return std::unexpected(std::move(ok.error()));
  const std::size_t runs = load<std::uint32_t>(value.data() + 104);
  const std::size_t configs = load<std::uint32_t>(value.data() + 108);
  if (value.size() != kFixedSize + runs * kRunSize + configs * kIndexSize) return damaged("the seal has a wrong size");
  SegmentSeal seal_of{.head = {load_u64(value, 16), raft::Index{load_u64(value, 24)}, load_u64(value, 32),
                               load_u64(value, 40), raft::Term{load_u64(value, 48)}},
                      .last_index = raft::Index{load_u64(value, 56)},
                      .chain = {.sequence = load_u64(value, 72), .checksum = load_u64(value, 64)},
                      .rows = load_u64(value, 80),
                      .used_bytes = load_u64(value, 88),
                      .first_command = static_cast<raft::Command>(load<std::uint8_t>(value.data() + 96)),
                      .term_runs = {},
                      .config_entries = {}};
  if (load<std::uint8_t>(value.data() + 97) == kRewritten)
    seal_of.head.rewritten = RewrittenEnd{.last_index = seal_of.last_index, .chain = seal_of.chain};
  std::size_t at = kFixedSize;
  for (std::size_t run = 0; run < runs; ++run, at += kRunSize)
    seal_of.term_runs.push_back({raft::Term{load_u64(value, at)}, raft::Index{load_u64(value, at + 8)}});
  for (std::size_t config = 0; config < configs; ++config, at += kIndexSize)
    seal_of.config_entries.push_back(raft::Index{load_u64(value, at)});
  return seal_of;
}

std::string seal_path(const std::string& generation, const SegmentRecord& record) {
  return generation + "/" + segment_file_name(record) + std::string(kSealSuffix);
}

std::optional<SegmentSeal> read_seal(const std::string& generation, const SegmentRecord& record, raft::Index end) {
  const auto file = File::open(seal_path(generation, record), O_RDONLY);
  if (!file) return std::nullopt;
  const auto size = file->size();
  if (!size || *size > kSealBytesMax) return std::nullopt;
  std::string bytes(*size, '\0');
  if (!file->read_at(0, bytes)) return std::nullopt;
  auto seal_of = decode_seal(bytes);
  const bool fits = seal_of && seal_of->head.segment_id == record.segment_id &&
                    seal_of->head.first_index == record.first_index && seal_of->last_index.next() == end;
  return fits ? std::optional(*std::move(seal_of)) : std::nullopt;
}

std::expected<void, Error> write_seal(const std::string& generation, const SegmentRecord& record,
                                      const SegmentSeal& seal_of) {
  const std::string path = seal_path(generation, record);
  const std::string begun = path + ".new";
  {
    auto file = File::open(begun, O_WRONLY | O_CREAT | O_TRUNC, "create the file");
    if (!file) return std::unexpected(std::move(file.error()));
    // Not flushed: what a power cut leaves of it does not match its checksum, and then it is none.
    if (auto written = file->write_at(0, encode_seal(seal_of)); !written) {
      static_cast<void>(unlink(begun.c_str()));
      return written;
    }
  }
  if (std::rename(begun.c_str(), path.c_str()) != 0) return failure_errno(path, "put in place");
  return {};
}

}  // namespace weir::storage
