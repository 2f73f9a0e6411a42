// The CONFIG entries of one log, read from outside. Values only; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "raft/entry.hpp"
#include "wire/entry.hpp"

namespace weir::sim {

using ConfigPtr = std::shared_ptr<const wire::ConfigEntry>;

struct PlacedConfig {
  raft::Index index;
  raft::Term term;
  ConfigPtr config;
};

class Configs {
 public:
  /// Of an entry that follows all those before; one that is no CONFIG changes nothing.
  void add(const raft::Entry& entry);
  /// How many went.
  std::size_t truncate_from(raft::Index index);
  void clear() { all_.clear(); }
  [[nodiscard]] const std::vector<PlacedConfig>& all() const { return all_; }
  /// In force: the latest, committed or not. Null if there is none.
  [[nodiscard]] const PlacedConfig* latest() const { return all_.empty() ? nullptr : &all_.back(); }
  /// What was in force before the latest. Null if that is not known.
  [[nodiscard]] const PlacedConfig* previous() const { return all_.size() < 2 ? nullptr : &all_[all_.size() - 2]; }

 private:
  std::vector<PlacedConfig> all_;  ///< ascending by index
};

/// Null if it names no such node.
[[nodiscard]] const wire::Member* find_member(const wire::ConfigEntry& config, raft::NodeId node);
/// This node, in the life of its disk that has this incarnation, is a voter.
[[nodiscard]] bool is_voter(const wire::ConfigEntry& config, raft::NodeId node, std::uint64_t incarnation);
[[nodiscard]] std::size_t voter_count(const wire::ConfigEntry& config);

}  // namespace weir::sim
