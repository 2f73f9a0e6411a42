// What the log means: topics, offsets, positions and ids, decided entry by entry in log order.
// Runs on the core strand. Deterministic: no clock, no disk, no randomness; every node that applied the same entries is
// in the same state.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/core/decoded_entry.hpp"
#include "broker/core/forever_ids.hpp"
#include "broker/core/groups.hpp"
#include "broker/core/reading.hpp"
#include "broker/core/state_image.hpp"
#include "storage/dedup_index.hpp"
#include "storage/event_index.hpp"
#include "wire/outcome.hpp"

namespace weir::broker {

/// What applying one entry did.
struct Applied {
  std::vector<wire::Outcome> outcomes;      ///< one per request, claim (DEDUP) or change (TOPIC, GROUP)
  std::vector<raft::TopicId> topics;        ///< that got events
  std::uint64_t stored = 0;                 ///< events
  std::uint64_t duplicates = 0;             ///< events
  std::optional<wire::ConfigEntry> config;  ///< of a CONFIG entry
};

/// What the runs on disk hold of ids that were asked for: by key, of one without a place an empty list. Good as long as
/// the runs are those that were asked.
using RunPlaces = std::map<storage::IdKey, std::vector<storage::IdPlace>>;

/// The answer to `keys`, put to what is known.
void add_places(const std::vector<storage::IdKey>& keys, const std::vector<storage::KeyedPlace>& found,
                RunPlaces& places);

/// What must be at hand before an entry is applied, or an id is told: apply itself never reads the disk (DESIGN §6).
struct Lookups {
  std::vector<storage::IdKey> keys;  ///< that runs may hold and nobody has asked them for yet; ascending
  std::vector<raft::Index> entries;  ///< that hold possible matches, as far as that is known; ascending
};

/// What retention had taken as of some entry.
struct Floors {
  raft::Index first_index;                  ///< the log before this entry is needed by nothing
  raft::Index claims_before;                ///< claims that were made before this entry are gone
  std::vector<raft::Offset> first_offsets;  ///< by TopicId; of topics that came later 0
  friend bool operator==(const Floors&, const Floors&) = default;

  /// An event of this row is retained.
  [[nodiscard]] bool keeps(const storage::EntryRow& row) const;
};

class StateMachine {
 public:
  StateMachine() = default;
  /// For tests: with room for fewer ids that outlive their events.
  explicit StateMachine(std::size_t forever_bytes_max) : forever_ids_(forever_bytes_max) {}

  /// `places`: what was asked for already. Once no key is named, the entries are all that is needed.
  [[nodiscard]] Lookups lookups(const DecodedEntry& entry, const RunPlaces& places = {}) const;

  /// Gives an earlier entry that lookups() named. Never null.
  using EntrySource = std::function<DecodedEntryPtr(raft::Index)>;
  /// Requires entries in log order, each once, and what lookups() named.
  Applied apply(const DecodedEntryPtr& entry, const EntrySource& earlier, const RunPlaces& places);

  // --- for checkpoints (state_image.hpp)
  /// The small tables as of applied_index().
  [[nodiscard]] std::string save() const;
  /// Rows and ids that entries applied since the last call, or since it was restored, added.
  [[nodiscard]] std::string take_delta() { return delta_.take(); }
  [[nodiscard]] std::size_t delta_bytes() const { return delta_.bytes(); }
  /// Of a new object: takes what save() gave; then add_delta() for every delta, oldest first, then check_restored().
  /// The errors say what is wrong; then this object must not be used. What lies before first_index() may be missing.
  [[nodiscard]] std::expected<void, std::string> restore(std::string_view state);
  [[nodiscard]] std::expected<void, std::string> add_delta(std::string_view delta);
  [[nodiscard]] std::expected<void, std::string> finish_restore();
  /// Appends the ids that a delta has, those of claims among them.
  [[nodiscard]] static std::expected<void, std::string> ids_in_delta(std::string_view delta,
                                                                     std::vector<storage::KeyedPlace>& ids);

  // --- ids that outlive their events (state_machine_forever.cpp)
  [[nodiscard]] const ForeverIds& forever_ids() const { return forever_ids_; }
  /// Puts them into the delta once more, `bytes` of them at a time, going on at `walk`. After true they are all in
  /// deltas taken since it began: for their sake no older one is needed.
  bool restate_forever_ids(ForeverIds::Walk& walk, std::size_t bytes);

  // --- retention
  /// The log before this entry is needed by nothing: no event or claim in it is kept.
  [[nodiscard]] raft::Index first_index() const { return first_index_; }
  /// No event up to here is kept.
  [[nodiscard]] raft::Position removed_to() const { return removed_to_; }
  /// Events of this topic up to here are gone, but for those of the entry that holds the first one kept, if it is of
  /// several topics. 0 = none has gone.
  [[nodiscard]] raft::Position removed_to(raft::TopicId topic) const { return topics_[topic.value].removed_to; }
  /// Of all topics the highest.
  [[nodiscard]] raft::Position some_removed_to() const { return some_removed_to_; }
  [[nodiscard]] raft::Offset first_offset(raft::TopicId topic) const { return topics_[topic.value].first_offset; }
  [[nodiscard]] Floors floors() const;
  /// Something of this entry is retained: it cannot be a hollow one.
  [[nodiscard]] bool retains(raft::Index index) const;
  /// The oldest entry whose claims are kept; empty if there is none.
  [[nodiscard]] std::optional<raft::Index> first_claims() const;

