// Where a node keeps what it must not forget: its Raft log and hard state.
//
// Thread rule: one thread writes (append, found, drop_before); read may be called from any thread at the same time. Two
// implementations: LmdbLogStore (storage/lmdb_log_store.hpp) and the simulator's (tests/sim); one contract test runs
// against both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/entry.hpp"
#include "raft/raft.hpp"
#include "storage/error.hpp"
#include "storage/id_run.hpp"

namespace weir::storage {

struct Identity {
  std::string node;               ///< its name
  std::uint64_t incarnation = 0;  ///< drawn when the folder was created
  std::string cluster_id;         ///< empty until found() has succeeded
  /// What it had before was damaged, and since then it has not been whole: an empty one is a member that must be let in
  /// again, and never founds a cluster.
  bool lost_data = false;
};

/// Whether the disk has room to go on.
enum class DiskSpace : std::uint8_t {
  enough = 1,
  /// There is no room for the next part of the log. What is under way can still be written; new work must be refused
  /// now, before a write fails (507). Looked at again every second.
  nearly_full = 2,
};

/// What apply made of the log up to and with the entry at `index`. A start loads it and applies only what follows.
struct Checkpoint {
  raft::Index index;   ///< the last entry it covers; rises from each to the next
  raft::Term term;     ///< of that entry
  raft::Entry config;  ///< the CONFIG entry in force there
  /// The small tables, whole: topics, floors, log time (StateMachine::save). Of the newest checkpoint it is in force.
  raft::Bytes state;
  /// What the entries behind the checkpoint before this one added: rows and ids (StateMachine::take_delta).
  raft::Bytes delta;
};

/// A piece of a snapshot that is being sent.
struct SnapshotData {
  raft::Snapshot snapshot;   ///< index 0: there is none
  std::uint64_t offset = 0;  ///< where in its content `data` begins
  raft::Bytes data;
};

/// What became of a piece of a snapshot that is being received.
enum class PieceAnswer : std::uint8_t {
  more = 1,     ///< stored; the snapshot goes on
  whole = 2,    ///< it was the last; the whole is durable, in order, and may be installed
  refused = 3,  ///< it does not fit what came before, or the whole is not in order: nothing is kept of it
};

/// A file of the log that is written to no more: entries [first, end).
struct LogFile {
  raft::Index first;
  raft::Index end;
  std::uint64_t bytes = 0;         ///< that it takes
  std::uint64_t bytes_hollow = 0;  ///< that it would take if all of its entries were hollow
  friend bool operator==(const LogFile&, const LogFile&) = default;
};

/// Whether the entry with this index and command is to stay as it is when its file is rewritten. Pure: called on a
/// storage thread.
using KeepEntry = std::function<bool(raft::Index index, raft::Command command)>;

enum class RewriteAnswer : std::uint8_t {
  more = 1,     ///< it goes on with the next call
  ready = 2,    ///< the new file is whole and durable: finish_rewrite() puts it in place
  refused = 3,  ///< it would not come to less than a quarter, or no such file can be rewritten: nothing is left of it
};

/// One step of what Raft wants written, in the order in which it must become durable.
struct LogWrite {
  std::optional<raft::HardState> hard_state;
  std::optional<raft::Index> truncate_from;
  /// Contiguous. The first index is last_index + 1, or truncate_from if that is given.
  std::span<const raft::Entry> entries;
  /// Before truncate_from and entries, behind hard_state: the snapshot that was received takes the place of the log and
  /// of all checkpoints, at once or, after a crash, not at all; identity and hard state stay. The log then begins
  /// behind it for what is appended; read() has what the snapshot brought. Requires that receive() answered `whole` for
  /// it.
  std::optional<raft::Snapshot> install = std::nullopt;
};

/// What a hollow entry counts as in bounds of bytes: of those there may be very many in a row.
inline constexpr std::size_t kHollowBytes = 64;

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
  /// files are removed in the background; nothing that the newest snapshot that can be sent is made of. The writing
  /// thread calls it. Errors as append(); requires index <= the last index + 1.
  [[nodiscard]] virtual std::expected<void, Error> drop_before(raft::Index index) = 0;
  /// The first entry the log still has (or would have, if it is empty). From any thread.
  [[nodiscard]] virtual raft::Index first_index() const = 0;

