#include "broker/core/state_machine.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "broker/core/publish_pass.hpp"
#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

/// Ids that memory is asked for at a time: as many as it works on at once, few enough that they are still there when
/// their turn comes.
constexpr std::size_t kPrefetched = 32;

[[nodiscard]] EventId id_of(const wire::Claim& claim) {
  return {.source = claim.source, .id = claim.id};
}

/// The id at `ordinal` of an entry is this one, not just one with the same hash.
[[nodiscard]] bool is_same_id(const DecodedEntry& entry, std::uint32_t ordinal, std::string_view topic,
                              const EventId& id) {
  if (const auto* events = entry.publish()) {
    // A batch's key has the number of its request, and may have the same hash as an id.
    return ordinal < events->event_count() && events->id(ordinal) == id.id && events->source(ordinal) == id.source &&
           events->topics()[events->topic_number(ordinal)] == topic;
  }
  if (entry.command == raft::Command::hollow) {
    return false;  // whatever had this hash is retained no more
  }
  const auto* dedup = entry.dedup();
  WEIR_CHECK(dedup != nullptr && ordinal < dedup->claims.size());
  const auto& claim = dedup->claims[ordinal];
  return claim.id == id.id && claim.source == id.source && claim.topic == topic;
}

/// How many of the stored events before `ordinal` (those not skipped) are of the topic with this number in the entry.
[[nodiscard]] std::uint32_t rank_in_topic(const wire::PublishView& events, const std::vector<std::uint32_t>& skipped,
                                          std::uint32_t ordinal, std::uint32_t topic_number) {
  std::uint32_t rank = 0;
  auto skip = skipped.begin();
  for (std::uint32_t i = 0; i < ordinal; ++i) {
    if (skip != skipped.end() && *skip == i) {
      ++skip;
    } else if (events.topic_number(i) == topic_number) {
      ++rank;
    }
  }
  return rank;
}

}  // namespace

void add_places(const std::vector<storage::IdKey>& keys, const std::vector<storage::KeyedPlace>& found,
                RunPlaces& places) {
  for (const storage::IdKey key : keys) {
    places[key];
  }
  for (const storage::KeyedPlace& each : found) {
    places[each.key].push_back(each.place);
  }
}

storage::IdHash StateMachine::hash_of(std::string_view topic, const EventId& id) {
  const wire::Hash128 hash = wire::id_hash(topic, id.source, id.id);
  return {.high = hash.high, .low = hash.low};
}

std::vector<storage::IdHash> StateMachine::id_hashes(const wire::PublishView& events) {
  std::vector<storage::IdHash> hashes(events.event_count());
  for (std::uint32_t i = 0; i < events.event_count(); ++i) {
    if (const auto id = events.id(i); !id.empty()) {
      hashes[i] = hash_of(events.topics()[events.topic_number(i)], {.source = events.source(i), .id = id});
    }
  }
  return hashes;
}

std::vector<storage::IdPlace> StateMachine::places_of(storage::IdHash hash, const RunPlaces& places) const {
  std::vector<storage::IdPlace> found = ids_.find(hash);
  const auto in_runs = places.find(key_of(hash));
  if (in_runs == places.end() || in_runs->second.empty()) {
    return found;
  }
  found.insert(found.end(), in_runs->second.begin(), in_runs->second.end());
  // One that is on its way out of the table is in both.
  std::ranges::sort(found);
  found.erase(std::ranges::unique(found).begin(), found.end());
  return found;
}

void StateMachine::look_up_id(storage::IdHash hash, std::string_view topic, const EventId& id, std::uint64_t now_ms,
                              const RunPlaces& places, Lookups& lookups) const {
  if (!forever_row(hash, topic, id)) {
    look_up(hash, topic, now_ms, places, lookups);
  }
}

