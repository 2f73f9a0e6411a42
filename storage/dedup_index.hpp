// Which ids were stored, and where: hash of an id -> the log entries it may be in. Derived from the log by apply.
// Runs on the state machine's strand.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "raft/types.hpp"
#include "storage/id_run.hpp"

namespace weir::storage {

/// 15 to 19 bytes an id, until it is in a run. Exact over all it was told: find, with what runs hold, never misses. A
/// place found is a candidate that the caller confirms in the log, so equal hashes of different ids cost a look-up,
/// never an event.
class DedupIndex {
 public:
  DedupIndex();
  ~DedupIndex();
  DedupIndex(DedupIndex&&) noexcept;
  DedupIndex& operator=(DedupIndex&&) noexcept;

  struct Id {
    IdHash hash;
    IdPlace place;
  };

  void insert(IdHash hash, IdPlace place);
  /// As one after the other, a third of the time where there are many: each part of the table is gone through once.
  void insert(std::span<const Id> ids);
  /// What these hold leaves the table, part by part (sweep). Until then it is in both.
  void take_runs(IdRuns runs);
  [[nodiscard]] const IdRuns& runs() const;
  /// A run may hold ids of this key: who wants to know must ask the disk.
  [[nodiscard]] bool runs_may_contain(IdKey key) const;
  /// Entries whose ids are in a run.
  [[nodiscard]] bool is_in_runs(raft::Index log_index) const;

  /// Ids of entries before `index` are wanted no more. find() may go on naming them until sweep() has come by.
  void forget_before(raft::Index index);
  /// Clears one part of 1,024 of what is to be forgotten, about a millisecond at 100 million ids; nothing to do is
  /// fast.
  void sweep();
  /// All that is to be done by sweep(), at once.
  void sweep_all();
  /// Those in the table, in order of insertion; nearly always none or one.
  [[nodiscard]] std::vector<IdPlace> find(IdHash hash) const;
  [[nodiscard]] bool may_contain(IdHash hash) const;
  /// Asks memory for what may_contain, find and insert will look at. The table is larger than the processor's caches,
  /// and many at a time are hardly slower than one.
  void prefetch(std::span<const IdHash> hashes) const;
  /// With those in runs, and those that are yet to be swept from the table, or in both.
  [[nodiscard]] std::uint64_t size_with_runs() const;
  // --- of the table; with those that are yet to be swept
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  struct Table;
  std::unique_ptr<Table> table_;
};

}  // namespace weir::storage
