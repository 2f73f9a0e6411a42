// Who the members are, as the log says it (§6; thesis §4). Runs on the replica strand, inside Raft; a Configuration is
// a value that never changes once it is shared.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "raft/types.hpp"

namespace weir::raft {

/// Voters make majorities; learners get the log and count for nothing (thesis §4.2.1).
struct Configuration {
  std::vector<NodeId> voters;    ///< ascending, no two the same, at least one
  std::vector<NodeId> learners;  ///< ascending, no two the same, none a voter

  [[nodiscard]] bool is_voter(NodeId node) const;
  [[nodiscard]] bool is_learner(NodeId node) const;
  [[nodiscard]] bool has(NodeId node) const { return is_voter(node) || is_learner(node); }
  /// The order and the distinctness that the fields promise.
  [[nodiscard]] bool is_well_formed() const;

  friend bool operator==(const Configuration&, const Configuration&) = default;
};

/// Null where there is none.
using ConfigurationPtr = std::shared_ptr<const Configuration>;

/// A configuration and the CONFIG entry that brought it; index 0 = it was there before the log's first entry.
struct PlacedConfiguration {
  Index index;
  ConfigurationPtr configuration;
};

/// The members whose standing differs between two configurations.
[[nodiscard]] std::vector<NodeId> changed_members(const Configuration& before, const Configuration& after);

/// The configurations of one log. "A server always uses the latest configuration in its log, regardless of whether the
/// entry is committed" (§6); when that entry is cut off, the one before it is in force again (FAULTS 34).
class Configurations {
 public:
  /// Requires at least one, all well formed, ascending by index.
  explicit Configurations(std::vector<PlacedConfiguration> known);

  [[nodiscard]] const Configuration& latest() const { return *known_.back().configuration; }
  /// Of the CONFIG entry that brought latest().
  [[nodiscard]] Index latest_index() const { return known_.back().index; }
  /// What is in force again if latest()'s entry is cut off; null if that cannot happen any more.
  [[nodiscard]] const Configuration* previous() const;

  /// Requires an index above latest_index() and a well-formed configuration.
  void append(Index index, ConfigurationPtr configuration);
  /// The log was cut off from `index` on. Requires one before it.
  void truncate_from(Index index);
  /// A snapshot took the place of the log: this is in force, and nothing else is known.
  void reset(Index index, ConfigurationPtr configuration);
  /// Nothing up to `index` can be cut off any more: forgets what is not in force from there on.
  void settle(Index index);

 private:
  std::vector<PlacedConfiguration> known_;  ///< ascending by index; never empty
};

}  // namespace weir::raft