  [[nodiscard]] raft::Index applied_index() const { return applied_index_; }
  [[nodiscard]] const storage::EventIndex& events() const { return events_; }
  [[nodiscard]] const storage::DedupIndex& ids() const { return ids_; }
  /// What these hold is asked of them from now on; the table loses it in small steps, or at once.
  void take_id_runs(storage::IdRuns runs) { ids_.take_runs(std::move(runs)); }
  void sweep_ids() { ids_.sweep_all(); }
  [[nodiscard]] raft::Position last_position() const { return events_.last_position(); }
  /// Log time of the last entry that carried one; never falls.
  [[nodiscard]] std::uint64_t time_ms() const { return time_ms_; }

  // --- topics (state_machine_topics.cpp). One that was removed keeps its number, so that its offsets go on if it comes
  // back.
  [[nodiscard]] std::optional<raft::TopicId> topic_id(std::string_view name) const;
  /// Of a topic that was not removed.
  [[nodiscard]] std::optional<raft::TopicId> live_topic(std::string_view name) const;
  [[nodiscard]] bool is_removed(raft::TopicId topic) const { return topics_[topic.value].removed; }
  [[nodiscard]] const wire::TopicSettings& settings(raft::TopicId topic) const { return topics_[topic.value].settings; }
  /// Ids published to this topic are told again.
  [[nodiscard]] bool remembers_ids(std::string_view topic) const;
  /// Of all settings and removals; 0 while there are none.
  [[nodiscard]] std::uint64_t settings_digest() const { return settings_digest_; }
  [[nodiscard]] std::size_t live_topic_count() const { return topics_.size() - removed_count_; }
  [[nodiscard]] const std::string& topic_name(raft::TopicId topic) const { return topics_[topic.value].name; }
  [[nodiscard]] std::size_t topic_count() const { return topics_.size(); }
  [[nodiscard]] TopicInfo topic_info(raft::TopicId topic) const;

  // --- groups (state_machine_groups.cpp)
  [[nodiscard]] const Groups& groups() const { return groups_; }

  /// Where this id was stored or claimed. As lookups() and apply().
  [[nodiscard]] Lookups candidates(const wire::Claim& id, const RunPlaces& places) const;
  [[nodiscard]] std::optional<wire::Claimed> find_id(const wire::Claim& id, const EntrySource& earlier,
                                                     const RunPlaces& places = {}) const;

 private:
  struct Topic {
    std::string name;
    std::uint64_t last_time_ms = 0;
    raft::Offset first_offset;  ///< never falls; those below are not found, whatever is still in memory or on disk
    raft::Position removed_to;
    wire::TopicSettings settings;
    bool removed = false;
    raft::Index claims_before;  ///< claims made by entries before this one went with the topic
    raft::Index forever_from;   ///< dedup is forever: what entries from this one on stored has a row; else 0
  };
  /// An id that was stored or claimed before, known by its row, or by its place in the log.
  struct Match {
    storage::IdPlace place;
    DecodedEntryPtr entry;  ///< null if there is a row
    std::optional<ForeverRow> row = std::nullopt;
  };
  enum class Presence : std::uint8_t { live = 1, removed = 2 };
  class PublishPass;
  friend class PublishPass;

