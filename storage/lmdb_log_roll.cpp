// The chain of segments: beginning the next one, cutting the log back into older ones, dropping the oldest.
//
// A file that rolled is never written to again. Where a truncation reaches into it, the log goes on in a fresh segment
// that begins at the cut, and the list in state.mdb, one commit, is what makes it so: at every moment before, the old
// log is whole; from then on, the new one.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "raft/check.hpp"
#include "storage/checkpoint_file.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/random_id.hpp"
#include "storage/segment_open.hpp"
#include "storage/snapshot_content.hpp"

namespace weir::storage {
namespace {

raft::Index first_of(const std::shared_ptr<const Segment>& segment) {
  return segment->record.first_index;
}

// The checksum of the chunk that holds `index`, verified.
std::expected<std::uint64_t, Error> checksum_at(const Segment& segment, raft::Index index) {
  auto txn = ReadTxn::begin(segment.env);
  if (!txn) return std::unexpected(std::move(txn.error()));
  auto cursor = txn->cursor();
  if (!cursor) return std::unexpected(std::move(cursor.error()));
  auto row = cursor->seek_at_or_before(segment_key(index));
  if (!row) return std::unexpected(std::move(row.error()));
  const std::string at = segment.env.path() + ": at index " + std::to_string(index.value) + ": ";
  if (!*row || index_of_key((*row)->key) == raft::Index{0})
    return std::unexpected(Error{Errc::damaged, at + "a chunk is gone"});
  const auto chunk = ChunkView::verify((*row)->value);
  if (!chunk) return std::unexpected(Error{chunk.error().code, at + chunk.error().text});
  if (chunk->last_index() < index) return std::unexpected(Error{Errc::damaged, at + "a chunk is gone"});
  return chunk->checksum();
}

}  // namespace

std::shared_ptr<const Segments> LmdbLogStore::segments() const {
  const std::scoped_lock lock(pointers_mutex_);
  return segments_;
}

std::shared_ptr<CheckpointFiles> LmdbLogStore::checkpoint_files() const {
  const std::scoped_lock lock(pointers_mutex_);
  return checkpoints_;
}

std::shared_ptr<IdRunFiles> LmdbLogStore::id_run_files() const {
  const std::scoped_lock lock(pointers_mutex_);
  return id_runs_;
}

std::shared_ptr<SegmentFiles> LmdbLogStore::files() const {
  const std::scoped_lock lock(pointers_mutex_);
  return files_;
}

void LmdbLogStore::publish(Segments segments) {
  auto fresh = std::make_shared<const Segments>(std::move(segments));
  const std::scoped_lock lock(pointers_mutex_);
  segments_.swap(fresh);
}

raft::Index LmdbLogStore::first_index() const {
  return first_of(segments()->front());
}

std::vector<std::string> LmdbLogStore::segment_paths() const {
  std::vector<std::string> paths;
  const auto chain = segments();
  for (const auto& segment : *chain) paths.push_back(segment->env.path());
  return paths;
}

std::vector<RolledFile> LmdbLogStore::rolled_files() const {
  std::vector<RolledFile> files;
  const auto chain = segments();
  for (std::size_t number = 0; number + 1 < chain->size(); ++number) {
    const Segment& segment = *(*chain)[number];
    files.push_back({.generation = std::filesystem::path(segment.env.path()).parent_path().string(),
                     .record = segment.record,
                     .end = first_of((*chain)[number + 1])});
  }
  return files;
}

bool LmdbLogStore::must_roll(const Step& step, std::uint64_t bytes) const {
  if (step.truncate_from && *step.truncate_from < head_.first_index) return true;
  return active_used_ && active_->env.bytes_with(bytes) > options_.segment_bytes;
}

std::expected<SegmentHead, Error> LmdbLogStore::head_for(raft::Index first) const {
  SegmentHead head{random_id(), first, chain_.sequence, chain_.checksum, term_at(term_runs_, first.prev())};
  if (first == last_index_.next()) {
    if (first == first_index()) head.previous_term = segments()->front()->head.previous_term;
    return head;
  }
  const auto chain = segments();
  WEIR_CHECK(first >= first_of(chain->front()), first, first_of(chain->front()));
  if (first == first_of(chain->front())) {
    head.previous_checksum = chain->front()->head.previous_checksum;
    head.previous_term = chain->front()->head.previous_term;
    return head;
  }
  const Segment& before = **std::prev(std::ranges::upper_bound(*chain, first.prev(), {}, first_of));
  if (const auto& rewritten = before.head.rewritten; rewritten && rewritten->last_index == first.prev()) {
    head.previous_checksum = rewritten->chain.checksum;
    return head;
  }
  auto checksum = checksum_at(before, first.prev());
  if (!checksum) return std::unexpected(std::move(checksum.error()));
  head.previous_checksum = *checksum;
  return head;
}

std::expected<LmdbLogStore::SegmentPtr, Error> LmdbLogStore::begin_segment(raft::Index first, std::uint64_t bytes) {
  auto head = head_for(first);
  if (!head) return std::unexpected(std::move(head.error()));
  // What is acknowledged in the active segment must not hang on a flush that it will not get any more.
  if (auto synced = active_->env.sync(); !synced) return std::unexpected(std::move(synced.error()));
  return create_segment(*folder_.generation(), *head, bytes, options_, files().get());
}

void LmdbLogStore::enter(const SegmentPtr& segment) {
  active_ = segment;
  head_ = segment->head;
  active_used_ = false;
  last_index_ = head_.first_index.prev();
  truncate_runs(term_runs_, head_.first_index);
  chain_.checksum = head_.previous_checksum;
}

std::expected<void, Error> LmdbLogStore::commit(const SegmentPtr& fresh, const raft::HardState& hard_state) {
  const auto chain = segments();
  Segments kept;
  Segments dropped;
  std::vector<SegmentRecord> records;
  for (const auto& segment : *chain) {
    const bool stays = first_of(segment) < fresh->record.first_index;
    (stays ? kept : dropped).push_back(segment);
    if (stays) records.push_back(segment->record);
  }
  records.push_back(fresh->record);
  if (auto saved = state_.save(hard_state, records); !saved) return saved;
  if (!kept.empty() && kept.back() == chain->back()) {
    auto reopened = open_rolled_segment(*folder_.generation(), kept.back()->record, kept.back()->head);
    if (!reopened) return std::unexpected(std::move(reopened.error()));
    kept.back() = std::move(*reopened);
  }
  kept.push_back(fresh);
  publish(std::move(kept));
  remove_files(dropped);
  return {};
}

std::expected<void, Error> LmdbLogStore::drop_before(raft::Index index) {
  WEIR_CHECK(index <= last_index_.next(), index, last_index_);
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  // What the newest snapshot is made of stays: else nobody could be helped.
  const auto checkpoints = checkpoint_files();
  const auto chain = segments();
  const raft::Index sendable = sendable_index(checkpoints->records(), first_of(chain->back()));
  const auto after = std::ranges::upper_bound(*chain, std::min(index, sendable.next()), {}, first_of);
  if (after == chain->begin() || std::prev(after) == chain->begin()) return {};
  const Segments dropped(chain->begin(), std::prev(after));
  Segments kept(std::prev(after), chain->end());
  std::vector<SegmentRecord> records;
  for (const auto& segment : kept) records.push_back(segment->record);
  if (auto saved = state_.save(state_.hard_state(), records); !saved) return fail(std::move(saved.error()));
  const raft::Index first = first_of(kept.front());
  publish(std::move(kept));
  remove_files(dropped);
  forget_checkpoints();
  if (first > last_index_) term_runs_.clear();
  while (term_runs_.size() > 1 && term_runs_[1].first <= first) term_runs_.erase(term_runs_.begin());
  if (!term_runs_.empty()) term_runs_.front().first = std::max(term_runs_.front().first, first);
  return {};
}

// Readers that are still in one keep its pages; the name goes at once.
void LmdbLogStore::remove_files(const Segments& dropped) {
  std::vector<std::string> paths;
  for (const auto& segment : dropped) {
    paths.push_back(segment->env.path());
    paths.push_back(segment->env.path() + std::string(kSealSuffix));
  }
  files()->remove(std::move(paths));
}

}  // namespace weir::storage
