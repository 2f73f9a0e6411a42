#include "tests/sim/sim_log_store.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "storage/write_plan.hpp"

namespace weir::sim {

using storage::Errc;
using storage::Error;

SimDisk::SimDisk(std::string node, std::uint64_t incarnation) : identity_{std::move(node), incarnation, ""} {}

void SimDisk::wipe(std::uint64_t incarnation) {
  WEIR_CHECK(!open_);
  const std::uint64_t writes_done = writes_done_;
  *this = SimDisk(identity_.node, incarnation);
  writes_done_ = writes_done;
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
  if (!disk.entries_.empty() && disk.hard_state_.current_term < disk.entries_.back().term)
    return std::unexpected(Error{Errc::damaged, "the current term is below the log's last term"});
  std::unique_ptr<SimLogStore> store(new SimLogStore(disk));
  disk.open_ = true;
  disk.fail_next_.reset();
  disk.tear_next_.reset();
  store->recover();
  return store;
}

SimLogStore::~SimLogStore() {
  disk_.open_ = false;
}

void SimLogStore::recover() {
  recovered_ = {
      .hard_state = disk_.hard_state_, .term_runs = {}, .first_index = disk_.first_index_, .last_index = last_index()};
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
  auto result = done();
  if (result) recover();
  return result;
}

raft::Index SimLogStore::last_index() const {
  return disk_.first_index_.prev() + disk_.entries_.size();
}

void SimLogStore::truncate(raft::Index from) {
  disk_.entries_.resize(from - disk_.first_index_);
  disk_.rotten_.erase(disk_.rotten_.lower_bound(from), disk_.rotten_.end());
}

std::expected<void, Error> SimLogStore::append(std::span<const storage::LogWrite> writes) {
  const raft::Index last = last_index();
  if (auto error = fault_before_writing()) return std::unexpected(std::move(*error));
  // The same sum of the same writes as on a real disk, with the same checks.
  const storage::WritePlan plan = storage::plan_writes(writes, disk_.hard_state_, last);
  if (plan.hard_state && step()) disk_.hard_state_ = *plan.hard_state;
  bool truncates = plan.truncate_from.has_value();
  if (truncates && plan.entries.empty() && step()) truncate(*plan.truncate_from);
  for (const raft::Entry* entry : plan.entries) {
    if (!step()) break;
    if (std::exchange(truncates, false)) truncate(*plan.truncate_from);
    WEIR_CHECK(disk_.entries_.empty() || entry->term >= disk_.entries_.back().term, entry->index, entry->term);
    disk_.entries_.push_back(*entry);
  }
  return done();
}

std::expected<void, Error> SimLogStore::drop_before(raft::Index index) {
  WEIR_CHECK(index <= last_index().next(), index, last_index());
  if (auto error = fault_before_writing()) return std::unexpected(std::move(*error));
  if (index > disk_.first_index_ && step()) {
    const auto count = static_cast<std::ptrdiff_t>(index - disk_.first_index_);
    disk_.entries_.erase(disk_.entries_.begin(), disk_.entries_.begin() + count);
    disk_.rotten_.erase(disk_.rotten_.begin(), disk_.rotten_.lower_bound(index));
    disk_.first_index_ = index;
  }
  return done();
}

std::expected<std::vector<raft::Entry>, Error> SimLogStore::read(raft::Index first, raft::Index last,
                                                                 std::size_t bytes_max) const {
  WEIR_CHECK(first > raft::Index{0}, first);
  std::vector<raft::Entry> entries;
  std::size_t bytes = 0;
  if (first < disk_.first_index_ && first <= last)
    return std::unexpected(Error{Errc::gone, "entry " + std::to_string(first.value) + " was dropped from the log"});
  const raft::Index end = std::min(last, last_index());
  for (raft::Index index = first; index <= end; index = index.next()) {
    if (disk_.rotten_.contains(index))
      return std::unexpected(Error{Errc::damaged, "index " + std::to_string(index.value) + " is rotten"});
    entries.push_back(disk_.entries_[index - disk_.first_index_]);
    bytes += entries.back().data.size();
    if (bytes >= bytes_max) break;
  }
  return entries;
}

}  // namespace weir::sim
