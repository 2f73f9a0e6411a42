// What the log means, written a second time and as simply as possible: the committed entries in order, a list of events
// and a table of ids. Everything clients are told is compared with it. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "raft/entry.hpp"
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

class Model {
 public:
  explicit Model(Verdict& verdict) : verdict_(verdict) {}

  void apply(const raft::Entry& entry);

  /// The event at position p is at p - 1.
  [[nodiscard]] const std::vector<ModelEvent>& events() const { return events_; }
  [[nodiscard]] bool is_stored(const std::string& body) const { return bodies_.contains(body); }
  [[nodiscard]] std::uint64_t next_offset(const std::string& topic) const;
  [[nodiscard]] const std::map<std::string, std::uint64_t>& topics() const { return next_offsets_; }
  /// Position of the id's event; 0 = only claimed; nullopt = unknown.
  [[nodiscard]] std::optional<std::uint64_t> find(const wire::Claim& id) const;

 private:
  using Id = std::tuple<std::string, std::string, std::string>;

  void apply(const wire::PublishView& entry, raft::Index index);
  [[nodiscard]] bool accepts(const wire::PublishView& entry, const wire::RequestView& request) const;
  [[nodiscard]] bool meets_expectations(const wire::RequestView& request) const;
  void store(const wire::EventView& event, raft::Index index);

  Verdict& verdict_;
  std::vector<ModelEvent> events_;
  std::map<Id, std::uint64_t> ids_;
  std::map<std::string, std::uint64_t> next_offsets_;
  std::set<std::string> bodies_;  ///< clients never use one twice, but for repeats of the same request
  std::uint64_t time_ms_ = 0;
};

}  // namespace weir::sim
