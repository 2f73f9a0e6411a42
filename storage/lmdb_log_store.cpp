// Opening: from a folder's name to a store whose every byte was verified.
#include "storage/lmdb_log_store.hpp"

#include <unistd.h>

#include <cerrno>
#include <random>
#include <utility>

#include "storage/write_plan.hpp"

namespace weir::storage {
namespace {

constexpr raft::Index kFirstIndex{1};
constexpr std::size_t kNodeNameSizeMax = 255;
// Besides read()'s: what Env::open itself uses.
constexpr std::uint32_t kSpareReaders = 4;

constexpr const char* kWayOut =
    "; put it back, or move the whole data folder away and start again: the node then joins as a new member and copies "
    "the log from its peers";

std::unexpected<Error> failure(Errc code, const std::string& path, const std::string& problem) {
  return std::unexpected(Error{code, path + ": " + problem});
}

std::string state_path(const std::string& generation) {
  return generation + "/state.mdb";
}
std::string segment_path(const std::string& generation, raft::Index first_index) {
  return generation + "/" + segment_file_name(first_index);
}

std::uint64_t random_number() {
  std::random_device device;
  std::uint64_t number = 0;
  while (number == 0) number = std::uint64_t{device()} << 32U | device();
  return number;
}

Env::Options log_options(const std::string& path, std::uint64_t bytes_max) {
  return {path, bytes_max, LmdbLogStore::kReadersMax + kSpareReaders};
}

std::expected<void, Error> create_generation(DataFolder& folder, const LmdbLogStore::Options& options) {
  auto generation = folder.begin_generation();
  if (!generation) return std::unexpected(std::move(generation.error()));
  const SegmentRecord record{kFirstIndex, random_number()};
  {
    auto log = Env::open(log_options(segment_path(*generation, kFirstIndex), options.log_bytes_max));
    if (!log) return std::unexpected(std::move(log.error()));
    auto txn = WriteTxn::begin(*log);
    if (!txn) return std::unexpected(std::move(txn.error()));
    const SegmentHead head{record.segment_id, record.first_index, 0, 0};
    if (auto put = txn->put(segment_key(raft::Index{0}), encode_segment_head(head)); !put) return put;
    if (auto committed = txn->commit(); !committed) return committed;
  }
  auto state = StateFile::create(state_path(*generation), {options.node_name, random_number(), ""}, {&record, 1});
  if (!state) return std::unexpected(std::move(state.error()));
  return folder.finish_generation();
}

// The file must be there; LMDB's lock file beside it, from a process that is gone or from another build of LMDB, must
// not (FAULTS 53): the folder's own lock says that nobody uses it.
std::expected<void, Error> expect_data_file(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return failure(Errc::damaged, path, std::string("is missing") + kWayOut);
  if (unlink((path + "-lock").c_str()) != 0 && errno != ENOENT)
    return failure(Errc::setup, path + "-lock", "cannot be removed; is the data folder writable?");
  return {};
}

std::expected<StateFile, Error> open_state(const std::string& generation, const std::string& node_name) {
  const std::string path = state_path(generation);
  if (auto there = expect_data_file(path); !there) return std::unexpected(std::move(there.error()));
  auto state = StateFile::open(path);
  if (state && state->identity().node != node_name)
    return failure(Errc::mismatch, path,
                   "the data folder belongs to node '" + state->identity().node + "', not to '" + node_name +
                       "'; start that node here or give this one a folder of its own");
  return state;
}

// DESIGN §3: a term in the log that the node does not remember means that a vote may be forgotten, too.
std::expected<void, Error> check_terms(const std::string& path, const raft::HardState& state, const RecoveredLog& log) {
  if (log.term_runs.empty() || state.current_term >= log.term_runs.back().term) return {};
  return failure(Errc::damaged, path,
                 "its current term " + std::to_string(state.current_term.value) + " is below the log's last term " +
                     std::to_string(log.term_runs.back().term.value) +
                     "; it is older than the log, do not mix copies: move the whole data folder away and start again");
}

// found() was cut short between its two commits: an entry of term 1 in a store that never heard of a term or a cluster.
bool is_half_founded(const StateFile& state, const RecoveredLog& log) {
  return state.identity().cluster_id.empty() && state.hard_state() == raft::HardState{} &&
         log.last_index == kFirstIndex && log.first_command == raft::Command::config &&
         log.term_runs.back().term == raft::Term{1};
}

}  // namespace

std::expected<std::unique_ptr<LmdbLogStore>, Error> LmdbLogStore::open(Options options) {
  if (options.node_name.empty() || options.node_name.size() > kNodeNameSizeMax)
    return failure(Errc::setup, options.folder, "a node's name has 1 to 255 bytes");
  auto folder = DataFolder::open(options.folder);
  if (!folder) return std::unexpected(std::move(folder.error()));
  if (!folder->generation())
    if (auto created = create_generation(*folder, options); !created)
      return std::unexpected(std::move(created.error()));

  const std::string& generation = *folder->generation();
  auto state = open_state(generation, options.node_name);
  if (!state) return std::unexpected(std::move(state.error()));
  if (state->segments().size() != 1)
    return failure(Errc::version, state->path(), "lists several segments; run a newer weir");
  const SegmentRecord& record = state->segments().front();
  const std::string path = segment_path(generation, record.first_index);
  if (auto there = expect_data_file(path); !there) return std::unexpected(std::move(there.error()));
  auto recovered = recover_segment(path, record);
  if (!recovered) return std::unexpected(std::move(recovered.error()));

  const bool half_founded = is_half_founded(*state, *recovered);
  if (!half_founded)
    if (auto ok = check_terms(state->path(), state->hard_state(), *recovered); !ok)
      return std::unexpected(std::move(ok.error()));
  auto log = Env::open(log_options(path, options.log_bytes_max));
  if (!log) return std::unexpected(std::move(log.error()));
  std::unique_ptr<LmdbLogStore> store(
      new LmdbLogStore(std::move(*folder), std::move(*state), std::move(*log), std::move(*recovered)));
  if (half_founded)
    if (auto dropped = store->drop_half_founded(); !dropped) return std::unexpected(std::move(dropped.error()));
  return store;
}

LmdbLogStore::LmdbLogStore(DataFolder folder, StateFile state, Env log, RecoveredLog recovered)
    : folder_(std::move(folder)),
      state_(std::move(state)),
      log_(std::move(log)),
      recovered_{.hard_state = state_.hard_state(),
                 .term_runs = recovered.term_runs,
                 .first_index = recovered.head.first_index,
                 .last_index = recovered.last_index,
                 .config_entries = std::move(recovered.config_entries)},
      segment_id_(recovered.head.segment_id),
      head_(recovered.head),
      term_runs_(std::move(recovered.term_runs)),
      last_index_(recovered.last_index),
      chain_(recovered.chain) {}

std::expected<void, Error> LmdbLogStore::drop_half_founded() {
  WritePlan plan;
  plan.truncate_from = kFirstIndex;
  if (auto dropped = write_plan(plan); !dropped) return dropped;
  recovered_ = {.hard_state = state_.hard_state(), .term_runs = {}, .first_index = kFirstIndex, .last_index = {}};
  return {};
}

}  // namespace weir::storage
