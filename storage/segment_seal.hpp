// What a start needs to know of a file of the log that has rolled, without reading it: written beside the file when
// every byte of it was verified (storage/README.md has the bytes; docs/decisions/0015).
//
// A seal is no second truth: one that is missing, damaged, or of more or less than the list of segments says, is as
// none, and the file is read as a whole. Pure functions and plain files: any thread, one write of the same seal at a
// time.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/entry.hpp"
#include "storage/schema.hpp"

namespace weir::storage {

/// One file's part of the log: from the head's first index to last_index.
struct SegmentSeal {
  SegmentHead head;
  raft::Index last_index;  ///< the one before the first index = no entry
  /// The checksum is that of the chunk that holds last_index (without one the head's); the sequence is the highest that
  /// was used, also by chunks that were truncated.
  ChainEnd chain;
  std::uint64_t rows = 0;        ///< in the file's tree
  std::uint64_t used_bytes = 0;  ///< up to the last page that the tree knows of
  raft::Command first_command = raft::Command::noop;
  std::vector<raft::TermRun> term_runs;
  std::vector<raft::Index> config_entries;  ///< ascending

  friend bool operator==(const SegmentSeal&, const SegmentSeal&) = default;
};

[[nodiscard]] std::string encode_seal(const SegmentSeal& seal);
[[nodiscard]] std::expected<SegmentSeal, Error> decode_seal(std::string_view value);

inline constexpr std::string_view kSealSuffix = ".seal";
/// segment-....mdb.seal beside segment-....mdb.
[[nodiscard]] std::string seal_path(const std::string& generation, const SegmentRecord& record);
/// That of the segment as far as the index before `end`; nullopt if there is none that can be believed.
[[nodiscard]] std::optional<SegmentSeal> read_seal(const std::string& generation, const SegmentRecord& record,
                                                   raft::Index end);
/// Whole or, after a crash, none.
[[nodiscard]] std::expected<void, Error> write_seal(const std::string& generation, const SegmentRecord& record,
                                                    const SegmentSeal& seal);

}  // namespace weir::storage
