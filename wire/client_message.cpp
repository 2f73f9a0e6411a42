// What the messages of weir.bin.v1 mean: places that follow from an order, and back.
#include "wire/client_message.hpp"

#include "raft/check.hpp"
#include "wire/rules.hpp"

namespace weir::wire {

std::uint32_t EventsMessage::event_count() const {
  std::uint32_t count = 0;
  for (const OrdinalRun& run : runs) count += run.count;
  return count;
}

AckMessage ack_of(std::uint64_t rid, const PublishView& request, std::span<const EventResult> results) {
  WEIR_CHECK(results.size() == request.event_count());
  AckMessage ack{.rid = rid};
  std::vector<bool> seen(request.topics().size());
  for (std::uint32_t event = 0; event < results.size(); ++event) {
    const EventResult& result = results[event];
    if (result.storing == Storing::duplicate) {
      ack.duplicates.push_back({event, result});
      continue;
    }
    if (ack.first_offsets.empty()) {
      ack.first_offsets.resize(seen.size());
      ack.first_position = result.position;
      ack.time_ms = result.time_ms;
    }
    const std::uint32_t topic = request.topic_number(event);
    if (!seen[topic]) ack.first_offsets[topic] = result.offset;
    seen[topic] = true;
  }
  return ack;
}

std::expected<std::vector<EventResult>, Error> results_of(const AckMessage& ack, const PublishView& request) {
  const bool stored = request.event_count() > ack.duplicates.size();
  if (stored && ack.first_offsets.size() != request.topics().size()) {
    return malformed("Ack: one first_offset per topic of the request");
  }
  std::vector<EventResult> results;
  results.reserve(request.event_count());
  std::vector<raft::Offset> next = ack.first_offsets;
  raft::Position position = ack.first_position;
  auto duplicate = ack.duplicates.begin();
  for (std::uint32_t event = 0; event < request.event_count(); ++event) {
    if (duplicate != ack.duplicates.end() && duplicate->event == event) {
      results.push_back(duplicate->original);
      ++duplicate;
      continue;
    }
    if (next.empty()) return malformed("Ack: more duplicates than the request has events");
    raft::Offset& offset = next[request.topic_number(event)];
    results.push_back({offset, position, ack.time_ms, Storing::stored});
    offset = offset.next();
    position = position.next();
  }
  if (duplicate != ack.duplicates.end()) return malformed("Ack: a duplicate that the request does not have");
  return results;
}

EventsMessage events_message(std::uint64_t sid, PublishView entry, std::span<const PlacedEvent> placed) {
  WEIR_CHECK(!placed.empty());
  EventsMessage message{.sid = sid, .first_position = placed.front().position, .entry = std::move(entry)};
  message.first_offsets.resize(message.entry.topics().size());
  std::vector<raft::Offset> next(message.first_offsets.size());
  std::vector<bool> seen(message.first_offsets.size());
  bool even = true;
  raft::Position position = message.first_position;
  for (const PlacedEvent& event : placed) {
    if (!message.runs.empty() && message.runs.back().first + message.runs.back().count == event.ordinal) {
      ++message.runs.back().count;
    } else {
      message.runs.push_back({event.ordinal, 1});
    }
    const std::uint32_t topic = message.entry.topic_number(event.ordinal);
    if (!seen[topic]) message.first_offsets[topic] = next[topic] = event.offset;
    seen[topic] = true;
    even = even && event.position == position && event.offset == next[topic];
    position = event.position.next();
    next[topic] = event.offset.next();
  }
  if (even) return message;
  for (const PlacedEvent& event : placed) {
    message.positions.push_back(event.position);
    message.offsets.push_back(event.offset);
  }
  return message;
}

std::vector<PlacedEvent> placed_events(const EventsMessage& message) {
  std::vector<PlacedEvent> placed;
  placed.reserve(message.event_count());
  std::vector<raft::Offset> next = message.first_offsets;
  raft::Position position = message.first_position;
  for (const OrdinalRun& run : message.runs) {
    for (std::uint32_t ordinal = run.first; ordinal < run.first + run.count; ++ordinal) {
      if (!message.positions.empty()) {
        placed.push_back({ordinal, message.offsets[placed.size()], message.positions[placed.size()]});
        continue;
      }
      raft::Offset& offset = next[message.entry.topic_number(ordinal)];
      placed.push_back({ordinal, offset, position});
      offset = offset.next();
      position = position.next();
    }
  }
  return placed;
}

}  // namespace weir::wire
