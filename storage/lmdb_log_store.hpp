// The LogStore on a real disk: chunks of entries in a chain of LMDB files, hard state in another (storage/README.md).
//
// Thread rule: as LogStore: one thread calls found, append, drop_before and receive; read, first_index, space and all
// about checkpoints may be called from any thread at the same time. Owns its folder from open() until it is destroyed:
// no other store, in this process or another, can open it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/env.hpp"
#include "storage/folder.hpp"
#include "storage/log_recovery.hpp"
#include "storage/log_store.hpp"
#include "storage/segment_files.hpp"
#include "storage/state_file.hpp"

namespace weir::storage {

struct KeptRecords;
class CheckpointFiles;
class IdRunFiles;
struct CheckpointRecord;
class SegmentRewrite;
class SnapshotInbox;
class SnapshotSource;

/// When append() returns. Votes and terms (state.mdb) are always flushed in full.
enum class Durability : std::uint8_t {
  two_flushes = 1,  ///< LMDB's own way: pages, then the meta page that points to them
  /// Pages only; a power cut may undo the last commit's meta page, and opening finds its chunk by a scan. The same
  /// promise at half the cost.
  one_flush = 2,
  /// Nothing is flushed until a segment is full: a power cut loses what was acknowledged and may wreck the file. For
  /// clusters that trust in never losing power on a majority at once.
  os = 3,
};

/// two-flushes, one-flush, os.
[[nodiscard]] std::string_view to_string(Durability durability);
[[nodiscard]] std::optional<Durability> parse_durability(std::string_view text);

/// One file of the log, opened. Only the newest is written to.
struct Segment {
  SegmentRecord record;
  SegmentHead head;  ///< as it was when the segment was begun or opened
  Env env;
};
/// In the order of their indexes; never empty.
using Segments = std::vector<std::shared_ptr<const Segment>>;

/// A file of the log that never changes any more.
struct RolledFile {
  std::string generation;
  SegmentRecord record;
  raft::Index end;  ///< behind the last entry that counts
  friend bool operator==(const RolledFile&, const RolledFile&) = default;
};

class LmdbLogStore final : public LogStore {
 public:
  /// 256 GiB of log are 1,000 files; small enough to be dropped, checked and fetched again one by one.
  static constexpr std::uint64_t kSegmentBytes = std::uint64_t{256} << 20U;
  static constexpr std::uint64_t kSegmentBytesMin = std::uint64_t{256} << 10U;
  static constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{4} << 30U;
  /// 256 MiB in 4 s: a quarter of what a slow disk writes.
  static constexpr std::uint64_t kPrepareBytesPerS = std::uint64_t{64} << 20U;
  /// A chunk that has reached this size is closed; so a chunk is at most this and one entry.
  static constexpr std::size_t kChunkBytesTarget = std::size_t{1} << 20U;
  /// Entries above this are a bug of the caller: nothing larger fits through a peer's frame (16 MiB).
  static constexpr std::size_t kEntryDataBytesMax = std::size_t{16} << 20U;
  /// Threads inside read() at the same time; one more waits its turn (FAULTS 50).
  static constexpr std::uint32_t kReadersMax = 64;

  struct Options {
    /// Created if missing; its parent must exist.
    std::string folder;
    /// The node's name, 1..255 bytes. Must be the one that the folder was created with.
    std::string node_name;
    /// Size at which a file of the log is full, kSegmentBytesMin..kSegmentBytesMax; a file can become larger by what
    /// one call of append brings.
    std::uint64_t segment_bytes = kSegmentBytes;
    Durability durability = Durability::two_flushes;
    /// How fast the next file is written ahead; 0 = as fast as it goes.
    std::uint64_t prepare_bytes_per_s = kPrepareBytesPerS;
    /// Others have what this folder has: one that is damaged is left aside for an empty one (Identity::lost_data).
    bool rejoin = false;
  };

  /// Opens the folder, or makes a new one with a fresh incarnation. Every byte of the log has been verified: now, or,
  /// of a file with a seal, when that was made (segment_seal.hpp).
  [[nodiscard]] static std::expected<std::unique_ptr<LmdbLogStore>, Error> open(const Options& options);
  LmdbLogStore(const LmdbLogStore&) = delete;
  LmdbLogStore& operator=(const LmdbLogStore&) = delete;
  ~LmdbLogStore() override;

