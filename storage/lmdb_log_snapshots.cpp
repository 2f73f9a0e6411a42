// Checkpoints beside the log, and what is made of both: a snapshot to send, and one that was received.
#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/check.hpp"
#include "storage/checkpoint_file.hpp"
#include "storage/id_run_files.hpp"
#include "storage/lmdb_log_sending.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/random_id.hpp"
#include "storage/segment_open.hpp"
#include "storage/snapshot_inbox.hpp"

namespace weir::storage {
namespace {

/// Snapshots that can be gone on with at the same time: one for each follower that is helped, for each backup, and a
/// little more.
constexpr std::size_t kSendingMax = 6;
/// A run has at least so many ids, if there are so many: 24 MiB while it is made.
constexpr std::size_t kIdsOfRun = std::size_t{1} << 20U;
/// A follower that has not asked for so long begins anew.
constexpr std::chrono::seconds kSendingIdle{60};

}  // namespace

std::expected<void, Error> LmdbLogStore::save(const Checkpoint& checkpoint) {
  forget_unused_sources();
  auto saved = checkpoint_files()->save(checkpoint);
  if (saved) forget_checkpoints();
  return saved;
}

std::expected<void, Error> LmdbLogStore::forget_damage() {
  auto left = folder_.forget_damage();
  if (!left) return std::unexpected(std::move(left.error()));
  files()->remove(*std::move(left));
  return {};
}

void LmdbLogStore::forget_checkpoints() {
  const auto chain = segments();
  files()->remove(checkpoint_files()->forget(chain->front()->record.first_index, chain->back()->record.first_index));
}

std::vector<raft::Index> LmdbLogStore::checkpoints() const {
  std::vector<raft::Index> indexes;
  for (const CheckpointRecord& record : checkpoint_files()->records()) indexes.push_back(record.index);
  return indexes;
}

std::expected<Checkpoint, Error> LmdbLogStore::checkpoint(raft::Index index) const {
  return checkpoint_files()->read(index);
}

IdRuns LmdbLogStore::id_runs() const {
  return id_run_files()->runs();
}

std::expected<IdRuns, Error> LmdbLogStore::move_ids(raft::Index up_to, const IdsOf& ids_of) {
  const auto runs = id_run_files();
  const auto checkpoints = checkpoint_files();
  const raft::Index first_needed = first_index();
  runs->forget_before(first_needed);
  std::vector<KeyedPlace> ids;
  for (const CheckpointRecord& record : checkpoints->records()) {
    if (record.index <= runs->covered() || record.index > up_to) continue;
    const auto checkpoint = checkpoints->read(record.index);
    if (!checkpoint) return std::unexpected(checkpoint.error());
    if (auto added = ids_of(*checkpoint, ids); !added)
      return std::unexpected(Error{Errc::version, checkpoints->path_of(record.index) + ": " + added.error()});
    if (ids.size() < kIdsOfRun && record.index != up_to) continue;
    if (auto added = runs->add(record.index, ids, first_needed); !added)
      return std::unexpected(std::move(added.error()));
    ids.clear();
  }
  return runs->runs();
}

raft::Index LmdbLogStore::snapshot_index() const {
  return sendable_index(checkpoint_files()->records(), segments()->back()->record.first_index);
}

std::expected<SnapshotData, Error> LmdbLogStore::read_snapshot(std::uint64_t number, std::uint64_t offset,
                                                               std::size_t bytes_max) {
  const std::scoped_lock lock(sending_mutex_);
  const auto with_number = [this](std::uint64_t wanted) {
    return std::ranges::find(sending_, wanted, [](const Sending& each) { return each.source->snapshot().number; });
  };
  auto found = with_number(number);
  if (found == sending_.end() || offset > found->source->snapshot().size) {
    auto made = SnapshotSource::make(*checkpoint_files(), *segments(), identity_.incarnation);
    if (!made) return std::unexpected(std::move(made.error()));
    if (*made == nullptr) return SnapshotData{};
    if ((*made)->snapshot().number != number || offset > (*made)->snapshot().size) offset = 0;
    found = with_number((*made)->snapshot().number);
    if (found == sending_.end()) {
      if (sending_.size() == kSendingMax) sending_.erase(sending_.begin());
      sending_.push_back({*std::move(made), {}});
      found = std::prev(sending_.end());
    }
  }
  found->last_used = std::chrono::steady_clock::now();
  auto data = found->source->read(offset, bytes_max);
  if (!data) return std::unexpected(std::move(data.error()));
  return SnapshotData{.snapshot = found->source->snapshot(), .offset = offset, .data = *std::move(data)};
}

void LmdbLogStore::forget_unused_sources() {
  const std::scoped_lock lock(sending_mutex_);
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(sending_, [now](const Sending& each) { return now - each.last_used > kSendingIdle; });
}

std::expected<PieceAnswer, Error> LmdbLogStore::receive(const raft::SnapshotPiece& piece) {
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  if (piece.offset == 0) {
    inbox_.reset();
    auto inbox = SnapshotInbox::begin(folder_, piece.snapshot);
    if (!inbox) return std::unexpected(std::move(inbox.error()));
    inbox_ = std::make_unique<SnapshotInbox>(*std::move(inbox));
  }
  if (!inbox_) return PieceAnswer::refused;
  auto answer = inbox_->take(piece);
  if (answer && *answer != PieceAnswer::refused) return answer;
  inbox_.reset();
  if (auto removed = folder_.remove_other_generations(); !removed) return std::unexpected(std::move(removed.error()));
  return answer;
}

std::expected<Segments, Error> LmdbLogStore::open_received(const SnapshotInbox& inbox, const SegmentPtr& fresh) const {
  Segments received;
  const std::vector<SegmentRecord> records = inbox.segments();
  for (std::size_t number = 0; number < records.size(); ++number) {
    auto segment = open_rolled_segment(inbox.generation(), records[number], inbox.log().heads[number]);
    if (!segment) return std::unexpected(std::move(segment.error()));
    received.push_back(*std::move(segment));
  }
  received.push_back(fresh);
  return received;
}

// The second generation is made whole beside the first; the name in CURRENT decides.
std::expected<void, Error> LmdbLogStore::install(const raft::Snapshot& snapshot) {
  WEIR_CHECK(inbox_ && inbox_->whole() && inbox_->snapshot() == snapshot, snapshot.index);
  const std::unique_ptr<SnapshotInbox> inbox = std::exchange(inbox_, nullptr);
  const RecoveredLog& log = inbox->log();
  const SegmentHead head{.segment_id = random_id(),
                         .first_index = snapshot.index.next(),
                         .sequence_floor = log.chain.sequence,
                         .previous_checksum = log.chain.checksum,
                         .previous_term = snapshot.term};
  auto fresh = create_segment(inbox->generation(), head, 0, options_, nullptr);
  if (!fresh) return std::unexpected(std::move(fresh.error()));
  std::vector<SegmentRecord> records = inbox->segments();
  records.push_back((*fresh)->record);
  auto state = StateFile::create(state_file_path(inbox->generation()), identity_, state_.hard_state(), records);
  if (!state) return std::unexpected(std::move(state.error()));
  auto opened = open_received(*inbox, *fresh);
  if (!opened) return std::unexpected(std::move(opened.error()));
  const std::string old_generation = *folder_.generation();
  if (auto finished = folder_.finish_generation(); !finished) return finished;

  auto files = make_segment_files(inbox->generation(), options_);
  auto checkpoints = std::make_shared<CheckpointFiles>(inbox->generation(), inbox->checkpoints());
  auto id_runs = std::make_shared<IdRunFiles>(inbox->generation());
  auto segments = std::make_shared<const Segments>(*std::move(opened));
  {
    const std::scoped_lock lock(sending_mutex_, pointers_mutex_);
    sending_.clear();
    files_.swap(files);
    checkpoints_.swap(checkpoints);
    id_runs_.swap(id_runs);
    segments_.swap(segments);
  }
  state_ = *std::move(state);
  term_runs_ = log.term_runs;
  chain_ = log.chain;
  enter(*fresh);
  files.reset();  // it may have been preparing a file there
  // Readers that are still in one of its files keep that file's pages.
  files_->remove({old_generation});
  return {};
}

}  // namespace weir::storage
