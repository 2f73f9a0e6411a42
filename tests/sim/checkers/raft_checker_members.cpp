// The part of RaftChecker that is about who the members are (thesis §4).
#include <algorithm>
#include <string>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

/// The voters, or the learners, of `config` by number. To itself a node in another life of its disk is nobody.
[[nodiscard]] std::vector<raft::NodeId> numbers_of(const wire::ConfigEntry& config, const SimNode& node, bool voters) {
  std::vector<raft::NodeId> numbers;
  for (const auto& member : config.members) {
    const bool is_other_life = member.node == node.id() && member.incarnation != node.incarnation();
    const bool votes = member.kind == wire::MemberKind::voter;
    if (member.kind != wire::MemberKind::awaited && votes == voters && !is_other_life) {
      numbers.push_back(member.node);
    }
  }
  std::ranges::sort(numbers);
  return numbers;
}

/// Members whose standing differs.
[[nodiscard]] std::size_t changed_count(const wire::ConfigEntry& before, const wire::ConfigEntry& after) {
  const auto standing = [](const wire::ConfigEntry& config, raft::NodeId node) {
    const auto* member = find_member(config, node);
    if (member == nullptr || member->kind == wire::MemberKind::awaited) {
      return 0;
    }
    return member->kind == wire::MemberKind::voter ? 2 : 1;
  };
  std::size_t count = 0;
  for (const auto& member : before.members) {
    count += standing(before, member.node) == standing(after, member.node) ? 0U : 1U;
  }
  for (const auto& member : after.members) {
    const bool is_new = find_member(before, member.node) == nullptr;
    count += is_new && standing(after, member.node) != 0 ? 1U : 0U;
  }
  return count;
}

[[nodiscard]] bool is_learner(const wire::Member* member) {
  return member != nullptr && (member->kind == wire::MemberKind::learner || member->kind == wire::MemberKind::joining);
}

[[nodiscard]] bool is_awaited(const wire::Member* member) {
  return member != nullptr && member->kind == wire::MemberKind::awaited;
}

}  // namespace

const SimNode* RaftChecker::node_of(raft::NodeId id) const {
  const auto place = std::ranges::find(world_.nodes, id, [](const auto& node) { return node->id(); });
  return place == world_.nodes.end() ? nullptr : place->get();
}

/// Thesis §4.1, and the bug of 2015 (FAULTS 30, 31): one member's standing at a time, not before the change before is
/// committed, and not before an entry of the leader's own term is.
void RaftChecker::check_change(const SimNode& node, const View& view, const broker::NodeStatus& status,
                               raft::Index index) {
  const auto& all = view.configs.all();
  const auto change = std::ranges::find(all, index, &PlacedConfig::index);
  if (change == all.end() || change->term != status.term || status.role != raft::Role::leader) {
    return;
  }
  const std::string what = node.name() + " changes the members in entry " + std::to_string(index.value) + " ";
  const auto term_start = std::ranges::lower_bound(view.log, status.term, {}, &raft::Entry::term);
  if (term_start == view.log.end() || term_start->index > status.commit_index) {
    verdict_.fail("FAULTS 31: " + what + "before an entry of its term is committed");
  }
  if (change == all.begin()) {
    return;
  }
  const PlacedConfig& before = *std::prev(change);
  if (before.index > status.commit_index) {
    verdict_.fail("FAULTS 30: " + what + "before the change in entry " + std::to_string(before.index.value) +
                  " is committed");
  }
  if (changed_count(*before.config, *change->config) > 1) {
    verdict_.fail(what + "by more than one");
  }
}

/// FAULTS 24, 32, 33: who stands or leads is a voter of the configuration in force, in this life of its disk; or was
/// one in the configuration before, as long as the other is not committed.
void RaftChecker::check_standing(const SimNode& node, const View& view, const broker::NodeStatus& status) {
  if (status.role == raft::Role::follower) {
    return;
  }
  const PlacedConfig* latest = view.configs.latest();
  const PlacedConfig* previous = view.configs.previous();
  const bool votes = latest != nullptr && is_voter(*latest->config, node.id(), node.incarnation());
  const bool may_be_needed = latest != nullptr && latest->index > status.commit_index && previous != nullptr &&
                             is_voter(*previous->config, node.id(), node.incarnation());
  if (!votes && !may_be_needed) {
    verdict_.fail((status.role == raft::Role::leader ? "FAULTS 32: " : "FAULTS 33: ") + node.name() +
                  " stands or leads in term " + std::to_string(status.term.value) +
                  ", and is no voter of the configuration in force");
  }
}

