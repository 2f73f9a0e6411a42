// The settings of a topic, and how they are changed. Values only: no thread rule.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "raft/types.hpp"

namespace weir::wire {

struct Setting {
  /// Numbers are in the log: never re-used.
  enum class Kind : std::uint8_t {
    keep = 0,   ///< of a change alone: as it was
    unset = 1,  ///< the broker's default
    off = 2,
    value = 3,
    forever = 4,  ///< of dedup_ms alone
  };
  Kind kind = Kind::unset;
  std::uint64_t value = 0;  ///< of Kind::value: not 0; else 0
  friend bool operator==(const Setting&, const Setting&) = default;
};

struct TopicSettings {
  Setting age_ms;    ///< by log time
  Setting bytes;     ///< of bodies
  Setting count;     ///< events
  Setting dedup_ms;  ///< how long an id is remembered; unset = as long as its event is retained
  friend bool operator==(const TopicSettings&, const TopicSettings&) = default;
  /// In the order in which they are written everywhere.
  [[nodiscard]] std::array<Setting, 4> in_order() const { return {age_ms, bytes, count, dedup_ms}; }
  [[nodiscard]] static TopicSettings from(const std::array<Setting, 4>& settings) {
    return {.age_ms = settings[0], .bytes = settings[1], .count = settings[2], .dedup_ms = settings[3]};
  }
};

/// Numbers are in the log: never re-used.
enum class TopicAction : std::uint8_t {
  put = 1,     ///< these settings from here on; created if need be
  create = 2,  ///< only if it is not there yet, or is there with these very settings
  change = 3,  ///< those that are not Kind::keep
  remove = 4,  ///< its events, its ids and its settings are gone; offsets go on
};

struct TopicChange {
  std::string topic;
  TopicAction action = TopicAction::put;
  TopicSettings settings;
  friend bool operator==(const TopicChange&, const TopicChange&) = default;
};

/// Numbers are on the wire: never re-used.
enum class TopicWhat : std::uint8_t { created = 1, changed = 2, unchanged = 3, removed = 4 };

/// A topic as a change has left it.
struct TopicChanged {
  TopicWhat what = TopicWhat::created;
  TopicSettings settings;
  raft::Offset first_offset;
  raft::Offset next_offset;
  std::uint64_t bytes = 0;         ///< of the bodies that are kept
  std::uint64_t last_time_ms = 0;  ///< 0 = no event yet
  friend bool operator==(const TopicChanged&, const TopicChanged&) = default;
};

}  // namespace weir::wire
