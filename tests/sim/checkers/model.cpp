#include "tests/sim/checkers/model.hpp"

#include <algorithm>
#include <expected>
#include <utility>

namespace weir::sim {
namespace {

[[nodiscard]] std::tuple<std::string, std::string, std::string> id_of(const wire::EventView& event) {
  return {std::string(event.topic), std::string(event.source), std::string(event.id)};
}

}  // namespace

void Model::apply(const raft::Entry& entry) {
  applied_index_ = entry.index;
  const auto apply_if = [&](const auto& decoded) {
    if (!decoded) {
      return verdict_.fail("a committed entry cannot be read: " + decoded.error().text);
    }
    apply(*decoded, entry.index);
  };
  if (entry.command == raft::Command::publish) {
    apply_if(wire::PublishView::verify(entry.data));
  } else if (entry.command == raft::Command::dedup) {
    apply_if(wire::decode_dedup(entry.data));
  } else if (entry.command == raft::Command::retain) {
    apply_if(wire::decode_retain(entry.data));
  } else if (entry.command == raft::Command::topic) {
    apply_if(wire::decode_topic(entry.data));
  } else if (entry.command == raft::Command::group) {
    apply_if(wire::decode_group(entry.data));
  } else if (entry.command == raft::Command::digest) {
    // It stores nothing, but its log time is what later events cannot be earlier than.
    if (const auto digest = wire::decode_digest(entry.data)) {
      time_ms_ = std::max(time_ms_, digest->time_ms);
    }
  }
}

void Model::apply(const wire::DedupEntry& entry, raft::Index index) {
  time_ms_ = std::max(time_ms_, entry.time_ms);
  for (const auto& claim : entry.claims) {
    const Id id{claim.topic, claim.source, claim.id};
    if (find(id) == nullptr) {
      ids_[id].push_back({.position = 0, .since = index, .to = std::nullopt});
      claims_.emplace_back(index, id);
    }
  }
}

void Model::apply(const wire::GroupEntry& entry, raft::Index /*index*/) {
  time_ms_ = std::max(time_ms_, entry.time_ms);
  groups_.apply(entry, time_ms_, events_.size());
}

/// From here on what lies below the floors is found by nobody, neither as an event nor by its id.
void Model::apply(const wire::RetainEntry& entry, raft::Index index) {
  time_ms_ = std::max(time_ms_, entry.time_ms);
  for (const auto& floor : entry.floors) {
    const auto known = topics_.find(floor.topic);
    if (known == topics_.end()) {
      continue;
    }
    Topic& topic = known->second;
    const std::uint64_t first = std::min<std::uint64_t>(floor.first_offset.value, topic.positions.size());
    if (first <= topic.first_offset()) {
      continue;
    }
    for (std::uint64_t offset = topic.first_offset(); offset < first; ++offset) {
      const ModelEvent& event = events_[topic.positions[offset] - 1];
      part({event.topic, event.source, event.id}, event.position, event.log_index, index);
    }
    topic.first_offsets.emplace_back(index, first);
    ++floors_raised_;
  }
  while (!claims_.empty() && claims_.front().first < std::min(entry.claims_before, index)) {
    part(claims_.front().second, 0, claims_.front().first, index);
    claims_.pop_front();
  }
}

void Model::apply(const wire::TopicEntry& entry, raft::Index index) {
  time_ms_ = std::max(time_ms_, entry.time_ms);
  for (const auto& change : entry.changes) {
    Topic& topic = topics_[change.topic];
    const bool is_forever = change.settings.dedup_ms.kind == wire::Setting::Kind::forever;
    if (is_forever && !topic.forever_from) {
      topic.forever_from = index;
    } else if (!is_forever) {
      topic.forever_from.reset();
      for (const auto& [id, position, since] : std::exchange(topic.outlived, {})) {
        forget(id, position, since, index);
      }
    }
  }
}

/// The event, or the claim, is gone. Its id goes with it, unless its topic remembers forever.
void Model::part(const Id& id, std::uint64_t position, raft::Index since, raft::Index by) {
  const auto topic = topics_.find(std::get<0>(id));
  if (topic != topics_.end() && topic->second.forever_from && since >= *topic->second.forever_from) {
    topic->second.outlived.push_back({id, position, since});
  } else {
    forget(id, position, since, by);
  }
}

void Model::forget(const Id& id, std::uint64_t position, raft::Index since, raft::Index by) {
  const auto known = ids_.find(id);
  if (known == ids_.end()) {
    return;  // an event without an id
  }
  for (KnownId& each : known->second) {
    if (each.position == position && each.since == since && !each.to) {
      each.to = by;
    }
  }
}

void Model::apply(const wire::PublishView& entry, raft::Index index) {
  time_ms_ = std::max(time_ms_, entry.time_ms());
  for (std::uint32_t number = 0; number < entry.request_count(); ++number) {
    const wire::RequestView request = entry.request(number);
    if (!accepts(entry, request)) {
      continue;
    }
    for (std::uint32_t i = 0; i < request.event_count; ++i) {
      const wire::EventView event = entry.event(request.first_event + i);
      if (event.id.empty() || find(id_of(event)) == nullptr) {
        store(event, index);
      }
    }
  }
}

bool Model::accepts(const wire::PublishView& entry, const wire::RequestView& request) const {
  bool any_new = false;
  std::map<Id, std::string> own;
  for (std::uint32_t i = 0; i < request.event_count; ++i) {
    const wire::EventView event = entry.event(request.first_event + i);
    if (const KnownId* known = event.id.empty() ? nullptr : find(id_of(event))) {
      if (known->position == 0 || events_[known->position - 1].body != event.body) {
        return false;  // claimed, or used for something else
      }
      continue;
    }
    any_new = true;
    if (!event.id.empty() && own.try_emplace(id_of(event), event.body).first->second != event.body) {
      return false;
    }
  }
  return !any_new || meets_expectations(request);
}

bool Model::meets_expectations(const wire::RequestView& request) const {
  return std::ranges::all_of(request.expectations, [this](const wire::Expectation& expectation) {
    return next_offset(std::string(expectation.topic)) == expectation.next.value;
  });
}

void Model::store(const wire::EventView& event, raft::Index index) {
  Topic& topic = topics_[std::string(event.topic)];
  ModelEvent stored{.topic = std::string(event.topic),
                    .source = std::string(event.source),
                    .id = std::string(event.id),
                    .body = std::string(event.body),
                    .offset = topic.positions.size(),
                    .position = events_.size() + 1,
                    .time_ms = time_ms_,
                    .log_index = index};
  const auto [before, is_new] = bodies_.try_emplace(stored.body, stored.position);
  // A repeat finds its event by its ids; once retention has taken those it is a new one.
  if (!is_new && (stored.id.empty() || !is_gone(events_[before->second - 1], index))) {
    verdict_.fail("stored twice: '" + stored.body + "' of topic " + stored.topic);
  }
  before->second = stored.position;
  if (!stored.id.empty()) {
    ids_[id_of(event)].push_back({.position = stored.position, .since = index, .to = std::nullopt});
  }
  topic.positions.push_back(stored.position);
  events_.push_back(std::move(stored));
}

std::uint64_t Model::next_offset(const std::string& topic) const {
  const auto known = topics_.find(topic);
  return known == topics_.end() ? 0 : known->second.positions.size();
}

std::uint64_t Model::first_offset(const std::string& topic) const {
  const auto known = topics_.find(topic);
  return known == topics_.end() ? 0 : known->second.first_offset();
}

bool Model::is_gone(const ModelEvent& event, raft::Index as_of) const {
  const auto& raises = topics_.at(event.topic).first_offsets;
  const auto later = std::ranges::upper_bound(raises, as_of, {}, [](const auto& raise) { return raise.first; });
  return later != raises.begin() && std::prev(later)->second > event.offset;
}

const KnownId* Model::find(const Id& id) const {
  const auto known = ids_.find(id);
  return known == ids_.end() || known->second.back().to ? nullptr : &known->second.back();
}

std::vector<KnownId> Model::known_after(const wire::Claim& id, raft::Index index) const {
  std::vector<KnownId> found;
  if (const auto known = ids_.find({id.topic, id.source, id.id}); known != ids_.end()) {
    std::ranges::copy_if(known->second, std::back_inserter(found),
                         [index](const KnownId& each) { return !each.to || *each.to > index; });
  }
  return found;
}

bool Model::is_known_since(const wire::Claim& id, raft::Index index) const {
  const KnownId* known = find({id.topic, id.source, id.id});
  return known != nullptr && known->since <= index;
}

}  // namespace weir::sim
