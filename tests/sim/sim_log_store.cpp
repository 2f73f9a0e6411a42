#include "tests/sim/sim_log_store.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "storage/write_plan.hpp"
#include "tests/sim/memory_id_run.hpp"
#include "tests/sim/sim_snapshot.hpp"

namespace weir::sim {

using storage::Errc;
using storage::Error;

namespace {

/// The newest two of so many runs become one.
constexpr std::size_t kRunsMerged = 3;
/// What an entry takes beside its data, and what a hollow one takes.
constexpr std::uint64_t kRecordBytes = 24;
constexpr std::uint64_t kHollowRecordBytes = 8;
/// Several followers may be sent older snapshots while newer ones are made.
constexpr std::size_t kMadeMax = 4;

/// The same for the same content, in every life of the store; another for any other.
[[nodiscard]] std::uint64_t number_of(std::uint64_t incarnation, raft::Index first, raft::Index last,
                                      std::uint64_t rewrites) {
  std::uint64_t number = incarnation;
  for (const std::uint64_t word : {first.value, last.value, rewrites}) {
    number = (number ^ word) * 0x9e3779b97f4a7c15U;
    number ^= number >> 29U;
  }
  return (number >> 2U) | 1U;
}

}  // namespace

SimDisk::SimDisk(std::string node, std::uint64_t incarnation) : identity_{std::move(node), incarnation, ""} {}

raft::Term SimDisk::term_at(raft::Index index) const {
  if (index.next() == first_index_) return prev_term_;
  return index < first_index_ || index > last_index() ? raft::Term{} : entries_[index - first_index_].term;
}

void SimDisk::roll() {
  for (const storage::Checkpoint& checkpoint : checkpoints_) {
    if (checkpoint.index + entries_in_use_ <= last_index()) sendable_ = std::max(sendable_, checkpoint.index);
  }
}

void SimDisk::flip_bit_of_received() {
  WEIR_CHECK(!received_.empty());
  received_[received_.size() / 2] = static_cast<char>(received_[received_.size() / 2] ^ 1);
}

void SimDisk::forge(const raft::Entry& entry) {
  entries_.at(entry.index - first_index_) = entry;
}

void SimDisk::wipe(std::uint64_t incarnation, Loss loss) {
  WEIR_CHECK(!open_);
  const std::uint64_t writes_done = writes_done_;
  const std::uint64_t entries_in_use = entries_in_use_;
  *this = SimDisk(identity_.node, incarnation);
  identity_.lost_data = loss == Loss::noticed;
  writes_done_ = writes_done;
  entries_in_use_ = entries_in_use;
}

std::expected<std::unique_ptr<SimLogStore>, Error> SimLogStore::open(SimDisk& disk, const std::string& node_name) {
  const std::string& owner = disk.identity_.node;
  if (disk.open_) return std::unexpected(Error{Errc::in_use, "the disk of " + owner + " is in use"});
  if (owner != node_name)
    return std::unexpected(Error{Errc::mismatch, "the disk belongs to '" + owner + "', not to '" + node_name + "'"});
  if (!disk.rotten_.empty())
    return std::unexpected(Error{Errc::damaged, "index " + std::to_string(disk.rotten_.begin()->value) + " is rotten"});
  const bool half_founded = disk.identity_.cluster_id.empty() && disk.hard_state_ == raft::HardState{} &&
                            disk.entries_.size() == 1 && disk.entries_.front().command == raft::Command::config;
  if (half_founded) disk.entries_.clear();
  if (!disk.rotten_checkpoints_.empty()) return std::unexpected(Error{Errc::damaged, "a checkpoint is rotten"});
  if (disk.hard_state_.current_term < disk.term_at(disk.last_index()))
    return std::unexpected(Error{Errc::damaged, "the current term is below the log's last term"});
  std::unique_ptr<SimLogStore> store(new SimLogStore(disk));
  disk.open_ = true;
  disk.fail_next_.reset();
  disk.fail_next_save_.reset();
  disk.tear_next_.reset();
  disk.received_.clear();
  disk.whole_ = false;
  store->recover();
  return store;
}

SimLogStore::~SimLogStore() {
  disk_.open_ = false;
}

void SimLogStore::recover() {
  recovered_ = {.hard_state = disk_.hard_state_,
                .term_runs = {},
                .first_index = disk_.first_index_,
                .last_index = disk_.last_index(),
                .prev_term = disk_.prev_term_,
                .snapshot_index = disk_.covered()};
  for (const raft::Entry& entry : disk_.entries_) {
    if (entry.command == raft::Command::config) recovered_.config_entries.push_back(entry.index);
    if (recovered_.term_runs.empty() || recovered_.term_runs.back().term != entry.term)
      recovered_.term_runs.push_back({entry.term, entry.index});
  }
}

std::optional<Error> SimLogStore::fault_before_writing() {
  if (!failed_.empty()) return Error{Errc::io, failed_};
  steps_left_ = std::exchange(disk_.tear_next_, std::nullopt);
  const auto code = std::exchange(disk_.fail_next_, std::nullopt);
  if (!code) return std::nullopt;
  if (*code != Errc::disk_full) failed_ = "the disk failed";
  return Error{*code, "as asked for"};
}

bool SimLogStore::step() {
  if (!failed_.empty()) return false;
  if (steps_left_ == std::size_t{0}) {
    failed_ = "the power went";
    return false;
  }
  if (steps_left_) --*steps_left_;
  return true;
}

std::expected<void, Error> SimLogStore::done() {
  // A tear behind the last step: all of it is durable, and nobody was told.
  if (steps_left_ && failed_.empty()) failed_ = "the power went";
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  ++disk_.writes_done_;
  return {};
}

std::expected<void, Error> SimLogStore::found(std::string_view cluster_id, const raft::Entry& config) {
  WEIR_CHECK(disk_.entries_.empty() && disk_.identity_.cluster_id.empty() && !cluster_id.empty());
  WEIR_CHECK(disk_.hard_state_ == raft::HardState{}, disk_.hard_state_.current_term);
  WEIR_CHECK(config.index == raft::Index{1} && config.term == raft::Term{1} && config.command == raft::Command::config,
             config.index, config.term, config.command);
  if (auto error = fault_before_writing()) return std::unexpected(std::move(*error));
  if (step()) disk_.entries_.push_back(config);
  if (step()) {
    disk_.identity_.cluster_id = cluster_id;
    disk_.hard_state_ = {raft::Term{1}, raft::kNobody};
  }
  disk_.founding_ = config;
  auto result = done();
  if (result) recover();
  return result;
}

void SimLogStore::truncate(raft::Index from) {
  disk_.entries_.resize(from - disk_.first_index_);
  disk_.rotten_.erase(disk_.rotten_.lower_bound(from), disk_.rotten_.end());
}

std::expected<void, Error> SimLogStore::append(std::span<const storage::LogWrite> writes) {
  if (auto error = fault_before_writing()) return std::unexpected(std::move(*error));
  for (const storage::WritesUpToInstall& part : storage::split_at_installs(writes)) {
    write_log(part.writes);
    if (part.install && step()) install(*part.install);
  }
  return done();
}

void SimLogStore::write_log(std::span<const storage::LogWrite> writes) {
  if (!failed_.empty()) return;
  // The same sum of the same writes as on a real disk, with the same checks.
  const storage::WritePlan plan = storage::plan_writes(writes, disk_.hard_state_, disk_.last_index());
  if (plan.hard_state && step()) disk_.hard_state_ = *plan.hard_state;
  bool truncates = plan.truncate_from.has_value();
  if (truncates && plan.entries.empty() && step()) truncate(*plan.truncate_from);
  for (const raft::Entry* entry : plan.entries) {
    if (!step()) break;
    if (std::exchange(truncates, false)) truncate(*plan.truncate_from);
    WEIR_CHECK(entry->term >= disk_.term_at(disk_.last_index()), entry->index, entry->term);
    disk_.entries_.push_back(*entry);
  }
  disk_.roll();
}

std::expected<void, Error> SimLogStore::drop_before(raft::Index index) {
  WEIR_CHECK(index <= disk_.last_index().next(), index, disk_.last_index());
  if (auto error = fault_before_writing()) return std::unexpected(std::move(*error));
  if (disk_.entries_in_use_ > 0) index = std::min(index, disk_.sendable().next());
  if (index > disk_.first_index_ && step()) {
    disk_.prev_term_ = disk_.term_at(index.prev());
    const auto count = static_cast<std::ptrdiff_t>(index - disk_.first_index_);
    disk_.entries_.erase(disk_.entries_.begin(), disk_.entries_.begin() + count);
    disk_.rotten_.erase(disk_.rotten_.begin(), disk_.rotten_.lower_bound(index));
    disk_.first_index_ = index;
    forget_checkpoints();
  }
  return done();
}

// --- checkpoints and snapshots

void SimLogStore::forget_checkpoints() {
  auto& kept = disk_.checkpoints_;
  const raft::Index needed = std::min(disk_.first_index_, disk_.sendable());
  while (!kept.empty() && kept.front().index < needed) kept.erase(kept.begin());
}

std::expected<void, Error> SimLogStore::save(const storage::Checkpoint& checkpoint) {
  WEIR_CHECK(checkpoint.index > disk_.covered() && checkpoint.index <= disk_.last_index(), checkpoint.index,
             disk_.covered(), disk_.last_index());
  WEIR_CHECK(checkpoint.term == disk_.term_at(checkpoint.index), checkpoint.term);
  if (const auto code = std::exchange(disk_.fail_next_save_, std::nullopt))
    return std::unexpected(Error{*code, "as asked for"});
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  steps_left_ = std::exchange(disk_.tear_next_, std::nullopt);
  if (step()) {
    disk_.checkpoints_.push_back(checkpoint);
    disk_.checkpoints_.back().config.configuration = nullptr;
    disk_.roll();
    forget_checkpoints();
  }
  return done();
}

std::vector<raft::Index> SimLogStore::checkpoints() const {
  std::vector<raft::Index> indexes;
  for (const storage::Checkpoint& checkpoint : disk_.checkpoints_) indexes.push_back(checkpoint.index);
  return indexes;
}

std::expected<storage::Checkpoint, Error> SimLogStore::checkpoint(raft::Index index) const {
  const auto found = std::ranges::find(disk_.checkpoints_, index, &storage::Checkpoint::index);
  const std::string name = "the checkpoint of entry " + std::to_string(index.value);
  if (found == disk_.checkpoints_.end()) return std::unexpected(Error{Errc::gone, name + " is not kept"});
  if (disk_.rotten_checkpoints_.contains(index)) return std::unexpected(Error{Errc::damaged, name + " is rotten"});
  return *found;
}

// As on a real disk, but that any two runs become one now and then.
std::expected<storage::IdRuns, Error> SimLogStore::move_ids(raft::Index up_to, const storage::IdsOf& ids_of) {
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  storage::IdRuns& runs = disk_.id_runs_;
  while (!runs.empty() && runs.front()->last_index() < disk_.first_index_) runs.erase(runs.begin());
  for (const storage::Checkpoint& checkpoint : disk_.checkpoints_) {
    const raft::Index covered = runs.empty() ? raft::Index{} : runs.back()->last_index();
    if (checkpoint.index <= covered || checkpoint.index > up_to) continue;
    std::vector<storage::KeyedPlace> ids;
    if (auto added = ids_of(checkpoint, ids); !added) return std::unexpected(Error{Errc::version, added.error()});
    runs.push_back(std::make_shared<MemoryIdRun>(covered.next(), checkpoint.index, std::move(ids)));
  }
  if (runs.size() >= kRunsMerged) {
    const auto* oldest = static_cast<const MemoryIdRun*>(runs[runs.size() - 2].get());
    const auto* newest = static_cast<const MemoryIdRun*>(runs.back().get());
    auto merged = MemoryIdRun::merge(*oldest, *newest, disk_.first_index_);
    runs.pop_back();
    runs.back() = std::move(merged);
  }
  return runs;
}

const SimLogStore::Made& SimLogStore::newest_snapshot() {
  std::vector<storage::Checkpoint> checkpoints = disk_.checkpoints_;
  while (checkpoints.back().index > disk_.sendable()) checkpoints.pop_back();
  const storage::Checkpoint& newest = checkpoints.back();
  const std::uint64_t number =
      number_of(disk_.identity_.incarnation, disk_.first_index_, newest.index, disk_.rewrites_);
  const auto known = std::ranges::find(made_, number, [](const Made& made) { return made.snapshot.number; });
  if (known != made_.end()) return *known;
  const auto end = disk_.entries_.begin() + static_cast<std::ptrdiff_t>(newest.index.next() - disk_.first_index_);
  Made made{.snapshot = {.index = newest.index, .term = newest.term, .number = number, .config = newest.config},
            .content = encode({.checkpoints = checkpoints,
                               .first_index = disk_.first_index_,
                               .prev_term = disk_.prev_term_,
                               .entries = {disk_.entries_.begin(), end}})};
  made.snapshot.size = made.content.size();
  made_.push_front(std::move(made));
  if (made_.size() > kMadeMax) made_.pop_back();
  return made_.front();
}

std::expected<storage::SnapshotData, Error> SimLogStore::read_snapshot(std::uint64_t number, std::uint64_t offset,
                                                                       std::size_t bytes_max) {
  WEIR_CHECK(bytes_max > 0);
  if (disk_.sendable() == raft::Index{}) return storage::SnapshotData{};
  if (!disk_.rotten_.empty() || !disk_.rotten_checkpoints_.empty())
    return std::unexpected(Error{Errc::damaged, "a part of the snapshot is rotten"});
  const auto known = std::ranges::find(made_, number, [](const Made& made) { return made.snapshot.number; });
  const bool goes_on = known != made_.end() && offset <= known->content.size();
  const Made& made = goes_on ? *known : newest_snapshot();
  if (made.snapshot.number != number || offset > made.content.size()) offset = 0;
  return storage::SnapshotData{
      .snapshot = made.snapshot, .offset = offset, .data = raft::Bytes::own(made.content.substr(offset, bytes_max))};
}

std::expected<storage::PieceAnswer, Error> SimLogStore::receive(const raft::SnapshotPiece& piece) {
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  if (piece.offset == 0) {
    disk_.incoming_ = piece.snapshot;
    disk_.received_.clear();
    disk_.whole_ = false;
  }
  const bool fits = disk_.incoming_ == piece.snapshot && disk_.received_.size() == piece.offset && !disk_.whole_ &&
                    piece.data.size() <= piece.snapshot.size - piece.offset;
  if (fits) disk_.received_.append(piece.data.view());
  if (fits && disk_.received_.size() < piece.snapshot.size) return storage::PieceAnswer::more;
  disk_.whole_ = fits && decode(disk_.received_, piece.snapshot).has_value();
  if (disk_.whole_) return storage::PieceAnswer::whole;
  disk_.received_.clear();
  disk_.incoming_ = {};
  return storage::PieceAnswer::refused;
}

void SimLogStore::install(const raft::Snapshot& snapshot) {
  WEIR_CHECK(disk_.whole_ && disk_.incoming_ == snapshot, snapshot.index);
  auto content = decode(disk_.received_, snapshot);
  WEIR_CHECK(content.has_value(), snapshot.index);
  disk_.checkpoints_ = std::move(content->checkpoints);
  disk_.id_runs_.clear();
  disk_.first_index_ = content->first_index;
  disk_.prev_term_ = content->prev_term;
  disk_.entries_ = std::move(content->entries);
  disk_.sendable_ = disk_.covered();  // what follows stands in a file of its own
  disk_.rotten_.clear();
  disk_.rotten_checkpoints_.clear();
  disk_.received_.clear();
  disk_.incoming_ = {};
  disk_.whole_ = false;
  disk_.hollow_to_ = {};
  for (const raft::Entry& entry : disk_.entries_)
    if (entry.command == raft::Command::hollow) disk_.hollow_to_ = entry.index;
  made_.clear();
  rewriting_.reset();
}

// --- files that are written anew

std::uint64_t SimLogStore::file_bytes(std::span<const raft::Entry> entries) {
  std::uint64_t bytes = 0;
  for (const raft::Entry& entry : entries)
    bytes += entry.command == raft::Command::hollow ? kHollowRecordBytes : kRecordBytes + entry.data.size();
  return bytes;
}

std::vector<storage::LogFile> SimLogStore::log_files() const {
  std::vector<storage::LogFile> files;
  const std::uint64_t before = disk_.first_index_.value - 1;
  raft::Index first{(before + kEntriesInFile - 1) / kEntriesInFile * kEntriesInFile + 1};
  for (; first + kEntriesInFile <= disk_.sendable_.next(); first = first + kEntriesInFile) {
    const auto entries = std::span(disk_.entries_).subspan(first - disk_.first_index_, kEntriesInFile);
    files.push_back({.first = first,
                     .end = first + kEntriesInFile,
                     .bytes = file_bytes(entries),
                     .bytes_hollow = kEntriesInFile * kHollowRecordBytes});
  }
  return files;
}

std::expected<storage::RewriteAnswer, Error> SimLogStore::rewrite(raft::Index first, const storage::KeepEntry& keep,
                                                                  std::size_t bytes_max) {
  const auto files = log_files();
  const auto file = std::ranges::find(files, first, &storage::LogFile::first);
  if (file == files.end()) {
    rewriting_.reset();
    return storage::RewriteAnswer::refused;
  }
  if (!rewriting_ || rewriting_->file != *file) rewriting_ = Rewriting{.file = *file, .entries = {}};
  std::vector<raft::Entry>& fresh = rewriting_->entries;
  std::size_t bytes = 0;
  while (fresh.size() < kEntriesInFile && bytes < bytes_max) {
    const raft::Index index = first + fresh.size();
    if (disk_.rotten_.contains(index))
      return std::unexpected(Error{Errc::damaged, "index " + std::to_string(index.value) + " is rotten"});
    fresh.push_back(disk_.entries_[index - disk_.first_index_]);
    raft::Entry& entry = fresh.back();
    bytes += kRecordBytes + entry.data.size();
    if (entry.command != raft::Command::hollow && !keep(index, entry.command))
      entry = {.index = index, .term = entry.term, .command = raft::Command::hollow, .checksum = 0, .data = {}};
  }
  if (fresh.size() < kEntriesInFile) return storage::RewriteAnswer::more;
  if (file_bytes(fresh) * 4 <= file->bytes) return storage::RewriteAnswer::ready;
  rewriting_.reset();
  return storage::RewriteAnswer::refused;
}

std::expected<std::uint64_t, Error> SimLogStore::finish_rewrite() {
  if (auto error = fault_before_writing()) return std::unexpected(std::move(*error));
  std::uint64_t given_back = 0;
  if (const auto ready = std::exchange(rewriting_, std::nullopt);
      ready && ready->file.first >= disk_.first_index_ && step()) {
    std::ranges::copy(ready->entries,
                      disk_.entries_.begin() + static_cast<std::ptrdiff_t>(ready->file.first - disk_.first_index_));
    disk_.hollow_to_ = std::max(disk_.hollow_to_, ready->file.end.prev());
    ++disk_.rewrites_;
    given_back = ready->file.bytes - file_bytes(ready->entries);
  }
  if (auto finished = done(); !finished) return std::unexpected(std::move(finished.error()));
  return given_back;
}

std::expected<std::vector<raft::Entry>, Error> SimLogStore::read(raft::Index first, raft::Index last,
                                                                 std::size_t bytes_max) const {
  WEIR_CHECK(first > raft::Index{0}, first);
  std::vector<raft::Entry> entries;
  std::size_t bytes = 0;
  if (first < disk_.first_index_ && first <= last)
    return std::unexpected(Error{Errc::gone, "entry " + std::to_string(first.value) + " was dropped from the log"});
  const raft::Index end = std::min(last, disk_.last_index());
  for (raft::Index index = first; index <= end; index = index.next()) {
    if (disk_.rotten_.contains(index))
      return std::unexpected(Error{Errc::damaged, "index " + std::to_string(index.value) + " is rotten"});
    entries.push_back(disk_.entries_[index - disk_.first_index_]);
    const bool is_hollow = entries.back().command == raft::Command::hollow;
    bytes += is_hollow ? storage::kHollowBytes : entries.back().data.size();
    if (bytes >= bytes_max) break;
  }
  return entries;
}

}  // namespace weir::sim
