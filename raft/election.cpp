// §5.2 and §5.4.1: how a leader arises and how it goes. With pre-vote (thesis §9.6), check-quorum and leader stickiness
// (§6.2, §4.2.3), and hand-over (§3.10).
//
// When a member's own vote counts. Its self-vote is recorded in hard_state and counted at once, because nothing that
// leaves the node before it is durable depends on it:
//  - vote requests leave after the disk (messages_after_persist), so another member's vote proves that the term and
//    the self-vote are durable. Every AppendEntries of the new leader therefore may leave at once.
//  - the only voter wins by its own vote. What it writes to learners waits until its term is durable, and it commits
//    only entries that are durable, which the disk writes after the hard state (Output, duty 2).
#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"
#include "raft/quorum.hpp"
#include "raft/raft.hpp"

namespace weir::raft {

// --- the roles

void Raft::become_follower(Term term, NodeId leader) {
  WEIR_CHECK(term >= current_term_, term, current_term_);
  const bool term_changed = term > current_term_;
  const bool role_changed = role_ != Role::follower;
  const bool leader_changed = leader != leader_;
  if (term_changed) {
    current_term_ = term;
    voted_for_ = kNobody;
  }
  if (is_mutated(Mutant::vote_forgotten_in_term)) {
    voted_for_ = kNobody;
  }
  // Figure 2, "followers": only a leader's word or a vote granted puts an election off. A higher term alone does not:
  // a candidate that cannot win could keep those that can from trying.
  if (role_changed || leader != kNobody) {
    restart_election_timer();
  }
  give_up_leadership();
  votes_.clear();
  if (leader_changed || term_changed) {
    refuse_forwarded_reads();
  }
  role_ = Role::follower;
  leader_ = leader;
  if (role_changed) {
    output_.events.emplace_back(RoleChanged{.role = role_, .term = current_term_, .leader = leader_});
  } else if (leader_changed || term_changed) {
    output_.events.emplace_back(LeaderChanged{.term = current_term_, .leader = leader_});
  }
}

void Raft::become_candidate(VoteKind kind) {
  if (kind == VoteKind::pre_vote) {
    role_ = Role::pre_candidate;
  } else {
    role_ = Role::candidate;
    current_term_ = current_term_.next();
    voted_for_ = config_.id;
  }
  leader_ = kNobody;
  votes_.clear();
  refuse_forwarded_reads();
  restart_election_timer();
  output_.events.emplace_back(RoleChanged{.role = role_, .term = current_term_, .leader = leader_});
}

void Raft::become_leader() {
  WEIR_CHECK(role_ == Role::candidate && voted_for_ == config_.id, role_, voted_for_);
  role_ = Role::leader;
  leader_ = config_.id;
  leadership_ = Leadership{};
  leadership_->term_is_durable = votes_.size() > 1;
  votes_.clear();
  leadership_->term_start = log_.last_index().next();
  follow_configuration();
  output_.events.emplace_back(RoleChanged{.role = role_, .term = current_term_, .leader = leader_});
  // §8: what the leader has from earlier terms can be committed only behind an entry of its own.
  append({.command = Command::noop, .checksum = 0, .data = {}});
}

void Raft::give_up_leadership() {
  if (!leadership_) {
    return;
  }
  for (const auto* reads : {&leadership_->held_reads, &leadership_->reads}) {
    for (const Read& read : *reads) {
      // Those of followers expire there, or are refused when they hear of a new leader.
      if (read.requester == config_.id) {
        output_.reads_refused.push_back({.context = read.context});
      }
    }
  }
  leadership_.reset();
}

// --- elections

bool Raft::may_campaign() const {
  return may_be_needed() && disk_ == DiskHealth::flowing && current_term_.next().value < kNumberLimit &&
         log_.last_index().next().value < kNumberLimit;
}

void Raft::campaign(VoteKind kind) {
  if (!may_campaign()) {
    restart_election_timer();
    // It heard no leader for as long as a voter would have: it does not hold up those who can stand.
    if (leader_ != kNobody) {
      become_follower(current_term_, kNobody);
    }
    return;
  }
  become_candidate(kind);
  // A pre-vote asks about the term that an election would start.
  const Term term = kind == VoteKind::pre_vote ? current_term_.next() : current_term_;
  if (kind != VoteKind::pre_vote) {
    output_.events.emplace_back(
        VoteCast{.term = term, .candidate = config_.id, .kind = kind, .answer = VoteAnswer::granted});
  }
  for (const NodeId voter : configuration().voters) {
    if (voter != config_.id) {
      send_after_persist(
          voter, term,
          RequestVote{.kind = kind, .last_log_index = log_.last_index(), .last_log_term = log_.last_term()});
    }
  }
  count_vote(config_.id, VoteAnswer::granted);
}

void Raft::count_vote(NodeId voter, VoteAnswer answer) {
  if (!is_voter(voter)) {
    return;
  }
  votes_.emplace(voter, answer);  // a second answer of one voter changes nothing
  const auto granted = static_cast<std::size_t>(
      std::ranges::count(votes_, VoteAnswer::granted, [](const auto& vote) { return vote.second; }));
  const auto quorum_bonus = static_cast<std::size_t>(is_mutated(Mutant::half_elects));
  switch (tally(granted + quorum_bonus, votes_.size() - granted, configuration().voters.size())) {
    case Tally::pending:
      return;
    case Tally::lost:
      return become_follower(current_term_, kNobody);
    case Tally::won:
      return role_ == Role::pre_candidate ? campaign(VoteKind::vote) : become_leader();
  }
}

/// A leader is at work as far as this member can tell; who asks for votes meanwhile is cut off, or was removed.
bool Raft::hears_leader() const {
  return role_ == Role::leader || (leader_ != kNobody && election_elapsed_ < config_.election_ticks_min);
}

/// Figure 2, RequestVote, receiver rules 1 and 2. Whether this member is a voter is the candidate's to know: the entry
/// that promoted it may not be here yet, and the others may need this vote to commit it.
bool Raft::grants(const Message& message, const RequestVote& request) const {
  if (message.term < current_term_) {
    return false;
  }
  if (message.term == current_term_ && voted_for_ != kNobody && voted_for_ != message.from &&
      !is_mutated(Mutant::two_votes)) {
    return false;
  }
  // §5.4.1: the later last term is more up to date; of equal terms, the longer log.
  return std::pair(request.last_log_term, request.last_log_index) >= std::pair(log_.last_term(), log_.last_index()) ||
         is_mutated(Mutant::stale_log_elected);
}

void Raft::on(const Message& message, const RequestVote& request) {
  const bool is_pre_vote = request.kind == VoteKind::pre_vote;
  const bool held_up = hears_leader() && request.kind != VoteKind::transfer_vote;
  if (message.term > current_term_ && (!is_pre_vote || is_mutated(Mutant::pre_vote_raises_term)) && !held_up) {
    become_follower(message.term, kNobody);
  }
  const bool granted = !held_up && grants(message, request);
  if (granted && !is_pre_vote) {
    voted_for_ = message.from;
    election_elapsed_ = 0;
  }
  const VoteAnswer answer = granted ? VoteAnswer::granted : VoteAnswer::refused;
  output_.events.emplace_back(
      VoteCast{.term = message.term, .candidate = message.from, .kind = request.kind, .answer = answer});
  // A pre-vote is granted in the term asked about, which nobody has reached; everything else is said in this member's
  // own term, so that a candidate left behind learns of it (FAULTS 13).
  const Term term = granted && is_pre_vote ? message.term : current_term_;
  if (is_mutated(Mutant::vote_before_disk) && !is_pre_vote) {
    return send_at_once(message.from, RequestVoteReply{.kind = request.kind, .answer = answer});
  }
  send_after_persist(message.from, term, RequestVoteReply{.kind = request.kind, .answer = answer});
}

void Raft::on(const Message& message, const RequestVoteReply& reply) {
  if (reply.kind == VoteKind::pre_vote && reply.answer == VoteAnswer::granted) {
    if (role_ == Role::pre_candidate && message.term == current_term_.next()) {
      count_vote(message.from, reply.answer);
    }
    return;
  }
  const bool current = is_of_current_term(message) || is_mutated(Mutant::old_votes_count);
  if (reply.kind == VoteKind::pre_vote) {
    // A refusal counts even from a member that is a term behind.
    if (role_ == Role::pre_candidate) {
      count_vote(message.from, reply.answer);
    }
  } else if (current && role_ == Role::candidate) {
    count_vote(message.from, reply.answer);
  }
}

// --- time

void Raft::restart_election_timer() {
  election_elapsed_ = 0;
  election_timeout_ = random_.between(config_.election_ticks_min, config_.election_ticks_max);
}

/// Check-quorum: a leader that nobody answers must not believe for ever that it is one (FAULTS 9, 10).
bool Raft::hears_majority() const {
  const auto heard = std::ranges::count_if(leadership_->followers, [&](const Progress& follower) {
    return is_voter(follower.node()) && follower.silent_ticks() < config_.election_ticks_max;
  });
  const std::size_t own = is_voter(config_.id) ? 1 : 0;
  return static_cast<std::size_t>(heard) + own >= majority(configuration().voters.size());
}

void Raft::tick_leader() {
  for (Progress& follower : leadership_->followers) {
    follower.tick();
  }
  if (!hears_majority() && !is_mutated(Mutant::no_check_quorum)) {
    return become_follower(current_term_, kNobody);
  }
  if (leadership_->transfer && ++leadership_->transfer->ticks >= config_.election_ticks_max) {
    leadership_->transfer.reset();
  }
  if (++leadership_->heartbeat_ticks >= config_.heartbeat_ticks) {
    leadership_->heartbeat_ticks = 0;
    for (Progress& follower : leadership_->followers) {
      follower.require_heartbeat();
      follower.resume_catch_up();
      follower.repeat_snapshot(config_.election_ticks_max);
    }
  }
}

// --- hand-over

void Raft::transfer_leadership(NodeId to) {
  if (role_ != Role::leader || leadership_->transfer) {
    return;
  }
  const Progress* target = to == kNobody ? best_successor() : find_follower(to);
  if (target == nullptr || !is_voter(target->node())) {
    return;
  }
  leadership_->transfer = Transfer{.to = target->node()};
  continue_transfer(*target);
}

/// The voter that is heard and has most of the log.
const Progress* Raft::best_successor() const {
  const Progress* best = nullptr;
  for (const Progress& follower : leadership_->followers) {
    const bool fit = is_voter(follower.node()) && follower.silent_ticks() < config_.election_ticks_max;
    if (fit && (best == nullptr || follower.match_index() > best->match_index())) {
      best = &follower;
    }
  }
  return best;
}

/// Once the successor has everything it may start an election at once; if the message is lost, its next answer brings
/// another.
void Raft::continue_transfer(const Progress& follower) {
  const auto& transfer = leadership_->transfer;
  if (transfer && transfer->to == follower.node() && follower.match_index() == log_.last_index()) {
    send_at_once(follower.node(), TimeoutNow{});
  }
}

void Raft::on(const Message& message, const TimeoutNow&) {
  if (is_of_current_term(message) && role_ == Role::follower && message.from == leader_) {
    campaign(VoteKind::transfer_vote);
  }
}

Progress* Raft::find_follower(NodeId node) {
  const auto found = std::ranges::find(leadership_->followers, node, &Progress::node);
  return found == leadership_->followers.end() ? nullptr : &*found;
}

}  // namespace weir::raft
