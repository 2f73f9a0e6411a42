// Opening: from a folder's name to a store whose every byte was verified.
#include "storage/lmdb_log_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "storage/checkpoint_file.hpp"
#include "storage/id_run_files.hpp"
#include "storage/lmdb_log_sending.hpp"
#include "storage/random_id.hpp"
#include "storage/segment_open.hpp"
#include "storage/segment_rewrite.hpp"
#include "storage/snapshot_inbox.hpp"

namespace weir::storage {
namespace {

constexpr raft::Index kFirstIndex{1};
constexpr std::size_t kNodeNameSizeMax = 255;

constexpr const char* kWayOut =
    "; put it back, or move the whole data folder away and start again: the node then joins as a new member and copies "
    "the log from its peers";

std::unexpected<Error> failure(Errc code, const std::string& path, const std::string& problem) {
  return std::unexpected(Error{code, path + ": " + problem});
}

std::expected<void, Error> create_generation(DataFolder& folder, const LmdbLogStore::Options& options) {
  auto generation = folder.begin_generation();
  if (!generation) return std::unexpected(std::move(generation.error()));
  const SegmentHead head{random_id(), kFirstIndex, 0, 0, {}};
  const SegmentRecord record{head.first_index, head.segment_id};
  if (auto segment = create_segment(*generation, head, 0, options, nullptr); !segment)
    return std::unexpected(std::move(segment.error()));
  auto state = StateFile::create(state_file_path(*generation), {options.node_name, random_id(), ""}, {}, {&record, 1});
  if (!state) return std::unexpected(std::move(state.error()));
  return folder.finish_generation();
}

std::expected<void, Error> expect_data_file(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return failure(Errc::damaged, path, std::string("is missing") + kWayOut);
  return {};
}

std::expected<StateFile, Error> open_state(const std::string& generation, const std::string& node_name) {
  const std::string path = state_file_path(generation);
  if (auto there = expect_data_file(path); !there) return std::unexpected(std::move(there.error()));
  auto state = StateFile::open(path);
  if (state && state->identity().node != node_name)
    return failure(Errc::mismatch, path,
                   "the data folder belongs to node '" + state->identity().node + "', not to '" + node_name +
                       "'; start that node here or give this one a folder of its own");
  return state;
}

raft::Term last_term(const RecoveredLog& log) {
  if (!log.lost.empty()) return log.lost.back().entries.back().term;
  return log.term_runs.empty() ? raft::Term{} : log.term_runs.back().term;
}

// DESIGN §3: a term in the log that the node does not remember means that a vote may be forgotten, too.
std::expected<void, Error> check_terms(const std::string& path, const raft::HardState& state, const RecoveredLog& log) {
  if (state.current_term >= last_term(log)) return {};
  return failure(Errc::damaged, path,
                 "its current term " + std::to_string(state.current_term.value) + " is below the log's last term " +
                     std::to_string(last_term(log).value) +
                     "; it is older than the log, do not mix copies: move the whole data folder away and start again");
}

// One of another log, or of entries that are not there, is no part of this node.
std::expected<std::vector<CheckpointRecord>, Error> find_checkpoints(const std::string& generation,
                                                                     const std::vector<SegmentRecord>& segments,
                                                                     const RecoveredLog& log) {
  const raft::Index first_index = segments.front().first_index;
  auto records = CheckpointFiles::find(generation, first_index, segments.back().first_index);
  if (!records) return records;
  for (const CheckpointRecord& record : *records) {
    if (record.index < first_index || record.index > log.last_index) continue;
    if (term_at(log.term_runs, record.index) == record.term) continue;
    return failure(Errc::damaged, generation + "/" + checkpoint_file_name(record.index),
                   std::string("is of an entry of another term than the log has there") + kWayOut);
  }
  return records;
}

// found() was cut short between its two commits: an entry of term 1 in a store that never heard of a term or a cluster.
// The entry may stand in the log, or be found behind it.
bool is_half_founded(const StateFile& state, const RecoveredLog& log) {
  if (!state.identity().cluster_id.empty() || state.hard_state() != raft::HardState{}) return false;
  if (last_term(log) != raft::Term{1}) return false;
  if (log.lost.empty()) return log.last_index == kFirstIndex && log.first_command == raft::Command::config;
  const std::vector<raft::Entry>& entries = log.lost.front().entries;
  return log.last_index == kFirstIndex.prev() && log.lost.size() == 1 && entries.size() == 1 &&
         entries.front().command == raft::Command::config;
}

}  // namespace

std::string_view to_string(Durability durability) {
  switch (durability) {
    case Durability::two_flushes:
      return "two-flushes";
    case Durability::one_flush:
      return "one-flush";
    case Durability::os:
      return "os";
  }
  return "?";
}

std::optional<Durability> parse_durability(std::string_view text) {
  for (const Durability durability : {Durability::two_flushes, Durability::one_flush, Durability::os})
    if (text == to_string(durability)) return durability;
  return std::nullopt;
}

std::expected<std::unique_ptr<LmdbLogStore>, Error> LmdbLogStore::open(const Options& options) {
  if (options.node_name.empty() || options.node_name.size() > kNodeNameSizeMax)
    return failure(Errc::setup, options.folder, "a node's name has 1 to 255 bytes");
  if (options.segment_bytes < kSegmentBytesMin || options.segment_bytes > kSegmentBytesMax)
    return failure(Errc::setup, options.folder, "a segment has 256 KiB to 4 GiB");
  auto store = open_folder(options);
  if (store || store.error().code != Errc::damaged || !options.rejoin) return store;
  if (auto condemned = condemn_folder(options.folder, store.error().text); !condemned)
    return std::unexpected(std::move(condemned.error()));
  return open_folder(options);
}

std::expected<std::unique_ptr<LmdbLogStore>, Error> LmdbLogStore::open_folder(const Options& options) {
  auto folder = DataFolder::open(options.folder);
  if (!folder) return std::unexpected(std::move(folder.error()));
  if (folder->is_condemned() && !options.rejoin)
    return failure(Errc::damaged, *folder->generation(),
                   "was found damaged: " + folder->damage()->why + " (to have it looked at again, remove " +
                       options.folder + "/DAMAGED)");
  if (!folder->generation() || folder->is_condemned())
    if (auto created = create_generation(*folder, options); !created)
      return std::unexpected(std::move(created.error()));

  if (auto removed = folder->remove_other_generations(); !removed) return std::unexpected(std::move(removed.error()));

  const std::string& generation = *folder->generation();
  auto state = open_state(generation, options.node_name);
  if (!state) return std::unexpected(std::move(state.error()));
  if (state->segments().empty()) return failure(Errc::damaged, state->path(), "lists no segment");
  if (auto taken = take_over_version_1(generation, state->segments()); !taken)
    return std::unexpected(std::move(taken.error()));
  for (const SegmentRecord& record : state->segments())
    if (auto there = expect_data_file(generation + "/" + segment_file_name(record)); !there)
      return std::unexpected(std::move(there.error()));
  if (auto removed = remove_lock_files(generation); !removed) return std::unexpected(std::move(removed.error()));
  auto log = recover_log(generation, state->segments(), Seals::kept);
  if (!log) return std::unexpected(std::move(log.error()));
  const bool half_founded = is_half_founded(*state, *log);
  if (!half_founded)
    if (auto ok = check_terms(state->path(), state->hard_state(), *log); !ok)
      return std::unexpected(std::move(ok.error()));
  if (auto tidied = remove_left_over_files(generation, state->segments(), log->chain.sequence + log->lost.size());
      !tidied)
    return std::unexpected(std::move(tidied.error()));

  auto checkpoints = find_checkpoints(generation, state->segments(), *log);
  if (!checkpoints) return std::unexpected(std::move(checkpoints.error()));
  const raft::Index covered = checkpoints->empty() ? raft::Index{} : checkpoints->back().index;
  auto id_runs = IdRunFiles::find(generation, state->segments().front().first_index, covered);
  if (!id_runs) return std::unexpected(std::move(id_runs.error()));
  auto opened = open_segments(generation, state->segments(), log->heads, options);
  if (!opened) return std::unexpected(std::move(opened.error()));
  const std::vector<LostChunk> lost = std::move(log->lost);
  std::vector<raft::Index> config_entries = std::move(log->config_entries);
  for (const LostChunk& chunk : lost)
    for (const raft::Entry& entry : chunk.entries)
      if (entry.command == raft::Command::config) config_entries.push_back(entry.index);
  std::unique_ptr<LmdbLogStore> store(new LmdbLogStore(options, std::move(*folder), std::move(*state),
                                                       std::move(opened->segments), std::move(opened->active),
                                                       std::move(*log), *std::move(checkpoints), *std::move(id_runs)));
  if (auto done = half_founded ? store->drop_half_founded(lost.size()) : store->restore(lost); !done)
    return std::unexpected(std::move(done.error()));
  store->recovered_ = {.hard_state = store->state_.hard_state(),
                       .term_runs = store->term_runs_,
                       .first_index = store->first_index(),
                       .last_index = store->last_index_,
                       .prev_term = store->segments()->front()->head.previous_term,
                       .config_entries = half_founded ? std::vector<raft::Index>{} : std::move(config_entries)};
  return store;
}

LmdbLogStore::LmdbLogStore(Options options, DataFolder folder, StateFile state, Segments segments, SegmentPtr active,
                           RecoveredLog recovered, std::vector<CheckpointRecord> checkpoints,
                           std::shared_ptr<IdRunFiles> id_runs)
    : options_(std::move(options)),
      folder_(std::move(folder)),
      state_(std::move(state)),
      lost_because_(folder_.damage() ? folder_.damage()->why : std::string()),
      identity_(state_.identity()),
      files_(make_segment_files(*folder_.generation(), options_)),
      segments_(std::make_shared<const Segments>(std::move(segments))),
      checkpoints_(std::make_shared<CheckpointFiles>(*folder_.generation(), std::move(checkpoints))),
      id_runs_(std::move(id_runs)),
      active_(std::move(active)),
      head_(active_->head),
      active_used_(recovered.last_index >= head_.first_index),
      term_runs_(std::move(recovered.term_runs)),
      last_index_(recovered.last_index),
      chain_(recovered.chain) {
  identity_.lost_data = folder_.damage().has_value();
}

LmdbLogStore::~LmdbLogStore() = default;

std::expected<void, Error> LmdbLogStore::drop_half_founded(std::size_t lost_chunks) {
  // Also when the entry is only found by a scan: its sequence must never be given to another.
  chain_.sequence += lost_chunks;
  Entries none;
  return truncate(kFirstIndex, none);
}

// Into a segment of their own, listed when they are in it: the file where they were found is not touched, so this can
// be cut short and begun again at any point.
std::expected<void, Error> LmdbLogStore::restore(const std::vector<LostChunk>& lost) {
  if (lost.empty()) return {};
  std::uint64_t bytes = 0;
  std::vector<const raft::Entry*> entries;
  for (const LostChunk& chunk : lost) {
    bytes += kCommitBytes;
    for (const raft::Entry& entry : chunk.entries) bytes += record_size(entry.data.size());
  }
  auto fresh = begin_segment(last_index_.next(), bytes);
  if (!fresh) return std::unexpected(std::move(fresh.error()));
  enter(*fresh);
  for (const LostChunk& chunk : lost) {
    entries.clear();
    for (const raft::Entry& entry : chunk.entries) entries.push_back(&entry);
    if (auto put = put_chunks(entries); !put) return put;
  }
  if (auto synced = (*fresh)->env.sync(); !synced) return synced;
  return commit(*fresh, state_.hard_state());
}

}  // namespace weir::storage