  [[nodiscard]] const Identity& identity() const override { return identity_; }
  [[nodiscard]] const raft::Recovered& recovered() const override { return recovered_; }
  [[nodiscard]] std::expected<void, Error> found(std::string_view cluster_id, const raft::Entry& config) override;
  [[nodiscard]] std::expected<void, Error> append(std::span<const LogWrite> writes) override;
  [[nodiscard]] std::expected<void, Error> drop_before(raft::Index index) override;
  [[nodiscard]] raft::Index first_index() const override;
  [[nodiscard]] std::expected<void, Error> save(const Checkpoint& checkpoint) override;
  [[nodiscard]] std::vector<raft::Index> checkpoints() const override;
  [[nodiscard]] std::expected<Checkpoint, Error> checkpoint(raft::Index index) const override;
  [[nodiscard]] IdRuns id_runs() const override;
  [[nodiscard]] std::expected<IdRuns, Error> move_ids(raft::Index up_to, const IdsOf& ids_of) override;
  /// The newest checkpoint that ends before the file that is being written to: what is sent never changes.
  [[nodiscard]] raft::Index snapshot_index() const override;
  [[nodiscard]] std::expected<SnapshotData, Error> read_snapshot(std::uint64_t number, std::uint64_t offset,
                                                                 std::size_t bytes_max) override;
  [[nodiscard]] std::expected<PieceAnswer, Error> receive(const raft::SnapshotPiece& piece) override;
  [[nodiscard]] std::vector<LogFile> log_files() const override;
  [[nodiscard]] raft::Index hollow_to() const override;
  [[nodiscard]] std::expected<RewriteAnswer, Error> rewrite(raft::Index first, const KeepEntry& keep,
                                                            std::size_t bytes_max) override;
  [[nodiscard]] std::expected<std::uint64_t, Error> finish_rewrite() override;
  [[nodiscard]] DiskSpace space() const override { return files()->space(); }
  [[nodiscard]] std::expected<std::vector<raft::Entry>, Error> read(raft::Index first, raft::Index last,
                                                                    std::size_t bytes_max) const override;

  /// Why the folder has an empty log beside one that is damaged; empty = it has not. Never changes.
  [[nodiscard]] const std::string& lost_because() const { return lost_because_; }
  /// This node has again what its cluster has: what was left aside is removed in the background. The writing thread.
  [[nodiscard]] std::expected<void, Error> forget_damage();

  /// The log goes on as another cluster's: with `config`, the CONFIG entry behind the last one, in a term above all
  /// before; only then has the folder the cluster's id. In between no node starts with it, and this can be done again.
  /// Errors as append(). The writing thread, while no node uses the store (`weir restore`, `weir recover`).
  [[nodiscard]] std::expected<void, Error> begin_life(std::string_view cluster_id, const raft::Entry& config);

  /// The files of the log, oldest first. From any thread.
  [[nodiscard]] std::vector<std::string> segment_paths() const;
  /// Of those that are written to no more: what each has of the log ends before the next one's first entry. From any
  /// thread.
  [[nodiscard]] std::vector<RolledFile> rolled_files() const;
  /// Returns when the next file is prepared, if one was due, and dropped ones are removed: for tests and benchmarks.
  void wait_for_background() { files()->wait_until_idle(); }

 private:
  using Done = std::expected<void, Error>;
  using Entries = std::span<const raft::Entry* const>;
  using SegmentPtr = std::shared_ptr<Segment>;
  /// Per commit, beside the chunk itself: its rounding to pages and the copied path to the root.
  static constexpr std::uint64_t kCommitBytes = std::uint64_t{64} << 10U;
  enum class Piece : std::uint8_t { first = 1, further = 2 };

  /// One call of append, or a part of a large one: what goes into one segment.
  struct Step {
    std::optional<raft::HardState> hard_state;
    std::optional<raft::Index> truncate_from;
    Entries entries;
  };

  LmdbLogStore(Options options, DataFolder folder, StateFile state, Segments segments, SegmentPtr active,
               RecoveredLog recovered, std::vector<CheckpointRecord> checkpoints, std::shared_ptr<IdRunFiles> id_runs);

