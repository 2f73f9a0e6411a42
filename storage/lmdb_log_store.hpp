// The LogStore on a real disk: chunks of entries in an LMDB file, hard state in another (storage/README.md).
//
// Thread rule: as LogStore: one thread calls found and append; read may be called from any thread at the same time.
// Owns its folder from open() until it is destroyed: no other store, in this process or another, can open it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <semaphore>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/env.hpp"
#include "storage/folder.hpp"
#include "storage/log_recovery.hpp"
#include "storage/log_store.hpp"
#include "storage/state_file.hpp"

namespace weir::storage {

struct WritePlan;
struct KeptRecords;

class LmdbLogStore final : public LogStore {
 public:
  struct Options {
    /// Created if missing; its parent must exist.
    std::string folder;
    /// The node's name, 1..255 bytes. Must be the one that the folder was created with.
    std::string node_name;
    /// Most that the log's one file may grow to, in address space at once, on disk as it is written. append answers
    /// disk_full beyond. Goes away when segments roll.
    std::uint64_t log_bytes_max = kLogBytesMax;
  };

  /// 256 GiB: of the 128 TiB of address space little, and several stores fit into the part that sanitizers leave.
  static constexpr std::uint64_t kLogBytesMax = std::uint64_t{256} << 30U;
  /// A chunk that has reached this size is closed; so a chunk is at most this and one entry.
  static constexpr std::size_t kChunkBytesTarget = std::size_t{1} << 20U;
  /// Entries above this are a bug of the caller: nothing larger fits through a peer's frame (16 MiB).
  static constexpr std::size_t kEntryDataBytesMax = std::size_t{16} << 20U;
  /// Threads inside read() at the same time; one more waits its turn (FAULTS 50).
  static constexpr std::uint32_t kReadersMax = 64;

  /// Opens the folder, or makes a new one with a fresh incarnation. Reads every byte of the log and verifies it.
  [[nodiscard]] static std::expected<std::unique_ptr<LmdbLogStore>, Error> open(Options options);

  [[nodiscard]] const Identity& identity() const override { return state_.identity(); }
  [[nodiscard]] const raft::Recovered& recovered() const override { return recovered_; }
  [[nodiscard]] std::expected<void, Error> found(std::string_view cluster_id, const raft::Entry& config) override;
  [[nodiscard]] std::expected<void, Error> append(std::span<const LogWrite> writes) override;
  [[nodiscard]] std::expected<std::vector<raft::Entry>, Error> read(raft::Index first, raft::Index last,
                                                                    std::size_t bytes_max) const override;

 private:
  using Entries = std::span<const raft::Entry* const>;

  LmdbLogStore(DataFolder folder, StateFile state, Env log, RecoveredLog recovered);

  [[nodiscard]] std::expected<void, Error> drop_half_founded();
  [[nodiscard]] std::expected<void, Error> write_plan(const WritePlan& plan);
  /// Removes entries from `from` on; as many of `rest` as fit go into the same commit.
  [[nodiscard]] std::expected<void, Error> truncate(raft::Index from, Entries& rest);
  /// Puts one chunk of `kept` and the first of `rest`, which it takes off.
  [[nodiscard]] std::expected<void, Error> put_chunk(WriteTxn& txn, const KeptRecords& kept, Entries& rest);

  // Declared first, so released last.
  DataFolder folder_;
  StateFile state_;
  Env log_;
  raft::Recovered recovered_;
  const std::uint64_t segment_id_;

  // The writer's view of what is durable.
  SegmentHead head_;                      ///< as in the file
  std::vector<raft::TermRun> term_runs_;  ///< of every entry up to last_index_
  raft::Index last_index_;
  ChainEnd chain_;      ///< the chunk that holds last_index_
  std::string failed_;  ///< what broke the store for writing; empty = nothing

  mutable std::counting_semaphore<kReadersMax> readers_{kReadersMax};
};

}  // namespace weir::storage
