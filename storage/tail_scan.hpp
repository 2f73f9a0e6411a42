// Finds chunks whose commit a power cut undid although their pages are on disk (Flush::data): one flush instead of two
// is safe because of this. Used by the thread that opens the store; reads the file without LMDB.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "storage/log_recovery.hpp"
#include "storage/schema.hpp"

namespace weir::storage {

/// Looks at every page start of a segment's file for the chunk that continues the log, then for the one that continues
/// that: this segment's id, the next sequence, the checksum before, the next index, its own checksum. Each of them is
/// needed: pages of truncated chunks, of unfinished writes and of older commits are full of chunks that look alike.
/// Requires a file that visit_rows accepts.
[[nodiscard]] std::expected<std::vector<LostChunk>, Error> find_lost_chunks(const std::string& path,
                                                                            std::uint64_t segment_id, ChainEnd chain,
                                                                            raft::Index last_index);

}  // namespace weir::storage
