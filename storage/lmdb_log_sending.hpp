// A snapshot that somebody reads from an LmdbLogStore: internal to it.
#pragma once

#include <chrono>
#include <memory>

#include "storage/lmdb_log_store.hpp"
#include "storage/snapshot_content.hpp"

namespace weir::storage {

struct LmdbLogStore::Sending {
  std::unique_ptr<SnapshotSource> source;
  std::chrono::steady_clock::time_point last_used;
};

}  // namespace weir::storage
