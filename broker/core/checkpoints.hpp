// The state machine on its disk: taken while entries are applied, put back at a start and behind an installed snapshot.
// Runs on the core strand. Outlived by the disk; callbacks of a destroyed one do nothing.
//
// To the store (storage::Checkpoint) the bytes mean nothing. Here they are made of frames, each a length (u64, lowest
// byte first) and so many bytes:
//
//     state   the founding CONFIG entry's data | StateMachine::save | Digest::save
//     delta   StateMachine::take_delta, one frame for each; several after a save that failed
//
// The founding CONFIG goes along because a member that joins later is founded with it (wire::Found), when the log's
// first entry may be long gone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/decoded_entry.hpp"
#include "broker/core/digest.hpp"
#include "broker/core/ports.hpp"
#include "broker/core/state_machine.hpp"

namespace weir::broker {

class Checkpoints {
 public:
  static constexpr std::size_t kNoLimit = SIZE_MAX;
  struct Limits {
    std::size_t applied_bytes = 0;  ///< of entries, between two checkpoints
    std::size_t delta_bytes = 0;
    /// Of the table of ids: beyond, those up to the newest checkpoint go into runs.
    std::size_t ids_bytes = kNoLimit;
  };
  struct Hooks {
    /// One more is durable.
    std::function<void()> saved;
    std::function<void(const std::string&)> notice;
    /// Of the table; needed if there is a limit.
    std::function<std::size_t()> ids_bytes = {};
    std::function<void(storage::IdRuns)> ids_moved = {};
  };

  Checkpoints(Disk& disk, Limits limits, Hooks hooks);

  // --- putting back
  struct Loaded {
    StateMachine state;
    raft::Index index;
    raft::Term term;
    raft::Entry config;         ///< in force at `index`
    raft::Bytes founding_data;  ///< of the founding CONFIG entry
    raft::Bytes digest_data;    ///< what Digest::save gave
  };
  using LoadDone = std::move_only_function<void(std::expected<std::optional<Loaded>, storage::Error>)>;
  /// The state as of the newest checkpoint on disk; nullopt if there is none. The error says what is wrong with it:
  /// `damaged` only if its bytes are not those that were saved.
  void load(LoadDone done);

  // --- taking
  /// An entry was applied to `state`. Takes a checkpoint if it is time for one and the last has been saved.
  void applied(StateMachine& state, const Digest& digest, const DecodedEntry& entry, const raft::Entry& config,
               const raft::Bytes& founding_data);
  /// Time passes. Ids that outlive their events are put into deltas once more, in steps, when old deltas, and the log
  /// with them, could go if it were not for these ids; then a checkpoint is taken. As of the same entry as applied().
  void tick(StateMachine& state, const Digest& digest, const raft::Entry& config, const raft::Bytes& founding_data);
  /// The newest that is durable; 0 = none.
  [[nodiscard]] raft::Index newest() const { return newest_; }
  /// The first entry that a start from the checkpoint of `index` asks for, here or where it was sent: what retention
  /// took since then is asked for again, until the entry that took it is applied again. 0 = that is not known of an
  /// older one, from before this process.
  [[nodiscard]] raft::Index first_needed(raft::Index index) const;
  /// What retention had taken as of there; null = not known, as for first_needed().
  [[nodiscard]] std::shared_ptr<const Floors> floors(raft::Index index) const;

  // --- and a snapshot that takes the place of all
  /// Runs `task` as soon as nothing is being saved, moved or loaded; at once, if nothing is.
  void when_idle(std::move_only_function<void()> task);
  /// It is being installed: what was to be saved is of no use any more. Until load() is done nothing is idle.
  void suspend();

 private:
  struct Loading;
  /// What a start from a checkpoint asks for.
  struct Needs {
    std::shared_ptr<const Floors> floors;  ///< as of there
    raft::Index first;                     ///< entry, or the first checkpoint that it goes on from
  };
  /// Ids that outlive their events, on their way into deltas once more.
  struct Restating {
    raft::Index from;  ///< once they all are, older checkpoints are not needed for them
    ForeverIds::Walk walk;
  };

  void take(StateMachine& state, const Digest& digest, const raft::Entry& config, const raft::Bytes& founding_data);
  [[nodiscard]] bool is_restating_due(const StateMachine& state) const;

  void load_next(const std::shared_ptr<Loading>& loading);
  void move_loaded_ids(const std::shared_ptr<Loading>& loading);
  void move_ids();
  void loaded(Loading& loading);
  void end_loading(Loading& loading, std::expected<std::optional<Loaded>, storage::Error> result);
  void saved(raft::Index index, const Needs& needs, const std::expected<void, storage::Error>& result);
  void remember_needs(raft::Index index, Needs needs);
  void run_idle_tasks();

  Disk& disk_;
  Limits limits_;
  Hooks hooks_;
  raft::Index newest_;
  std::map<raft::Index, Needs> needs_;  ///< by the index of a checkpoint
  std::size_t applied_bytes_ = 0;       ///< since the last checkpoint was taken
  raft::Index applied_index_;           ///< of the last entry that applied() was called with,
  raft::Term applied_term_;
  raft::Index taken_index_;  ///< of the last checkpoint that was taken, or loaded

  std::optional<Restating> restating_;
  bool restated_ = false;  ///< all have been, and no checkpoint was taken since
  /// Deltas of checkpoints from this one on hold all ids that outlive their events.
  raft::Index forever_from_;
  std::size_t applied_since_restating_ = 0;  ///< bytes of entries: it writes no more than what is applied
  raft::Bytes pending_delta_;                ///< frames that no durable checkpoint has yet
  bool saving_ = false;
  bool loading_ = false;
  bool moving_ids_ = false;
  std::vector<std::move_only_function<void()>> idle_tasks_;
  std::shared_ptr<Checkpoints*> self_;
};

}  // namespace weir::broker
