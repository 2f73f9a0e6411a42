// CONFIG entries, between the bytes that the log holds and the Configuration that Raft works with
// (docs/decisions/0007). Pure functions: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "raft/configuration.hpp"
#include "raft/entry.hpp"
#include "raft/message.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

/// This node in this life: a member of the same name with another incarnation is somebody else (DESIGN §5).
struct OwnIdentity {
  raft::NodeId node;
  std::uint64_t incarnation = 0;
};

[[nodiscard]] raft::ConfigurationPtr to_configuration(const wire::ConfigEntry& config, const OwnIdentity& self);

/// A CONFIG entry's data and checksum, decoded for Raft.
[[nodiscard]] raft::Proposal to_proposal(const wire::ConfigEntry& config, const OwnIdentity& self);

/// Decodes the CONFIG entries among those that a message brings. The error says which cannot be.
[[nodiscard]] std::expected<void, std::string> decode_configurations(raft::Message& message, const OwnIdentity& self);

/// The answer to a request: it counts only from the incarnation that CONFIG names.
[[nodiscard]] bool is_reply(const raft::Message& message);

}  // namespace weir::broker
