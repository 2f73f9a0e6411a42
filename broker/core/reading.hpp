// What a reader asks for and gets, between the core and the edges. Values only: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "broker/core/topic.hpp"
#include "raft/types.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

/// The topics a reader wants: any pattern that matches. Never empty.
struct Selector {
  std::vector<Pattern> patterns;
  [[nodiscard]] bool matches(std::string_view topic) const;
  /// The one topic it names, if that is all it can match.
  [[nodiscard]] std::optional<std::string_view> single_topic() const;
  /// The patterns, a space behind each: the same for the same selector.
  [[nodiscard]] std::string text() const;
};

/// `from=` (API §4).
struct FromEarliest {};
struct FromLatest {};
struct FromOffset {
  raft::Offset offset;  ///< single topic only
};
struct FromLast {
  std::uint64_t count = 0;  ///< the last `count` events that match
};
struct FromTime {
  std::uint64_t time_ms = 0;  ///< events whose log time is at or after
};
struct FromCursor {
  std::string epoch;
  raft::Position position;       ///< events after it
  raft::Position gap_told = {};  ///< what retention took up to here was not asked for
};
/// Where a consumer group stands: found out before the core is asked, which knows cursors alone.
struct FromGroup {
  std::string name;
};
using From = std::variant<FromEarliest, FromLatest, FromOffset, FromLast, FromTime, FromCursor, FromGroup>;

/// Where a read goes on: everything matching after `after`, less the first `skip` events, that also passes the two
/// floors (they hold back events when `from` named an offset or a time that does not exist yet).
struct ReadState {
  raft::Position after;
  std::uint64_t skip = 0;
  raft::Offset offset_floor;
  std::uint64_t time_floor_ms = 0;
  raft::Position gap_told;  ///< what retention took up to here is known to the reader, or was not asked for

  friend bool operator==(const ReadState&, const ReadState&) = default;
};

enum class StartError : std::uint8_t {
  epoch_changed = 1,  ///< the cursor is of another life of the log
  /// The cursor's position is not applied here: this node is behind the one that gave it, or, if it is still not after
  /// a barrier, the cursor is of another log, or made up.
  beyond_log = 2,
};

/// What is known where a read starts.
struct ReadStart {
  ReadState state;
  /// Of a single topic: it exists, and its offsets.
  bool topic_exists = false;
  raft::Offset first_offset;
  raft::Offset next_offset;
  raft::Position last_position;  ///< of the whole log, as applied here
};

struct ReadLimits {
  std::size_t events_max = 1000;
  std::size_t bytes_max = std::size_t{1} << 20U;  ///< of bodies; at least one event is always given

  friend bool operator==(const ReadLimits&, const ReadLimits&) = default;
};

/// One event, readable as long as this is held. `view()` decodes.
struct ReadEvent {
  std::shared_ptr<const wire::PublishView> entry;
  std::uint32_t ordinal = 0;
  raft::Offset offset;
  raft::Position position;
  std::uint64_t time_ms = 0;
  [[nodiscard]] wire::EventView view() const { return entry->event(ordinal); }
};

/// Between these positions there were events that match and that retention has taken.
struct RemovedRange {
  raft::Position from;
  raft::Position to;
};

struct ReadBatch {
  std::optional<RemovedRange> removed;  ///< then there are no events in this batch: the next one goes on
  std::vector<ReadEvent> events;        ///< in order of position
  ReadState next;                       ///< for the next read; passes over everything that did not match
  bool up_to_date = false;              ///< nothing more matches in what is applied here
  raft::Position applied;               ///< this node's applied position at the time
};

enum class ReadError : std::uint8_t {
  damaged = 1,   ///< the disk gave bytes whose checksum does not hold: this node is unfit
  stopping = 2,  ///< the node is shutting down
};

struct TopicInfo {
  std::string name;
  raft::Offset first_offset;
  raft::Offset next_offset;
  std::uint64_t last_time_ms = 0;  ///< 0 = no event yet
  wire::TopicSettings settings;    ///< as they were set
  std::uint64_t bytes = 0;         ///< of the bodies that are kept
};

}  // namespace weir::broker
