#include "broker/core/membership.hpp"

#include <algorithm>
#include <utility>

namespace weir::broker {
namespace {

using wire::MemberKind;

[[nodiscard]] std::unexpected<ChangeRefusal> refused(ChangeRefusalKind kind, std::string detail) {
  return std::unexpected(ChangeRefusal{.kind = kind, .detail = std::move(detail)});
}

[[nodiscard]] bool is_last_voter(const wire::ConfigEntry& config, const wire::Member& member) {
  return member.kind == MemberKind::voter &&
         std::ranges::count(config.members, MemberKind::voter, &wire::Member::kind) == 1;
}

/// Removing a voter that is in order must not leave a quorum to those that have lost their data.
[[nodiscard]] std::optional<ChangeRefusal> defect_of_removal(const wire::ConfigEntry& config,
                                                             const wire::Member& member,
                                                             const std::set<raft::NodeId>& lost) {
  if (member.kind != MemberKind::voter || lost.contains(member.node)) {
    return std::nullopt;
  }
  std::size_t voters = 0;
  std::size_t out_of_order = 0;
  std::string names;
  for (const auto& other : config.members) {
    if (other.kind != MemberKind::voter || other.node == member.node) {
      continue;
    }
    ++voters;
    if (lost.contains(other.node)) {
      ++out_of_order;
      names += (names.empty() ? "'" : ", '") + other.name + "'";
    }
  }
  if (out_of_order * 2 < voters || voters == 0) {
    return std::nullopt;
  }
  return ChangeRefusal{.kind = ChangeRefusalKind::conflict,
                       .detail = "without '" + member.name + "' there would be no quorum: of the " +
                                 std::to_string(voters) + " voters left, " + names +
                                 " lost the data folder; remove those first, or wait until they are back"};
}

[[nodiscard]] wire::Member to_member(const wire::Hello& hello, MemberKind kind) {
  return {.node = wire::node_id(hello.node),
          .name = hello.node,
          .raft_address = hello.raft_address,
          .http_address = hello.http_address,
          .incarnation = hello.incarnation,
          .kind = kind};
}

}  // namespace

std::expected<wire::ConfigEntry, ChangeRefusal> changed(wire::ConfigEntry config, const MemberChange& change,
                                                        const wire::Hello* hello, const std::set<raft::NodeId>& lost) {
  const auto member = std::ranges::find(config.members, change.node, &wire::Member::name);
  const bool known = member != config.members.end();
  const std::string name = "'" + change.node + "'";
  switch (change.action) {
    case MemberAction::add:
    case MemberAction::add_learner: {
      if (known) {
        return refused(ChangeRefusalKind::conflict, name + " is a member already");
      }
      if (hello == nullptr) {
        return refused(ChangeRefusalKind::not_connected,
                       name + " has not been heard; start it with --peers that name the members, then add it");
      }
      for (const auto& [expected, said] : {std::pair(&change.raft_address, &hello->raft_address),
                                           std::pair(&change.http_address, &hello->http_address)}) {
        if (!expected->empty() && *expected != *said) {
          return refused(ChangeRefusalKind::conflict, name + " says it is reached at " + *said + ", not at " +
                                                          *expected + "; start it with that address to advertise");
        }
      }
      const bool stays = change.action == MemberAction::add_learner;
      config.members.push_back(to_member(*hello, stays ? MemberKind::learner : MemberKind::joining));
      return config;
    }
    case MemberAction::promote:
      if (!known) {
        return refused(ChangeRefusalKind::no_member, "there is no member " + name);
      }
      if (member->kind != MemberKind::learner && member->kind != MemberKind::joining) {
        return refused(ChangeRefusalKind::conflict, name + " is no learner");
      }
      member->kind = MemberKind::voter;
      return config;
    case MemberAction::remove:
      if (!known) {
        return refused(ChangeRefusalKind::no_member, "there is no member " + name);
      }
      if (is_last_voter(config, *member)) {
        return refused(ChangeRefusalKind::conflict, name + " is the last voter");
      }
      if (auto defect = defect_of_removal(config, *member, lost)) {
        return std::unexpected(*std::move(defect));
      }
      config.members.erase(member);
      return config;
  }
  return refused(ChangeRefusalKind::conflict, "unknown change");
}

std::optional<wire::ConfigEntry> next_step(const wire::ConfigEntry& config, raft::NodeId self, const Peers& peers,
                                           const std::set<raft::NodeId>& caught_up,
                                           const std::set<raft::NodeId>& older_copies) {
  for (std::size_t i = 0; i < config.members.size(); ++i) {
    const wire::Member& member = config.members[i];
    const auto peer = peers.find(member.node);
    const bool is_heard = peer != peers.end() && member.node != self;
    const bool is_empty = is_heard && peer->second.cluster_id.empty();
    // It was let in by a CONFIG that did not last.
    const bool is_let_in = is_heard && !is_empty && peer->second.incarnation == member.incarnation;
    std::optional<wire::Member> after;
    if (member.kind != MemberKind::awaited && is_empty && peer->second.incarnation != member.incarnation) {
      // Before anything else: what it had caught up with before it lost its disk makes nobody a voter.
      if (!is_last_voter(config, member)) after = to_member(peer->second, MemberKind::awaited);
    } else if (member.kind == MemberKind::joining && caught_up.contains(member.node)) {
      after = member;
      after->kind = MemberKind::voter;
    } else if (member.kind == MemberKind::awaited && (is_empty || is_let_in)) {
      after = to_member(peer->second, MemberKind::joining);
    } else if (member.kind != MemberKind::awaited && older_copies.contains(member.node) &&
               !is_last_voter(config, member)) {
      after = member;
      after->kind = MemberKind::awaited;
      after->incarnation = 0;  // none of today's: the copy must go
    }
    if (after) {
      wire::ConfigEntry next = config;
      next.members[i] = *std::move(after);
      return next;
    }
  }
  return std::nullopt;
}

}  // namespace weir::broker
