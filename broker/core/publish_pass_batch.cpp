// What a BATCH entry has beside its events: a key under which the request is known again, and commits of groups.
#include "broker/core/publish_pass.hpp"

namespace weir::broker {

std::optional<wire::Outcome> StateMachine::PublishPass::repeated(const wire::RequestView& request) {
  if (!is_batch_ || request.request_id.empty()) {
    return std::nullopt;
  }
  const auto stored = state_.match_batch(request.request_id, past_);
  return stored ? std::optional(recall(*stored, request)) : std::nullopt;
}

wire::Outcome StateMachine::PublishPass::recall(const Match& match, const wire::RequestView& request) {
  const wire::PublishView& stored = *match.entry->publish();
  const wire::RequestView as = stored.request(match.place.ordinal);
  if (!is_same_batch(stored, as, request)) {
    // No event of it is at fault: it is the whole.
    return wire::Refused{.kind = wire::RefusalKind::id_reuse,
                         .event = request.event_count,
                         .offset = {},
                         .detail = "another batch was stored with this Idempotency-Key; nothing was stored now"};
  }
  wire::Published answer;
  const bool is_here = match.entry == entry_;
  auto given = is_here ? std::vector<std::optional<wire::EventResult>>(as.event_count)
                       : state_.originals(*match.entry, as.first_event, as.event_count);
  for (std::uint32_t i = 0; i < as.event_count; ++i) {
    if (is_here) {
      given[i] = results_[as.first_event + i];
    }
    answer.results.push_back(recall_event(request.first_event + i, given[i]));
    results_[request.first_event + i] = answer.results.back();
  }
  applied_.duplicates += as.event_count;
  return answer;
}

bool StateMachine::PublishPass::is_same_batch(const wire::PublishView& stored, const wire::RequestView& as,
                                              const wire::RequestView& request) const {
  if (as.event_count != request.event_count || as.commits != request.commits) {
    return false;
  }
  for (std::uint32_t i = 0; i < as.event_count; ++i) {
    const auto before = stored.event(as.first_event + i);
    const auto now = events_.event(request.first_event + i);
    if (before.topic != now.topic || before.id != now.id || before.source != now.source ||
        wire::content_digest(before) != wire::content_digest(now)) {
      return false;
    }
  }
  return true;
}

wire::EventResult StateMachine::PublishPass::recall_event(std::uint32_t ordinal,
                                                          const std::optional<wire::EventResult>& given) const {
  wire::EventResult result = given.value_or(wire::EventResult{});
  // It was a duplicate when the batch was stored: its id leads to the original, unless that is gone.
  if (!given && !events_.id(ordinal).empty()) {
    const auto match =
        state_.match(hashes_[ordinal], events_.topics()[events_.topic_number(ordinal)], id_of(ordinal), past_);
    if (match && is_event(*match)) {
      result = match->entry == entry_ ? results_[match->place.ordinal] : state_.original(*match);
    }
  }
  result.storing = wire::Storing::duplicate;
  return result;
}

std::optional<wire::Refused> StateMachine::PublishPass::check_commits(const wire::RequestView& request,
                                                                      Groups::With with) const {
  if (!is_batch_) {
    return std::nullopt;
  }
  for (const auto& commit : request.commits) {
    if (auto refused = state_.groups_.check(commit, state_.group_now(), with)) {
      return refused;
    }
  }
  return std::nullopt;
}

void StateMachine::PublishPass::take_effect(std::uint32_t number, const wire::RequestView& request) {
  if (!is_batch_) {
    return;
  }
  for (const auto& commit : request.commits) {
    static_cast<void>(state_.groups_.commit(commit, state_.group_now()));
  }
  if (!request.request_id.empty()) {
    const storage::IdHash hash = batch_key_hash(request.request_id);
    const storage::IdPlace place{.log_index = entry_->index, .ordinal = number};
    state_.ids_.insert(hash, place);
    state_.delta_.add(hash, place, DeltaWriter::Kind::event);
  }
}

}  // namespace weir::broker
