// Consumer groups, and batches that are known again by their key.
#include <algorithm>

#include "broker/core/state_machine.hpp"
#include "broker/core/topic.hpp"
#include "raft/check.hpp"
#include "wire/hash.hpp"

namespace weir::broker {

wire::Outcome StateMachine::change(const wire::GroupChange& asked) {
  switch (asked.action) {
    case wire::GroupAction::put:
    case wire::GroupAction::create: {
      const auto start = start_of(asked);
      return start ? groups_.put(asked, *start) : wire::Outcome{start.error()};
    }
    case wire::GroupAction::claim:
      return groups_.claim(asked, group_now());
    case wire::GroupAction::commit:
      return groups_.commit({.group = asked.group, .lease = asked.lease, .position = asked.to}, group_now());
    case wire::GroupAction::remove:
      break;
  }
  return groups_.remove(asked.group);
}

std::expected<std::optional<Groups::Start>, wire::Refused> StateMachine::start_of(
    const wire::GroupChange& asked) const {
  const Group* known = groups_.find(asked.group);
  const auto& patterns = asked.patterns.empty() && known != nullptr ? known->patterns : asked.patterns;
  switch (asked.start) {
    case wire::GroupStart::keep:
      if (known != nullptr) {
        return std::nullopt;
      }
      return Groups::Start{.committed = {}, .gap_told = removed_of(patterns)};
    case wire::GroupStart::earliest:
      return Groups::Start{.committed = {}, .gap_told = removed_of(patterns)};
    case wire::GroupStart::latest:
      return Groups::Start{.committed = last_position(), .gap_told = last_position()};
    case wire::GroupStart::time:
      return Groups::Start{.committed = events_.first_at(asked.time_ms).prev(), .gap_told = removed_of(patterns)};
    case wire::GroupStart::position:
      break;
  }
  if (asked.to > last_position()) {
    return std::unexpected(wire::Refused{
        .kind = wire::RefusalKind::malformed,
        .event = 0,
        .offset = {},
        .detail = "the cursor lies behind the end of the log, position " + std::to_string(last_position().value)});
  }
  return Groups::Start{.committed = asked.to, .gap_told = {}};
}

raft::Position StateMachine::removed_of(const std::vector<std::string>& patterns) const {
  raft::Position removed;
  for (const auto& text : patterns) {
    const auto pattern = Pattern::parse(text);
    for (const auto& topic : topics_) {
      if (pattern && topic.removed_to > removed && pattern->matches(topic.name)) {
        removed = topic.removed_to;
      }
    }
  }
  return removed;
}

storage::IdHash StateMachine::batch_key_hash(std::string_view key) {
  return hash_of({}, {.source = {}, .id = key});
}

std::optional<StateMachine::Match> StateMachine::match_batch(std::string_view key, const Past& past) const {
  const storage::IdHash hash = batch_key_hash(key);
  for (const auto& place : places_of(hash, past.places)) {
    if (place.log_index < first_index_) {
      continue;
    }
    Match found{.place = place, .entry = past.entries(place.log_index)};
    WEIR_CHECK(found.entry != nullptr);
    const auto* events = found.entry->publish();
    if (found.entry->command == raft::Command::batch && place.ordinal < events->request_count() &&
        events->request(place.ordinal).request_id == key && is_batch_kept(found)) {
      return found;
    }
  }
  return std::nullopt;
}

/// A batch that stored nothing, as all its events were there already, is known as long as the log there is needed.
bool StateMachine::is_batch_kept(const Match& match) const {
  if (match.entry->index == applied_index_) {
    return true;
  }
  const wire::PublishView& events = *match.entry->publish();
  const wire::RequestView request = events.request(match.place.ordinal);
  const auto given = originals(*match.entry, request.first_event, request.event_count);
  bool stored_any = false;
  for (std::uint32_t i = 0; i < request.event_count; ++i) {
    if (!given[i]) {
      continue;
    }
    stored_any = true;
    const auto topic = topic_id(events.topics()[events.topic_number(request.first_event + i)]);
    if (given[i]->offset >= first_offset(*topic)) {
      return true;
    }
  }
  return !stored_any;
}

std::vector<std::optional<wire::EventResult>> StateMachine::originals(const DecodedEntry& entry, std::uint32_t first,
                                                                      std::uint32_t count) const {
  std::vector<std::optional<wire::EventResult>> given(count);
  const auto row = events_.find(entry.index);
  if (!row) {
    return given;
  }
  const wire::PublishView& events = *entry.publish();
  std::vector<std::optional<raft::Offset>> next(events.topics().size());  // by the topic's number in the entry
  for (std::size_t number = 0; number < next.size(); ++number) {
    const auto topic = topic_id(events.topics()[number]);
    const auto part = topic ? std::ranges::find(row->topics, *topic, &storage::TopicPart::topic) : row->topics.end();
    if (part != row->topics.end()) {
      next[number] = part->first_offset;
    }
  }
  auto skip = row->skipped.begin();
  raft::Position position = row->first_position;
  for (std::uint32_t i = 0; i < first + count; ++i) {
    if (skip != row->skipped.end() && *skip == i) {
      ++skip;
      continue;
    }
    auto& offset = next[events.topic_number(i)];
    WEIR_CHECK(offset.has_value(), entry.index, i);
    if (i >= first) {
      given[i - first] = wire::EventResult{
          .offset = *offset, .position = position, .time_ms = row->time_ms, .storing = wire::Storing::stored};
    }
    offset = offset->next();
    position = position.next();
  }
  return given;
}

}  // namespace weir::broker
