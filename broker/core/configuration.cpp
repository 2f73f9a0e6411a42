#include "broker/core/configuration.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace weir::broker {
namespace {

[[nodiscard]] std::expected<void, std::string> decode_configuration(raft::Entry& entry, const OwnIdentity& self) {
  if (entry.command != raft::Command::config) {
    return {};
  }
  const auto config = wire::decode_config(entry.data);
  if (!config) {
    return std::unexpected("entry " + std::to_string(entry.index.value) + ": " + config.error().text);
  }
  entry.configuration = to_configuration(*config, self);
  return {};
}

/// A wiped node must not take itself for the voter it was: in its own eyes that is another member, which nobody is.
[[nodiscard]] raft::NodeId number_of(const wire::Member& member, const OwnIdentity& self) {
  const bool was_this_node = member.node == self.node && member.incarnation != self.incarnation;
  return was_this_node ? raft::NodeId{~member.node.value | 1U} : member.node;
}

}  // namespace

raft::ConfigurationPtr to_configuration(const wire::ConfigEntry& config, const OwnIdentity& self) {
  auto configuration = std::make_shared<raft::Configuration>();
  for (const auto& member : config.members) {
    if (member.kind != wire::MemberKind::awaited) {
      const bool votes = member.kind == wire::MemberKind::voter;
      (votes ? configuration->voters : configuration->learners).push_back(number_of(member, self));
    }
  }
  std::ranges::sort(configuration->voters);
  std::ranges::sort(configuration->learners);
  return configuration;
}

raft::Proposal to_proposal(const wire::ConfigEntry& config, const OwnIdentity& self) {
  raft::Proposal proposal{.command = raft::Command::config,
                          .checksum = 0,
                          .data = wire::encode(config),
                          .configuration = to_configuration(config, self)};
  proposal.checksum = wire::entry_checksum(proposal.command, proposal.data.view());
  return proposal;
}

std::expected<void, std::string> decode_configurations(raft::Message& message, const OwnIdentity& self) {
  if (auto* append = std::get_if<raft::AppendEntries>(&message.body)) {
    for (auto& entry : append->entries) {
      if (auto decoded = decode_configuration(entry, self); !decoded) {
        return decoded;
      }
    }
  } else if (auto* install = std::get_if<raft::InstallSnapshot>(&message.body)) {
    return decode_configuration(install->snapshot.config, self);
  }
  return {};
}

bool is_reply(const raft::Message& message) {
  const auto& body = message.body;
  return std::holds_alternative<raft::RequestVoteReply>(body) ||
         std::holds_alternative<raft::AppendEntriesReply>(body) || std::holds_alternative<raft::ReadIndexReply>(body) ||
         std::holds_alternative<raft::InstallSnapshotReply>(body);
}

}  // namespace weir::broker
