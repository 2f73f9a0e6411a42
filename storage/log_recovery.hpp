// What the files of a generation hold, verified before they are mapped: byte by byte, or, of those that were before and
// cannot have changed since, by their seals. Used by the thread that opens the store; verify_segment by any.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/entry.hpp"
#include "storage/schema.hpp"
#include "storage/segment_seal.hpp"

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

/// Called with the size of each row that was verified. An error ends the work and is its result.
using Progress = std::function<std::expected<void, Error>(std::size_t bytes)>;

/// Reads every byte that one file has of the log, up to `end` (none: all). damaged unless it is the segment that
/// `record` names, and its chunks hold and continue each other, up to just before `end`. Requires that nobody writes to
/// it.
[[nodiscard]] std::expected<SegmentSeal, Error> verify_segment(const std::string& path, const SegmentRecord& record,
                                                               std::optional<raft::Index> end,
                                                               const Progress& progress = nullptr);

enum class Seals : std::uint8_t {
  unused = 1,   ///< every byte is read, nothing is written
  kept = 2,     ///< of a file with a seal only the tree is looked at; the others get one
  renewed = 3,  ///< every byte is read, whatever a seal says; each file that has rolled gets a new one
};

/// damaged unless the files are the segments that `records` name, and all of their chunks hold and continue each other.
/// Requires at least one record. With `end`, the log is what is before it: it must get there, and nothing is lost
/// behind.
[[nodiscard]] std::expected<RecoveredLog, Error> recover_log(const std::string& generation,
                                                             std::span<const SegmentRecord> records, Seals seals,
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
