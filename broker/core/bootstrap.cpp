#include "broker/core/bootstrap.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

constexpr std::size_t kClusterIdLetters = 12;
constexpr std::size_t kEpochLetters = 8;
/// Sets the epoch's letters apart from the cluster id's, which come from the same seed.
constexpr std::uint64_t kEpochSalt = 0x9e3779b97f4a7c15U;

/// What keeps a cluster from being founded with this one.
[[nodiscard]] std::string_view why_not(const wire::Hello& peer) {
  if (!peer.cluster_id.empty()) {
    return " (is in a cluster already)";
  }
  return peer.lost_data ? " (lost its data, and waits to be let in again)" : " (was started with other --peers)";
}

[[nodiscard]] wire::Member to_member(const wire::Hello& hello) {
  return {.node = wire::node_id(hello.node),
          .name = hello.node,
          .raft_address = hello.raft_address,
          .http_address = hello.http_address,
          .incarnation = hello.incarnation};
}

/// The finalizer of splitmix64: neighbouring seeds give unrelated numbers.
[[nodiscard]] std::uint64_t mix(std::uint64_t number) {
  number = (number ^ (number >> 30U)) * 0xbf58476d1ce4e5b9U;
  number = (number ^ (number >> 27U)) * 0x94d049bb133111ebU;
  return number ^ (number >> 31U);
}

[[nodiscard]] wire::ConfigEntry named_by(std::uint64_t seed) {
  wire::ConfigEntry config;
  config.cluster_id = base32_name(seed, kClusterIdLetters);
  config.epoch = "e" + base32_name(seed ^ kEpochSalt, kEpochLetters);
  return config;
}

}  // namespace

std::string base32_name(std::uint64_t seed, std::size_t letters) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::string name;
  std::uint64_t bits = mix(seed);
  for (std::size_t i = 0; i < letters; ++i) {
    name += kAlphabet[bits % kAlphabet.size()];
    bits /= kAlphabet.size();
  }
  return name;
}

wire::ConfigEntry config_of_new_life(const std::string& name, std::uint64_t incarnation, std::uint64_t seed) {
  wire::ConfigEntry config = named_by(seed);
  config.members.push_back(
      {.node = wire::node_id(name), .name = name, .raft_address = {}, .http_address = {}, .incarnation = incarnation});
  return config;
}

Bootstrap::Bootstrap(wire::Hello self) : self_(std::move(self)) {}

void Bootstrap::met(const wire::Hello& peer) {
  met_[peer.node] = peer;
}

bool Bootstrap::agrees(const wire::Hello& peer) const {
  return peer.cluster_id.empty() && !peer.lost_data && peer.members == self_.members;
}

bool Bootstrap::may_found() const {
  if (self_.members.front() != self_.node || self_.lost_data) {
    return false;
  }
  return std::ranges::all_of(self_.members, [this](const std::string& name) {
    const auto peer = met_.find(name);
    return name == self_.node || (peer != met_.end() && agrees(peer->second));
  });
}

wire::ConfigEntry Bootstrap::compose(std::uint64_t seed) const {
  WEIR_CHECK(may_found());
  wire::ConfigEntry config = named_by(seed);
  for (const auto& name : self_.members) {
    config.members.push_back(to_member(name == self_.node ? self_ : met_.at(name)));
  }
  return config;
}

std::expected<void, std::string> Bootstrap::accepts(const wire::ConfigEntry& config) const {
  const auto self = std::ranges::find(config.members, self_.node, &wire::Member::name);
  if (self == config.members.end()) {
    return std::unexpected("cluster " + config.cluster_id + " has no member '" + self_.node + "'");
  }
  if (self->incarnation != self_.incarnation && !raft::is_mutated(raft::Mutant::any_life_counts)) {
    return std::unexpected("cluster " + config.cluster_id + " knows another data folder of '" + self_.node + "'");
  }
  return {};
}

std::optional<std::string> Bootstrap::cluster_met() const {
  const auto member = std::ranges::find_if(met_, [](const auto& entry) { return !entry.second.cluster_id.empty(); });
  if (member == met_.end()) {
    return std::nullopt;
  }
  return member->second.cluster_id;
}

std::string Bootstrap::waiting_for() const {
  std::string missing;
  for (const auto& name : self_.members) {
    const auto peer = met_.find(name);
    if (name == self_.node || (peer != met_.end() && agrees(peer->second))) {
      continue;
    }
    missing += missing.empty() ? "" : ", ";
    missing += name;
    if (peer != met_.end()) {
      missing += why_not(peer->second);
    }
  }
  return missing.empty() ? "'" + self_.members.front() + "' to found the cluster" : missing;
}

}  // namespace weir::broker
