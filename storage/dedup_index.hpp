// Which ids were stored, and where: hash of an id -> the log entries it may be in. Derived from the log by apply.
// Runs on the state machine's strand.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "raft/types.hpp"

namespace weir::storage {

/// 128 bits of an id's hash (wire::id_hash); the index never sees the id itself.
struct IdHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const IdHash&, const IdHash&) = default;
};

/// A PUBLISH entry's event, or a DEDUP entry's claim, by its ordinal.
struct IdPlace {
  raft::Index log_index;
  std::uint32_t ordinal = 0;
  friend auto operator<=>(const IdPlace&, const IdPlace&) = default;
};

/// 15 to 19 bytes an id. Exact over all it was told: find never misses. A place found is a candidate that the caller
/// confirms in the log, so equal hashes of different ids cost a look-up, never an event.
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
  /// Ids of entries before `index` are wanted no more. find() may go on naming them until sweep() has come by.
  void forget_before(raft::Index index);
  /// Clears one part of 1,024 of what is to be forgotten, about a millisecond at 100 million ids; nothing to do is
  /// fast.
  void sweep();
  /// In order of insertion; nearly always none or one.
  [[nodiscard]] std::vector<IdPlace> find(IdHash hash) const;
  [[nodiscard]] bool may_contain(IdHash hash) const;
  [[nodiscard]] std::size_t size() const;  ///< with those that are yet to be swept
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  struct Table;
  std::unique_ptr<Table> table_;
};

}  // namespace weir::storage
