#include "broker/core/publish_pass.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {

StateMachine::PublishPass::PublishPass(StateMachine& state, const DecodedEntryPtr& entry, const Past& past)
    : state_(state),
      entry_(entry),
      events_(*entry->publish()),
      is_batch_(entry->command == raft::Command::batch),
      past_(past),
      hashes_(id_hashes(events_)),
      results_(events_.event_count()) {}

Applied StateMachine::PublishPass::run() {
  applied_.outcomes.reserve(events_.request_count());
  for (std::uint32_t i = 0; i < events_.request_count(); ++i) {
    applied_.outcomes.push_back(decide(i, events_.request(i)));
  }
  finish();
  return std::move(applied_);
}

wire::Outcome StateMachine::PublishPass::decide(std::uint32_t number, const wire::RequestView& request) {
  if (auto answer = repeated(request)) {
    skip(request);
    return *std::move(answer);
  }
  auto findings = check_ids(request);
  if (!findings) {
    skip(request);
    return findings.error();
  }
  // A repeat is recognised before anything else is checked: if all its events are stored already, so was it.
  const bool repeat = std::ranges::none_of(*findings, [](const Finding& f) { return f.kind == Finding::Kind::fresh; });
  if (!repeat) {
    if (auto refused = check_expectations(request)) {
      skip(request);
      return *std::move(refused);
    }
  }
  if (auto refused = check_commits(request, repeat ? Groups::With::nothing_new : Groups::With::new_events)) {
    skip(request);
    return *std::move(refused);
  }
  if (auto refused = check_room(request, *findings)) {
    skip(request);
    return *std::move(refused);
  }
  take_effect(number, request);
  return store(request, *findings);
}

std::expected<std::vector<StateMachine::PublishPass::Finding>, wire::Refused> StateMachine::PublishPass::check_ids(
    const wire::RequestView& request) {
  std::vector<Finding> findings;
  findings.reserve(request.event_count);
  siblings_.begin(request.event_count);
  state_.ids_.prefetch(std::span(hashes_).subspan(request.first_event, request.event_count));
  for (std::uint32_t i = 0; i < request.event_count; ++i) {
    auto finding = check_id(request, request.first_event + i);
    if (!finding && raft::is_mutated(raft::Mutant::batch_in_part) && !findings.empty()) {
      break;
    }
    if (!finding) {
      return std::unexpected(std::move(finding.error()));
    }
    findings.push_back(*finding);
  }
  return findings;
}

std::expected<StateMachine::PublishPass::Finding, wire::Refused> StateMachine::PublishPass::check_id(
    const wire::RequestView& request, std::uint32_t ordinal) {
  const EventId id = id_of(ordinal);
  const std::uint32_t number = events_.topic_number(ordinal);
  if (id.id.empty() || !state_.remembers_ids(events_.topics()[number])) {
    return Finding{};
  }
  const auto known = state_.match(hashes_[ordinal], events_.topics()[number], id, past_);
  if (known && !(raft::is_mutated(raft::Mutant::dedup_before_entry) && known->entry == entry_)) {
    return compare(*known, ordinal, ordinal - request.first_event);
  }
  if (request.event_count == 1) {
    return Finding{};
  }
  const auto same = [this, ordinal](std::uint32_t other) { return is_same_id(ordinal, other); };
  const auto sibling = siblings_.find_or_add(hashes_[ordinal].low, ordinal, same);
  if (!sibling) {
    return Finding{};
  }
  if (wire::content_digest(events_.event(*sibling)) != wire::content_digest(events_.event(ordinal))) {
    return std::unexpected(
        wire::Refused{.kind = wire::RefusalKind::id_reuse,
                      .event = ordinal - request.first_event,
                      .offset = {},
                      .detail = "the same id stands twice in this batch with different content; nothing was stored"});
  }
  return Finding{.kind = Finding::Kind::duplicate_of_sibling, .original = {}, .sibling = *sibling};
}

bool StateMachine::PublishPass::is_same_id(std::uint32_t ordinal, std::uint32_t other) const {
  return events_.topic_number(ordinal) == events_.topic_number(other) && events_.id(ordinal) == events_.id(other) &&
         events_.source(ordinal) == events_.source(other);
}

std::expected<StateMachine::PublishPass::Finding, wire::Refused> StateMachine::PublishPass::compare(
    const Match& match, std::uint32_t ordinal, std::uint32_t in_request) {
  if (!is_event(match)) {
    return std::unexpected(wire::Refused{.kind = wire::RefusalKind::id_claimed,
                                         .event = in_request,
                                         .offset = {},
                                         .detail = "this id was claimed without an event"});
  }
  wire::EventResult original = match.entry == entry_ ? results_[match.place.ordinal] : state_.original(match);
  original.storing = wire::Storing::duplicate;
  if (content_of(match) != wire::content_digest(events_.event(ordinal)) &&
      !raft::is_mutated(raft::Mutant::dedup_by_id_only)) {
    return std::unexpected(wire::Refused{.kind = wire::RefusalKind::id_reuse,
                                         .event = in_request,
                                         .offset = original.offset,
                                         .detail = "this id was stored with other content at offset " +
                                                   std::to_string(original.offset.value) + "; nothing was stored now"});
  }
  return Finding{.kind = Finding::Kind::duplicate, .original = original, .sibling = 0};
}

