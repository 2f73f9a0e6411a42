// Where events are: position -> log entry and (topic, offset) -> log entry. Derived from the log by apply; in memory.
// Runs on the state machine's strand.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "raft/types.hpp"
#include "storage/grow_vector.hpp"

namespace weir::storage {

/// The part one topic has in one log entry.
struct TopicPart {
  raft::TopicId topic;
  raft::Offset first_offset;
  std::uint32_t count = 0;  ///< events stored; never 0
  std::uint32_t bytes = 0;  ///< of their bodies
  std::uint32_t last = 0;   ///< how far behind the row's first position the last of them stands
  friend bool operator==(const TopicPart&, const TopicPart&) = default;
};

/// One PUBLISH entry as apply decided it. Event k of the entry (its ordinal) was stored unless it is in `skipped`; the
/// stored ones get positions and offsets in order of their ordinals.
struct EntryRow {
  raft::Index log_index;
  raft::Position first_position;
  std::uint32_t stored_count = 0;
  std::uint64_t time_ms = 0;
  std::vector<std::uint32_t> skipped;  ///< ascending: duplicates and events of refused requests
  std::vector<TopicPart> topics;
  friend bool operator==(const EntryRow&, const EntryRow&) = default;
};

/// One row per entry that stored anything; 48 bytes for an entry of one topic without duplicates. Grows without
/// moving what it holds.
class EventIndex {
 public:
  /// Requires rows in log order, positions and offsets that go on where the last row ended, stored_count > 0.
  void add(const EntryRow& row);
  /// Which of those rules the row breaks; empty = it may be added.
  [[nodiscard]] std::string_view defect_of(const EntryRow& row) const;

  /// Of an empty index: everything up to here has been given out. Rows that are added next are those of old that are
  /// still wanted, contiguous, the last of them up to the end; is_whole() says whether all have come.
  void resume(raft::Position last_position, std::span<const raft::Offset> next_offsets);
  [[nodiscard]] bool is_whole() const;
  /// Forgets rows of entries before `index`, at most `rows_max` of them: the oldest. Then they are found no more, and
  /// what is left begins at first_index().
  void drop_before(raft::Index index, std::size_t rows_max);
  /// Of the oldest row; empty if there is none.
  [[nodiscard]] std::optional<raft::Index> first_index() const;

  [[nodiscard]] raft::Position last_position() const;  ///< 0 = no event yet
  [[nodiscard]] std::size_t row_count() const;         ///< that are kept

  /// The offset the topic's next event gets; 0 for a topic without events.
  [[nodiscard]] raft::Offset next_offset(raft::TopicId topic) const;

  /// Bodies of the topic from its floor on, counting whole parts.
  [[nodiscard]] std::uint64_t kept_bytes(raft::TopicId topic) const;
  /// Where the topic must begin so that kept_bytes() is at most `bytes`, or as far on that way as 4,096 parts reach.
  [[nodiscard]] raft::Offset first_offset_within(raft::TopicId topic, std::uint64_t bytes) const;
  /// Retention: what lies below counts no longer. Never falls.
  void raise_floor(raft::TopicId topic, raft::Offset first_offset);

  /// The row that holds `position`; empty beyond the last, and for what was dropped.
  [[nodiscard]] std::optional<EntryRow> find(raft::Position position) const;
  [[nodiscard]] std::optional<EntryRow> find(raft::TopicId topic, raft::Offset offset) const;
  [[nodiscard]] std::optional<EntryRow> find(raft::Index log_index) const;
  /// Those of entries [first, end), in order, at most rows_max.
  [[nodiscard]] std::vector<EntryRow> rows(raft::Index first, raft::Index end, std::size_t rows_max) const;
  /// The last position of the entries before `index`, as far as they are known.
  [[nodiscard]] raft::Position position_before(raft::Index index) const;
  /// The first row with an event of any of `topics` (ascending) at a position > `after`; empty if there is none. Parts
  /// below a topic's floor do not count. Cost grows with the number of topics asked for, not with the rows in between.
  ///
  /// How the events of several topics alternate inside one entry only the entry knows. So the row that holds `after`
  /// itself, if it has more than one topic, is returned when it ends beyond `after`, even if what is left of it
  /// belongs to topics that were not asked for: the caller, who filters anyway, goes on from the row's last position.
  [[nodiscard]] std::optional<EntryRow> next(std::span<const raft::TopicId> topics, raft::Position after) const;
  /// Position of the first event whose log time is >= time_ms (log time never falls); last_position().next() if none.
  [[nodiscard]] raft::Position first_at(std::uint64_t time_ms) const;

 private:
  // 32 bytes an entry, and a Part of 16 for each of its topics: 48 for an entry of one topic.
  struct Row {
    std::uint64_t log_index;
    std::uint64_t first_position;
    std::uint64_t time_ms;
    std::uint32_t topic;  ///< or kSeveralTopics
    std::uint32_t part;   ///< its number in the topic's parts; kSeveralTopics: in several_, where a list begins
  };
  struct Part {
    std::uint32_t offset_high;  ///< first offset, in halves: a multiple of 4 bytes needs no padding
    std::uint32_t offset_low;
    std::uint32_t row;
    std::uint32_t bytes;
    [[nodiscard]] std::uint64_t first_offset() const { return std::uint64_t{offset_high} << 32U | offset_low; }
  };
  struct Topic {
    GrowVector<Part> parts;
    std::uint64_t next_offset = 0;
    std::uint64_t added_to = 0;  ///< where the last part ends: next_offset, but while old rows come back
    std::size_t kept_from = 0;   ///< parts before this one lie below the floor
    std::uint64_t kept_bytes = 0;
  };
  /// One of a row of several topics.
  struct PartRef {
    std::uint32_t topic;
    std::uint32_t part;
    std::uint32_t last;
  };
  struct SkippedRun {
    std::uint32_t row;
    std::uint32_t count;
    std::uint64_t first;  ///< in skipped_
  };
  static constexpr std::uint32_t kSeveralTopics = ~std::uint32_t{0};

  // Numbers of rows and parts are kept in 32 bits. What is kept at a time has fewer than 2^32 of them, so the upper
  // half follows from the number of the first.
  [[nodiscard]] static std::size_t widen(std::uint32_t low, std::size_t first) {
    return first + (low - static_cast<std::uint32_t>(first));
  }

  [[nodiscard]] static std::uint64_t part_end(const Topic& topic, std::size_t part);
  [[nodiscard]] bool goes_on(const TopicPart& part) const;
  std::uint32_t add_part(const TopicPart& part);
  void drop_parts(const Row& row);
  [[nodiscard]] const Topic* topic(raft::TopicId id) const;
  [[nodiscard]] std::size_t row_at(std::uint64_t position) const;
  [[nodiscard]] TopicPart topic_part(PartRef ref) const;
  [[nodiscard]] std::optional<EntryRow> row(std::size_t number) const;

  GrowVector<Row> rows_;                 ///< ascending in every field but the last two
  std::deque<Topic> topics_;             ///< by topic id
  GrowVector<PartRef> several_;          ///< lists of parts: {number of parts, 0, 0}, then so many
  GrowVector<SkippedRun> skipped_runs_;  ///< of the rows that have any, ascending
  GrowVector<std::uint32_t> skipped_;
  std::uint64_t last_position_ = 0;
  std::uint64_t added_to_ = 0;  ///< the last position of the last row: last_position_, but while old rows come back
};

}  // namespace weir::storage
