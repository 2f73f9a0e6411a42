// Clients' writes: bounds, then to the leader's queue here or to the leader elsewhere; and what comes back.
#include <algorithm>
#include <utility>

#include "broker/core/node_impl.hpp"

namespace weir::broker {
namespace {

[[nodiscard]] wire::Refused refusal(wire::RefusalKind kind, std::string detail) {
  return {.kind = kind, .event = 0, .offset = {}, .detail = std::move(detail)};
}

}  // namespace

void Node::Impl::publish(raft::Bytes request, std::uint32_t timeout_ms, OutcomeDone done) {
  auto view = wire::PublishView::verify(std::move(request));
  if (!view || view->request_count() != 1) {
    done(refusal(wire::RefusalKind::malformed, view ? "not one request" : view.error().text));
    return;
  }
  accept(*std::move(view), Origin::local, timeout_ms, std::move(done));
}

void Node::Impl::claim(wire::Claim claim, std::uint32_t timeout_ms, OutcomeDone done) {
  accept(std::move(claim), Origin::local, timeout_ms, std::move(done));
}

void Node::Impl::change_topic(wire::TopicChange change, std::uint32_t timeout_ms, OutcomeDone done) {
  accept(std::move(change), Origin::local, timeout_ms, std::move(done));
}

void Node::Impl::accept(WriteRequest request, Origin origin, std::uint32_t timeout_ms, OutcomeDone done) {
  const Repeatable twice = repeatable(request);
  WriteJob job{.request = std::move(request),
               .repeatable = twice,
               .origin = origin,
               .deadline_us = deadline(timeout_ms),
               .done = nullptr};
  const std::size_t bytes = job.bytes();
  if (auto refused = admit(bytes)) {
    ++counters_.requests_refused;
    done(*std::move(refused));
    return;
  }
  pending_bytes_ += bytes;
  job.done = [this, alive = std::weak_ptr(alive_), bytes, done = std::move(done)](wire::Outcome outcome) mutable {
    if (!alive.expired()) {
      pending_bytes_ -= bytes;
      counters_.requests_refused += std::holds_alternative<wire::Refused>(outcome) ? 1 : 0;
    }
    done(std::move(outcome));
  };
  submit(std::move(job));
  settle_soon();
}

std::optional<wire::Refused> Node::Impl::admit(std::size_t bytes) const {
  if (phase_ == Phase::failed) {
    return refusal(wire::RefusalKind::no_leader, "this node stopped: " + why_);
  }
  if (phase_ == Phase::draining) {
    return refusal(wire::RefusalKind::draining, drained_ ? "this node is drained for maintenance; ask another member"
                                                         : "this node is shutting down; ask another member");
  }
  if (phase_ == Phase::waiting) {
    return refusal(wire::RefusalKind::no_leader, why_ + "; ask a member");
  }
  if (digest_.dispute()) {
    return refusal(wire::RefusalKind::unfit, dispute_text());
  }
  if (disk_.space() == storage::DiskSpace::nearly_full) {
    return refusal(wire::RefusalKind::disk_full,
                   "the disk of this node has no room for the next part of the log; nothing was stored: free space, or "
                   "ask another member");
  }
  if (pending_bytes_ + bytes > config_.pending_bytes_max || pending() >= config_.pending_requests_max) {
    return refusal(wire::RefusalKind::overloaded,
                   std::to_string(pending()) + " requests with " + std::to_string(pending_bytes_) +
                       " bytes wait for the log already; nothing was stored, try again a little later");
  }
  return std::nullopt;
}

/// Once each time it runs out: if nobody has room, leadership must not go round in a circle.
void Node::Impl::tend_space() {
  const storage::DiskSpace space = disk_.space();
  if (space == std::exchange(seen_space_, space)) {
    return;
  }
  const bool has_room = space == storage::DiskSpace::enough;
  if (events_.notice) {
    events_.notice(has_room ? "there is room on the disk again: writes are taken"
                            : "the disk has no room for the next part of the log: writes are refused until there is");
  }
  if (!has_room && replica_ && replica_->leads()) {
    replica_->transfer_leadership();
    settle();
  }
}

std::size_t Node::Impl::pending() const {
  return forwarder_.pending() + (coalescer_ ? coalescer_->pending() : 0);
}

/// A change of a topic or a group that is made again after somebody else's would undo that; a claim that is made again
/// holds twice as much.
Repeatable Node::Impl::repeatable(const WriteRequest& request) const {
  if (std::holds_alternative<wire::TopicChange>(request)) {
    return Repeatable::no;
  }
  if (const auto* change = std::get_if<wire::GroupChange>(&request)) {
    return change->action == wire::GroupAction::commit ? Repeatable::yes : Repeatable::no;
  }
  const auto* events = std::get_if<wire::PublishView>(&request);
  const bool again =
      events == nullptr || !events->request(0).request_id.empty() ||
      (events->every_event_has_id() &&
       std::ranges::all_of(events->topics(), [this](std::string_view topic) { return state_.remembers_ids(topic); }));
  return again ? Repeatable::yes : Repeatable::no;
}

/// The leader alone can tell, and only once it has applied what others led before it.
std::optional<wire::Refused> Node::Impl::refuse_unknown_topic(const WriteJob& job) const {
  const auto* events = std::get_if<wire::PublishView>(&job.request);
  if (events == nullptr || config_.topics_auto_create) {
    return std::nullopt;
  }
  const auto unknown =
      std::ranges::find_if(events->topics(), [this](std::string_view topic) { return !state_.live_topic(topic); });
  if (unknown == events->topics().end()) {
    return std::nullopt;
  }
  const std::string name(*unknown);
  const raft::Raft& raft = replica_->raft();
  if (raft.term_at(state_.applied_index()) != raft.current_term()) {
    return refusal(wire::RefusalKind::overloaded, "the leader is new and does not know yet whether topic '" + name +
                                                      "' exists; nothing was stored, try again");
  }
  return refusal(wire::RefusalKind::no_topic, "topic '" + name + "' not found; create it with PUT /v1/topics/" + name);
}

void Node::Impl::submit(WriteJob job) {
  if (replica_ && replica_->leads()) {
    if (auto refused = refuse_unknown_topic(job)) {
      job.answer(*std::move(refused));
      return;
    }
    coalescer_->submit(std::move(job));
  } else {
    give_back(std::move(job));
  }
}

/// A write that this node certainly did not append; meanwhile it may lead again.
void Node::Impl::give_back(WriteJob job) {
  if (job.origin == Origin::forwarded) {
    job.refuse(wire::RefusalKind::not_leader, "not the leader");
  } else if (replica_ && replica_->leads()) {
    submit(std::move(job));
  } else {
    forwarder_.submit(std::move(job));
  }
}

void Node::Impl::on_event(const raft::Event& event) {
  if (const auto* changed = std::get_if<raft::RoleChanged>(&event)) {
    on_role(*changed);
  } else if (const auto* leader = std::get_if<raft::LeaderChanged>(&event)) {
    ++counters_.leader_changes;
    leader_heard_us_ = clock_.steady_us();
    forwarder_.leader_is(leader->leader);
  } else if (const auto* adopted = std::get_if<raft::ConfigurationAdopted>(&event)) {
    follow_configuration(adopted->index);
  } else if (std::holds_alternative<raft::LogTruncated>(event)) {
    ++counters_.truncations;
  } else if (std::holds_alternative<raft::MessageRefused>(event)) {
    ++counters_.messages_refused;
  }
  if (events_.raft) {
    events_.raft(event);
  }
}

void Node::Impl::on_role(const raft::RoleChanged& changed) {
  heard_reports_.clear();
  digest_proposed_ = {};
  uncompared_since_us_ = 0;
  answer_verify();
  if (changed.role == raft::Role::leader) {
    ++counters_.leader_changes;
    forwarder_.leader_is(self_);
    return;
  }
  if (changed.role == raft::Role::candidate) {
    ++counters_.elections_started;
  }
  forwarder_.leader_is(changed.leader);
  coalescer_->leadership_lost();
}

void Node::Impl::on_applied(const DecodedEntry& entry, Applied& applied) {
  ++counters_.entries_applied;
  counters_.events_stored += applied.stored;
  counters_.events_duplicate += applied.duplicates;
  log_time_.at_least(state_.time_ms());
  digest_applied(entry, applied);
  if (phase_ == Phase::failed) {
    return;  // what this node has made of the log is not to be saved, nor told
  }
  // Before anybody is answered: those who are may come back with more.
  checkpoints_.applied(state_, digest_, entry, applier_->config(), founding_data_);
  coalescer_->applied(entry, applied.outcomes);
  advanced_.insert(advanced_.end(), applied.topics.begin(), applied.topics.end());
}

void Node::Impl::on_settled() {
  replica_->applied(state_.applied_index());
  if (!advanced_.empty()) {
    std::vector<std::string_view> names;
    std::ranges::sort(advanced_);
    advanced_.erase(std::ranges::unique(advanced_).begin(), advanced_.end());
    names.reserve(advanced_.size());
    for (const auto topic : advanced_) {
      names.push_back(state_.topic_name(topic));
    }
    advanced_.clear();
    waiters_.advance(names);
  }
  answer_applied_waits();
  answer_change();
  settle();
}

}  // namespace weir::broker
