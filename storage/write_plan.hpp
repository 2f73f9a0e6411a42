// What one append call comes to: several writes in order, reduced to their sum. Pure; the views live as long as the
// writes they were made from.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "raft/entry.hpp"
#include "storage/log_store.hpp"

namespace weir::storage {

struct WritePlan {
  std::optional<raft::HardState> hard_state;  ///< if it differs from the durable one
  std::optional<raft::Index> truncate_from;   ///< if durable entries go
  std::vector<const raft::Entry*> entries;
};

/// Requires what LogWrite and Raft promise: contiguous indexes, terms that never fall and never exceed current_term, a
/// current_term that never falls, one vote per term.
///
/// The sum may be written in another order than its parts, because nothing is answered before all of it is durable:
/// the last hard state first, then the log. A crash in between leaves a later term or vote without entries that nobody
/// was told of, as if they had been lost on the way here. The reverse (entries of a term that was forgotten) is what
/// must not happen.
[[nodiscard]] WritePlan plan_writes(std::span<const LogWrite> writes, const raft::HardState& durable,
                                    raft::Index last_index);

/// Writes without an install, and the install that follows them.
struct WritesUpToInstall {
  std::vector<LogWrite> writes;
  std::optional<raft::Snapshot> install;  ///< all but the last have one
};
/// An install stands between what comes before it, the hard state it came with included, and what comes behind.
[[nodiscard]] std::vector<WritesUpToInstall> split_at_installs(std::span<const LogWrite> writes);

/// How many of `entries` belong into a chunk that already has `body_size` bytes of records: until it reaches the
/// target.
[[nodiscard]] std::size_t count_for_chunk(std::span<const raft::Entry* const> entries, std::size_t body_size,
                                          std::size_t target);

}  // namespace weir::storage
