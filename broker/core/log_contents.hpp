// What a log means, without a node: for `weir restore` and `weir recover`, which look at a folder that nobody uses.
// Any thread; blocks for as long as the disk takes.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "raft/types.hpp"
#include "storage/log_store.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

/// Everything is as of `index`.
struct LogContents {
  raft::Index index;
  raft::Term term;  ///< of that entry
  raft::Position position;
  std::uint64_t events = 0;  ///< that are retained
  std::uint64_t topics = 0;
  std::uint64_t ids = 0;          ///< that are remembered as long as their events
  std::uint64_t forever_ids = 0;  ///< that outlive them
  std::uint64_t bytes = 0;        ///< of the bodies that are retained
  std::uint64_t time_ms = 0;      ///< log time
  std::uint64_t digest = 0;       ///< DESIGN §9: the same on all who applied the same
  wire::ConfigEntry config;       ///< in force
};

/// Applies what the store holds up to `last`, from its newest checkpoint on. Requires that nothing writes to it.
[[nodiscard]] std::expected<LogContents, storage::Error> contents_of_log(storage::LogStore& store, raft::Index last);

/// `position 12, 11 events (340 bytes) in 2 topics, 5 ids, digest 00f1…`
[[nodiscard]] std::string to_text(const LogContents& contents);

}  // namespace weir::broker
