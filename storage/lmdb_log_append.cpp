// Writing: what was asked for, as few commits as it takes.
#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/write_plan.hpp"

namespace weir::storage {
namespace {

// Per commit, beside the chunk itself: its rounding to pages and the copied path to the root.
constexpr std::uint64_t kCommitBytes = std::uint64_t{64} << 10U;

std::uint64_t bytes_of(const WritePlan& plan) {
  std::uint64_t records = plan.truncate_from ? LmdbLogStore::kChunkBytesTarget : 0;
  for (const raft::Entry* entry : plan.entries) {
    WEIR_CHECK(entry->data.size() <= LmdbLogStore::kEntryDataBytesMax, entry->index, entry->data.size());
    records += record_size(entry->data.size());
  }
  return records + (records / LmdbLogStore::kChunkBytesTarget + 1) * kCommitBytes;
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
  const WritePlan plan = plan_writes(writes, state_.hard_state(), last_index_);
  if (plan.truncate_from || !plan.entries.empty())
    if (auto reserved = log_.reserve(bytes_of(plan)); !reserved) {
      // Nothing was written: with room, the same call can succeed.
      if (reserved.error().code != Errc::disk_full) failed_ = reserved.error().text;
      return reserved;
    }
  return write_plan(plan);
}

std::expected<void, Error> LmdbLogStore::found(std::string_view cluster_id, const raft::Entry& config) {
  WEIR_CHECK(last_index_ == raft::Index{0} && state_.identity().cluster_id.empty(), last_index_,
             state_.identity().cluster_id);
  WEIR_CHECK(state_.hard_state() == raft::HardState{}, state_.hard_state().current_term);
  WEIR_CHECK(!cluster_id.empty());
  WEIR_CHECK(config.index == raft::Index{1} && config.term == raft::Term{1} && config.command == raft::Command::config,
             config.index, config.term, config.command);
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  WritePlan plan;
  plan.entries = {&config};
  if (auto reserved = log_.reserve(bytes_of(plan)); !reserved) return reserved;
  // The entry first: without a cluster's name it counts for nothing (is_half_founded). The reverse order would leave a
  // member of a cluster with an empty log.
  if (auto written = write_plan(plan); !written) return written;
  if (auto named = state_.save_founding(cluster_id, {raft::Term{1}, raft::kNobody}); !named) {
    failed_ = named.error().text;
    return std::unexpected(Error{Errc::io, failed_});
  }
  recovered_ = {.hard_state = state_.hard_state(),
                .term_runs = term_runs_,
                .first_index = raft::Index{1},
                .last_index = last_index_,
                .config_entries = {raft::Index{1}}};
  return {};
}

std::expected<void, Error> LmdbLogStore::write_plan(const WritePlan& plan) {
  auto write = [&]() -> std::expected<void, Error> {
    if (plan.hard_state)
      if (auto saved = state_.save(*plan.hard_state); !saved) return saved;
    Entries rest(plan.entries);
    if (plan.truncate_from)
      if (auto truncated = truncate(*plan.truncate_from, rest); !truncated) return truncated;
    while (!rest.empty()) {
      auto txn = WriteTxn::begin(log_);
      if (!txn) return std::unexpected(std::move(txn.error()));
      if (auto put = put_chunk(*txn, {last_index_.next(), {}, 0, {}}, rest); !put) return put;
      if (auto committed = txn->commit(); !committed) return committed;
    }
    return {};
  };
  auto written = write();
  if (!written) {
    // Whatever it was, parts may be on disk and parts not, and after a failed flush the kernel may have dropped pages
    // that it calls clean (FAULTS 41). Only a restart, which reads the disk, can tell.
    failed_ = written.error().text;
    if (written.error().code == Errc::disk_full) written.error().code = Errc::io;
  }
  return written;
}

std::expected<void, Error> LmdbLogStore::truncate(raft::Index from, Entries& rest) {
  auto txn = WriteTxn::begin(log_);
  if (!txn) return std::unexpected(std::move(txn.error()));
  auto chunk = chunk_at_or_before(*txn, log_.path(), from);
  if (!chunk) return std::unexpected(std::move(chunk.error()));
  const KeptRecords kept = keep(*chunk, from);
  const std::uint64_t previous_checksum = chunk->header().previous_checksum;

  if (auto erased = txn->erase_from(segment_key(kept.first_index)); !erased) return erased;
  // Even if no chunk is written now, the next one's sequence is above those that were erased.
  head_.sequence_floor = chain_.sequence;
  if (auto put = txn->put(segment_key(raft::Index{0}), encode_segment_head(head_)); !put) return put;
  chain_.checksum = previous_checksum;
  last_index_ = kept.first_index.prev();
  truncate_runs(term_runs_, from);
  if (kept.count > 0 || !rest.empty())
    if (auto put = put_chunk(*txn, kept, rest); !put) return put;
  return txn->commit();
}

// Moves what is in memory ahead of the commit: if that fails, the store writes no more.
std::expected<void, Error> LmdbLogStore::put_chunk(WriteTxn& txn, const KeptRecords& kept, Entries& rest) {
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
  auto room = txn.append(segment_key(header.first_index), chunk_size(body_size, log_.page_size()));
  if (!room) return std::unexpected(std::move(room.error()));
  chain_ = {header.sequence, write_chunk(*room, header, kept.bytes, entries)};
  last_index_ = header.first_index + (header.count - 1);
  return {};
}

}  // namespace weir::storage
