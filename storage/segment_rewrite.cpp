#include "storage/segment_rewrite.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "raft/check.hpp"
#include "storage/log_recovery.hpp"
#include "storage/random_id.hpp"
#include "storage/segment_open.hpp"
#include "storage/segment_seal.hpp"

namespace weir::storage {
namespace {

/// A file is written anew when less than this part of it stays: so each byte is copied a third of a time at most.
constexpr std::uint64_t kWorthPart = 4;
/// A flush of the log waits no longer than for this.
constexpr std::uint64_t kFlushBytes = std::uint64_t{8} << 20U;
/// Address space beyond what may become of the file.
constexpr std::uint64_t kSlackBytes = std::uint64_t{64} << 20U;

std::unexpected<Error> damaged_at(const std::string& path, raft::Index index, const std::string& what) {
  return std::unexpected(Error{Errc::damaged, path + ": at index " + std::to_string(index.value) + ": " + what});
}

// Sequences of the old file's chunks: there are at least as many as the new one needs, as it packs its chunks as full.
std::expected<std::uint64_t, Error> first_sequence(const Segment& segment) {
  auto txn = ReadTxn::begin(segment.env);
  if (!txn) return std::unexpected(std::move(txn.error()));
  const raft::Index first = segment.record.first_index;
  auto value = txn->get(segment_key(first));
  if (!value) return std::unexpected(std::move(value.error()));
  if (!*value) return damaged_at(segment.env.path(), first, "a chunk is gone");
  const auto chunk = ChunkView::verify(**value);
  if (!chunk) return damaged_at(segment.env.path(), first, chunk.error().text);
  return chunk->header().sequence;
}

}  // namespace

std::expected<std::unique_ptr<SegmentRewrite>, Error> SegmentRewrite::begin(Source source) {
  const Segment& old = *source.segment;
  const auto sequence = first_sequence(old);
  if (!sequence) return std::unexpected(sequence.error());
  const SegmentHead head{.segment_id = random_id(),
                         .first_index = old.record.first_index,
                         .sequence_floor = *sequence - 1,
                         .previous_checksum = old.head.previous_checksum,
                         .previous_term = old.head.previous_term,
                         .rewritten = RewrittenEnd{.last_index = source.end.prev(), .chain = source.chain}};
  const std::string path = std::filesystem::path(old.env.path()).parent_path().string() + "/" + kRewriteName;
  static_cast<void>(unlink(path.c_str()));
  // Flushed in pieces, and at the end: until then nothing depends on it.
  auto env = Env::open({.path = path,
                        .map_bytes = old.env.used_bytes() + kSlackBytes,
                        .readers_max = 1,
                        .access = Env::Access::write,
                        .flush = Flush::none});
  if (!env) return std::unexpected(std::move(env.error()));
  std::unique_ptr<SegmentRewrite> rewrite(new SegmentRewrite(std::move(source), head, *std::move(env)));
  auto txn = WriteTxn::begin(*rewrite->env_);
  if (!txn) return std::unexpected(std::move(txn.error()));
  if (auto put = txn->put(segment_key(raft::Index{0}), encode_segment_head(head)); !put)
    return std::unexpected(std::move(put.error()));
  if (auto committed = txn->commit(); !committed) return std::unexpected(std::move(committed.error()));
  return rewrite;
}

SegmentRewrite::SegmentRewrite(Source source, SegmentHead head, Env env)
    : source_(std::move(source)),
      head_(head),
      generation_(std::filesystem::path(env.path()).parent_path().string()),
      bytes_max_(source_.segment->env.used_bytes() / kWorthPart),
      path_(env.path()),
      env_(std::move(env)),
      next_(head_.first_index),
      source_checksum_(head_.previous_checksum),
      written_{.sequence = head_.sequence_floor, .checksum = head_.previous_checksum} {}

SegmentRewrite::~SegmentRewrite() {
  env_.reset();
  if (taken_) return;
  static_cast<void>(unlink(path_.c_str()));
  static_cast<void>(unlink((path_ + std::string(kSealSuffix)).c_str()));
}

std::shared_ptr<const Segment> SegmentRewrite::take() {
  WEIR_CHECK(is_ready());
  taken_ = true;
  return std::move(finished_);
}

std::expected<RewriteAnswer, Error> SegmentRewrite::go_on(const KeepEntry& keep, std::size_t bytes_max) {
  if (finished_) return RewriteAnswer::ready;
  if (auto copied = copy(keep, bytes_max); !copied) return std::unexpected(std::move(copied.error()));
  const bool all = next_ == source_.end;
  if (all && count_ > 0)
    if (auto put = put_chunk(); !put) return std::unexpected(std::move(put.error()));
  if (env_->used_bytes() > bytes_max_ || written_.sequence > source_.chain.sequence) return RewriteAnswer::refused;
  if (!all) return RewriteAnswer::more;
  if (auto finished = finish(); !finished) return std::unexpected(std::move(finished.error()));
  return RewriteAnswer::ready;
}

std::expected<void, Error> SegmentRewrite::copy(const KeepEntry& keep, std::size_t bytes_max) {
  const Env& old = source_.segment->env;
  auto txn = ReadTxn::begin(old);
  if (!txn) return std::unexpected(std::move(txn.error()));
  auto cursor = txn->cursor();
  if (!cursor) return std::unexpected(std::move(cursor.error()));
  std::size_t bytes = 0;
  auto row = cursor->seek_at_or_before(segment_key(next_));
  while (next_ < source_.end && bytes < bytes_max && env_->used_bytes() <= bytes_max_) {
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row || index_of_key((*row)->key) != next_) return damaged_at(old.path(), next_, "a chunk is gone");
    if (auto taken = take_chunk(next_, (*row)->value, keep); !taken) return taken;
    bytes += (*row)->value.size();
    row = cursor->next();
  }
  return {};
}