  // --- opening (lmdb_log_store.cpp)
  [[nodiscard]] static std::expected<std::unique_ptr<LmdbLogStore>, Error> open_folder(const Options& options);
  [[nodiscard]] Done drop_half_founded(std::size_t lost_chunks);
  [[nodiscard]] Done restore(const std::vector<LostChunk>& lost);

  // --- writing (lmdb_log_append.cpp)
  /// Without an install among them.
  [[nodiscard]] Done append_to_log(std::span<const LogWrite> writes);
  [[nodiscard]] Done write(const Step& step, Piece piece);
  [[nodiscard]] Done write_to_disk(const Step& step, const SegmentPtr& fresh);
  /// Removes entries from `from` on, which is in the active segment; as many of `rest` as fit go into the same commit.
  [[nodiscard]] Done truncate(raft::Index from, Entries& rest);
  [[nodiscard]] Done put_chunks(Entries rest);
  /// Puts one chunk of `kept` and the first of `rest`, which it takes off.
  [[nodiscard]] Done put_chunk(WriteTxn& txn, const KeptRecords& kept, Entries& rest);
  std::unexpected<Error> fail(Error error);

  // --- rolling (lmdb_log_roll.cpp)
  [[nodiscard]] bool must_roll(const Step& step, std::uint64_t bytes) const;
  /// Makes the file of a segment that continues the log behind `first`.prev(), with room for `bytes`. Nothing names it
  /// yet: a crash from here until commit() leaves a file that the next opening removes.
  [[nodiscard]] std::expected<SegmentPtr, Error> begin_segment(raft::Index first, std::uint64_t bytes);
  [[nodiscard]] std::expected<SegmentHead, Error> head_for(raft::Index first) const;
  /// From now on the writer's variables speak of this segment.
  void enter(const SegmentPtr& segment);
  /// The log consists of the segments before `fresh` and of it: durable, and seen by readers.
  [[nodiscard]] Done commit(const SegmentPtr& fresh, const raft::HardState& hard_state);
  void publish(Segments segments);
  void remove_files(const Segments& dropped);

  // --- checkpoints and snapshots (lmdb_log_snapshots.cpp)
  [[nodiscard]] Done install(const raft::Snapshot& snapshot);
  /// The segments that were received, and behind them the one that is written to from now on.
  [[nodiscard]] std::expected<Segments, Error> open_received(const SnapshotInbox& inbox, const SegmentPtr& fresh) const;
  /// Those that nothing needs any more.
  void forget_checkpoints();
  /// Those that nobody has asked for in a while are forgotten: they hold on to files.
  void forget_unused_sources();
  struct Sending;

  [[nodiscard]] std::shared_ptr<const Segments> segments() const;
  [[nodiscard]] std::shared_ptr<CheckpointFiles> checkpoint_files() const;
  [[nodiscard]] std::shared_ptr<IdRunFiles> id_run_files() const;
  [[nodiscard]] std::shared_ptr<SegmentFiles> files() const;

  // Declared first, so released last.
  const Options options_;
  DataFolder folder_;
  StateFile state_;
  const std::string lost_because_;
  Identity identity_;
  raft::Recovered recovered_;

  mutable std::mutex pointers_mutex_;  // held to copy or replace the pointers (docs/decisions/0008)
  std::shared_ptr<SegmentFiles> files_;
  std::shared_ptr<const Segments> segments_;
  std::shared_ptr<CheckpointFiles> checkpoints_;
  std::shared_ptr<IdRunFiles> id_runs_;

  // The writer's view of what is durable.
  SegmentPtr active_;                     ///< the last of segments_
  SegmentHead head_;                      ///< as in its file
  bool active_used_ = false;              ///< something was written behind the head
  std::vector<raft::TermRun> term_runs_;  ///< of every entry up to last_index_
  raft::Index last_index_;
  ChainEnd chain_;      ///< the chunk that holds last_index_; the highest sequence used
  std::string failed_;  ///< what broke the store for writing; empty = nothing
  std::unique_ptr<SnapshotInbox> inbox_;
  std::unique_ptr<SegmentRewrite> rewrite_;  ///< whose turn it is, rewrite() or finish_rewrite(), the caller sees to

  std::mutex sending_mutex_;      // of sending_
  std::vector<Sending> sending_;  ///< in the order in which they were begun

  mutable std::counting_semaphore<kReadersMax> readers_{kReadersMax};
};

}  // namespace weir::storage