std::optional<wire::Refused> StateMachine::PublishPass::check_expectations(const wire::RequestView& request) const {
  for (const auto& expectation : request.expectations) {
    const auto next = next_offset(expectation.topic);
    if (next != expectation.next) {
      return wire::Refused{.kind = wire::RefusalKind::expectation_failed,
                           .event = 0,
                           .offset = next,
                           .detail = "topic '" + std::string(expectation.topic) + "': next offset is " +
                                     std::to_string(next.value) + ", not " + std::to_string(expectation.next.value)};
    }
  }
  return std::nullopt;
}

EventId StateMachine::PublishPass::id_of(std::uint32_t ordinal) const {
  return {.source = events_.source(ordinal), .id = events_.id(ordinal)};
}

std::optional<wire::Refused> StateMachine::PublishPass::check_room(const wire::RequestView& request,
                                                                   const std::vector<Finding>& findings) const {
  if (state_.dedup_set_count_ == 0) {
    return std::nullopt;
  }
  std::size_t bytes = 0;
  for (std::uint32_t i = 0; i < findings.size(); ++i) {
    const std::uint32_t ordinal = request.first_event + i;
    const std::string_view topic = events_.topics()[events_.topic_number(ordinal)];
    if (findings[i].kind != Finding::Kind::fresh || events_.id(ordinal).empty() || !state_.forever_topic(topic)) {
      continue;
    }
    bytes += ForeverIds::bytes_of(id_of(ordinal));
    if (!state_.forever_ids_.has_room(bytes)) {
      return state_.no_room_forever(topic);
    }
  }
  return std::nullopt;
}

raft::Offset StateMachine::PublishPass::next_offset(std::string_view topic) const {
  for (const auto& [number, part] : parts_) {
    if (events_.topics()[number] == topic && !raft::is_mutated(raft::Mutant::expectation_before_entry)) {
      return part.first_offset + part.count;
    }
  }
  const auto known = state_.topic_id(topic);
  return known ? state_.events_.next_offset(*known) : raft::Offset{};
}

wire::Outcome StateMachine::PublishPass::store(const wire::RequestView& request, const std::vector<Finding>& findings) {
  for (std::uint32_t i = 0; i < findings.size(); ++i) {
    const std::uint32_t ordinal = request.first_event + i;
    const Finding& finding = findings[i];
    if (finding.kind == Finding::Kind::fresh || raft::is_mutated(raft::Mutant::duplicate_stored_again)) {
      store_event(ordinal);
      ++applied_.stored;
      continue;
    }
    skipped_.push_back(ordinal);
    ++applied_.duplicates;
    results_[ordinal] = finding.kind == Finding::Kind::duplicate ? finding.original : results_[finding.sibling];
    results_[ordinal].storing = wire::Storing::duplicate;
  }
  // Together at the end: reading each right after it was written, in pieces, stalls the processor.
  const auto first = results_.begin() + request.first_event;
  return wire::Published{.results = {first, first + static_cast<std::ptrdiff_t>(findings.size())}};
}

void StateMachine::PublishPass::store_event(std::uint32_t ordinal) {
  const std::uint32_t number = events_.topic_number(ordinal);
  auto part = parts_.find(number);
  if (part == parts_.end()) {
    const raft::TopicId topic = state_.topic_for(events_.topics()[number]);
    part = parts_.emplace(number, Part{.topic = topic, .first_offset = state_.events_.next_offset(topic)}).first;
  }
  results_[ordinal] = {.offset = part->second.first_offset + part->second.count,
                       .position = state_.last_position() + 1 + stored_,
                       .time_ms = state_.time_ms_,
                       .storing = wire::Storing::stored};
  ++part->second.count;
  part->second.bytes += static_cast<std::uint32_t>(events_.body_size(ordinal));
  part->second.last = stored_++;
  if (!events_.id(ordinal).empty() && state_.remembers_ids(events_.topics()[number])) {
    remember(ordinal, part->second.topic);
  }
}

void StateMachine::PublishPass::remember(std::uint32_t ordinal, raft::TopicId topic) {
  const storage::IdPlace place{.log_index = entry_->index, .ordinal = ordinal};
  state_.ids_.insert(hashes_[ordinal], place);
  state_.delta_.add(hashes_[ordinal], place, DeltaWriter::Kind::event);
  if (state_.settings(topic).dedup_ms.kind == wire::Setting::Kind::forever) {
    state_.remember_forever(topic, hashes_[ordinal], id_of(ordinal),
                            {.log_index = entry_->index,
                             .offset = results_[ordinal].offset,
                             .position = results_[ordinal].position,
                             .time_ms = results_[ordinal].time_ms,
                             .content = wire::content_digest(events_.event(ordinal))});
  }
}

void StateMachine::PublishPass::skip(const wire::RequestView& request) {
  for (std::uint32_t i = 0; i < request.event_count; ++i) {
    skipped_.push_back(request.first_event + i);
  }
}

void StateMachine::PublishPass::finish() {
  if (stored_ == 0) {
    return;
  }
  storage::EntryRow row{.log_index = entry_->index,
                        .first_position = state_.last_position().next(),
                        .stored_count = stored_,
                        .time_ms = state_.time_ms_,
                        .skipped = std::move(skipped_),
                        .topics = {}};
  for (const auto& [number, part] : parts_) {
    row.topics.push_back({.topic = part.topic,
                          .first_offset = part.first_offset,
                          .count = part.count,
                          .bytes = part.bytes,
                          .last = part.last});
    applied_.topics.push_back(part.topic);
    state_.topics_[part.topic.value].last_time_ms = state_.time_ms_;
  }
  state_.events_.add(row);
  state_.delta_.add(row);
}

}  // namespace weir::broker
