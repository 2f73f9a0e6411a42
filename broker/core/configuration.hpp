// CONFIG entries, between the bytes that the log holds and the Configuration that Raft works with
// (docs/decisions/0007). Pure functions: no thread rule.
#pragma once

#include <expected>
#include <string>

#include "raft/configuration.hpp"
#include "raft/entry.hpp"
#include "raft/message.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

[[nodiscard]] raft::ConfigurationPtr to_configuration(const wire::ConfigEntry& config);

/// A CONFIG entry's data and checksum, decoded for Raft.
[[nodiscard]] raft::Proposal to_proposal(const wire::ConfigEntry& config);

/// Decodes the CONFIG entries among those that a message brings. The error says which cannot be.
[[nodiscard]] std::expected<void, std::string> decode_configurations(raft::Message& message);

}  // namespace weir::broker