std::expected<void, Error> SegmentRewrite::take_chunk(raft::Index at, std::string_view value, const KeepEntry& keep) {
  const std::string& path = source_.segment->env.path();
  const auto chunk = ChunkView::verify(value);
  if (!chunk) return damaged_at(path, at, chunk.error().text);
  const ChunkHeader& header = chunk->header();
  if (header.first_index != at || header.segment_id != source_.segment->record.segment_id ||
      header.previous_checksum != source_checksum_)
    return damaged_at(path, at, "the chunk belongs to another place");
  source_checksum_ = chunk->checksum();
  std::size_t offset = 0;
  for (std::uint32_t number = 0; number < header.count && next_ < source_.end; ++number) {
    const RecordView record = record_at(chunk->body(), offset);
    const std::size_t size = record_size(record.data.size());
    const bool stays = record.command == raft::Command::hollow || keep(next_, record.command);
    body_ += stays ? chunk->body().substr(offset, size) : std::string_view(hollow_record(record.term));
    ++count_;
    last_term_ = record.term;
    offset += size;
    next_ = next_.next();
    if (body_.size() < LmdbLogStore::kChunkBytesTarget) continue;
    if (auto put = put_chunk(); !put) return put;
  }
  return {};
}

std::expected<void, Error> SegmentRewrite::put_chunk() {
  const ChunkHeader header{.segment_id = head_.segment_id,
                           .sequence = written_.sequence + 1,
                           .first_index = raft::Index{next_.value - count_},
                           .last_term = last_term_,
                           .count = count_,
                           .previous_checksum = written_.checksum};
  auto txn = WriteTxn::begin(*env_);
  if (!txn) return std::unexpected(std::move(txn.error()));
  auto room = txn->append(segment_key(header.first_index), chunk_size(body_.size(), env_->page_size()));
  if (!room) return std::unexpected(std::move(room.error()));
  written_ = {.sequence = header.sequence, .checksum = write_chunk(*room, header, body_, {})};
  if (auto committed = txn->commit(); !committed) return committed;
  unflushed_ += body_.size();
  body_.clear();
  count_ = 0;
  if (unflushed_ < kFlushBytes) return {};
  unflushed_ = 0;
  return env_->sync();
}

// What is believed is what is on disk: every byte of it is read again before anything else goes.
std::expected<void, Error> SegmentRewrite::finish() {
  if (auto ends = expect_chain_end(); !ends) return ends;
  if (auto synced = env_->sync(); !synced) return synced;
  env_.reset();
  const SegmentRecord record{head_.first_index, head_.segment_id};
  const auto seal = verify_segment(path_, record, source_.end);
  if (!seal) return std::unexpected(seal.error());
  if (auto same = check_against_source(*seal); !same) return same;
  const std::string path = generation_ + "/" + segment_file_name(record);
  if (std::rename(path_.c_str(), path.c_str()) != 0)
    return std::unexpected(
        Error{Errc::io, path + ": cannot be put in place: " + std::generic_category().message(errno)});
  path_ = path;
  if (auto synced = sync_folder(generation_); !synced) return synced;
  // Without a seal the next start takes longer, that is all.
  [[maybe_unused]] const auto written = write_seal(generation_, record, *seal);
  auto opened = open_rolled_segment(generation_, record, head_);
  if (!opened) return std::unexpected(std::move(opened.error()));
  finished_ = *std::move(opened);
  return {};
}

std::expected<void, Error> SegmentRewrite::expect_chain_end() const {
  const auto& before = source_.segment->head.rewritten;
  const std::uint64_t end = before ? before->chain.checksum : source_checksum_;
  if (end == source_.chain.checksum) return {};
  return damaged_at(source_.segment->env.path(), source_.end.prev(), "the next segment does not continue it");
}

std::expected<void, Error> SegmentRewrite::check_against_source(const SegmentSeal& seal) const {
  const auto old = read_seal(generation_, source_.segment->record, source_.end);
  if (!old || (old->term_runs == seal.term_runs && old->config_entries == seal.config_entries)) return {};
  return std::unexpected(
      Error{Errc::io, path_ + ": terms or CONFIG entries are not those of " + source_.segment->env.path()});
}

}  // namespace weir::storage
