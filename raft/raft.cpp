#include "raft/raft.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"
#include "raft/validate.hpp"

namespace weir::raft {
namespace {

std::vector<NodeId> others(std::vector<NodeId> voters, NodeId id) {
  std::ranges::sort(voters);
  WEIR_CHECK(std::ranges::adjacent_find(voters) == voters.end(), voters.size());
  std::erase(voters, id);
  return voters;
}

}  // namespace

Raft::Raft(Config config, Recovered recovered)
    : config_(std::move(config)),
      peers_(others(config_.voters, config_.id)),
      current_term_(recovered.hard_state.current_term),
      voted_for_(is_mutated(Mutant::vote_forgotten) ? kNobody : recovered.hard_state.voted_for),
      log_(std::move(recovered.term_runs), recovered.first_index, recovered.last_index),
      written_hard_state_(recovered.hard_state),
      random_(seed_of_member(config_.seed, config_.id.value)) {
  WEIR_CHECK(config_.id != kNobody);
  WEIR_CHECK(config_.heartbeat_ticks > 0 && config_.heartbeat_ticks < config_.election_ticks_min,
             config_.heartbeat_ticks, config_.election_ticks_min);
  WEIR_CHECK(config_.election_ticks_min <= config_.election_ticks_max, config_.election_ticks_min,
             config_.election_ticks_max);
  WEIR_CHECK(current_term_ >= log_.last_term(), current_term_, log_.last_term());
  restart_election_timer();
}

Raft::~Raft() = default;

// --- inputs

void Raft::step(Message message) {
  if (message.to != config_.id) {
    return refuse(message.from, "addressed to another node");
  }
  if (message.from == config_.id || !is_voter(message.from)) {
    return refuse(message.from, "not from another member");
  }
  if (const char* defect = defect_of(message)) {
    return refuse(message.from, defect);
  }
  std::visit([&](auto& body) { on(message, body); }, message.body);
}

void Raft::tick() {
  ++ticks_;
  ++election_elapsed_;
  expire_forwarded_reads();
  if (role_ == Role::leader) {
    tick_leader();
  } else if (election_elapsed_ >= election_timeout_) {
    campaign(VoteKind::pre_vote);
  }
}

std::expected<Index, ProposeError> Raft::propose(std::vector<Proposal> proposals) {
  WEIR_CHECK(!proposals.empty());
  // While leadership is handed over the log must stand still for the successor to catch up with it; the caller does as
  // it would without a leader: wait for the next one.
  if (role_ != Role::leader || leadership_->transfer) {
    return std::unexpected(ProposeError::not_leader);
  }
  if (log_.last_index().value + proposals.size() >= kNumberLimit) {
    return std::unexpected(ProposeError::number_limit);
  }
  std::size_t bytes = 0;
  for (const Proposal& proposal : proposals) {
    bytes += proposal.data.size() + kEntryOverheadBytes;
  }
  // One request larger than the bound may pass alone: it would never pass otherwise.
  if (leadership_->uncommitted_bytes > 0 && leadership_->uncommitted_bytes + bytes > config_.uncommitted_bytes_max) {
    return std::unexpected(ProposeError::overloaded);
  }
  const Index first = log_.last_index().next();
  for (Proposal& proposal : proposals) {
    append(std::move(proposal));
  }
  return first;
}

void Raft::persisted(Term term, Index index) {
  log_.persisted(term, index);
  log_.release(applied_index_, config_.tail_bytes_max);
  if (role_ == Role::leader) {
    advance_commit();
  }
}

void Raft::applied(Index index) {
  WEIR_CHECK(index <= log_.last_index(), index, log_.last_index());
  applied_index_ = std::max(applied_index_, index);
  log_.release(applied_index_, config_.tail_bytes_max);
}

void Raft::disk_health(DiskHealth health) {
  if (is_mutated(Mutant::stall_ignored) || std::exchange(disk_, health) == health) {
    return;
  }
  // FAULTS 120: heartbeats need no disk, so a leader whose disk hangs would rule for ever without committing anything.
  if (role_ != Role::follower) {
    become_follower(current_term_, kNobody);
  }
  restart_election_timer();
}

Output Raft::take_output() {
  if (role_ == Role::leader) {
    replicate();
  }
  const HardState hard_state{.current_term = current_term_, .voted_for = voted_for_};
  if (hard_state != written_hard_state_) {
    output_.hard_state = written_hard_state_ = hard_state;
  }
  Log::Writes writes = log_.take_writes();
  output_.truncate_from = writes.truncate_from;
  output_.append = std::move(writes.append);
  if (applicable_index() > commit_reported_) {
    output_.commit_to = commit_reported_ = applicable_index();
  }
  return std::exchange(output_, Output{});
}

bool Raft::has_output() const {
  const bool may_send = role_ == Role::leader && std::ranges::any_of(leadership_->followers, [&](const Progress& each) {
                          return due(each) != Sending::nothing;
                        });
  return may_send || !output_.empty() || log_.has_writes() || applicable_index() > commit_reported_ ||
         written_hard_state_ != HardState{.current_term = current_term_, .voted_for = voted_for_};
}

// --- shared by all roles

bool Raft::is_of_current_term(const Message& message) {
  if (message.term > current_term_) {
    become_follower(message.term, kNobody);
  }
  return message.term == current_term_;
}

void Raft::send_at_once(NodeId to, Body body) {
  output_.messages.push_back({.from = config_.id, .to = to, .term = current_term_, .body = std::move(body)});
}

void Raft::send_after_persist(NodeId to, Term term, Body body) {
  output_.messages_after_persist.push_back({.from = config_.id, .to = to, .term = term, .body = std::move(body)});
}

void Raft::refuse(NodeId from, const char* reason) {
  output_.events.emplace_back(MessageRefused{.from = from, .reason = reason});
}

bool Raft::is_voter(NodeId node) const {
  return std::ranges::find(config_.voters, node) != config_.voters.end();
}

/// Never past what is locally durable (FAULTS 21): what a subscriber saw must not be gone after a power cut.
Index Raft::applicable_index() const {
  return is_mutated(Mutant::applied_before_disk) ? commit_index_ : std::min(commit_index_, log_.durable_index());
}

// --- observers

Role Raft::role() const {
  return role_;
}
Term Raft::current_term() const {
  return current_term_;
}
NodeId Raft::voted_for() const {
  return voted_for_;
}
NodeId Raft::leader() const {
  return leader_;
}
Index Raft::commit_index() const {
  return commit_index_;
}
Index Raft::last_index() const {
  return log_.last_index();
}
Index Raft::durable_index() const {
  return log_.durable_index();
}
Term Raft::term_at(Index index) const {
  return log_.term_at(index);
}

std::vector<Entry> Raft::tail(Index first, Index last, std::size_t bytes_max) const {
  return log_.entries(first, last, bytes_max);
}

std::vector<ProgressView> Raft::progress() const {
  std::vector<ProgressView> views;
  if (leadership_) {
    for (const Progress& follower : leadership_->followers) {
      views.push_back({.node = follower.node(),
                       .state = follower.state(),
                       .match_index = follower.match_index(),
                       .next_index = follower.next_index(),
                       .recently_active = follower.silent_ticks() < config_.election_ticks_max});
    }
  }
  return views;
}

std::uint32_t Raft::election_ticks_left() const {
  return role_ == Role::leader ? 0 : election_timeout_ - std::min(election_elapsed_, election_timeout_);
}

}  // namespace weir::raft
