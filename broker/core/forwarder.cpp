#include "broker/core/forwarder.hpp"

#include <utility>

#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

/// A node that said "not leader" is asked again after one heartbeat interval.
constexpr std::uint64_t kRetryAfterUs = 50'000;

/// The one who says so has not appended it and will not.
[[nodiscard]] bool is_not_taken(const wire::Refused& refused) {
  return refused.kind == wire::RefusalKind::not_leader || refused.kind == wire::RefusalKind::no_leader ||
         refused.kind == wire::RefusalKind::draining;
}

[[nodiscard]] raft::Bytes encode_request(const WriteJob& job) {
  if (const auto* events = std::get_if<wire::PublishView>(&job.request)) {
    return events->bytes();
  }
  if (const auto* change = std::get_if<wire::TopicChange>(&job.request)) {
    return wire::encode(wire::TopicEntry{.time_ms = 0, .changes = {*change}});
  }
  if (const auto* change = std::get_if<wire::GroupChange>(&job.request)) {
    return wire::encode(wire::GroupEntry{.time_ms = 0, .changes = {*change}});
  }
  return wire::encode(wire::DedupEntry{.time_ms = 0, .claims = {std::get<wire::Claim>(job.request)}});
}

}  // namespace

Forwarder::Forwarder(PeerNetwork& network, Clock& clock, raft::NodeId self, std::uint64_t boot_nonce,
                     std::function<void(WriteJob)> lead)
    : network_(network), clock_(clock), self_(self), boot_nonce_(boot_nonce), lead_(std::move(lead)) {}

void Forwarder::submit(WriteJob job) {
  const auto place = jobs_.emplace(++last_number_, Job{.write = std::move(job)}).first;
  if (leader_ != raft::kNobody && leader_ != self_) {
    hand_over(place->first, place->second);
  }
}

void Forwarder::leader_is(raft::NodeId leader) {
  if (leader == leader_) {
    return;
  }
  leader_ = leader;
  if (leader == raft::kNobody) {
    return;
  }
  for (auto& [number, job] : jobs_) {
    job.not_before_us = 0;
    // Handed to a leader of the past, which may still answer. With ids asking the new one too changes nothing.
    if (job.handed_to != raft::kNobody && job.handed_to != leader && job.write.repeatable == Repeatable::yes) {
      job.handed_to = raft::kNobody;
    }
  }
  dispatch();
}

void Forwarder::dispatch() {
  if (leader_ == raft::kNobody) {
    return;
  }
  const std::uint64_t now_us = clock_.steady_us();
  const auto is_with_us = [now_us](const Job& job) {
    return job.handed_to == raft::kNobody && job.not_before_us <= now_us;
  };
  if (leader_ == self_) {
    // Those that come back at once, because this node stopped leading meanwhile, wait for the next turn.
    for (auto& write : take_out(is_with_us)) {
      lead_(std::move(write));
    }
    return;
  }
  for (auto& [number, job] : jobs_) {
    if (is_with_us(job)) {
      hand_over(number, job);
    }
  }
}

void Forwarder::hand_over(std::uint64_t number, Job& job) {
  const std::uint64_t now_us = clock_.steady_us();
  const std::uint64_t left_us = job.write.deadline_us > now_us ? job.write.deadline_us - now_us : 0;
  wire::Forward forward{.number = number,
                        .boot_nonce = boot_nonce_,
                        .command = command_of(job.write.request),
                        .timeout_ms = static_cast<std::uint32_t>(left_us / 1000),
                        .request = encode_request(job.write)};
  if (network_.send(leader_, std::move(forward)) == Sent::queued) {
    job.handed_to = leader_;
    ++job.write.open_hand_overs;
    ++forwarded_;
  } else {
    job.not_before_us = now_us + kRetryAfterUs;
  }
}

template <class Ends>
std::vector<WriteJob> Forwarder::take_out(const Ends& ends) {
  std::vector<WriteJob> taken;
  for (auto place = jobs_.begin(); place != jobs_.end();) {
    if (ends(place->second)) {
      taken.push_back(std::move(place->second.write));
      place = jobs_.erase(place);
    } else {
      ++place;
    }
  }
  return taken;
}

void Forwarder::peer_lost(raft::NodeId peer) {
  auto lost = take_out([peer](const Job& job) {
    return job.handed_to == peer && job.write.repeatable == Repeatable::no &&
           !raft::is_mutated(raft::Mutant::unknown_tried_again);
  });
  for (auto& [number, job] : jobs_) {
    if (job.handed_to == peer) {
      job.handed_to = raft::kNobody;
    }
  }
  for (auto& write : lost) {
    write.refuse(wire::RefusalKind::outcome_unknown, kHandedOver);
  }
}

void Forwarder::replied(raft::NodeId from, wire::ForwardReply reply) {
  const auto place = reply.boot_nonce == boot_nonce_ ? jobs_.find(reply.number) : jobs_.end();
  if (place == jobs_.end()) {
    return;  // answered already, or asked by an earlier life of this node
  }
  Job& job = place->second;
  const auto* refused = std::get_if<wire::Refused>(&reply.outcome);
  const bool unknown = refused != nullptr && refused->kind == wire::RefusalKind::outcome_unknown;
  if (!unknown && job.write.open_hand_overs > 0) {
    --job.write.open_hand_overs;
  }
  if (refused != nullptr && job.handed_to != from) {
    return;  // from one that does not have it any more: whoever has it now decides
  }
  const bool again =
      refused != nullptr && (is_not_taken(*refused) || (unknown && job.write.repeatable == Repeatable::yes) ||
                             (unknown && raft::is_mutated(raft::Mutant::unknown_tried_again)));
  if (again) {
    job.handed_to = raft::kNobody;
    job.not_before_us = clock_.steady_us() + kRetryAfterUs;
    return;
  }
  WriteJob write = std::move(job.write);
  jobs_.erase(place);
  write.answer(std::move(reply.outcome));
}

void Forwarder::tick() {
  expire(clock_.steady_us());
  dispatch();
}

void Forwarder::expire(std::uint64_t now_us) {
  for (auto& write : take_out([now_us](const Job& job) { return job.write.deadline_us <= now_us; })) {
    write.refuse(wire::RefusalKind::no_leader, "no leader took it in time; nothing was stored");
  }
}

void Forwarder::abandon(const std::string& why) {
  for (auto& write : take_out([](const Job&) { return true; })) {
    write.refuse(wire::RefusalKind::no_leader, why);
  }
}

}  // namespace weir::broker
