#include "tests/sim/checkers/model.hpp"

#include <algorithm>

namespace weir::sim {
namespace {

[[nodiscard]] std::tuple<std::string, std::string, std::string> id_of(const wire::EventView& event) {
  return {std::string(event.topic), std::string(event.source), std::string(event.id)};
}

}  // namespace

void Model::apply(const raft::Entry& entry) {
  if (entry.command == raft::Command::publish) {
    const auto view = wire::PublishView::verify(entry.data);
    if (!view) {
      verdict_.fail("a committed entry cannot be read: " + view.error().text);
      return;
    }
    apply(*view, entry.index);
  } else if (entry.command == raft::Command::digest) {
    // It stores nothing, but its log time is what later events cannot be earlier than.
    if (const auto digest = wire::decode_digest(entry.data)) {
      time_ms_ = std::max(time_ms_, digest->time_ms);
    }
  } else if (entry.command == raft::Command::dedup) {
    const auto dedup = wire::decode_dedup(entry.data);
    if (!dedup) {
      verdict_.fail("a committed entry cannot be read: " + dedup.error().text);
      return;
    }
    time_ms_ = std::max(time_ms_, dedup->time_ms);
    for (const auto& claim : dedup->claims) {
      ids_.try_emplace({claim.topic, claim.source, claim.id}, 0);
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
      if (event.id.empty() || !ids_.contains(id_of(event))) {
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
    const auto known = event.id.empty() ? ids_.end() : ids_.find(id_of(event));
    if (known != ids_.end()) {
      if (known->second == 0 || events_[known->second - 1].body != event.body) {
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
  ModelEvent stored{.topic = std::string(event.topic),
                    .source = std::string(event.source),
                    .id = std::string(event.id),
                    .body = std::string(event.body),
                    .offset = next_offsets_[std::string(event.topic)]++,
                    .position = events_.size() + 1,
                    .time_ms = time_ms_,
                    .log_index = index};
  if (!bodies_.insert(stored.body).second) {
    verdict_.fail("stored twice: '" + stored.body + "' of topic " + stored.topic);
  }
  if (!stored.id.empty()) {
    ids_.emplace(id_of(event), stored.position);
  }
  events_.push_back(std::move(stored));
}

std::uint64_t Model::next_offset(const std::string& topic) const {
  const auto known = next_offsets_.find(topic);
  return known == next_offsets_.end() ? 0 : known->second;
}

std::optional<std::uint64_t> Model::find(const wire::Claim& id) const {
  const auto known = ids_.find({id.topic, id.source, id.id});
  return known == ids_.end() ? std::nullopt : std::optional(known->second);
}

}  // namespace weir::sim
