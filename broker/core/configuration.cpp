#include "broker/core/configuration.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace weir::broker {
namespace {

[[nodiscard]] std::expected<void, std::string> decode_configuration(raft::Entry& entry) {
  if (entry.command != raft::Command::config) {
    return {};
  }
  const auto config = wire::decode_config(entry.data);
  if (!config) {
    return std::unexpected("entry " + std::to_string(entry.index.value) + ": " + config.error().text);
  }
  entry.configuration = to_configuration(*config);
  return {};
}

}  // namespace

raft::ConfigurationPtr to_configuration(const wire::ConfigEntry& config) {
  auto configuration = std::make_shared<raft::Configuration>();
  for (const auto& member : config.members) {
    const bool votes = member.kind == wire::MemberKind::voter;
    (votes ? configuration->voters : configuration->learners).push_back(member.node);
  }
  std::ranges::sort(configuration->voters);
  std::ranges::sort(configuration->learners);
  return configuration;
}

raft::Proposal to_proposal(const wire::ConfigEntry& config) {
  raft::Proposal proposal{.command = raft::Command::config,
                          .checksum = 0,
                          .data = wire::encode(config),
                          .configuration = to_configuration(config)};
  proposal.checksum = wire::entry_checksum(proposal.command, proposal.data.view());
  return proposal;
}

std::expected<void, std::string> decode_configurations(raft::Message& message) {
  if (auto* append = std::get_if<raft::AppendEntries>(&message.body)) {
    for (auto& entry : append->entries) {
      if (auto decoded = decode_configuration(entry); !decoded) {
        return decoded;
      }
    }
  }
  return {};
}

}  // namespace weir::broker
