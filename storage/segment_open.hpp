// The files of a generation when a store opens, and the making of a new one.
// Used by the store's opening and writing thread.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/lmdb_log_store.hpp"

namespace weir::storage {

/// A file that is being rewritten has this name until it is whole (segment_rewrite.hpp).
inline constexpr const char* kRewriteName = "rewrite.mdb";

/// A file with this head and room for `bytes`, durable with its name; made from a prepared one if `files` has it.
/// disk_full: nothing is left of it.
[[nodiscard]] std::expected<std::shared_ptr<Segment>, Error> create_segment(const std::string& generation,
                                                                            const SegmentHead& head,
                                                                            std::uint64_t bytes,
                                                                            const LmdbLogStore::Options& options,
                                                                            SegmentFiles* files);

[[nodiscard]] std::shared_ptr<SegmentFiles> make_segment_files(const std::string& generation,
                                                               const LmdbLogStore::Options& options);

struct OpenedSegments {
  Segments segments;
  std::shared_ptr<Segment> active;  ///< the last of them, for writing
};
/// Maps files that recover_log accepted; `heads` as it found them.
[[nodiscard]] std::expected<OpenedSegments, Error> open_segments(const std::string& generation,
                                                                 std::span<const SegmentRecord> records,
                                                                 std::span<const SegmentHead> heads,
                                                                 const LmdbLogStore::Options& options);
/// One that is not written to any more: it ends where what it holds ends.
[[nodiscard]] std::expected<std::shared_ptr<const Segment>, Error> open_rolled_segment(const std::string& generation,
                                                                                       const SegmentRecord& record,
                                                                                       const SegmentHead& head);

/// Gives the one segment of a folder of version 1 its name of today.
[[nodiscard]] std::expected<void, Error> take_over_version_1(const std::string& generation,
                                                             std::span<const SegmentRecord> records);
/// LMDB's lock files, from a process that is gone or from another build of LMDB (FAULTS 53): the folder's own lock says
/// that nobody uses them.
[[nodiscard]] std::expected<void, Error> remove_lock_files(const std::string& generation);
/// Removes what a crash left: prepared files, segments that no list names any more. damaged if one of them was written
/// to after everything that the list knows (its sequences are above `highest_sequence`): then the list is an old copy.
[[nodiscard]] std::expected<void, Error> remove_left_over_files(const std::string& generation,
                                                                std::span<const SegmentRecord> records,
                                                                std::uint64_t highest_sequence);

}  // namespace weir::storage
