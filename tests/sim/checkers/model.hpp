// What the log means, written a second time and as simply as possible: the committed entries in order, a list of events
// and a table of ids. Nothing is ever dropped here: what retention takes is marked with the entry that took it.
// Everything clients are told is compared with it. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "raft/entry.hpp"
#include "tests/sim/checkers/group_model.hpp"
#include "tests/sim/checkers/verdict.hpp"
#include "wire/entry.hpp"

namespace weir::sim {

struct ModelEvent {
  std::string topic;
  std::string source;
  std::string id;
  std::string body;
  std::uint64_t offset = 0;
  std::uint64_t position = 0;
  std::uint64_t time_ms = 0;
  raft::Index log_index;
};

/// An id that an event or a claim brought into the log, and how long it was known.
struct KnownId {
  std::uint64_t position = 0;     ///< of the event; 0 = it was only claimed
  raft::Index since;              ///< the entry that brought it
  std::optional<raft::Index> to;  ///< the entry that took it
};

class Model {
 public:
  /// `groups` is given the entries that are its.
  Model(Verdict& verdict, GroupModel& groups) : verdict_(verdict), groups_(groups) {}

  void apply(const raft::Entry& entry);
  /// The latest entry in it.
  [[nodiscard]] raft::Index applied_index() const { return applied_index_; }

  /// The event at position p is at p - 1, be it gone or not.
  [[nodiscard]] const std::vector<ModelEvent>& events() const { return events_; }
  [[nodiscard]] bool is_stored(const std::string& body) const { return bodies_.contains(body); }
  [[nodiscard]] std::uint64_t next_offset(const std::string& topic) const;
  /// The first offset that is kept.
  [[nodiscard]] std::uint64_t first_offset(const std::string& topic) const;
  [[nodiscard]] std::size_t topic_count() const { return topics_.size(); }
  /// Retention had taken the event when this entry was applied.
  [[nodiscard]] bool is_gone(const ModelEvent& event, raft::Index as_of) const;
  [[nodiscard]] std::uint64_t floors_raised() const { return floors_raised_; }

  /// Everything that who decides about this id after `index` may have found.
  [[nodiscard]] std::vector<KnownId> known_after(const wire::Claim& id, raft::Index index) const;
  /// Whoever decided about this id at `index`, or since then, must have found it.
  [[nodiscard]] bool is_known_since(const wire::Claim& id, raft::Index index) const;

 private:
  using Id = std::tuple<std::string, std::string, std::string>;
  struct Outlived {
    Id id;
    std::uint64_t position = 0;  ///< as in KnownId
    raft::Index since;
  };
  struct Topic {
    std::vector<std::uint64_t> positions;                              ///< by offset
    std::vector<std::pair<raft::Index, std::uint64_t>> first_offsets;  ///< and the entries that raised them, ascending
    std::optional<raft::Index> forever_from;  ///< ids that entries from here on brought outlive their events
    std::vector<Outlived> outlived;           ///< those that have
    [[nodiscard]] std::uint64_t first_offset() const { return first_offsets.empty() ? 0 : first_offsets.back().second; }
  };

  void apply(const wire::PublishView& entry, raft::Index index);
  void apply(const wire::DedupEntry& entry, raft::Index index);
  void apply(const wire::RetainEntry& entry, raft::Index index);
  void apply(const wire::TopicEntry& entry, raft::Index index);
  void apply(const wire::GroupEntry& entry, raft::Index index);
  [[nodiscard]] bool accepts(const wire::PublishView& entry, const wire::RequestView& request) const;
  [[nodiscard]] bool meets_expectations(const wire::RequestView& request) const;
  void store(const wire::EventView& event, raft::Index index);
  [[nodiscard]] const KnownId* find(const Id& id) const;
  void part(const Id& id, std::uint64_t position, raft::Index since, raft::Index by);
  void forget(const Id& id, std::uint64_t position, raft::Index since, raft::Index by);

  Verdict& verdict_;
  GroupModel& groups_;
  raft::Index applied_index_;
  std::vector<ModelEvent> events_;
  std::map<Id, std::vector<KnownId>> ids_;         ///< oldest first; all but the last are gone
  std::deque<std::pair<raft::Index, Id>> claims_;  ///< that are kept, ascending
  std::map<std::string, Topic> topics_;
  /// Position of the latest with this body: clients never use one twice, but for repeats of the same request.
  std::map<std::string, std::uint64_t> bodies_;
  std::uint64_t time_ms_ = 0;
  std::uint64_t floors_raised_ = 0;
};

}  // namespace weir::sim
