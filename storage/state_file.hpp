// state.mdb: who the node is, what it must never forget about terms and votes, and which segments must be there. Tiny,
// and written with both of LMDB's flushes: a vote is on disk before it is cast.
//
// Thread rule: the writing thread of its store; identity() may be read from any thread while found() does not run.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/entry.hpp"
#include "storage/env.hpp"
#include "storage/log_store.hpp"
#include "storage/schema.hpp"

namespace weir::storage {

/// Of a generation.
[[nodiscard]] std::string state_file_path(const std::string& generation);

class StateFile {
 public:
  /// Makes the file; durable when it returns, but for its name in the folder.
  [[nodiscard]] static std::expected<StateFile, Error> create(const std::string& path, const Identity& identity,
                                                              const raft::HardState& hard_state,
                                                              std::span<const SegmentRecord> segments);
  /// Verifies every byte before it is believed.
  [[nodiscard]] static std::expected<StateFile, Error> open(const std::string& path);

  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] const raft::HardState& hard_state() const { return hard_state_; }
  [[nodiscard]] const std::vector<SegmentRecord>& segments() const { return segments_; }
  [[nodiscard]] const std::string& path() const { return env_.path(); }

  /// Durable when it returns. Never fails for want of disk space: the file had all of its space from the beginning.
  [[nodiscard]] std::expected<void, Error> save(const raft::HardState& hard_state);
  /// The log consists of these from now on; with the hard state in one commit. Segments that are new are durable.
  [[nodiscard]] std::expected<void, Error> save(const raft::HardState& hard_state,
                                                const std::vector<SegmentRecord>& segments);
  /// The node is a member of this cluster from now on: id and hard state in one commit.
  [[nodiscard]] std::expected<void, Error> save_founding(std::string_view cluster_id,
                                                         const raft::HardState& hard_state);

 private:
  explicit StateFile(Env env) : env_(std::move(env)) {}
  [[nodiscard]] std::expected<void, Error> write(const Identity& identity, const raft::HardState& hard_state,
                                                 const std::vector<SegmentRecord>& segments);

  Env env_;
  Identity identity_;
  raft::HardState hard_state_;
  std::vector<SegmentRecord> segments_;
};

}  // namespace weir::storage
