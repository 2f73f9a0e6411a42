// §6 and thesis §4: members come and go one at a time, by CONFIG entries that are in force as soon as they are in the
// log. Two majorities, one of the members before a change and one of those after it, then always share a member.
#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"
#include "raft/quorum.hpp"
#include "raft/raft.hpp"

namespace weir::raft {
namespace {

ChangeError to_change_error(ProposeError error) {
  switch (error) {
    case ProposeError::not_leader:
      return ChangeError::not_leader;
    case ProposeError::overloaded:
      return ChangeError::overloaded;
    case ProposeError::number_limit:
      break;
  }
  return ChangeError::number_limit;
}

}  // namespace

std::string_view to_string(ChangeError error) {
  switch (error) {
    case ChangeError::not_leader:
      return "not the leader";
    case ChangeError::in_progress:
      return "another change is not committed yet";
    case ChangeError::term_is_new:
      return "nothing of this term is committed yet";
    case ChangeError::not_one_member:
      return "not a change of one member's standing";
    case ChangeError::not_caught_up:
      return "the learner is not caught up";
    case ChangeError::no_configuration:
      return "not a configuration";
    case ChangeError::overloaded:
      return "overloaded";
    case ChangeError::number_limit:
      return "number limit";
  }
  return "unknown";
}

// --- the leader

std::expected<Index, ChangeError> Raft::change_membership(Proposal proposal) {
  if (const auto defect = defect_of_change(proposal)) {
    return std::unexpected(*defect);
  }
  append(std::move(proposal));
  return log_.last_index();
}

std::optional<ChangeError> Raft::defect_of_change(const Proposal& proposal) const {
  if (const auto defect = defect_of_append(1, proposal.data.size() + kEntryOverheadBytes)) {
    return to_change_error(*defect);
  }
  if (proposal.command != Command::config || !proposal.configuration || !proposal.configuration->is_well_formed()) {
    return ChangeError::no_configuration;
  }
  // Two changes under way could have majorities that do not meet (thesis §4.1).
  if (configuration_index() > commit_index_ && !is_mutated(Mutant::two_changes)) {
    return ChangeError::in_progress;
  }
  // The bug of 2015: a leader does not know of a change that its predecessor committed until an entry of its own term
  // is committed, and one change more would make two.
  if (commit_index_ < leadership_->term_start && !is_mutated(Mutant::change_before_noop)) {
    return ChangeError::term_is_new;
  }
  const Configuration& after = *proposal.configuration;
  const std::vector<NodeId> changed = changed_members(configuration(), after);
  if (changed.empty()) {
    return std::nullopt;
  }
  const NodeId member = changed.front();
  const bool new_voter = after.is_voter(member);
  if (changed.size() > 1 || (new_voter && !configuration().is_learner(member))) {
    return ChangeError::not_one_member;
  }
  if (new_voter && member != config_.id) {
    const auto learner = std::ranges::find(leadership_->followers, member, &Progress::node);
    WEIR_CHECK(learner != leadership_->followers.end(), member);
    if (!learner->is_caught_up(config_.election_ticks_min)) {
      return ChangeError::not_caught_up;
    }
  }
  return std::nullopt;
}

/// The leader replicates to the members of the latest configuration, and to them alone.
void Raft::follow_configuration() {
  std::vector<Progress> followers;
  std::vector<NodeId> members = configuration().voters;
  members.insert(members.end(), configuration().learners.begin(), configuration().learners.end());
  std::ranges::sort(members);
  for (const NodeId member : members) {
    if (member == config_.id) {
      continue;
    }
    Progress* known = find_follower(member);
    followers.push_back(known != nullptr ? std::move(*known) : Progress(member, log_.last_index().next()));
  }
  leadership_->followers = std::move(followers);
  if (leadership_->transfer && !is_voter(leadership_->transfer->to)) {
    leadership_->transfer.reset();
  }
}

/// Thesis §4.2.2: a leader that is not in the configuration any more still commits it, without counting itself, and
/// goes when that is done (FAULTS 32). The best of those that stay need not wait for a timeout.
void Raft::leave_if_removed() {
  if (is_voter(config_.id) || configuration_index() > commit_index_ || is_mutated(Mutant::removed_leader_stays)) {
    return;
  }
  const Progress* successor = best_successor();
  if (successor != nullptr && successor->match_index() == log_.last_index()) {
    send_at_once(successor->node(), TimeoutNow{});
  }
  become_follower(current_term_, kNobody);
}

std::uint64_t Raft::reached_by_voters(std::uint64_t own, std::uint64_t (*of)(const Progress&)) const {
  std::vector<std::uint64_t> reached;
  if (is_voter(config_.id)) {
    reached.push_back(own);
  }
  for (const Progress& follower : leadership_->followers) {
    if (is_voter(follower.node()) || is_mutated(Mutant::learner_counts)) {
      reached.push_back(of(follower));
    }
  }
  return reached_by_majority(std::move(reached));
}

/// This member's word is a majority.
bool Raft::decides_alone() const {
  return configuration().voters.size() == 1 && is_voter(config_.id);
}

// --- all members

const Configuration& Raft::configuration() const {
  if (is_mutated(Mutant::config_after_commit) && configuration_index() > commit_index_ &&
      configurations_.previous() != nullptr) {
    return *configurations_.previous();
  }
  return configurations_.latest();
}

/// "The new configuration takes effect on each server as soon as it is added to that server's log" (thesis §4.1).
void Raft::adopt(const Entry& entry) {
  if (!entry.configuration) {
    return;
  }
  configurations_.append(entry.index, entry.configuration);
  output_.events.emplace_back(ConfigurationAdopted{.index = entry.index, .configuration = configuration()});
  if (role_ == Role::leader) {
    follow_configuration();
  }
}

/// FAULTS 34: "a server must be prepared to fall back to the previous configuration in its log" (thesis §4.1).
void Raft::roll_back_configuration(Index index) {
  if (configuration_index() >= index) {
    configurations_.truncate_from(index);
    output_.events.emplace_back(ConfigurationAdopted{.index = configuration_index(), .configuration = configuration()});
  }
}

/// Thesis §4.2.2: "a server that is not part of its own latest configuration should still start new elections", as
/// long as the entry that removed it may not be committed: the others may not have it and need this member for it.
bool Raft::may_be_needed() const {
  if (is_voter(config_.id)) {
    return true;
  }
  const Configuration* previous = configurations_.previous();
  return configuration_index() > commit_index_ && previous != nullptr && previous->is_voter(config_.id);
}

}  // namespace weir::raft
