// What the files of a generation hold, read and verified byte by byte before they are mapped.
// Used by the thread that opens the store.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/entry.hpp"
#include "storage/schema.hpp"

namespace weir::storage {

/// A chunk that is in a file but not in its tree: its commit was the last before a power cut, and what points to it was
/// not flushed (Flush::data).
struct LostChunk {
  raft::Index first_index;
  std::vector<raft::Entry> entries;
};

struct RecoveredLog {
  std::vector<SegmentHead> heads;  ///< one for each segment
  std::vector<raft::TermRun> term_runs;
  raft::Index last_index;  ///< the one before the first index = no entry; lost chunks are not counted
  ChainEnd chain;  ///< of the chunk that holds last_index; the sequence is the highest in use, lost ones included
  raft::Command first_command = raft::Command::noop;  ///< of the first entry, if there is one
  std::vector<raft::Index> config_entries;            ///< up to last_index, ascending
  std::vector<LostChunk> lost;                        ///< they continue the log behind last_index
};

/// damaged unless the files are the segments that `records` name, and all of their chunks hold and continue each other.
/// Requires at least one record. With `end`, the log is what is before it: it must get there, and nothing is lost
/// behind.
[[nodiscard]] std::expected<RecoveredLog, Error> recover_log(const std::string& generation,
                                                             std::span<const SegmentRecord> records,
                                                             std::optional<raft::Index> end = std::nullopt);

/// The highest sequence that was used in a file that no list names any more; 0 for one without a chunk. Tells what a
/// crash left from what an older list does not know.
[[nodiscard]] std::expected<std::uint64_t, Error> highest_sequence(const std::string& path);

/// Cuts `runs` so that the last entry they speak of is the one before `index`.
void truncate_runs(std::vector<raft::TermRun>& runs, raft::Index index);
/// The entry at `index`, the next one, has `term`.
void extend_runs(std::vector<raft::TermRun>& runs, raft::Index index, raft::Term term);
/// 0 if no run speaks of `index`. Requires an index that is not behind the last entry.
[[nodiscard]] raft::Term term_at(const std::vector<raft::TermRun>& runs, raft::Index index);

}  // namespace weir::storage