/// FAULTS 34: what Raft goes by is the latest in its log, from the moment it is there until it is cut off.
void RaftChecker::check_in_force(const SimNode& node, const View& view) {
  const PlacedConfig* latest = view.configs.latest();
  if (!view.in_force || latest == nullptr) {
    return;
  }
  const raft::Configuration& used = view.in_force->configuration;
  const auto is_of_node = [&](raft::NodeId id) { return node_of(id) != nullptr; };
  std::vector<raft::NodeId> voters;
  std::vector<raft::NodeId> learners;
  std::ranges::copy_if(used.voters, std::back_inserter(voters), is_of_node);
  std::ranges::copy_if(used.learners, std::back_inserter(learners), is_of_node);
  if (view.in_force->index != latest->index || voters != numbers_of(*latest->config, node, true) ||
      learners != numbers_of(*latest->config, node, false)) {
    verdict_.fail("FAULTS 34: " + node.name() + " goes by the configuration of entry " +
                  std::to_string(view.in_force->index.value) + " or another, its log by that of entry " +
                  std::to_string(latest->index.value));
  }
}

/// A majority of the voters of the configuration in force, each in the life that it names, has voted for the leader.
void RaftChecker::check_votes(const SimNode& node, const View& view, raft::Term term) {
  const PlacedConfig* latest = view.configs.latest();
  if (latest == nullptr) {
    verdict_.fail(node.name() + " leads without a configuration");
    return;
  }
  std::size_t votes = 0;
  for (const auto& member : latest->config->members) {
    const SimNode* voter = node_of(member.node);
    if (voter == nullptr || member.kind != wire::MemberKind::voter) {
      continue;
    }
    const bool own = member.node == node.id() && member.incarnation == node.incarnation();
    votes += own || world_.checkers->messages.has_voted(*voter, member.incarnation, term, node.id()) ? 1U : 0U;
  }
  if (votes * 2 <= voter_count(*latest->config)) {
    verdict_.fail("Election Safety: " + node.name() + " leads term " + std::to_string(term.value) +
                  " by the votes of " + std::to_string(votes) + " of " + std::to_string(voter_count(*latest->config)) +
                  " voters");
  }
}

void RaftChecker::check_majority(const SimNode& node, raft::Index index) {
  if (const Share share = share_of(index); !share.is_majority()) {
    verdict_.fail(node.name() + " commits entry " + std::to_string(index.value) + ", which is on the disks of " +
                  std::to_string(share.disks) + " of " + std::to_string(share.voters) + " voters");
  }
}

RaftChecker::Share RaftChecker::share_of(raft::Index index) const {
  const auto& [entry, commit_term, config] = committed_[index.value - 1];
  Share share{.disks = 0, .voters = voter_count(*config)};
  for (const auto& member : config->members) {
    const SimNode* node = member.kind == wire::MemberKind::voter ? node_of(member.node) : nullptr;
    const SimDisk* image = node == nullptr ? nullptr : node->disk_of(member.incarnation);
    if (image == nullptr) {
      continue;
    }
    const bool covered = entry.index < image->first_index() && entry.index <= image->covered();
    share.disks += covered || image->term_at(entry.index) == entry.term ? 1U : 0U;
  }
  return share;
}

void RaftChecker::count_change(const wire::ConfigEntry& before, const wire::ConfigEntry& after) {
  Coverage& coverage = world_.history.coverage;
  for (const auto& member : after.members) {
    const auto* was = find_member(before, member.node);
    coverage.adds += was == nullptr ? 1U : 0U;
    coverage.promotes += is_learner(was) && member.kind == wire::MemberKind::voter ? 1U : 0U;
    coverage.readmissions += is_awaited(was) && is_learner(&member) ? 1U : 0U;
  }
  for (const auto& member : before.members) {
    if (find_member(after, member.node) != nullptr) {
      continue;
    }
    ++coverage.removals;
    const SimNode* node = node_of(member.node);
    coverage.leader_removals += node != nullptr && views_[node->place()].role == raft::Role::leader ? 1U : 0U;
  }
}

std::vector<ConfigPtr> RaftChecker::possible_configs() const {
  std::vector<ConfigPtr> configs;
  if (config_ != nullptr) {
    configs.push_back(config_);
  }
  for (const auto& [place, view] : views_) {
    for (const PlacedConfig& placed : view.configs.all()) {
      if (placed.index.value > committed_.size()) {
        configs.push_back(placed.config);
      }
    }
  }
  return configs;
}

std::size_t RaftChecker::lost_voters(const wire::ConfigEntry& config) const {
  return static_cast<std::size_t>(std::ranges::count_if(config.members, [this](const wire::Member& member) {
    const SimNode* node = node_of(member.node);
    return member.kind == wire::MemberKind::voter && node != nullptr && node->incarnation() != member.incarnation;
  }));
}

bool RaftChecker::may_lose(const SimNode& node) const {
  return config_ != nullptr && std::ranges::all_of(possible_configs(), [&](const ConfigPtr& config) {
           const std::size_t lost = lost_voters(*config) + (is_voter(*config, node.id(), node.incarnation()) ? 1U : 0U);
           return lost * 2 < voter_count(*config);
         });
}

bool RaftChecker::is_named(const SimNode& node) const {
  return std::ranges::any_of(possible_configs(),
                             [&](const ConfigPtr& config) { return find_member(*config, node.id()) != nullptr; });
}

}  // namespace weir::sim