void StateMachine::look_up(storage::IdHash hash, std::string_view topic, std::uint64_t now_ms, const RunPlaces& places,
                           Lookups& lookups) const {
  const storage::IdKey key = key_of(hash);
  const bool asked = !places.empty() && places.contains(key);
  if (!asked && ids_.runs_may_contain(key) && !raft::is_mutated(raft::Mutant::runs_not_asked)) {
    lookups.keys.push_back(key);
  }
  // Most ids are new: asking first costs less than an empty list.
  if (!asked && !ids_.may_contain(hash)) {
    return;
  }
  const raft::Index first = first_remembered(topic, now_ms);
  for (const auto& place : places_of(hash, places)) {
    if (place.log_index >= first) {
      lookups.entries.push_back(place.log_index);
    }
  }
}

Lookups StateMachine::lookups(const DecodedEntry& entry, const RunPlaces& places) const {
  Lookups lookups;
  const std::uint64_t now_ms = std::max(time_ms_, entry.time_ms());
  if (entry.command == raft::Command::batch) {
    for (std::uint32_t i = 0; i < entry.publish()->request_count(); ++i) {
      if (const auto key = entry.publish()->request(i).request_id; !key.empty()) {
        look_up(batch_key_hash(key), {}, now_ms, places, lookups);
      }
    }
  }
  if (const auto* events = entry.publish()) {
    const auto hashes = id_hashes(*events);
    for (std::uint32_t i = 0; i < events->event_count(); ++i) {
      if (i % kPrefetched == 0) {
        ids_.prefetch(std::span(hashes).subspan(i, std::min(kPrefetched, hashes.size() - i)));
      }
      if (!events->id(i).empty()) {
        look_up_id(hashes[i], events->topics()[events->topic_number(i)],
                   {.source = events->source(i), .id = events->id(i)}, now_ms, places, lookups);
      }
    }
  } else if (const auto* dedup = entry.dedup()) {
    for (const auto& claim : dedup->claims) {
      look_up_id(hash_of(claim.topic, id_of(claim)), claim.topic, id_of(claim), now_ms, places, lookups);
    }
  }
  std::ranges::sort(lookups.entries);
  lookups.entries.erase(std::ranges::unique(lookups.entries).begin(), lookups.entries.end());
  std::ranges::sort(lookups.keys);
  lookups.keys.erase(std::ranges::unique(lookups.keys).begin(), lookups.keys.end());
  return lookups;
}

Applied StateMachine::apply(const DecodedEntryPtr& entry, const EntrySource& earlier, const RunPlaces& places) {
  WEIR_CHECK(entry->index == applied_index_.next());
  WEIR_CHECK(entry->command != raft::Command::hollow, entry->index);
  applied_index_ = entry->index;
  time_ms_ = std::max(time_ms_, entry->time_ms());
  Applied applied;
  // Claims of this very entry are found like those of earlier ones.
  const EntrySource with_this = [&entry, &earlier](raft::Index index) {
    return index == entry->index ? entry : earlier(index);
  };
  const Past past{.entries = with_this, .places = places};
  if (entry->publish() != nullptr) {
    applied = PublishPass(*this, entry, past).run();
  } else if (const auto* dedup = entry->dedup()) {
    for (std::uint32_t i = 0; i < dedup->claims.size(); ++i) {
      applied.outcomes.emplace_back(claim(dedup->claims[i], entry->index, i, past));
    }
  } else if (const auto* changes = entry->topic()) {
    for (const auto& topic_change : changes->changes) {
      applied.outcomes.push_back(change(topic_change));
    }
  } else if (const auto* group_changes = entry->group()) {
    for (const auto& group_change : group_changes->changes) {
      applied.outcomes.push_back(change(group_change));
    }
  } else if (const auto* config = std::get_if<wire::ConfigEntry>(&entry->content)) {
    applied.config = *config;
  } else if (const auto* floors = entry->retain()) {
    retain(*floors);
  }
  trim();
  return applied;
}

std::optional<StateMachine::Match> StateMachine::match(storage::IdHash hash, std::string_view topic, const EventId& id,
                                                       const Past& past) const {
  if (const auto row = forever_row(hash, topic, id)) {
    return Match{.place = {}, .entry = nullptr, .row = row};
  }
  const bool in_runs = !past.places.empty() && past.places.contains(key_of(hash));
  if (!in_runs && !ids_.may_contain(hash)) {
    return std::nullopt;
  }
  const raft::Index first = first_remembered(topic, time_ms_);
  for (const auto& place : places_of(hash, past.places)) {
    if (place.log_index < first) {
      continue;
    }
    Match found{.place = place, .entry = past.entries(place.log_index)};
    WEIR_CHECK(found.entry != nullptr);
    if (is_same_id(*found.entry, place.ordinal, topic, id) && is_kept(found)) {
      return found;
    }
  }
  return std::nullopt;
}

