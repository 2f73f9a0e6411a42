// Where a node keeps what it must not forget: its Raft log and hard state.
//
// Thread rule: one thread writes (append, found, drop_before); read may be called from any thread at the same time. Two
// implementations: LmdbLogStore (storage/lmdb_log_store.hpp) and the simulator's (tests/sim); one contract test runs
// against both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/entry.hpp"
#include "raft/raft.hpp"
#include "storage/error.hpp"

namespace weir::storage {

struct Identity {
  std::string node;               ///< its name
  std::uint64_t incarnation = 0;  ///< drawn when the folder was created
  std::string cluster_id;         ///< empty until found() has succeeded
};

/// Whether the disk has room to go on.
enum class DiskSpace : std::uint8_t {
  enough = 1,
  /// There is no room for the next part of the log. What is under way can still be written; new work must be refused
  /// now, before a write fails (507). Looked at again every second.
  nearly_full = 2,
};

/// One step of what Raft wants written, in the order in which it must become durable.
struct LogWrite {
  std::optional<raft::HardState> hard_state;
  std::optional<raft::Index> truncate_from;
  /// Contiguous. The first index is last_index + 1, or truncate_from if that is given.
  std::span<const raft::Entry> entries;
};

class LogStore {
 public:
  virtual ~LogStore() = default;

  /// What was on disk when the store was opened. Not updated by later writes, but for found().
  [[nodiscard]] virtual const Identity& identity() const = 0;
  [[nodiscard]] virtual const raft::Recovered& recovered() const = 0;

  /// Makes an empty store the store of a cluster's member: `config` as index 1, hard state term 1, the cluster's id;
  /// all of it or, after a crash, still empty. Requires an empty log.
  [[nodiscard]] virtual std::expected<void, Error> found(std::string_view cluster_id, const raft::Entry& config) = 0;

  /// Writes in order; returns when everything is durable. Any error leaves the store unusable for writing: the caller
  /// stops the node (a flush that failed once is never retried), except disk_full reported before anything was written.
  [[nodiscard]] virtual std::expected<void, Error> append(std::span<const LogWrite> writes) = 0;

  /// Forgets entries before `index`, as far as that needs no work: whole segments at the front of the log go, their
  /// files are removed in the background. The writing thread calls it. Errors as append(); requires index <= the last
  /// index + 1.
  [[nodiscard]] virtual std::expected<void, Error> drop_before(raft::Index index) = 0;
  /// The first entry the log still has (or would have, if it is empty). From any thread.
  [[nodiscard]] virtual raft::Index first_index() const = 0;

  /// From any thread; cheap.
  [[nodiscard]] virtual DiskSpace space() const = 0;

  /// Entries [first, last], stopping after the one that reaches bytes_max of data (at least one); fewer where the log
  /// ends. Every checksum is verified: `damaged` instead of a wrong byte. `gone` if `first` < first_index().
  [[nodiscard]] virtual std::expected<std::vector<raft::Entry>, Error> read(raft::Index first, raft::Index last,
                                                                            std::size_t bytes_max) const = 0;
};

}  // namespace weir::storage
