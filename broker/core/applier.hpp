// Takes committed entries in log order through the state machine: from Raft's memory where they are there, else from
// disk; look-ups of ids first, then apply.
// Runs on the core strand. Outlived by the disk; callbacks of a destroyed applier do nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/decoded_entry.hpp"
#include "broker/core/ports.hpp"
#include "broker/core/state_machine.hpp"
#include "raft/raft.hpp"

namespace weir::broker {

class Applier {
 public:
  struct Hooks {
    /// Each entry, right after it was applied.
    std::function<void(const DecodedEntry&, Applied&)> applied;
    /// After a run of entries: nothing more can be applied at the moment.
    std::function<void()> settled;
    /// The log cannot be read or understood (FAULTS 38): the node must stop, it must not skip.
    std::function<void(const storage::Error&)> failed;
  };

  Applier(StateMachine& state, EntryCache& cache, const raft::Raft& raft, Disk& disk, Hooks hooks);

  /// Entries up to `index` are committed and durable here.
  void commit_to(raft::Index index);

  /// A snapshot is about to take the state's place: nothing is applied, and nothing that was read counts.
  void pause();
  /// The state is a checkpoint's, in which this CONFIG entry was in force; what follows it may be applied.
  void resume(raft::Entry config);
  /// The CONFIG entry in force at the applied index, as it stands in the log. Requires that one was applied.
  [[nodiscard]] const raft::Entry& config() const { return config_; }

 private:
  void pump();
  /// Fills queue_ from memory, or asks the disk. False: wait for the disk.
  bool refill();
  using Found = std::move_only_function<void(const std::vector<raft::Entry>&)>;
  /// Asks the disk, as Disk::read. `found` is not called if this has gone or has failed by then; finding nothing is a
  /// failure.
  void read(raft::Index first, raft::Index last, std::size_t bytes_max, Found found);
  void take(const std::vector<raft::Entry>& entries);
  /// True if everything that queue_'s first entry refers to is at hand; else asks the disk.
  bool look_up(const DecodedEntry& entry);
  void read_one(raft::Index index);
  void ask_runs(std::vector<storage::IdKey> keys);
  void apply_front();
  void fail(const storage::Error& error);

  StateMachine& state_;
  EntryCache& cache_;
  const raft::Raft& raft_;
  Disk& disk_;
  Hooks hooks_;
  raft::Index target_;
  std::deque<DecodedEntryPtr> queue_;  ///< contiguous from applied_index + 1
  std::deque<raft::Entry> configs_;    ///< the CONFIG entries among those in queue_
  raft::Entry config_;
  /// Earlier entries held for the front of the queue.
  std::unordered_map<raft::Index, DecodedEntryPtr> at_hand_;
  RunPlaces places_at_hand_;  ///< for the same entry, of these runs
  storage::IdRuns runs_;
  std::size_t reads_ = 0;     ///< disk reads under way; while there are any, pump() does nothing
  std::uint64_t pauses_ = 0;  ///< so many so far: a read from before the latest is of no use
  bool paused_ = false;
  bool pumping_ = false;
  bool failed_ = false;
  std::shared_ptr<Applier*> self_;
};

}  // namespace weir::broker
