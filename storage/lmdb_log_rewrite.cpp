// Giving back the space of what is retained no longer, in files that something is retained of.
#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/check.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/segment_rewrite.hpp"
#include "storage/segment_seal.hpp"

namespace weir::storage {
namespace {

/// Of a file beside its chunks: two meta pages, the path to them, and the edges of pages.
constexpr std::uint64_t kFileBytes = std::uint64_t{32} << 10U;

/// The file that begins with `first` and has rolled; the end, if there is none.
Segments::const_iterator rolled_at(const Segments& chain, raft::Index first) {
  const auto rolled_end = std::prev(chain.end());
  const auto found =
      std::ranges::find(chain.begin(), rolled_end, first,
                        [](const std::shared_ptr<const Segment>& segment) { return segment->record.first_index; });
  return found == rolled_end ? chain.end() : found;
}

}  // namespace

std::vector<LogFile> LmdbLogStore::log_files() const {
  std::vector<LogFile> files;
  const auto chain = segments();
  for (auto segment = chain->begin(); std::next(segment) != chain->end(); ++segment) {
    const raft::Index first = (*segment)->record.first_index;
    const raft::Index end = (*std::next(segment))->record.first_index;
    files.push_back({.first = first,
                     .end = end,
                     .bytes = (*segment)->env.used_bytes(),
                     .bytes_hollow = kFileBytes + (end - first) * record_size(0)});
  }
  return files;
}

raft::Index LmdbLogStore::hollow_to() const {
  raft::Index last;
  const auto chain = segments();
  for (const auto& segment : *chain)
    if (segment->head.rewritten) last = segment->head.rewritten->last_index;
  return last;
}

std::expected<RewriteAnswer, Error> LmdbLogStore::rewrite(raft::Index first, const KeepEntry& keep,
                                                          std::size_t bytes_max) {
  const auto chain = segments();
  const auto segment = rolled_at(*chain, first);
  const raft::Index end = segment == chain->end() ? raft::Index{} : (*std::next(segment))->record.first_index;
  if (end <= first || end > snapshot_index().next()) {
    rewrite_.reset();
    return RewriteAnswer::refused;
  }
  if (!rewrite_ || rewrite_->source().segment != *segment) {
    rewrite_.reset();
    const Segment& following = **std::next(segment);
    auto begun = SegmentRewrite::begin(
        {.segment = *segment,
         .end = end,
         .chain = {.sequence = following.head.sequence_floor, .checksum = following.head.previous_checksum}});
    if (!begun) return std::unexpected(std::move(begun.error()));
    rewrite_ = *std::move(begun);
  }
  auto answer = rewrite_->go_on(keep, bytes_max);
  if (!answer || *answer == RewriteAnswer::refused) rewrite_.reset();
  return answer;
}

// The list decides: before it is committed the old file counts, from then on the new one. Whoever reads the old one, or
// is sent it, keeps its pages.
std::expected<std::uint64_t, Error> LmdbLogStore::finish_rewrite() {
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  WEIR_CHECK(rewrite_ && rewrite_->is_ready());
  const auto rewrite = std::exchange(rewrite_, nullptr);
  const std::shared_ptr<const Segment> old = rewrite->source().segment;
  const auto fresh = rewrite->take();
  Segments chain = *segments();
  const auto place = std::ranges::find(chain, old);
  if (place == chain.end()) {  // dropped meanwhile, or all of the log was replaced
    remove_files({fresh});
    return 0;
  }
  *place = fresh;
  std::vector<SegmentRecord> records;
  for (const auto& segment : chain) records.push_back(segment->record);
  if (auto saved = state_.save(state_.hard_state(), records); !saved) return fail(std::move(saved.error()));
  const std::uint64_t given_back = old->env.used_bytes() - fresh->env.used_bytes();
  publish(std::move(chain));
  remove_files({old});
  return given_back;
}

}  // namespace weir::storage