wire::EventResult StateMachine::original(const Match& match) const {
  if (match.row) {
    return {.offset = match.row->offset,
            .position = match.row->position,
            .time_ms = match.row->time_ms,
            .storing = wire::Storing::duplicate};
  }
  const auto row = events_.find(match.place.log_index);
  const auto* events = match.entry->publish();
  WEIR_CHECK(row.has_value() && events != nullptr);
  const std::uint32_t ordinal = match.place.ordinal;
  const auto skipped_before =
      static_cast<std::uint32_t>(std::ranges::lower_bound(row->skipped, ordinal) - row->skipped.begin());
  const std::uint32_t number = events->topic_number(ordinal);
  const auto topic = topic_id(events->topics()[number]);
  WEIR_CHECK(topic.has_value());
  const auto part = std::ranges::find(row->topics, *topic, &storage::TopicPart::topic);
  WEIR_CHECK(part != row->topics.end());
  const std::uint32_t rank =
      row->topics.size() == 1 ? ordinal - skipped_before : rank_in_topic(*events, row->skipped, ordinal, number);
  return {.offset = part->first_offset + rank,
          .position = row->first_position + (ordinal - skipped_before),
          .time_ms = row->time_ms,
          .storing = wire::Storing::duplicate};
}

wire::Claimed StateMachine::describe(const Match& match) const {
  if (is_event(match)) {
    return {.state = wire::ClaimState::published_before, .original = original(match)};
  }
  wire::EventResult claimed;
  claimed.time_ms = match.row ? match.row->time_ms : match.entry->time_ms();
  claimed.storing = wire::Storing::duplicate;
  return {.state = wire::ClaimState::claimed_before, .original = claimed};
}

wire::Outcome StateMachine::claim(const wire::Claim& claim, raft::Index index, std::uint32_t ordinal,
                                  const Past& past) {
  if (!remembers_ids(claim.topic)) {
    return wire::Refused{.kind = wire::RefusalKind::conflict,
                         .event = 0,
                         .offset = {},
                         .detail = "topic '" + claim.topic + "' remembers no ids (its dedup is off)"};
  }
  const EventId id = id_of(claim);
  const auto hash = hash_of(claim.topic, id);
  if (const auto found = match(hash, claim.topic, id, past)) {
    return describe(*found);
  }
  if (const auto topic = forever_topic(claim.topic)) {
    if (!forever_ids_.has_room(ForeverIds::bytes_of(id))) {
      return no_room_forever(claim.topic);
    }
    remember_forever(*topic, hash, id, {.log_index = index, .offset = {}, .position = {}, .time_ms = time_ms_});
  }
  const storage::IdPlace place{.log_index = index, .ordinal = ordinal};
  ids_.insert(hash, place);
  delta_.add(hash, place, DeltaWriter::Kind::claim);
  if (claim_entries_.empty() || claim_entries_.back() != index) {
    claim_entries_.push_back(index);
  }
  wire::EventResult now;
  now.time_ms = time_ms_;
  return wire::Claimed{.state = wire::ClaimState::claimed_now, .original = now};
}

Lookups StateMachine::candidates(const wire::Claim& id, const RunPlaces& places) const {
  Lookups lookups;
  look_up_id(hash_of(id.topic, id_of(id)), id.topic, id_of(id), time_ms_, places, lookups);
  return lookups;
}

std::optional<wire::Claimed> StateMachine::find_id(const wire::Claim& id, const EntrySource& earlier,
                                                   const RunPlaces& places) const {
  const auto found = match(hash_of(id.topic, id_of(id)), id.topic, id_of(id), {.entries = earlier, .places = places});
  return found ? std::optional(describe(*found)) : std::nullopt;
}

}  // namespace weir::broker
