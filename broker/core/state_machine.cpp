#include "broker/core/state_machine.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/publish_pass.hpp"
#include "raft/check.hpp"

namespace weir::broker {
namespace {

[[nodiscard]] storage::IdHash hash_of(std::string_view topic, std::string_view source, std::string_view id) {
  const wire::Hash128 hash = wire::id_hash(topic, source, id);
  return {.high = hash.high, .low = hash.low};
}

/// The id at `ordinal` of an entry is this one, not just one with the same hash.
[[nodiscard]] bool is_same_id(const DecodedEntry& entry, std::uint32_t ordinal, std::string_view topic,
                              std::string_view source, std::string_view id) {
  if (const auto* events = entry.publish()) {
    return events->id(ordinal) == id && events->source(ordinal) == source &&
           events->topics()[events->topic_number(ordinal)] == topic;
  }
  const auto* dedup = entry.dedup();
  WEIR_CHECK(dedup != nullptr && ordinal < dedup->claims.size());
  const auto& claim = dedup->claims[ordinal];
  return claim.id == id && claim.source == source && claim.topic == topic;
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

std::vector<storage::IdHash> StateMachine::id_hashes(const wire::PublishView& events) {
  std::vector<storage::IdHash> hashes(events.event_count());
  for (std::uint32_t i = 0; i < events.event_count(); ++i) {
    if (const auto id = events.id(i); !id.empty()) {
      hashes[i] = hash_of(events.topics()[events.topic_number(i)], events.source(i), id);
    }
  }
  return hashes;
}

std::vector<raft::Index> StateMachine::lookups(const DecodedEntry& entry) const {
  std::vector<raft::Index> indexes;
  const std::uint64_t now_ms = std::max(time_ms_, entry.time_ms());
  const auto add = [this, &indexes, now_ms](storage::IdHash hash, std::string_view topic) {
    // Most ids are new: asking first costs less than an empty list.
    if (!ids_.may_contain(hash)) {
      return;
    }
    const raft::Index first = first_remembered(topic, now_ms);
    for (const auto& place : ids_.find(hash)) {
      if (place.log_index >= first) {
        indexes.push_back(place.log_index);
      }
    }
  };
  if (entry.command == raft::Command::batch) {
    for (std::uint32_t i = 0; i < entry.publish()->request_count(); ++i) {
      if (const auto key = entry.publish()->request(i).request_id; !key.empty()) {
        add(batch_key_hash(key), {});
      }
    }
  }
  if (const auto* events = entry.publish()) {
    const auto hashes = id_hashes(*events);
    for (std::uint32_t i = 0; i < events->event_count(); ++i) {
      if (!events->id(i).empty()) {
        add(hashes[i], events->topics()[events->topic_number(i)]);
      }
    }
  } else if (const auto* dedup = entry.dedup()) {
    for (const auto& claim : dedup->claims) {
      add(hash_of(claim.topic, claim.source, claim.id), claim.topic);
    }
  }
  std::ranges::sort(indexes);
  indexes.erase(std::ranges::unique(indexes).begin(), indexes.end());
  return indexes;
}

Applied StateMachine::apply(const DecodedEntryPtr& entry, const EntrySource& earlier) {
  WEIR_CHECK(entry->index == applied_index_.next());
  applied_index_ = entry->index;
  time_ms_ = std::max(time_ms_, entry->time_ms());
  Applied applied;
  // Claims of this very entry are found like those of earlier ones.
  const EntrySource with_this = [&entry, &earlier](raft::Index index) {
    return index == entry->index ? entry : earlier(index);
  };
  if (entry->publish() != nullptr) {
    applied = PublishPass(*this, entry, with_this).run();
  } else if (const auto* dedup = entry->dedup()) {
    for (std::uint32_t i = 0; i < dedup->claims.size(); ++i) {
      applied.outcomes.emplace_back(claim(dedup->claims[i], entry->index, i, with_this));
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

std::optional<StateMachine::Match> StateMachine::match(storage::IdHash hash, std::string_view topic,
                                                       std::string_view source, std::string_view id,
                                                       const EntrySource& earlier) const {
  if (!ids_.may_contain(hash)) {
    return std::nullopt;
  }
  const raft::Index first = first_remembered(topic, time_ms_);
  for (const auto& place : ids_.find(hash)) {
    if (place.log_index < first) {
      continue;
    }
    Match found{.place = place, .entry = earlier(place.log_index)};
    WEIR_CHECK(found.entry != nullptr);
    if (is_same_id(*found.entry, place.ordinal, topic, source, id) && is_kept(found)) {
      return found;
    }
  }
  return std::nullopt;
}

wire::EventResult StateMachine::original(const Match& match) const {
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
  if (match.entry->publish() != nullptr) {
    return {.state = wire::ClaimState::published_before, .original = original(match)};
  }
  wire::EventResult claimed;
  claimed.time_ms = match.entry->time_ms();
  claimed.storing = wire::Storing::duplicate;
  return {.state = wire::ClaimState::claimed_before, .original = claimed};
}

wire::Outcome StateMachine::claim(const wire::Claim& claim, raft::Index index, std::uint32_t ordinal,
                                  const EntrySource& earlier) {
  if (!remembers_ids(claim.topic)) {
    return wire::Refused{.kind = wire::RefusalKind::conflict,
                         .event = 0,
                         .offset = {},
                         .detail = "topic '" + claim.topic + "' remembers no ids (its dedup is off)"};
  }
  if (const auto found =
          match(hash_of(claim.topic, claim.source, claim.id), claim.topic, claim.source, claim.id, earlier)) {
    return describe(*found);
  }
  const auto hash = hash_of(claim.topic, claim.source, claim.id);
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

std::vector<raft::Index> StateMachine::candidates(const wire::Claim& id) const {
  std::vector<raft::Index> indexes;
  const raft::Index first = first_remembered(id.topic, time_ms_);
  for (const auto& place : ids_.find(hash_of(id.topic, id.source, id.id))) {
    if (place.log_index >= first) {
      indexes.push_back(place.log_index);
    }
  }
  return indexes;
}

std::optional<wire::Claimed> StateMachine::find_id(const wire::Claim& id, const EntrySource& earlier) const {
  const auto found = match(hash_of(id.topic, id.source, id.id), id.topic, id.source, id.id, earlier);
  return found ? std::optional(describe(*found)) : std::nullopt;
}

}  // namespace weir::broker
