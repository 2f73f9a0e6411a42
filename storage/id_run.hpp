// Ids that memory has no room for: those of one part of the log, sorted on disk, with a filter in memory
// (storage/README.md has the bytes; docs/decisions/0021).
//
// A run never changes: any thread.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/types.hpp"
#include "storage/error.hpp"

namespace weir::storage {

struct Checkpoint;

/// 128 bits of an id's hash (wire::id_hash); neither the table nor a run ever sees the id itself.
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

/// What is kept of an id: 42 bits of its hash. Among 100 million ids one look-up in 40,000 of a new one meets another
/// with the same key, which the log then turns down.
struct IdKey {
  static constexpr unsigned kBits = 42;
  std::uint64_t value = 0;  ///< below 2^kBits
  friend auto operator<=>(const IdKey&, const IdKey&) = default;
};
[[nodiscard]] constexpr IdKey key_of(IdHash hash) {
  return {(hash.high >> 54U) << 32U | hash.low >> 32U};
}

struct KeyedPlace {
  IdKey key;
  IdPlace place;
  friend auto operator<=>(const KeyedPlace&, const KeyedPlace&) = default;
};

class IdRun {
 public:
  IdRun() = default;
  IdRun(const IdRun&) = delete;
  IdRun& operator=(const IdRun&) = delete;
  virtual ~IdRun() = default;

  /// It has every id of these entries, but for those that retention had taken when it was made.
  [[nodiscard]] virtual raft::Index first_index() const = 0;
  [[nodiscard]] virtual raft::Index last_index() const = 0;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  [[nodiscard]] virtual std::size_t memory_bytes() const = 0;
  [[nodiscard]] virtual std::uint64_t disk_bytes() const { return 0; }
  /// False = it has no such id. Never waits for the disk.
  [[nodiscard]] virtual bool may_contain(IdKey key) const = 0;
  /// Reads everything and verifies it; `looked_at` is called with the bytes of each piece, and may end it.
  [[nodiscard]] virtual std::expected<void, Error> verify(
      const std::function<std::expected<void, Error>(std::size_t)>& /*looked_at*/) const {
    return {};
  }
  /// Appends every place of this key. Reads the disk.
  [[nodiscard]] virtual std::expected<void, Error> find(IdKey key, std::vector<IdPlace>& places) const = 0;
};

/// By their parts of the log: ascending, without a gap between two.
using IdRuns = std::vector<std::shared_ptr<const IdRun>>;

/// Every place that they hold of these keys, key by key. Reads the disk, of those runs whose filter has the key.
[[nodiscard]] std::expected<std::vector<KeyedPlace>, Error> find_ids(const IdRuns& runs,
                                                                     const std::vector<IdKey>& keys);

/// Appends the ids that a checkpoint's delta has. The bytes are the core's, so it says how (core/checkpoints.hpp). The
/// error says what is wrong with them.
using IdsOf = std::function<std::expected<void, std::string>(const Checkpoint&, std::vector<KeyedPlace>&)>;

// --- on disk

[[nodiscard]] std::string id_run_file_name(raft::Index first, raft::Index last);

/// Verifies head and filter; blocks when they are read. damaged, io, version; setup if there is no such file.
[[nodiscard]] std::expected<std::shared_ptr<const IdRun>, Error> open_id_run(const std::string& path);

/// Writes the ids of entries [first, last], which it sorts, under `path`; durable but for its name.
[[nodiscard]] std::expected<void, Error> write_id_run(const std::string& path, raft::Index first, raft::Index last,
                                                      std::vector<KeyedPlace>& ids);
/// One of several that follow each other, without what is of entries before `first_needed`. They must be open_id_run's.
[[nodiscard]] std::expected<void, Error> merge_id_runs(const std::string& path, const IdRuns& runs,
                                                       raft::Index first_needed);

}  // namespace weir::storage