  // --- checkpoints, and the snapshots made of them. A snapshot is a checkpoint, those before it as far as their deltas
  // are needed, and what the log still has up to it.

  /// Durable on return. Requires a rising index, not above the last durable entry. One call at a time, beside the
  /// writing thread and readers. An error leaves the older checkpoints as they are and the store usable.
  [[nodiscard]] virtual std::expected<void, Error> save(const Checkpoint& checkpoint) = 0;
  /// Indexes of those whose delta is needed, oldest first; the newest is the state. A checkpoint goes when the entries
  /// that its delta is about were dropped, but never the newest, nor that of snapshot_index(). From any thread.
  [[nodiscard]] virtual std::vector<raft::Index> checkpoints() const = 0;
  /// Verified as read(). `gone` if it is none of checkpoints(). From any thread.
  [[nodiscard]] virtual std::expected<Checkpoint, Error> checkpoint(raft::Index index) const = 0;

  /// Of the ids that deltas hold, those that are in runs. From any thread.
  [[nodiscard]] virtual IdRuns id_runs() const = 0;
  /// Puts the ids of all deltas up to the checkpoint of `up_to` into runs, durably; the runs there are then. One call
  /// at a time, and none beside save(); beside all others. An error leaves what there was, and the store usable.
  [[nodiscard]] virtual std::expected<IdRuns, Error> move_ids(raft::Index up_to, const IdsOf& ids_of) = 0;

  /// What the newest snapshot that can be sent covers; 0 = there is none yet. From any thread.
  [[nodiscard]] virtual raft::Index snapshot_index() const = 0;
  /// At most bytes_max bytes (at least one, unless it ends there) of the snapshot `number` from `offset` on, or, if
  /// that is none that can be sent (any more), of the newest from 0 on. One call at a time, beside all others.
  [[nodiscard]] virtual std::expected<SnapshotData, Error> read_snapshot(std::uint64_t number, std::uint64_t offset,
                                                                         std::size_t bytes_max) = 0;
  /// The next piece of a leader's snapshot; offset 0 begins one and forgets what came of another. One call at a time,
  /// beside all others but append(). An error leaves the store usable.
  [[nodiscard]] virtual std::expected<PieceAnswer, Error> receive(const raft::SnapshotPiece& piece) = 0;

  // --- giving back the space of entries of which nothing is retained, in files that are kept for others. What is taken
  // out leaves a hollow entry (raft::Command::hollow) of its index and term; all else stays byte for byte.

  /// Those that are written to no more, oldest first. From any thread.
  [[nodiscard]] virtual std::vector<LogFile> log_files() const = 0;
  /// Entries up to this one may be hollow; 0 = none is. Never above snapshot_index(). From any thread.
  [[nodiscard]] virtual raft::Index hollow_to() const = 0;
  /// Goes on to write anew the file that begins with `first`, reading at most bytes_max bytes of it (and a chunk); a
  /// call for another file gives up this one. Only what ends with snapshot_index() or before is rewritten. One call at
  /// a time, and none beside finish_rewrite(); beside all others. An error leaves the log as it is and the store
  /// usable; `damaged`: so is the log.
  [[nodiscard]] virtual std::expected<RewriteAnswer, Error> rewrite(raft::Index first, const KeepEntry& keep,
                                                                    std::size_t bytes_max) = 0;
  /// The file that is ready takes its place, at once or, after a crash, not at all. Bytes given back; 0 = what it was
  /// made of is not part of the log any more. The writing thread calls it; errors as append().
  [[nodiscard]] virtual std::expected<std::uint64_t, Error> finish_rewrite() = 0;

  /// From any thread; cheap.
  [[nodiscard]] virtual DiskSpace space() const = 0;

  /// Entries [first, last], stopping after the one that reaches bytes_max of data (at least one; a hollow one counts as
  /// kHollowBytes); fewer where the log ends. Every checksum is verified: `damaged` instead of a wrong byte. `gone` if
  /// `first` < first_index().
  [[nodiscard]] virtual std::expected<std::vector<raft::Entry>, Error> read(raft::Index first, raft::Index last,
                                                                            std::size_t bytes_max) const = 0;
};

}  // namespace weir::storage
