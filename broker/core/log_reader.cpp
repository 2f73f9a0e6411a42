#include "broker/core/log_reader.hpp"

#include <algorithm>
#include <map>
#include <ranges>
#include <span>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

/// Selectors whose topics are remembered; beyond, all are forgotten and found again.
constexpr std::size_t kSelectorsMax = 4096;
/// A reader that misses the cache reads ahead this far.
constexpr std::size_t kReadAheadBytes = std::size_t{1} << 20U;

}  // namespace

/// One read under way: rows are taken one after the other until a limit or the end is reached.
struct LogReader::BatchRead {
  BatchRead(const StateMachine& state_machine, Selector wanted, ReadLimits read_limits, BatchDone when_done)
      : state(state_machine), selector(std::move(wanted)), limits(read_limits), done(std::move(when_done)) {}

  const StateMachine& state;
  Selector selector;
  std::vector<raft::TopicId> topics;  ///< ascending; as of the latest go_on()
  ReadLimits limits;
  BatchDone done;
  ReadBatch batch;
  std::size_t bytes = 0;

  [[nodiscard]] bool full() const {
    return batch.events.size() >= limits.events_max || (!batch.events.empty() && bytes >= limits.bytes_max);
  }
  /// Adds what matches in this entry, as far as the limits allow, and moves batch.next.after past what it looked at.
  void take(const storage::EntryRow& row, const DecodedEntryPtr& entry);

 private:
  /// A topic of the entry being taken: the offset its next stored event has, and whether the reader wants it.
  struct Part {
    raft::Offset next;
    raft::Offset first;  ///< the topic's first offset: those below are gone
    bool wanted = false;
  };
  [[nodiscard]] Part part_of(const storage::EntryRow& row, std::string_view topic) const;
  void take_event(const std::shared_ptr<const wire::PublishView>& events, ReadEvent event);
};

LogReader::BatchRead::Part LogReader::BatchRead::part_of(const storage::EntryRow& row, std::string_view topic) const {
  const auto id = state.topic_id(topic);
  const auto part = id ? std::ranges::find(row.topics, *id, &storage::TopicPart::topic) : row.topics.end();
  if (part == row.topics.end()) {
    return {};  // none of its events was stored
  }
  return {.next = part->first_offset,
          .first = state.first_offset(part->topic),
          .wanted = std::ranges::binary_search(topics, part->topic)};
}

void LogReader::BatchRead::take(const storage::EntryRow& row, const DecodedEntryPtr& entry) {
  if (entry->command == raft::Command::hollow) {
    // Of a row that nothing is kept of: as far as it reaches there is nothing to be read.
    batch.next.after = std::max(batch.next.after, row.first_position + (row.stored_count - 1));
    return;
  }
  // Shares the decoded entry's ownership.
  const std::shared_ptr<const wire::PublishView> events(entry, entry->publish());
  WEIR_CHECK(events != nullptr);
  std::vector<Part> parts;
  for (const auto topic : events->topics()) {
    parts.push_back(part_of(row, topic));
  }
  auto skip = row.skipped.begin();
  raft::Position position = row.first_position;
  for (std::uint32_t i = 0; i < events->event_count() && !full(); ++i) {
    if (skip != row.skipped.end() && *skip == i) {
      ++skip;
      continue;
    }
    Part& part = parts[events->topic_number(i)];
    if (position > batch.next.after) {
      batch.next.after = position;
      if (part.wanted && part.next >= part.first) {
        take_event(events,
                   {.entry = nullptr, .ordinal = i, .offset = part.next, .position = position, .time_ms = row.time_ms});
      }
    }
    part.next = part.next.next();
    position = position.next();
  }
}

void LogReader::BatchRead::take_event(const std::shared_ptr<const wire::PublishView>& events, ReadEvent event) {
  if (event.offset < batch.next.offset_floor || event.time_ms < batch.next.time_floor_ms) {
    return;
  }
  if (batch.next.skip > 0) {
    --batch.next.skip;
    return;
  }
  bytes += events->event(event.ordinal).body.size();
  event.entry = events;
  batch.events.push_back(std::move(event));
}

