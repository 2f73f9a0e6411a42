// A LogStore without a disk, for simulations: what is durable lives in a SimDisk, which outlives the store as a disk
// outlives a process. Crash = destroy the store and open another over the same disk.
//
// Deterministic: no clock, no randomness; faults happen when they are asked for. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/log_store.hpp"

namespace weir::sim {

/// Of all that a disk held: whether the node that begins anew knows of it (storage::Identity::lost_data).
enum class Loss : std::uint8_t { noticed = 1, unnoticed = 2 };

/// What survives a crash, and the faults that are to come.
class SimDisk {
 public:
  /// An empty data folder of `node`; the store's first opening gives it `incarnation`.
  SimDisk(std::string node, std::uint64_t incarnation);

  /// The next append or found fails with `code`. Nothing of it becomes durable. Unless it is disk_full, the store then
  /// writes no more, as after a failed flush.
  void fail_next(storage::Errc code) { fail_next_ = code; }

  /// The power goes in the middle of the next append or found: only its first `steps` steps become durable. The steps
  /// of an append, in order: the hard state (if it changes), an install, the truncation together with the first entry
  /// behind it, each further entry. Of found: the entry, the cluster's name. Of save: the checkpoint. The call answers
  /// io and the store is dead; the disk is well.
  void tear_next(std::size_t steps) { tear_next_ = steps; }
  /// The next save fails with `code` and leaves nothing. The store goes on.
  void fail_next_save(storage::Errc code) { fail_next_save_ = code; }

  /// A bit of the entry's record rots: reading it, and opening the disk, answer `damaged`.
  void flip_bit(raft::Index index) { rotten_.insert(index); }

  /// An entry is another, and its checksum holds: what no disk does, and a bug or a bad memory may.
  void forge(const raft::Entry& entry);

  /// As flip_bit, of what save() wrote for the checkpoint of `index`.
  void flip_bit_of_checkpoint(raft::Index index) { rotten_checkpoints_.insert(index); }
  /// A bit of what was received of a snapshot so far is not what was sent. Requires that something was.
  void flip_bit_of_received();

  /// Everything is gone; the next opening makes a new store with `incarnation`. Requires that no store is open.
  void wipe(std::uint64_t incarnation, Loss loss = Loss::unnoticed);

  /// So many entries at the log's end stand in the file that is written to, of which no snapshot can be made.
  void set_entries_in_use(std::uint64_t count) { entries_in_use_ = count; }

  [[nodiscard]] bool is_open() const { return open_; }
  [[nodiscard]] const storage::Identity& identity() const { return identity_; }
  /// The CONFIG entry it was founded with, be it in the log or not.
  [[nodiscard]] const raft::Entry& founding() const { return founding_; }
  [[nodiscard]] const raft::HardState& hard_state() const { return hard_state_; }
  /// What the store answers when it is asked for space.
  void set_space(storage::DiskSpace space) { space_ = space; }

  /// The durable log; the first entry has first_index().
  [[nodiscard]] const std::vector<raft::Entry>& entries() const { return entries_; }
  [[nodiscard]] raft::Index first_index() const { return first_index_; }
  [[nodiscard]] raft::Index last_index() const { return first_index_.prev() + entries_.size(); }
  /// 0 if `index` is not in the log.
  [[nodiscard]] raft::Term term_at(raft::Index index) const;
  [[nodiscard]] const std::vector<storage::Checkpoint>& checkpoints() const { return checkpoints_; }
  /// What the newest checkpoint covers, be it in the log or not; 0 = there is none.
  [[nodiscard]] raft::Index covered() const { return checkpoints_.empty() ? raft::Index{} : checkpoints_.back().index; }
  /// What the newest snapshot that can be sent covers; 0 = there is none.
  [[nodiscard]] raft::Index sendable() const { return sendable_; }
  /// Entries up to here may be hollow; 0 = none is.
  [[nodiscard]] raft::Index hollow_to() const { return hollow_to_; }
  /// Calls of append and found that were answered with success since the disk was made.
  [[nodiscard]] std::uint64_t writes_done() const { return writes_done_; }

 private:
  friend class SimLogStore;
  void roll();
  storage::Identity identity_;
  raft::Entry founding_;
  raft::HardState hard_state_;
  std::vector<raft::Entry> entries_;
  raft::Index first_index_{1};
  raft::Term prev_term_;                          ///< of the entry before first_index_
  std::vector<storage::Checkpoint> checkpoints_;  ///< oldest first
  storage::IdRuns id_runs_;
  raft::Snapshot incoming_;  ///< a leader's, which is being received
  std::string received_;     ///< of its content
  bool whole_ = false;       ///< it is all there, and in order
  std::uint64_t entries_in_use_ = 0;
  raft::Index sendable_;  ///< never falls: a file that is full stays full
  raft::Index hollow_to_;
  std::uint64_t rewrites_ = 0;  ///< so many changed what a snapshot is made of
  storage::DiskSpace space_ = storage::DiskSpace::enough;
  std::set<raft::Index> rotten_;
  std::set<raft::Index> rotten_checkpoints_;
  std::optional<storage::Errc> fail_next_;
  std::optional<storage::Errc> fail_next_save_;
  std::optional<std::size_t> tear_next_;
  std::uint64_t writes_done_ = 0;
  bool open_ = false;
};

class SimLogStore final : public storage::LogStore {
 public:
  static constexpr std::uint64_t kEntriesInFile = 16;

