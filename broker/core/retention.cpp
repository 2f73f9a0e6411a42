#include "broker/core/retention.hpp"

#include <algorithm>
#include <array>

namespace weir::broker {
namespace {

/// Where the topic's entries after `position` begin.
[[nodiscard]] raft::Offset first_after(const StateMachine& state, raft::TopicId topic, raft::Position position) {
  const std::array wanted{topic};
  const auto row = state.events().next(wanted, position);
  if (!row) {
    return state.events().next_offset(topic);
  }
  return std::ranges::find(row->topics, topic, &storage::TopicPart::topic)->first_offset;
}

/// The beginning of the entry that holds this offset.
[[nodiscard]] raft::Offset whole_entry(const StateMachine& state, raft::TopicId topic, raft::Offset offset) {
  const auto row = state.events().find(topic, offset);
  return row ? std::ranges::find(row->topics, topic, &storage::TopicPart::topic)->first_offset : offset;
}

/// What a topic's setting says, where it says something.
[[nodiscard]] std::uint64_t in_force(const wire::Setting& setting, std::uint64_t otherwise) {
  return setting.kind == wire::Setting::Kind::unset ? otherwise : setting.value;
}

/// The last event that is older than `age_ms`.
[[nodiscard]] raft::Position too_old(const StateMachine& state, std::uint64_t age_ms, std::uint64_t now_ms) {
  const bool aged = age_ms > 0 && now_ms > age_ms;
  return aged ? state.events().first_at(now_ms - age_ms).prev() : raft::Position{};
}

[[nodiscard]] raft::Offset floor_of(const RetentionLimits& limits, const StateMachine& state, raft::TopicId topic,
                                    raft::Position old) {
  const raft::Offset next = state.events().next_offset(topic);
  raft::Offset floor = state.first_offset(topic);
  if (limits.count > 0 && next.value > limits.count) {
    floor = std::max(floor, whole_entry(state, topic, raft::Offset{next.value - limits.count}));
  }
  if (limits.bytes > 0 && state.events().kept_bytes(topic) > limits.bytes) {
    floor = std::max(floor, state.events().first_offset_within(topic, limits.bytes));
  }
  if (old > state.removed_to()) {
    floor = std::max(floor, first_after(state, topic, old));
  }
  return floor;
}

}  // namespace

RetentionLimits limits_of(const RetentionLimits& limits, const wire::TopicSettings& settings) {
  return {.age_ms = in_force(settings.age_ms, limits.age_ms),
          .bytes = in_force(settings.bytes, limits.bytes),
          .count = in_force(settings.count, limits.count)};
}

std::optional<wire::RetainEntry> retention_due(const RetentionLimits& limits, const StateMachine& state,
                                               std::uint64_t now_ms) {
  const raft::Position old = too_old(state, limits.age_ms, now_ms);
  wire::RetainEntry due{.time_ms = now_ms, .floors = {}, .claims_before = {}};
  for (std::size_t i = 0; i < state.topic_count() && due.floors.size() < wire::kFloorsMax; ++i) {
    const raft::TopicId topic{i};
    const RetentionLimits own = limits_of(limits, state.settings(topic));
    if (own.none()) {
      continue;
    }
    const raft::Position own_old = own.age_ms == limits.age_ms ? old : too_old(state, own.age_ms, now_ms);
    const raft::Offset floor = floor_of(own, state, topic, own_old);
    if (floor > state.first_offset(topic)) {
      due.floors.push_back({state.topic_name(topic), floor});
    }
  }
  if (const auto claims = state.first_claims(); claims && old > state.removed_to()) {
    // Log time never falls along the log: claims before the last event that is too old are older still. Later ones may
    // be young.
    const auto row = state.events().find(old);
    const raft::Index before = row ? row->log_index : raft::Index{};
    due.claims_before = before > *claims ? before : raft::Index{};
  }
  const bool anything = !due.floors.empty() || due.claims_before != raft::Index{};
  return anything ? std::optional(std::move(due)) : std::nullopt;
}

}  // namespace weir::broker
