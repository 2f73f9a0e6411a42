// Which members a node goes by, and how they change.
#include <algorithm>
#include <utility>

#include "broker/core/configuration.hpp"
#include "broker/core/node_impl.hpp"

namespace weir::broker {
namespace {

[[nodiscard]] ChangeRefusal to_refusal(raft::ChangeError error) {
  const std::string why(raft::to_string(error));
  switch (error) {
    case raft::ChangeError::not_leader:
      return {.kind = ChangeRefusalKind::not_leader, .detail = why};
    case raft::ChangeError::not_one_member:
    case raft::ChangeError::no_configuration:
    case raft::ChangeError::number_limit:
      return {.kind = ChangeRefusalKind::conflict, .detail = why};
    case raft::ChangeError::in_progress:
    case raft::ChangeError::term_is_new:
    case raft::ChangeError::not_caught_up:
    case raft::ChangeError::overloaded:
      break;
  }
  return {.kind = ChangeRefusalKind::busy, .detail = why + "; try again"};
}

}  // namespace

OwnIdentity Node::Impl::own_identity() const {
  return {.node = self_, .incarnation = identity_.incarnation};
}

bool Node::Impl::is_member() const {
  const auto* known = member(self_);
  return known != nullptr && known->incarnation == identity_.incarnation && known->kind != wire::MemberKind::awaited;
}

/// Raft uses the configuration of this entry from now on: so does the node.
void Node::Impl::follow_configuration(raft::Index index) {
  if (index != replica_->raft().configuration_index()) {
    return;  // another one followed in the same turn
  }
  const auto entries = replica_->raft().tail(index, index, 1);
  if (!entries.empty()) {
    auto config = wire::decode_config(entries.front().data);
    if (!config) {
      fail("log entry " + std::to_string(index.value) + ": " + config.error().text);
      return;
    }
    configs_[index] = *std::move(config);
  }
  const auto known = configs_.find(index);
  if (known == configs_.end()) {
    fail("log entry " + std::to_string(index.value) + ": the configuration to fall back to is not known");
    return;
  }
  cluster_ = known->second;
  configs_.erase(std::next(known), configs_.end());
  while (configs_.size() > 1 && std::next(configs_.begin())->first <= state_.applied_index()) {
    configs_.erase(configs_.begin());
  }
  members_changed();
}

void Node::Impl::members_changed() {
  for (const auto& member : cluster_->members) {
    if (member.node != self_) {
      reach(member.name, member.raft_address);
    }
  }
  for (const auto& [node, peer] : peers_) {
    if (member(node) == nullptr) {
      reach(peer.node, peer.raft_address);  // it waits to be added, or is a member by entries yet to come
    }
    help_found(peer);
  }
  if (phase_ == (is_member() ? Phase::waiting : Phase::running)) {
    enter_membership();
  }
}

void Node::Impl::enter_membership() {
  if (is_member()) {
    enter(Phase::running, "member of cluster " + identity_.cluster_id);
    return;
  }
  enter(Phase::waiting, "cluster " + identity_.cluster_id + " does not have this data folder of '" + config_.name +
                            "' (yet, or any more): it does not vote");
}

// --- asked for

void Node::Impl::change_members(const MemberChange& change, std::uint32_t timeout_ms, ChangeDone done) {
  if (!replica_ || !replica_->leads()) {
    done(std::unexpected(ChangeRefusal{.kind = ChangeRefusalKind::not_leader, .detail = "not the leader"}));
    return;
  }
  if (pending_change_) {
    done(std::unexpected(ChangeRefusal{.kind = ChangeRefusalKind::busy, .detail = "another change is under way"}));
    return;
  }
  auto next = changed(*cluster_, change, heard(wire::node_id(change.node)), members_without_data());
  if (!next) {
    done(std::unexpected(std::move(next.error())));
    return;
  }
  const auto index = replica_->change_membership(to_proposal(*next, own_identity()));
  if (!index) {
    done(std::unexpected(to_refusal(index.error())));
    return;
  }
  pending_change_ = PendingChange{.index = *index,
                                  .term = replica_->raft().current_term(),
                                  .deadline_us = deadline(timeout_ms),
                                  .done = std::move(done)};
  settle();
}

const wire::Hello* Node::Impl::heard(raft::NodeId node) const {
  // Who is connected may be gone already, and the next life of its disk have been sent away since.
  if (const auto stranger = strangers_.find(node); stranger != strangers_.end()) {
    return &stranger->second;
  }
  const auto peer = peers_.find(node);
  return peer == peers_.end() ? nullptr : &peer->second;
}

std::set<raft::NodeId> Node::Impl::members_without_data() const {
  std::set<raft::NodeId> lost;
  for (const auto& member : cluster_->members) {
    const auto peer = peers_.find(member.node);
    const bool is_empty = member.node != self_ && peer != peers_.end() && peer->second.cluster_id.empty() &&
                          peer->second.incarnation != member.incarnation;
    if (is_empty || set_back(member) != nullptr) {
      lost.insert(member.node);
    }
  }
  return lost;
}

void Node::Impl::answer_change() {
  if (!pending_change_) {
    return;
  }
  const raft::Raft& raft = replica_->raft();
  const bool known = pending_change_->index >= raft.first_index();
  const bool lost = known && raft.term_at(pending_change_->index) != pending_change_->term;
  const bool applied = known && state_.applied_index() >= pending_change_->index;
  if (!lost && !applied && clock_.steady_us() < pending_change_->deadline_us) {
    return;
  }
  PendingChange change = *std::exchange(pending_change_, std::nullopt);
  if (lost) {
    change.done(std::unexpected(ChangeRefusal{.kind = ChangeRefusalKind::busy, .detail = "another leader undid it"}));
  } else if (applied) {
    change.done(change.index);
  } else {
    change.done(std::unexpected(
        ChangeRefusal{.kind = ChangeRefusalKind::outcome_unknown, .detail = "not committed in time; it may still be"}));
  }
}

std::expected<void, ChangeRefusal> Node::Impl::transfer_leadership(const std::string& to) {
  if (!replica_ || !replica_->leads()) {
    return std::unexpected(ChangeRefusal{.kind = ChangeRefusalKind::not_leader, .detail = "not the leader"});
  }
  const auto* successor = to.empty() ? nullptr : member(wire::node_id(to));
  if (!to.empty() && (successor == nullptr || successor->kind != wire::MemberKind::voter)) {
    return std::unexpected(
        ChangeRefusal{.kind = ChangeRefusalKind::no_member, .detail = "there is no voter '" + to + "'"});
  }
  replica_->transfer_leadership(successor == nullptr ? raft::kNobody : successor->node);
  settle();
  return {};
}

std::expected<void, ChangeRefusal> Node::Impl::set_service(Service service) {
  const auto refuse = [this](const std::string& why) {
    return std::unexpected(ChangeRefusal{.kind = ChangeRefusalKind::conflict, .detail = config_.name + ' ' + why});
  };
  if (service == Service::normal) {
    if (drained_) {
      drained_ = false;
      enter_membership();
    }
    return {};
  }
  if (drained_) {
    return {};
  }
  if (phase_ != Phase::running) {
    return refuse("is " + std::string(to_string(phase_)) + ": " + why_);
  }
  const auto& voters = replica_->raft().configuration().voters;
  if (voters.size() == 1 && voters.front() == self_) {
    return refuse("is the only voter: drained, nobody would take writes; to stop it, send it SIGTERM");
  }
  drained_ = true;
  enter(Phase::draining, "drained by an operator, until it is put back into service or starts again");
  tend_service();
  return {};
}

void Node::Impl::tend_service() {
  if (drained_ && replica_->leads()) {
    replica_->transfer_leadership();
    settle();
  }
}

// --- by itself

/// Who restores or recovers a log cannot know where its node will be reached: the node says so itself.
std::optional<wire::ConfigEntry> Node::Impl::with_own_address() const {
  wire::ConfigEntry next = *cluster_;
  const auto self = std::ranges::find(next.members, self_, &wire::Member::node);
  if (self == next.members.end() || !self->raft_address.empty() || config_.raft_address.empty()) {
    return std::nullopt;
  }
  self->raft_address = config_.raft_address;
  self->http_address = config_.http_address;
  return next;
}

/// The leader brings wiped members back and promotes those that are caught up (DESIGN §5).
void Node::Impl::tend_members() {
  if (!replica_ || !replica_->leads() || pending_change_) {
    return;
  }
  std::set<raft::NodeId> caught_up;
  for (const raft::ProgressView& view : replica_->raft().progress()) {
    if (view.is_learner && view.is_caught_up) {
      caught_up.insert(view.node);
    }
  }
  if (const auto next = with_own_address()) {
    [[maybe_unused]] const auto proposed = replica_->change_membership(to_proposal(*next, own_identity()));
    return;
  }
  const bool by_hand = config_.readmission == Readmission::by_hand;
  std::set<raft::NodeId> older_copies;
  for (const auto& member : cluster_->members) {
    if (set_back(member) != nullptr && !by_hand) {
      older_copies.insert(member.node);
    }
  }
  static const Peers kNobodyHeard;
  if (const auto next = next_step(*cluster_, self_, by_hand ? kNobodyHeard : peers_, caught_up, older_copies)) {
    // Refused while another change is under way: then it is tried again.
    [[maybe_unused]] const auto proposed = replica_->change_membership(to_proposal(*next, own_identity()));
  }
}

}  // namespace weir::broker