struct LogReader::IdRead {
  wire::Claim id;
  std::unordered_map<raft::Index, DecodedEntryPtr> at_hand;
  RunPlaces places;  ///< of these runs
  storage::IdRuns runs;
  IdDone done;
};

LogReader::LogReader(const StateMachine& state, EntryCache& cache, Disk& disk,
                     std::function<void(const storage::Error&)> damaged)
    : state_(state),
      cache_(cache),
      disk_(disk),
      damaged_(std::move(damaged)),
      self_(std::make_shared<LogReader*>(this)) {}

std::expected<ReadStart, StartError> LogReader::start(const Selector& selector, const From& from,
                                                      const std::string& epoch) const {
  ReadStart start;
  start.last_position = state_.last_position();
  const raft::Position removed = removed_to(matching(selector));
  std::optional<raft::TopicId> topic;
  if (const auto name = selector.single_topic()) {
    topic = state_.topic_id(*name);
    if (topic) {
      const TopicInfo info = state_.topic_info(*topic);
      start.topic_exists = !state_.is_removed(*topic);
      start.first_offset = info.first_offset;
      start.next_offset = info.next_offset;
    }
  }
  if (std::holds_alternative<FromLatest>(from)) {
    start.state.after = state_.last_position();
  } else if (const auto* at = std::get_if<FromOffset>(&from)) {
    start.state = start_at_offset(topic, at->offset);
  } else if (const auto* last = std::get_if<FromLast>(&from)) {
    start.state = start_of_last(matching(selector), last->count);
  } else if (const auto* time = std::get_if<FromTime>(&from)) {
    start.state.after = state_.events().first_at(time->time_ms).prev();
    start.state.time_floor_ms = time->time_ms;
  } else if (const auto* cursor = std::get_if<FromCursor>(&from)) {
    if (cursor->epoch != epoch) {
      return std::unexpected(StartError::epoch_changed);
    }
    if (cursor->position > state_.last_position()) {
      return std::unexpected(StartError::beyond_log);
    }
    start.state.after = cursor->position;
    start.state.gap_told = cursor->gap_told;
    return start;
  }
  // A cursor says what was seen, an offset what is wanted. Who asks for less does not miss what is gone.
  const auto* offset = std::get_if<FromOffset>(&from);
  if (offset == nullptr || offset->offset >= start.first_offset) {
    start.state.gap_told = removed;
  }
  return start;
}

ReadState LogReader::start_at_offset(std::optional<raft::TopicId> topic, raft::Offset offset) const {
  if (topic && offset < state_.first_offset(*topic)) {
    return {.after = {}, .skip = 0, .offset_floor = offset, .time_floor_ms = 0, .gap_told = {}};
  }
  const auto row = topic ? state_.events().find(*topic, offset) : std::nullopt;
  // An offset that does not exist yet is waited for: nothing older is ever given instead (FAULTS 68).
  return {.after = row ? row->first_position.prev() : state_.last_position(),
          .skip = 0,
          .offset_floor = offset,
          .time_floor_ms = 0,
          .gap_told = {}};
}

/// Rows are counted back per topic until each has `count` events; the row where all of them together reach `count` is
/// where the read starts, less the events in it that are too old.
ReadState LogReader::start_of_last(const std::vector<raft::TopicId>& topics, std::uint64_t count) const {
  if (count == 0) {
    return {.after = state_.last_position(), .skip = 0, .offset_floor = {}, .time_floor_ms = 0, .gap_told = {}};
  }
  if (count >= state_.last_position().value) {
    return {};
  }
  std::map<raft::Position, std::uint64_t, std::greater<>> counts;  // matching events per row, newest row first
  for (const raft::TopicId topic : topics) {
    std::uint64_t found = 0;
    std::uint64_t end = state_.events().next_offset(topic).value;
    const std::uint64_t first = state_.first_offset(topic).value;
    while (end > first && found < count) {
      const auto row = state_.events().find(topic, raft::Offset{end - 1});
      WEIR_CHECK(row.has_value());
      const auto part = std::ranges::find(row->topics, topic, &storage::TopicPart::topic);
      const std::uint64_t begin = std::max(first, part->first_offset.value);
      counts[row->first_position] += end - begin;
      found += end - begin;
      end = begin;
    }
  }
  std::uint64_t sum = 0;
  for (const auto& [first, matching_count] : counts) {
    sum += matching_count;
    if (sum >= count) {
      return {.after = first.prev(), .skip = sum - count, .offset_floor = {}, .time_floor_ms = 0, .gap_told = {}};
    }
  }
  return {};
}

