// What a segment's file holds, read and verified byte by byte before it is mapped.
// Used by the thread that opens the store.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "raft/entry.hpp"
#include "storage/schema.hpp"

namespace weir::storage {

struct RecoveredLog {
  SegmentHead head;
  std::vector<raft::TermRun> term_runs;
  raft::Index last_index;  ///< 0 = no entry
  ChainEnd chain;
  std::vector<raft::Index> config_entries;            ///< ascending
  raft::Command first_command = raft::Command::noop;  ///< of the first entry, if there is one
};

/// damaged unless the file is the segment that `record` names and all of its chunks hold and continue each other.
[[nodiscard]] std::expected<RecoveredLog, Error> recover_segment(const std::string& path, const SegmentRecord& record);

/// Cuts `runs` so that the last entry they speak of is the one before `index`.
void truncate_runs(std::vector<raft::TermRun>& runs, raft::Index index);
/// The entry at `index`, the next one, has `term`.
void extend_runs(std::vector<raft::TermRun>& runs, raft::Index index, raft::Term term);

}  // namespace weir::storage
