// What the log means: topics, offsets, positions and ids, decided entry by entry in log order.
// Runs on the core strand. Deterministic: no clock, no disk, no randomness; every node that applied the same entries is
// in the same state.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/core/decoded_entry.hpp"
#include "broker/core/reading.hpp"
#include "storage/dedup_index.hpp"
#include "storage/event_index.hpp"
#include "wire/outcome.hpp"

namespace weir::broker {

/// What applying one entry did.
struct Applied {
  std::vector<wire::Outcome> outcomes;      ///< one per request (PUBLISH) or claim (DEDUP)
  std::vector<raft::TopicId> topics;        ///< that got events
  std::uint64_t stored = 0;                 ///< events
  std::uint64_t duplicates = 0;             ///< events
  std::optional<wire::ConfigEntry> config;  ///< of a CONFIG entry
};

class StateMachine {
 public:
  /// Earlier entries that hold possible matches of this one's ids, ascending, without repeats. They must be at hand
  /// when it is applied: apply itself never reads the disk (DESIGN §6).
  [[nodiscard]] std::vector<raft::Index> lookups(const DecodedEntry& entry) const;

  /// Gives an earlier entry that lookups() named. Never null.
  using EntrySource = std::function<DecodedEntryPtr(raft::Index)>;
  /// Requires entries in log order, each once.
  Applied apply(const DecodedEntryPtr& entry, const EntrySource& earlier);

  /// The log before this entry is needed by nothing: no event or claim is in it.
  [[nodiscard]] raft::Index first_index() const {
    return first_needed_ == raft::Index{} ? applied_index_.next() : first_needed_;
  }

  // --- as bytes (state_machine_saving.cpp)
  /// The small tables, whole.
  [[nodiscard]] std::string save() const;
  /// Rows and ids that were added since the last call; the caller answers for them from now on.
  std::string take_delta();
  /// What take_delta() would come to, about.
  [[nodiscard]] std::size_t delta_bytes() const;
  /// Puts back what save() gave. Requires a new state machine.
  [[nodiscard]] std::expected<void, std::string> restore(std::string_view state);
  /// Adds what take_delta() gave, oldest first, behind restore(). It is no part of the next delta.
  [[nodiscard]] std::expected<void, std::string> add_delta(std::string_view delta);
  /// Behind the last add_delta(): nothing that belongs to the state is missing.
  [[nodiscard]] std::expected<void, std::string> check_restored() const;

  [[nodiscard]] raft::Index applied_index() const { return applied_index_; }
  [[nodiscard]] const storage::EventIndex& events() const { return events_; }
  [[nodiscard]] const storage::DedupIndex& ids() const { return ids_; }
  [[nodiscard]] raft::Position last_position() const { return events_.last_position(); }
  /// Log time of the last entry that carried one; never falls.
  [[nodiscard]] std::uint64_t time_ms() const { return time_ms_; }

  [[nodiscard]] std::optional<raft::TopicId> topic_id(std::string_view name) const;
  [[nodiscard]] const std::string& topic_name(raft::TopicId topic) const { return topics_[topic.value].name; }
  [[nodiscard]] std::size_t topic_count() const { return topics_.size(); }
  [[nodiscard]] TopicInfo topic_info(raft::TopicId topic) const;

  /// Where this id was stored or claimed; `earlier` gives the entries that candidates() names.
  [[nodiscard]] std::vector<raft::Index> candidates(const wire::Claim& id) const;
  [[nodiscard]] std::optional<wire::Claimed> find_id(const wire::Claim& id, const EntrySource& earlier) const;

 private:
  struct Topic {
    std::string name;
    std::uint64_t last_time_ms = 0;
  };
  /// An id that is in the log already: an event's, or a claim.
  struct Match {
    storage::IdPlace place;
    DecodedEntryPtr entry;
  };
  class PublishPass;
  friend class PublishPass;

  /// Of each event's id, by ordinal; of an event without one: nothing.
  [[nodiscard]] static std::vector<storage::IdHash> id_hashes(const wire::PublishView& events);
  [[nodiscard]] std::optional<Match> match(storage::IdHash hash, std::string_view topic, std::string_view source,
                                           std::string_view id, const EntrySource& earlier) const;
  /// The offset, position and time that the event at `place` was given.
  [[nodiscard]] wire::EventResult original(const Match& match) const;
  [[nodiscard]] wire::Claimed describe(const Match& match) const;
  wire::Claimed claim(const wire::Claim& claim, raft::Index index, std::uint32_t ordinal, const EntrySource& earlier);
  raft::TopicId topic_for(std::string_view name);
  void add_id(storage::IdHash hash, storage::IdPlace place);
  void add_row(const storage::EntryRow& row);

  raft::Index applied_index_;
  std::uint64_t time_ms_ = 0;
  raft::Position restored_to_;  ///< what restore() was told of the rows
  raft::Index first_needed_;    ///< of the first row or id; 0 = there is none
  std::vector<Topic> topics_;   ///< by TopicId
  std::map<std::string, raft::TopicId, std::less<>> topic_ids_;
  storage::EventIndex events_;
  storage::DedupIndex ids_;
  std::vector<storage::EntryRow> new_rows_;  ///< in no delta yet, as new_ids_
  std::vector<std::pair<storage::IdHash, storage::IdPlace>> new_ids_;
};

}  // namespace weir::broker
