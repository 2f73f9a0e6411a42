#include "tests/sim/checkers/configs.hpp"

#include <algorithm>

#include "raft/check.hpp"

namespace weir::sim {

void Configs::add(const raft::Entry& entry) {
  if (entry.command != raft::Command::config) {
    return;
  }
  auto config = wire::decode_config(entry.data);
  WEIR_CHECK(config.has_value(), entry.index);
  all_.push_back({.index = entry.index,
                  .term = entry.term,
                  .config = std::make_shared<const wire::ConfigEntry>(*std::move(config))});
}

std::size_t Configs::truncate_from(raft::Index index) {
  return std::erase_if(all_, [index](const PlacedConfig& each) { return each.index >= index; });
}

const wire::Member* find_member(const wire::ConfigEntry& config, raft::NodeId node) {
  const auto place = std::ranges::find(config.members, node, &wire::Member::node);
  return place == config.members.end() ? nullptr : &*place;
}

bool is_voter(const wire::ConfigEntry& config, raft::NodeId node, std::uint64_t incarnation) {
  const auto* member = find_member(config, node);
  return member != nullptr && member->kind == wire::MemberKind::voter && member->incarnation == incarnation;
}

std::size_t voter_count(const wire::ConfigEntry& config) {
  return static_cast<std::size_t>(std::ranges::count(config.members, wire::MemberKind::voter, &wire::Member::kind));
}

}  // namespace weir::sim
