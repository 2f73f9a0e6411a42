#include "raft/configuration.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::raft {
namespace {

bool holds(const std::vector<NodeId>& members, NodeId node) {
  return std::ranges::binary_search(members, node);
}

bool is_ascending(const std::vector<NodeId>& members) {
  return std::ranges::adjacent_find(members, std::ranges::greater_equal()) == members.end();
}

}  // namespace

bool Configuration::is_voter(NodeId node) const {
  return holds(voters, node);
}

bool Configuration::is_learner(NodeId node) const {
  return holds(learners, node);
}

bool Configuration::is_well_formed() const {
  return !voters.empty() && is_ascending(voters) && is_ascending(learners) && !has(kNobody) &&
         std::ranges::none_of(learners, [this](NodeId learner) { return is_voter(learner); });
}

std::vector<NodeId> changed_members(const Configuration& before, const Configuration& after) {
  std::vector<NodeId> all;
  for (const Configuration* each : {&before, &after}) {
    all.insert(all.end(), each->voters.begin(), each->voters.end());
    all.insert(all.end(), each->learners.begin(), each->learners.end());
  }
  std::ranges::sort(all);
  all.erase(std::ranges::unique(all).begin(), all.end());
  std::erase_if(all, [&](NodeId node) {
    return before.is_voter(node) == after.is_voter(node) && before.is_learner(node) == after.is_learner(node);
  });
  return all;
}

Configurations::Configurations(std::vector<PlacedConfiguration> known) : known_(std::move(known)) {
  WEIR_CHECK(!known_.empty());
  for (std::size_t i = 0; i < known_.size(); ++i) {
    WEIR_CHECK(known_[i].configuration && known_[i].configuration->is_well_formed(), known_[i].index);
    WEIR_CHECK(i == 0 || known_[i - 1].index < known_[i].index, known_[i].index);
  }
}

const Configuration* Configurations::previous() const {
  return known_.size() < 2 ? nullptr : std::prev(known_.end(), 2)->configuration.get();
}

void Configurations::append(Index index, ConfigurationPtr configuration) {
  WEIR_CHECK(index > latest_index(), index, latest_index());
  WEIR_CHECK(configuration && configuration->is_well_formed(), index);
  known_.push_back({.index = index, .configuration = std::move(configuration)});
}

void Configurations::truncate_from(Index index) {
  WEIR_CHECK(known_.front().index < index, known_.front().index, index);
  const ConfigurationPtr cut_off = known_.back().configuration;
  std::erase_if(known_, [&](const PlacedConfiguration& each) { return each.index >= index; });
  if (is_mutated(Mutant::no_fallback)) {
    known_.back().configuration = cut_off;
  }
}

void Configurations::reset(Index index, ConfigurationPtr configuration) {
  *this = Configurations({{.index = index, .configuration = std::move(configuration)}});
}

void Configurations::settle(Index index) {
  const auto later = std::ranges::find_if(known_, [&](const PlacedConfiguration& each) { return each.index > index; });
  if (later - known_.begin() > 1) {
    known_.erase(known_.begin(), std::prev(later));
  }
}

}  // namespace weir::raft