const std::vector<raft::TopicId>& LogReader::matching(const Selector& selector) const {
  if (matching_.size() >= kSelectorsMax) {
    matching_.clear();
  }
  Matching& matching = matching_[selector.text()];
  for (; matching.topics_seen < state_.topic_count(); ++matching.topics_seen) {
    const raft::TopicId topic{matching.topics_seen};
    if (selector.matches(state_.topic_name(topic))) {
      matching.topics.push_back(topic);
    }
  }
  return matching.topics;
}

raft::Position LogReader::removed_to(const std::vector<raft::TopicId>& topics) const {
  raft::Position removed;
  for (const raft::TopicId topic : topics) {
    removed = std::max(removed, state_.removed_to(topic));
  }
  return removed;
}

std::optional<RemovedRange> LogReader::removed_under(const BatchRead& read) const {
  const raft::Position known = std::max(read.batch.next.after, read.batch.next.gap_told);
  if (known >= state_.some_removed_to() || raft::is_mutated(raft::Mutant::gap_untold)) {
    return std::nullopt;
  }
  const raft::Position removed = removed_to(read.topics);
  return known < removed ? std::optional(RemovedRange{.from = known.next(), .to = removed}) : std::nullopt;
}

bool LogReader::has_events(const Selector& selector, raft::Position after) const {
  const auto& topics = matching(selector);
  // Of what went before it was read the reader is to be told.
  const bool removed = after < state_.some_removed_to() && after < removed_to(topics);
  return removed || state_.events().next(topics, std::max(after, state_.removed_to())).has_value();
}

std::uint64_t LogReader::count_after(const Selector& selector, raft::Position position) const {
  std::uint64_t count = 0;
  for (const raft::TopicId topic : matching(selector)) {
    const auto row = state_.events().next(std::span(&topic, 1), std::max(position, state_.removed_to()));
    if (!row) {
      continue;
    }
    const auto part = std::ranges::find(row->topics, topic, &storage::TopicPart::topic);
    raft::Offset begin = part->first_offset;
    if (row->first_position + part->last <= position) {
      begin = begin + part->count;
    } else if (row->first_position <= position && row->topics.size() == 1) {
      begin = begin + (position - row->first_position + 1);
    }
    count += state_.events().next_offset(topic) - std::max(begin, state_.first_offset(topic));
  }
  return count;
}

void LogReader::read(const Selector& selector, ReadState from, ReadLimits limits, BatchDone done) {
  auto read = std::make_shared<BatchRead>(state_, selector, limits, std::move(done));
  read->batch.next = from;
  go_on(std::move(read));
}

void LogReader::go_on(std::shared_ptr<BatchRead> read) {
  // Found anew each time: while an entry was on its way from the disk, events of new topics may have been applied.
  read->topics = matching(read->selector);
  if (const auto removed = removed_under(*read)) {
    // What was read before it goes out first; the next read tells.
    if (read->batch.events.empty()) {
      read->batch.removed = removed;
      read->batch.next.gap_told = removed->to;
    }
    read->batch.applied = state_.last_position();
    read->done(std::move(read->batch));
    return;
  }
  read->batch.next.after = std::max(read->batch.next.after, state_.removed_to());
  while (!read->full()) {
    const auto row = state_.events().next(read->topics, read->batch.next.after);
    if (!row) {
      read->batch.next.after = std::max(read->batch.next.after, state_.last_position());
      break;
    }
    const auto cached = cache_.find(row->log_index);
    if (!cached) {
      load(row->log_index, [this, read](std::expected<DecodedEntryPtr, ReadError> entry) mutable {
        if (!entry) {
          read->done(std::unexpected(entry.error()));
          return;
        }
        // Cached now; or retention took it, and what comes next is another.
        go_on(std::move(read));
      });
      return;
    }
    read->take(*row, cached);
  }
  read->batch.up_to_date = !state_.events().next(read->topics, read->batch.next.after).has_value();
  read->batch.applied = state_.last_position();
  read->done(std::move(read->batch));
}

