#include "raft/raft.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"
#include "raft/validate.hpp"

namespace weir::raft {

Raft::Raft(Config config, Recovered recovered)
    : config_(config),
      current_term_(recovered.hard_state.current_term),
      voted_for_(is_mutated(Mutant::vote_forgotten) ? kNobody : recovered.hard_state.voted_for),
      log_(std::move(recovered.term_runs), recovered.first_index, recovered.last_index, recovered.prev_term),
      configurations_(std::move(recovered.configurations)),
      written_hard_state_(recovered.hard_state),
      commit_index_(recovered.snapshot_index),
      commit_reported_(recovered.snapshot_index),
      applied_index_(recovered.snapshot_index),
      random_(seed_of_member(config_.seed, config_.id.value)) {
  WEIR_CHECK(config_.id != kNobody);
  WEIR_CHECK(config_.heartbeat_ticks > 0 && config_.heartbeat_ticks < config_.election_ticks_min,
             config_.heartbeat_ticks, config_.election_ticks_min);
  WEIR_CHECK(config_.election_ticks_min <= config_.election_ticks_max, config_.election_ticks_min,
             config_.election_ticks_max);
  WEIR_CHECK(current_term_ >= log_.last_term(), current_term_, log_.last_term());
  WEIR_CHECK(configurations_.latest_index() <= log_.last_index(), configurations_.latest_index(), log_.last_index());
  WEIR_CHECK(commit_index_.next() >= log_.first_index() && commit_index_ <= log_.last_index(), commit_index_,
             log_.first_index(), log_.last_index());
  restart_election_timer();
}

Raft::~Raft() = default;

// --- inputs

void Raft::step(Message message) {
  if (message.to != config_.id) {
    return refuse(message.from, "addressed to another node");
  }
  // Thesis §4.1: requests are answered whoever sends them. A leader or a candidate may be a member by entries that this
  // log does not have yet; answers count only from those the sender's own configuration names.
  if (message.from == config_.id || message.from == kNobody) {
    return refuse(message.from, "not from another node");
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
  std::size_t bytes = 0;
  for (const Proposal& proposal : proposals) {
    WEIR_CHECK(proposal.command != Command::config);
    bytes += proposal.data.size() + kEntryOverheadBytes;
  }
  if (const auto defect = defect_of_append(proposals.size(), bytes)) {
    return std::unexpected(*defect);
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
    leadership_->term_is_durable |= log_.durable_index() >= leadership_->term_start;
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
  if (leadership_ && !leadership_->term_is_durable) {
    return send_after_persist(to, current_term_, std::move(body));
  }
  output_.messages.push_back({.from = config_.id, .to = to, .term = current_term_, .body = std::move(body)});
}

void Raft::send_after_persist(NodeId to, Term term, Body body) {
  output_.messages_after_persist.push_back({.from = config_.id, .to = to, .term = term, .body = std::move(body)});
}

void Raft::refuse(NodeId from, const char* reason) {
  output_.events.emplace_back(MessageRefused{.from = from, .reason = reason});
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
                       .recently_active = follower.silent_ticks() < config_.election_ticks_max,
                       .is_learner = configuration().is_learner(follower.node()),
                       .is_caught_up = follower.is_caught_up(config_.election_ticks_min)});
    }
  }
  return views;
}

std::uint32_t Raft::election_ticks_left() const {
  return role_ == Role::leader ? 0 : election_timeout_ - std::min(election_elapsed_, election_timeout_);
}

}  // namespace weir::raft
