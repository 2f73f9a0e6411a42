// What retention takes away. A floor holds from the moment its entry is applied; memory follows in small steps.
#include <algorithm>

#include "broker/core/state_machine.hpp"
#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

/// Rows forgotten per applied entry: it adds one row at most, so what retention has freed is gone soon, and no entry
/// takes long.
constexpr std::size_t kRowsTrimmed = 256;

}  // namespace

bool StateMachine::is_kept(const Match& match) const {
  const auto* events = match.entry->publish();
  if (events == nullptr) {
    const auto topic = topic_id(match.entry->dedup()->claims[match.place.ordinal].topic);
    return match.place.log_index >= claims_before_ &&
           (!topic || (match.place.log_index >= topics_[topic->value].claims_before &&
                       is_in_window(topics_[topic->value], match)));
  }
  const auto topic = topic_id(events->topics()[events->topic_number(match.place.ordinal)]);
  WEIR_CHECK(topic.has_value());
  const raft::Offset first = first_offset(*topic);
  if (raft::is_mutated(raft::Mutant::id_outlives_event)) {
    return true;
  }
  const bool dies_early = raft::is_mutated(raft::Mutant::id_dies_early);
  // The entry that is being applied has no row yet, and no floor can be above its events.
  return match.entry->index == applied_index_ ||
         ((first == raft::Offset{} || original(match).offset >= (dies_early ? first.next() : first)) &&
          is_in_window(topics_[topic->value], match));
}

void StateMachine::retain(const wire::RetainEntry& entry) {
  for (const auto& floor : entry.floors) {
    if (const auto topic = topic_id(floor.topic)) {
      raise_floor(*topic, std::min(floor.first_offset, events_.next_offset(*topic)));
    }
  }
  claims_before_ = std::max(claims_before_, std::min(entry.claims_before, applied_index_));
  while (!claim_entries_.empty() && claim_entries_.front() < claims_before_) {
    claim_entries_.pop_front();
  }
  follow_floors();
}

void StateMachine::follow_floors() {
  first_index_ = std::max(first_index_, first_needed());
  removed_to_ = events_.position_before(first_index_);
  ids_.forget_before(first_index_);
}

void StateMachine::raise_floor(raft::TopicId topic, raft::Offset first_offset) {
  Topic& raised = topics_[topic.value];
  if (first_offset <= raised.first_offset) {
    return;
  }
  const raft::Offset last = first_offset.prev();
  const auto row = events_.find(topic, last);
  WEIR_CHECK(row.has_value(), topic, last);
  const auto part = std::ranges::find(row->topics, topic, &storage::TopicPart::topic);
  WEIR_CHECK(part != row->topics.end());
  // How topics alternate inside an entry only the entry knows, but for where the last of a topic stands.
  const std::uint64_t in_row = row->topics.size() == 1 ? last - part->first_offset : part->last;
  raised.first_offset = first_offset;
  events_.raise_floor(topic, first_offset);
  raised.removed_to = row->first_position + in_row;
  some_removed_to_ = std::max(some_removed_to_, raised.removed_to);
}

raft::Index StateMachine::first_needed() const {
  raft::Index needed = first_claims().value_or(applied_index_.next());
  for (std::size_t i = 0; i < topics_.size(); ++i) {
    const raft::TopicId topic{i};
    if (topics_[i].first_offset < events_.next_offset(topic)) {
      const auto row = events_.find(topic, topics_[i].first_offset);
      WEIR_CHECK(row.has_value(), topic, topics_[i].first_offset);
      needed = std::min(needed, row->log_index);
    }
  }
  return needed;
}

std::optional<raft::Index> StateMachine::first_claims() const {
  return claim_entries_.empty() ? std::nullopt : std::optional(claim_entries_.front());
}

bool Floors::keeps(const storage::EntryRow& row) const {
  return std::ranges::any_of(row.topics, [this](const storage::TopicPart& part) {
    return part.topic.value >= first_offsets.size() || part.first_offset + part.count > first_offsets[part.topic.value];
  });
}

Floors StateMachine::floors() const {
  Floors floors{.first_index = first_index_, .claims_before = claims_before_, .first_offsets = {}};
  floors.first_offsets.reserve(topics_.size());
  for (const Topic& topic : topics_) {
    floors.first_offsets.push_back(topic.first_offset);
  }
  return floors;
}

bool StateMachine::retains(raft::Index index) const {
  if (std::ranges::binary_search(claim_entries_, index)) {
    return true;
  }
  const auto row = events_.find(index);
  return row && std::ranges::any_of(row->topics, [this](const storage::TopicPart& part) {
           return part.first_offset + part.count > first_offset(part.topic);
         });
}

void StateMachine::trim() {
  if (last_position() == raft::Position{} && claim_entries_.empty()) {
    first_index_ = applied_index_.next();  // nothing was ever stored
  }
  events_.drop_before(first_index_, kRowsTrimmed);
  ids_.sweep();
}

}  // namespace weir::broker