  [[nodiscard]] static storage::IdHash hash_of(std::string_view topic, const EventId& id);
  /// Keys of batches stand among the ids, of no topic.
  [[nodiscard]] static storage::IdHash batch_key_hash(std::string_view key);
  /// Of each event's id, by ordinal; of an event without one: nothing.
  [[nodiscard]] static std::vector<storage::IdHash> id_hashes(const wire::PublishView& events);
  /// What of the past is at hand.
  struct Past {
    const EntrySource& entries;
    const RunPlaces& places;
  };
  [[nodiscard]] std::optional<Match> match(storage::IdHash hash, std::string_view topic, const EventId& id,
                                           const Past& past) const;
  /// Of the table and of runs, in log order.
  [[nodiscard]] std::vector<storage::IdPlace> places_of(storage::IdHash hash, const RunPlaces& places) const;
  /// Where the disk must be asked for what has this hash; `topic` says how far back that counts.
  void look_up(storage::IdHash hash, std::string_view topic, std::uint64_t now_ms, const RunPlaces& places,
               Lookups& lookups) const;
  /// As look_up(), if no row answers.
  void look_up_id(storage::IdHash hash, std::string_view topic, const EventId& id, std::uint64_t now_ms,
                  const RunPlaces& places, Lookups& lookups) const;
  [[nodiscard]] static bool is_event(const Match& match);
  /// wire::content_digest of the event.
  [[nodiscard]] static wire::Hash128 content_of(const Match& match);
  /// The offset, position and time that the event at `place` was given.
  [[nodiscard]] wire::EventResult original(const Match& match) const;
  /// What the `count` events from `first` on of an earlier entry were given; nothing for those it did not store.
  [[nodiscard]] std::vector<std::optional<wire::EventResult>> originals(const DecodedEntry& entry, std::uint32_t first,
                                                                        std::uint32_t count) const;
  /// The batch that was stored under this key: its place names the entry and the request's number. Remembered as long
  /// as one of its events is kept.
  [[nodiscard]] std::optional<Match> match_batch(std::string_view key, const Past& past) const;
  [[nodiscard]] bool is_batch_kept(const Match& match) const;
  [[nodiscard]] wire::Claimed describe(const Match& match) const;
  /// Neither retention nor the topic's window for ids has passed it.
  [[nodiscard]] bool is_kept(const Match& match) const;
  /// Ids of this topic in entries before this one are not looked for as of log time `now_ms`. What it does not rule out
  /// is_kept() decides.
  [[nodiscard]] raft::Index first_remembered(std::string_view topic, std::uint64_t now_ms) const;
  [[nodiscard]] bool is_in_window(const Topic& topic, const Match& match) const;
  /// If its dedup is forever.
  [[nodiscard]] std::optional<raft::TopicId> forever_topic(std::string_view topic) const;
  [[nodiscard]] std::optional<ForeverRow> forever_row(storage::IdHash hash, std::string_view topic,
                                                      const EventId& id) const;
  void remember_forever(raft::TopicId topic, storage::IdHash hash, const EventId& id, const ForeverRow& row);
  [[nodiscard]] wire::Refused no_room_forever(std::string_view topic) const;
  void restore_forever(ImageReader& image);
  void retain(const wire::RetainEntry& entry);
  void raise_floor(raft::TopicId topic, raft::Offset first_offset);
  /// Floors have risen: the log, rows and ids follow.
  void follow_floors();
  wire::Outcome change(const wire::TopicChange& asked);
  wire::TopicChanged set(raft::TopicId topic, const wire::TopicSettings& settings, wire::TopicWhat what);
  wire::TopicChanged remove(raft::TopicId topic);
  /// The only way a topic's settings and whether it is removed change: what is counted over all topics follows.
  void amend(raft::TopicId topic, const wire::TopicSettings& settings, Presence presence);
  void count_settings(const Topic& topic, std::uint64_t more);
  /// What the floors allow the log to forget.
  [[nodiscard]] raft::Index first_needed() const;
  void trim();
  static void save_settings(const Topic& topic, ImageWriter& image);
  static void restore_settings(Topic& topic, ImageReader& image);
  [[nodiscard]] static storage::EntryRow read_row(ImageReader& image);
  [[nodiscard]] static storage::DedupIndex::Id read_id(ImageReader& image, raft::Index log_index);
  [[nodiscard]] std::expected<void, std::string> restore_row(ImageReader& image);
  /// Adds it to `ids`, if it is of an entry that counts.
  void restore_id(ImageReader& image, raft::Index log_index, DeltaWriter::Kind kind,
                  std::vector<storage::DedupIndex::Id>& ids);
  wire::Outcome change(const wire::GroupChange& asked);
  /// What `start` of a change stands for; nothing is changed, or the cursor lies behind the end of the log.
  [[nodiscard]] std::expected<std::optional<Groups::Start>, wire::Refused> start_of(
      const wire::GroupChange& asked) const;
  /// Up to here events of topics that match were removed.
  [[nodiscard]] raft::Position removed_of(const std::vector<std::string>& patterns) const;
  [[nodiscard]] Groups::Now group_now() const { return {.time_ms = time_ms_, .last_position = last_position()}; }
  wire::Outcome claim(const wire::Claim& claim, raft::Index index, std::uint32_t ordinal, const Past& past);
  raft::TopicId topic_for(std::string_view name);

  raft::Index applied_index_;
  std::uint64_t time_ms_ = 0;
  raft::Index first_index_{1};
  raft::Index claims_before_;
  raft::Position removed_to_;
  raft::Position some_removed_to_;
  std::deque<raft::Index> claim_entries_;  ///< ascending: entries whose claims are kept
  std::vector<Topic> topics_;              ///< by TopicId
  std::map<std::string, raft::TopicId, std::less<>> topic_ids_;
  std::uint64_t settings_digest_ = 0;
  std::size_t removed_count_ = 0;
  std::size_t dedup_set_count_ = 0;  ///< topics that remember ids otherwise than as long as their events
  Groups groups_;
  storage::EventIndex events_;
  storage::DedupIndex ids_;
  ForeverIds forever_ids_;
  /// What restore() was told that deltas hold; until finish_restore().
  std::uint64_t forever_size_saved_ = 0;
  std::uint64_t forever_digest_saved_ = 0;
  DeltaWriter delta_;
};

}  // namespace weir::broker
