// Decides what of the log one reader gets: filters by key, stops at limits and ends, and notices missing events. Shared
// by pull, ndjson, SSE and WebSocket; no sockets, no waiting. Used by one coroutine at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/reading.hpp"
#include "broker/http/read_query.hpp"

namespace weir::broker::http {

/// Events that were asked for and are gone: of one topic the offsets [from, to], or, from a cursor and of a pattern,
/// those that match between two positions.
struct Gap {
  std::string topic;
  raft::Offset from;
  raft::Offset to;
  std::optional<RemovedRange> positions = {};  ///< then the three above say nothing
};

/// What to deliver of one batch: the gap first, then the events, then the end.
struct Step {
  std::optional<Gap> gap;
  std::vector<ReadEvent> events;
  bool caught_up = false;  ///< nothing more matches in what is applied here
  bool finished = false;   ///< limit or until was reached
};

class Delivery {
 public:
  Delivery(ReadPlan plan, const ReadStart& start);

  /// The gap between what was asked for and what is left, known before anything is read.
  [[nodiscard]] const std::optional<Gap>& gap_at_start() const { return gap_at_start_; }
  /// How much to read next, at most `events` and `bytes`.
  [[nodiscard]] ReadLimits limits(std::uint64_t events, std::size_t bytes) const;
  [[nodiscard]] const ReadState& state() const { return state_; }
  [[nodiscard]] const ReadPlan& plan() const { return plan_; }
  /// Everything up to here has been seen: goes into cursors.
  [[nodiscard]] raft::Position position() const { return position_; }
  /// Of a single topic: where reading goes on.
  [[nodiscard]] raft::Offset next_offset() const { return next_offset_; }
  [[nodiscard]] bool finished() const { return finished_; }

  [[nodiscard]] Step take(ReadBatch batch, std::uint64_t now_ms);

 private:
  bool beyond_end(const ReadEvent& event) const;
  bool end_reached(const ReadBatch& batch, std::uint64_t now_ms) const;
  std::optional<Gap> gap_before(const ReadEvent& event) const;

  ReadPlan plan_;
  ReadState state_;
  raft::Position position_;
  raft::Offset next_offset_;
  raft::Offset end_at_start_;  ///< the topic's next offset when the read began
  std::uint64_t left_ = 0;     ///< events until plan_.limit
  bool single_ = false;
  bool next_is_known_ = false;  ///< next_offset_ is the event that must come next: a later one means a gap
  bool finished_ = false;
  std::optional<Gap> gap_at_start_;
};

}  // namespace weir::broker::http
