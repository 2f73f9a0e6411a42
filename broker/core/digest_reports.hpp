// Members' reports side by side: what a leader has heard, and what a comparison says of them.
// Runs on the core strand. Deterministic.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "raft/message.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

/// What most of the voters hold is right.
struct Comparison {
  std::optional<std::uint64_t> right;  ///< held by more than half of all voters
  std::vector<raft::NodeId> wrong;     ///< who reported something else; none while it is not known what is right
  /// All voters have reported and no value has a majority: an operator must say who is right.
  bool open = false;
};

/// The voters of `config`, whoever of them has reported.
[[nodiscard]] Comparison compare(const std::vector<wire::Report>& reports, const wire::ConfigEntry& config);

/// What a leader has heard, of the latest few places of each member.
class HeardReports {
 public:
  void hear(raft::NodeId node, const raft::StateReport& report);
  [[nodiscard]] std::optional<std::uint64_t> at(raft::NodeId node, raft::Index index) const;
  /// Of the members of `config` that have reported as of `index`, nodes ascending.
  [[nodiscard]] std::vector<wire::Report> as_of(raft::Index index, const wire::ConfigEntry& config) const;
  /// What was said as of there: those who can still be asked will say it again.
  void forget(raft::Index index);
  void clear() { heard_.clear(); }

 private:
  std::map<raft::NodeId, std::deque<raft::StateReport>> heard_;
};

}  // namespace weir::broker