void LogReader::load(raft::Index index, EntryDone done) {
  disk_.read(index, state_.applied_index(), kReadAheadBytes,
             [self = std::weak_ptr(self_), index,
              done = std::move(done)](std::expected<std::vector<raft::Entry>, storage::Error> entries) mutable {
               const auto alive = self.lock();
               if (!alive) {
                 done(std::unexpected(ReadError::stopping));
                 return;
               }
               if (!entries && entries.error().code == storage::Errc::gone && index < (*alive)->state_.first_index()) {
                 done(nullptr);
                 return;
               }
               if (!entries || entries->empty()) {
                 (*alive)->damaged_(entries ? missing_entry(index) : entries.error());
                 done(std::unexpected(ReadError::damaged));
                 return;
               }
               DecodedEntryPtr first;
               for (const auto& entry : *entries | std::views::reverse) {
                 auto decoded = decode(entry);
                 if (!decoded) {
                   (*alive)->damaged_(not_understood(decoded.error()));
                   done(std::unexpected(ReadError::damaged));
                   return;
                 }
                 first = *std::move(decoded);
                 // Of those there may be many, and nobody looks for more than one of them.
                 if (first->command != raft::Command::hollow || first->index == index) {
                   (*alive)->cache_.put(first);
                 }
               }
               if (first->command == raft::Command::hollow && (*alive)->state_.retains(index)) {
                 (*alive)->damaged_(unexpectedly_hollow(index));
                 done(std::unexpected(ReadError::damaged));
                 return;
               }
               done(std::move(first));
             });
}

void LogReader::find_id(wire::Claim id, IdDone done) {
  auto read = std::make_shared<IdRead>();
  read->id = std::move(id);
  read->done = std::move(done);
  go_on(std::move(read));
}

void LogReader::go_on(std::shared_ptr<IdRead> read) {
  // Asked anew each time: while an entry was on its way from the disk, others were applied.
  if (read->runs != state_.ids().runs()) {
    read->places.clear();
    read->runs = state_.ids().runs();
  }
  auto [keys, entries] = state_.candidates(read->id, read->places);
  if (!keys.empty()) {
    ask_runs(std::move(read), std::move(keys));
    return;
  }
  for (const raft::Index index : entries) {
    if (read->at_hand.contains(index)) {
      continue;
    }
    if (auto cached = cache_.find(index)) {
      read->at_hand.emplace(index, std::move(cached));
      continue;
    }
    load(index, [this, read, index](std::expected<DecodedEntryPtr, ReadError> entry) mutable {
      if (!entry) {
        read->done(std::unexpected(entry.error()));
        return;
      }
      if (*entry != nullptr) {
        read->at_hand.emplace(index, *std::move(entry));
      }
      go_on(std::move(read));
    });
    return;
  }
  read->done(state_.find_id(read->id, [&read](raft::Index index) { return read->at_hand.at(index); }, read->places));
}

void LogReader::ask_runs(std::shared_ptr<IdRead> read, std::vector<storage::IdKey> keys) {
  auto asked = keys;
  disk_.find_ids(state_.ids().runs(), std::move(keys),
                 [self = std::weak_ptr(self_), read = std::move(read), asked = std::move(asked)](
                     std::expected<std::vector<storage::KeyedPlace>, storage::Error> found) mutable {
                   const auto alive = self.lock();
                   if (!alive) {
                     read->done(std::unexpected(ReadError::stopping));
                     return;
                   }
                   if (!found) {
                     (*alive)->damaged_(found.error());
                     read->done(std::unexpected(ReadError::damaged));
                     return;
                   }
                   add_places(asked, *found, read->places);
                   (*alive)->go_on(std::move(read));
                 });
}

}  // namespace weir::broker
