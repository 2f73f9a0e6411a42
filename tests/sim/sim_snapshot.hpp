// What a simulated store's snapshot is made of, as a run of bytes that can be cut into pieces and is checked when they
// are put together again. Pure functions: no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/log_store.hpp"

namespace weir::sim {

/// Everything that a log was up to and with the newest checkpoint.
struct SnapshotContent {
  std::vector<storage::Checkpoint> checkpoints;  ///< oldest first
  raft::Index first_index{1};
  raft::Term prev_term;  ///< of the entry before first_index
  std::vector<raft::Entry> entries;

  [[nodiscard]] raft::Index last_index() const { return first_index.prev() + entries.size(); }
};

/// The last eight bytes are a checksum of all others.
[[nodiscard]] std::string encode(const SnapshotContent& content);
/// nullopt if a bit of it is wrong, or it is not the content of `snapshot`.
[[nodiscard]] std::optional<SnapshotContent> decode(std::string_view bytes, const raft::Snapshot& snapshot);

}  // namespace weir::sim