  /// `disk` must outlive the store. in_use, mismatch and damaged as with a real folder.
  [[nodiscard]] static std::expected<std::unique_ptr<SimLogStore>, storage::Error> open(SimDisk& disk,
                                                                                        const std::string& node_name);
  ~SimLogStore() override;
  SimLogStore(const SimLogStore&) = delete;
  SimLogStore& operator=(const SimLogStore&) = delete;

  [[nodiscard]] const storage::Identity& identity() const override { return disk_.identity_; }
  [[nodiscard]] const raft::Recovered& recovered() const override { return recovered_; }
  [[nodiscard]] std::expected<void, storage::Error> found(std::string_view cluster_id,
                                                          const raft::Entry& config) override;
  [[nodiscard]] std::expected<void, storage::Error> append(std::span<const storage::LogWrite> writes) override;
  /// As if each entry had a segment of its own: exactly the entries before `index` go, but for those of the newest
  /// snapshot and those in use.
  [[nodiscard]] std::expected<void, storage::Error> drop_before(raft::Index index) override;
  [[nodiscard]] raft::Index first_index() const override { return disk_.first_index_; }
  [[nodiscard]] raft::Index snapshot_index() const override { return disk_.sendable(); }
  [[nodiscard]] std::expected<void, storage::Error> save(const storage::Checkpoint& checkpoint) override;
  [[nodiscard]] std::vector<raft::Index> checkpoints() const override;
  [[nodiscard]] std::expected<storage::Checkpoint, storage::Error> checkpoint(raft::Index index) const override;
  [[nodiscard]] storage::IdRuns id_runs() const override { return disk_.id_runs_; }
  [[nodiscard]] std::expected<storage::IdRuns, storage::Error> move_ids(raft::Index up_to,
                                                                        const storage::IdsOf& ids_of) override;
  /// The last few that were asked for can be gone on with, whatever is saved or dropped meanwhile.
  [[nodiscard]] std::expected<storage::SnapshotData, storage::Error> read_snapshot(std::uint64_t number,
                                                                                   std::uint64_t offset,
                                                                                   std::size_t bytes_max) override;
  [[nodiscard]] std::expected<storage::PieceAnswer, storage::Error> receive(const raft::SnapshotPiece& piece) override;
  /// As if each run of kEntriesInFile entries stood in a file of its own.
  [[nodiscard]] std::vector<storage::LogFile> log_files() const override;
  [[nodiscard]] raft::Index hollow_to() const override { return disk_.hollow_to_; }
  [[nodiscard]] std::expected<storage::RewriteAnswer, storage::Error> rewrite(raft::Index first,
                                                                              const storage::KeepEntry& keep,
                                                                              std::size_t bytes_max) override;
  [[nodiscard]] std::expected<std::uint64_t, storage::Error> finish_rewrite() override;
  [[nodiscard]] storage::DiskSpace space() const override { return disk_.space_; }
  [[nodiscard]] std::expected<std::vector<raft::Entry>, storage::Error> read(raft::Index first, raft::Index last,
                                                                             std::size_t bytes_max) const override;

 private:
  explicit SimLogStore(SimDisk& disk) : disk_(disk) {}

  [[nodiscard]] std::optional<storage::Error> fault_before_writing();
  /// False once the power is gone.
  [[nodiscard]] bool step();
  [[nodiscard]] std::expected<void, storage::Error> done();
  void truncate(raft::Index from);
  void write_log(std::span<const storage::LogWrite> writes);
  void install(const raft::Snapshot& snapshot);
  void forget_checkpoints();
  void recover();

  /// A snapshot that can be sent: always the same bytes for the same number.
  struct Made {
    raft::Snapshot snapshot;
    std::string content;
  };
  [[nodiscard]] const Made& newest_snapshot();

  /// A file that is being written anew.
  struct Rewriting {
    storage::LogFile file;
    std::vector<raft::Entry> entries;  ///< as far as it has come
  };
  [[nodiscard]] static std::uint64_t file_bytes(std::span<const raft::Entry> entries);

  SimDisk& disk_;
  raft::Recovered recovered_;
  std::deque<Made> made_;  ///< latest first
  std::optional<Rewriting> rewriting_;
  std::string failed_;                     ///< why the store writes no more; empty = it does
  std::optional<std::size_t> steps_left_;  ///< of the call under way, until the power goes
};

}  // namespace weir::sim
