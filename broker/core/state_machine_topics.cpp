// Topics, their settings, and how long they remember ids.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "broker/core/state_machine.hpp"
#include "raft/check.hpp"
#include "wire/hash.hpp"

namespace weir::broker {
namespace {

using Kind = wire::Setting::Kind;

/// Nothing is looked for before an entry that is yet to come.
constexpr raft::Index kNone{raft::kNumberLimit};

[[nodiscard]] wire::Setting changed(const wire::Setting& from, const wire::Setting& to) {
  return to.kind == Kind::keep ? from : to;
}

[[nodiscard]] wire::TopicSettings changed(const wire::TopicSettings& from, const wire::TopicSettings& to) {
  return {.age_ms = changed(from.age_ms, to.age_ms),
          .bytes = changed(from.bytes, to.bytes),
          .count = changed(from.count, to.count),
          .dedup_ms = changed(from.dedup_ms, to.dedup_ms)};
}

[[nodiscard]] wire::Refused refused(wire::RefusalKind kind, std::string detail) {
  return {.kind = kind, .event = 0, .offset = {}, .detail = std::move(detail)};
}

}  // namespace

wire::Outcome StateMachine::change(const wire::TopicChange& asked) {
  const auto known = live_topic(asked.topic);
  if (!known && (asked.action == wire::TopicAction::remove || asked.action == wire::TopicAction::change)) {
    return refused(wire::RefusalKind::no_topic,
                   "topic '" + asked.topic + "' not found; create it with PUT /v1/topics/" + asked.topic);
  }
  if (asked.action == wire::TopicAction::remove) {
    return remove(*known);
  }
  if (!known) {
    return set(topic_for(asked.topic), asked.settings, wire::TopicWhat::created);
  }
  const wire::TopicSettings& before = settings(*known);
  const wire::TopicSettings after = changed(before, asked.settings);
  if (before == after) {
    return set(*known, after, wire::TopicWhat::unchanged);
  }
  if (asked.action == wire::TopicAction::create) {
    return refused(wire::RefusalKind::conflict, "topic '" + asked.topic + "' exists with other settings");
  }
  return set(*known, after, wire::TopicWhat::changed);
}

wire::TopicChanged StateMachine::set(raft::TopicId topic, const wire::TopicSettings& settings, wire::TopicWhat what) {
  amend(topic, settings, Presence::live);
  const TopicInfo info = topic_info(topic);
  return {.what = what,
          .settings = settings,
          .first_offset = info.first_offset,
          .next_offset = info.next_offset,
          .bytes = info.bytes,
          .last_time_ms = info.last_time_ms};
}

wire::TopicChanged StateMachine::remove(raft::TopicId topic) {
  Topic& removed = topics_[topic.value];
  const raft::Offset end = events_.next_offset(topic);
  raise_floor(topic, end);
  removed.claims_before = applied_index_;
  removed.last_time_ms = 0;
  amend(topic, {}, Presence::removed);
  follow_floors();
  return {.what = wire::TopicWhat::removed,
          .settings = {},
          .first_offset = end,
          .next_offset = end,
          .bytes = 0,
          .last_time_ms = 0};
}

void StateMachine::amend(raft::TopicId topic, const wire::TopicSettings& settings, Presence presence) {
  Topic& amended = topics_[topic.value];
  const bool is_forever = settings.dedup_ms.kind == Kind::forever;
  if (!is_forever) {
    amended.forever_from = {};
    forever_ids_.clear(topic);
  } else if (amended.forever_from == raft::Index{}) {
    amended.forever_from = applied_index_;
  }
  count_settings(amended, ~std::uint64_t{0});
  amended.settings = settings;
  amended.removed = presence == Presence::removed;
  count_settings(amended, 1);
}

/// `more`: 1, or -1 for what the topic was until now.
void StateMachine::count_settings(const Topic& topic, std::uint64_t more) {
  removed_count_ += topic.removed ? more : 0;
  dedup_set_count_ += topic.settings.dedup_ms.kind != Kind::unset ? more : 0;
  std::array<std::uint64_t, 9> numbers{topic.removed ? 1U : 0U};
  std::size_t next = 1;
  for (const auto& setting : topic.settings.in_order()) {
    numbers[next++] = static_cast<std::uint64_t>(setting.kind);
    numbers[next++] = setting.value;
  }
  if (topic.removed || topic.settings != wire::TopicSettings{}) {
    std::array<char, sizeof numbers> bytes;
    std::memcpy(bytes.data(), numbers.data(), sizeof numbers);
    const std::array<std::string_view, 2> parts{std::string_view(bytes.data(), bytes.size()), topic.name};
    settings_digest_ ^= wire::checksum_of(parts);
  }
}

raft::TopicId StateMachine::topic_for(std::string_view name) {
  if (const auto known = topic_id(name)) {
    if (is_removed(*known)) {
      amend(*known, {}, Presence::live);
    }
    return *known;
  }
  const raft::TopicId created{topics_.size()};
  topics_.push_back({.name = std::string(name),
                     .last_time_ms = 0,
                     .first_offset = {},
                     .removed_to = {},
                     .settings = {},
                     .removed = false,
                     .claims_before = {},
                     .forever_from = {}});
  topic_ids_.emplace(name, created);
  return created;
}

std::optional<raft::TopicId> StateMachine::topic_id(std::string_view name) const {
  const auto place = topic_ids_.find(name);
  return place == topic_ids_.end() ? std::nullopt : std::optional(place->second);
}

std::optional<raft::TopicId> StateMachine::live_topic(std::string_view name) const {
  const auto known = topic_id(name);
  return known && !is_removed(*known) ? known : std::nullopt;
}

TopicInfo StateMachine::topic_info(raft::TopicId topic) const {
  const auto& known = topics_[topic.value];
  return {.name = known.name,
          .first_offset = known.first_offset,
          .next_offset = events_.next_offset(topic),
          .last_time_ms = known.last_time_ms,
          .settings = known.settings,
          .bytes = events_.kept_bytes(topic)};
}

bool StateMachine::remembers_ids(std::string_view topic) const {
  if (dedup_set_count_ == 0) {
    return true;
  }
  const auto known = topic_id(topic);
  return !known || settings(*known).dedup_ms.kind != Kind::off;
}

raft::Index StateMachine::first_remembered(std::string_view topic, std::uint64_t now_ms) const {
  const auto known = dedup_set_count_ == 0 ? std::nullopt : topic_id(topic);
  if (!known) {
    return first_index_;
  }
  const wire::Setting& dedup = settings(*known).dedup_ms;
  if (dedup.kind == Kind::off) {
    return kNone;
  }
  if (dedup.kind != Kind::value || now_ms <= dedup.value) {
    return first_index_;
  }
  // Log time never falls along the log: up to the last event before the window begins everything is older than it.
  const auto before = events_.find(events_.first_at(now_ms - dedup.value).prev());
  return before ? std::max(first_index_, before->log_index.next()) : first_index_;
}

/// The last moment is inside: an id of time t is known until t + window.
bool StateMachine::is_in_window(const Topic& topic, const Match& match) const {
  const wire::Setting& dedup = topic.settings.dedup_ms;
  if (dedup.kind != Kind::value || time_ms_ <= dedup.value || match.entry->index == applied_index_) {
    return true;
  }
  const bool is_event = match.entry->publish() != nullptr;
  return (is_event ? original(match).time_ms : match.entry->time_ms()) >= time_ms_ - dedup.value;
}

}  // namespace weir::broker
