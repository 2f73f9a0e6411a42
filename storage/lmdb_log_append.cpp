// Writing: what was asked for, as few commits as it takes.
#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/write_plan.hpp"

namespace weir::storage {
namespace {

/// Of one call, this much goes into one segment; the rest into the next one, if this one is full by then. No call of
/// Raft's brings as much; it bounds how far a file can grow beyond its size.
constexpr std::uint64_t kPieceBytes = std::uint64_t{64} << 20U;

std::uint64_t bytes_of(std::span<const raft::Entry* const> entries, bool truncates) {
  std::uint64_t records = truncates ? LmdbLogStore::kChunkBytesTarget : 0;
  for (const raft::Entry* entry : entries) {
    WEIR_CHECK(entry->data.size() <= LmdbLogStore::kEntryDataBytesMax, entry->index, entry->data.size());
    records += record_size(entry->data.size());
  }
  return records;
}

// The chunk at or before `key`, verified: what is kept of it must not be given a new checksum if it is broken.
std::expected<ChunkView, Error> chunk_at_or_before(const WriteTxn& txn, const std::string& path, raft::Index index) {
  auto cursor = txn.cursor();
  if (!cursor) return std::unexpected(std::move(cursor.error()));
  auto row = cursor->seek_at_or_before(segment_key(index));
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::unexpected(Error{Errc::damaged, path + ": a chunk is gone"});
  auto chunk = ChunkView::verify((*row)->value);
  if (!chunk)
    chunk.error().text = path + ": at or before index " + std::to_string(index.value) + ": " + chunk.error().text;
  return chunk;
}

}  // namespace

// The old records that stay in front of a chunk's new ones.
struct KeptRecords {
  raft::Index first_index;
  std::string bytes;
  std::uint32_t count = 0;
  raft::Term last_term;
};

namespace {

KeptRecords keep(const ChunkView& chunk, raft::Index up_to) {
  KeptRecords kept{chunk.header().first_index, {}, 0, {}};
  std::size_t offset = 0;
  for (; kept.first_index + kept.count < up_to; ++kept.count) {
    const RecordView record = record_at(chunk.body(), offset);
    kept.last_term = record.term;
    offset += record_size(record.data.size());
  }
  kept.bytes = chunk.body().substr(0, offset);
  return kept;
}

}  // namespace

std::expected<void, Error> LmdbLogStore::append(std::span<const LogWrite> writes) {
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  if (std::ranges::none_of(writes, [](const LogWrite& write) { return write.install.has_value(); }))
    return append_to_log(writes);
  bool installed = false;
  for (const WritesUpToInstall& part : split_at_installs(writes)) {
    auto written = append_to_log(part.writes);
    // From an install on it is not true that nothing was written.
    if (!written && installed) return fail(std::move(written.error()));
    if (!written || !part.install) return written;
    if (auto done = install(*part.install); !done) return fail(std::move(done.error()));
    installed = true;
  }
  return {};
}

std::expected<void, Error> LmdbLogStore::append_to_log(std::span<const LogWrite> writes) {
  const WritePlan plan = plan_writes(writes, state_.hard_state(), last_index_);
  Entries rest(plan.entries);
  Step step{plan.hard_state, plan.truncate_from, {}};
  for (Piece piece = Piece::first;; piece = Piece::further) {
    const std::size_t count = count_for_chunk(rest, 0, kPieceBytes);
    step.entries = rest.first(count);
    rest = rest.subspan(count);
    if (auto written = write(step, piece); !written) return written;
    if (rest.empty()) return {};
    step = {};
  }
}

std::expected<void, Error> LmdbLogStore::found(std::string_view cluster_id, const raft::Entry& config) {
  WEIR_CHECK(last_index_ == raft::Index{0} && state_.identity().cluster_id.empty(), last_index_,
             state_.identity().cluster_id);
  WEIR_CHECK(state_.hard_state() == raft::HardState{}, state_.hard_state().current_term);
  WEIR_CHECK(!cluster_id.empty());
  WEIR_CHECK(config.index == raft::Index{1} && config.term == raft::Term{1} && config.command == raft::Command::config,
             config.index, config.term, config.command);
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  const raft::Entry* const entry = &config;
  // The entry first: without a cluster's name it counts for nothing (is_half_founded). The reverse order would leave a
  // member of a cluster with an empty log.
  if (auto written = write({std::nullopt, std::nullopt, {&entry, 1}}, Piece::first); !written) return written;
  if (auto named = state_.save_founding(cluster_id, {raft::Term{1}, raft::kNobody}); !named)
    return fail(std::move(named.error()));
  identity_.cluster_id = state_.identity().cluster_id;
  recovered_ = {.hard_state = state_.hard_state(),
                .term_runs = term_runs_,
                .first_index = raft::Index{1},
                .last_index = last_index_,
                .config_entries = {raft::Index{1}}};
  return {};
}

std::unexpected<Error> LmdbLogStore::fail(Error error) {
  // Whatever it was, parts may be on disk and parts not, and after a failed flush the kernel may have dropped pages
  // that it calls clean (FAULTS 41). Only a restart, which reads the disk, can tell.
  failed_ = error.text;
  if (error.code == Errc::disk_full) error.code = Errc::io;
  return std::unexpected(std::move(error));
}

std::expected<void, Error> LmdbLogStore::write(const Step& step, Piece piece) {
  SegmentPtr fresh;
  if (step.truncate_from || !step.entries.empty()) {
    const std::uint64_t records = bytes_of(step.entries, step.truncate_from.has_value());
    const std::uint64_t bytes = records + (records / kChunkBytesTarget + 1) * kCommitBytes;
    Done room;
    if (must_roll(step, bytes)) {
      auto begun = begin_segment(step.truncate_from.value_or(last_index_.next()), bytes);
      if (begun) fresh = std::move(*begun);
      if (!begun) room = std::unexpected(std::move(begun.error()));
    } else {
      room = active_->env.reserve(bytes);
    }
    // Nothing was written: with room, the same call can succeed.
    if (!room && room.error().code == Errc::disk_full && piece == Piece::first) return room;
    if (!room) return fail(std::move(room.error()));
  }
  if (auto written = write_to_disk(step, fresh); !written) return fail(std::move(written.error()));
  // Half full is early enough: the other half takes longer to fill than the next file to write.
  if (active_->env.bytes_with(0) > options_.segment_bytes / 2) files()->prepare();
  return {};
}

// The hard state first, or with the truncation; then what is truncated, then the entries.
std::expected<void, Error> LmdbLogStore::write_to_disk(const Step& step, const SegmentPtr& fresh) {
  Entries rest(step.entries);
  if (fresh) {
    if (auto committed = commit(fresh, step.hard_state.value_or(state_.hard_state())); !committed) return committed;
    enter(fresh);
    return put_chunks(rest);
  }
  if (step.hard_state)
    if (auto saved = state_.save(*step.hard_state); !saved) return saved;
  if (step.truncate_from)
    if (auto truncated = truncate(*step.truncate_from, rest); !truncated) return truncated;
  return put_chunks(rest);
}

std::expected<void, Error> LmdbLogStore::put_chunks(Entries rest) {
  while (!rest.empty()) {
    auto txn = WriteTxn::begin(active_->env);
    if (!txn) return std::unexpected(std::move(txn.error()));
    if (auto put = put_chunk(*txn, {last_index_.next(), {}, 0, {}}, rest); !put) return put;
    if (auto committed = txn->commit(); !committed) return committed;
  }
  return {};
}

std::expected<void, Error> LmdbLogStore::truncate(raft::Index from, Entries& rest) {
  auto txn = WriteTxn::begin(active_->env);
  if (!txn) return std::unexpected(std::move(txn.error()));
  KeptRecords kept{from, {}, 0, {}};
  if (from <= last_index_) {
    auto chunk = chunk_at_or_before(*txn, active_->env.path(), from);
    if (!chunk) return std::unexpected(std::move(chunk.error()));
    kept = keep(*chunk, from);
    chain_.checksum = chunk->header().previous_checksum;
    if (auto erased = txn->erase_from(segment_key(kept.first_index)); !erased) return erased;
  }
  // Even if no chunk is written now, the next one's sequence is above those that were erased.
  head_.sequence_floor = chain_.sequence;
  if (auto put = txn->put(segment_key(raft::Index{0}), encode_segment_head(head_)); !put) return put;
  active_used_ = true;
  last_index_ = kept.first_index.prev();
  truncate_runs(term_runs_, from);
  if (kept.count > 0 || !rest.empty())
    if (auto put = put_chunk(*txn, kept, rest); !put) return put;
  if (auto committed = txn->commit(); !committed) return committed;
  // A forgotten truncation would bring back the chunks it removed, and the scan for what continues the newest chunk
  // would look behind those. So this commit is flushed to its end, whatever the durability.
  return options_.durability == Durability::one_flush ? active_->env.sync() : Done();
}

// Moves what is in memory ahead of the commit: if that fails, the store writes no more.
std::expected<void, Error> LmdbLogStore::put_chunk(WriteTxn& txn, const KeptRecords& kept, Entries& rest) {
  active_used_ = true;
  const std::size_t fresh = count_for_chunk(rest, kept.bytes.size(), kChunkBytesTarget);
  const Entries entries = rest.first(fresh);
  rest = rest.subspan(fresh);
  std::size_t body_size = kept.bytes.size();
  for (const raft::Entry* entry : entries) body_size += record_size(entry->data.size());
  for (const raft::Entry* entry : entries) {
    WEIR_CHECK(term_runs_.empty() || entry->term >= term_runs_.back().term, entry->index, entry->term);
    extend_runs(term_runs_, entry->index, entry->term);
  }

  const ChunkHeader header{head_.segment_id,
                           chain_.sequence + 1,
                           kept.first_index,
                           entries.empty() ? kept.last_term : entries.back()->term,
                           kept.count + static_cast<std::uint32_t>(fresh),
                           chain_.checksum};
  auto room = txn.append(segment_key(header.first_index), chunk_size(body_size, active_->env.page_size()));
  if (!room) return std::unexpected(std::move(room.error()));
  chain_ = {header.sequence, write_chunk(*room, header, kept.bytes, entries)};
  last_index_ = header.first_index + (header.count - 1);
  return {};
}

}  // namespace weir::storage
