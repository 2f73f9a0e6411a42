// Who the peers are, and what they say.
#include <algorithm>
#include <utility>

#include "broker/core/node_impl.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

/// Connected peers, members or not; beyond, no stranger is let in to wait.
constexpr std::size_t kStrangersMax = 64;

[[nodiscard]] bool is_life_of(const wire::Member& member, std::uint64_t incarnation) {
  return member.incarnation == incarnation || raft::is_mutated(raft::Mutant::any_life_counts);
}

}  // namespace

wire::Hello Node::Impl::hello() const {
  return {.version_min = wire::kProtocolVersion,
          .version_max = wire::kProtocolVersion,
          .cluster_id = identity_.cluster_id,
          .node = config_.name,
          .incarnation = identity_.incarnation,
          .boot_nonce = config_.boot_nonce,
          .members = config_.members,
          .raft_address = config_.raft_address,
          .http_address = config_.http_address,
          .started_term = started_term_,
          .started_index = started_index_,
          .lost_data = identity_.lost_data};
}

std::expected<void, std::string> Node::Impl::judge(const wire::Hello& hello) {
  if (hello.version_min > wire::kProtocolVersion || hello.version_max < wire::kProtocolVersion) {
    return std::unexpected("protocol versions " + std::to_string(hello.version_min) + "-" +
                           std::to_string(hello.version_max) + " and " + std::to_string(wire::kProtocolVersion) +
                           " have nothing in common; upgrade one of the nodes");
  }
  if (hello.node == config_.name) {
    return std::unexpected("node name '" + config_.name + "' is in use twice; give each node its own --node");
  }
  if (!hello.cluster_id.empty() && !identity_.cluster_id.empty() && hello.cluster_id != identity_.cluster_id) {
    return std::unexpected("cluster " + hello.cluster_id + " is not " + identity_.cluster_id +
                           "; one of the nodes has another cluster's data folder");
  }
  if (!cluster_) {
    // A member of a cluster may bring this node into it, whatever names it was started with: those may have gone.
    const bool is_listed = std::ranges::find(config_.members, hello.node) != config_.members.end();
    if (!is_listed && hello.cluster_id.empty()) {
      return std::unexpected("'" + hello.node + "' is no member here");
    }
    return {};
  }
  const auto* known = member(wire::node_id(hello.node));
  // An empty stranger may wait here to be added. One of this cluster may be a member by entries that are not here yet,
  // and be needed to get them: it is sent away only by those that have a leader, and is not that leader.
  const bool waits = hello.cluster_id.empty() && peers_.size() < kStrangersMax;
  const raft::NodeId leader = replica_ ? replica_->raft().leader() : raft::kNobody;
  const bool has_leader = leader != raft::kNobody && leader != wire::node_id(hello.node);
  if (known == nullptr && !waits && (has_leader || hello.cluster_id.empty())) {
    remember_stranger(hello);
    return std::unexpected("'" + hello.node + "' is no member here");
  }
  if (known != nullptr && !hello.cluster_id.empty() && known->incarnation != hello.incarnation && has_leader) {
    remember_stranger(hello);
    return std::unexpected("'" + hello.node +
                           "' comes with another data folder than the member of that name; "
                           "it must be removed and admitted anew");
  }
  return judge_copy(hello);
}

/// It was removed, or its admission did not last. With what it has it can be added again.
void Node::Impl::remember_stranger(const wire::Hello& hello) {
  const raft::NodeId node = wire::node_id(hello.node);
  if (!hello.cluster_id.empty() && (strangers_.contains(node) || strangers_.size() < kStrangersMax)) {
    strangers_[node] = hello;
  }
}

/// FAULTS 25: what a member acknowledged and has no more may be what a majority hangs on. So it counts for nothing
/// until it comes back empty.
std::expected<void, std::string> Node::Impl::judge_copy(const wire::Hello& hello) {
  const raft::NodeId node = wire::node_id(hello.node);
  const auto why = history_.contradiction(hello);
  if (!why) {
    set_back_.erase(node);
    return {};
  }
  const bool is_news = set_back_.insert_or_assign(node, SetBack{.incarnation = hello.incarnation, .why = *why}).second;
  const std::string text = "'" + hello.node + "' comes with an older copy of its data folder (" + *why +
                           "): it does not count; stop it, remove the folder and start it empty";
  if (is_news && events_.notice) {
    events_.notice(text);
  }
  return std::unexpected(text);
}

const Node::Impl::SetBack* Node::Impl::set_back(const wire::Member& member) const {
  const auto known = set_back_.find(member.node);
  return known != set_back_.end() && known->second.incarnation == member.incarnation ? &known->second : nullptr;
}

const wire::Member* Node::Impl::member(raft::NodeId node) const {
  if (!cluster_) {
    return nullptr;
  }
  const auto place = std::ranges::find(cluster_->members, node, &wire::Member::node);
  return place == cluster_->members.end() ? nullptr : &*place;
}

/// The peer that is connected now is the incarnation that CONFIG names: only it may vote and count (DESIGN §5).
bool Node::Impl::is_current(raft::NodeId peer) const {
  const auto* known = member(peer);
  const auto connected = peers_.find(peer);
  return known != nullptr && known->kind != wire::MemberKind::awaited && connected != peers_.end() &&
         is_life_of(*known, connected->second.incarnation) && !is_foreign(peer) && set_back(*known) == nullptr;
}

bool Node::Impl::shares_cluster(raft::NodeId peer) const {
  const auto connected = peers_.find(peer);
  return connected != peers_.end() && !connected->second.cluster_id.empty() &&
         connected->second.cluster_id == identity_.cluster_id;
}

bool Node::Impl::is_foreign(raft::NodeId peer) const {
  const auto connected = peers_.find(peer);
  return connected != peers_.end() && !connected->second.cluster_id.empty() &&
         connected->second.cluster_id != identity_.cluster_id;
}

void Node::Impl::peer_up(const wire::Hello& peer) {
  const raft::NodeId node = wire::node_id(peer.node);
  const auto before = peers_.find(node);
  const bool is_same = before != peers_.end() && before->second.incarnation == peer.incarnation;
  const std::string cluster_id = is_same ? before->second.cluster_id : std::string();
  peers_[node] = peer;
  if (peer.cluster_id.empty()) {
    peers_[node].cluster_id = cluster_id;  // said before it was founded: a folder never becomes empty again
  }
  strangers_.erase(node);
  bootstrap_.met(peer);
  if (cluster_) {
    if (member(node) == nullptr) {
      reach(peer.node, peer.raft_address);  // it waits to be added, or is a member by entries yet to come
    }
    help_found(peer);
    return;
  }
  if (!identity_.cluster_id.empty()) {
    return;  // a member whose log is being read
  }
  if (const auto cluster = bootstrap_.cluster_met(); cluster && phase_ == Phase::forming) {
    // Its CONFIG may name us yet: then Found follows and makes us a member after all.
    enter(Phase::waiting, "cluster " + *cluster + " exists and '" + config_.name +
                              "' is empty: waits to be admitted (does not vote, serves nothing)");
  } else if (phase_ == Phase::forming) {
    why_ = "waits for " + bootstrap_.waiting_for();
  }
  tick_bootstrap();
}

/// A founder that died half-way leaves members that CONFIG names and that know nothing of it yet.
void Node::Impl::help_found(const wire::Hello& peer) {
  const raft::NodeId node = wire::node_id(peer.node);
  if (!peer.cluster_id.empty() || !is_current(node)) {
    to_be_founded_.erase(node);
    if (events_.notice && peer.cluster_id.empty() && member(node) != nullptr) {
      events_.notice("'" + peer.node +
                     "' has an empty data folder and is no longer the member of that name: it does "
                     "not vote; the leader removes it and admits it anew");
    }
    return;
  }
  to_be_founded_.insert(node);
  const auto founder = std::ranges::find(founding_config_->members, node, &wire::Member::node);
  const bool admitted = founder == founding_config_->members.end() || founder->incarnation != peer.incarnation;
  wire::Found found{.config = wire::encode(*founding_config_)};
  if (admitted) {
    found.admission = wire::encode(*cluster_);
  }
  static_cast<void>(network_.send(node, std::move(found)));
}

void Node::Impl::peer_down(raft::NodeId peer) {
  if (const auto connected = peers_.find(peer); connected != peers_.end()) {
    bootstrap_.lost(connected->second.node);
    peers_.erase(connected);
  }
  forwarder_.peer_lost(peer);
}

/// What was given at start stands until CONFIG says that the member has moved.
void Node::Impl::reach(const std::string& name, const std::string& address) {
  const auto known = addresses_.find(name);
  if (known == addresses_.end()) {
    network_.connect(name, address);
  } else if (known->second != address) {
    network_.moved(name, address);
  }
  addresses_[name] = address;
}

void Node::Impl::peer_message(raft::NodeId peer, const PeerLife& life, wire::PeerMessage message) {
  if (phase_ == Phase::failed) {
    return;
  }
  if (auto* raft_message = std::get_if<raft::Message>(&message)) {
    on_raft_message(peer, life, std::move(*raft_message));
  } else if (const auto* founding = std::get_if<wire::Found>(&message)) {
    on_found(peer, *founding);
  } else if (auto* forward = std::get_if<wire::Forward>(&message)) {
    on_forward(peer, std::move(*forward));
  } else if (auto* reply = std::get_if<wire::ForwardReply>(&message)) {
    forwarder_.replied(peer, std::move(*reply));
  }
  settle();
}

void Node::Impl::on_raft_message(raft::NodeId peer, const PeerLife& life, raft::Message message) {
  const auto* known = member(peer);
  const bool counts = known != nullptr && is_life_of(*known, life.incarnation) &&
                      known->kind != wire::MemberKind::awaited && set_back(*known) == nullptr;
  // Thesis §4.1: a request is answered even if CONFIG here does not name the sender yet.
  const bool asks = !is_reply(message) && shares_cluster(peer) && peers_.at(peer).incarnation == life.incarnation;
  if (!replica_ || !(counts || asks) || is_foreign(peer) || message.from != peer || message.to != self_) {
    ++counters_.messages_refused;
    return;
  }
  if (const auto decoded = decode_configurations(message, own_identity()); !decoded) {
    ++counters_.messages_refused;
    // Rolling upgrade rule (DESIGN §3). A leader of the past may say what it likes: nobody follows it.
    if (message.term >= replica_->raft().current_term()) {
      fail("the leader's log has a CONFIG entry that cannot be read here: " + decoded.error() + "; upgrade this node");
    }
    return;
  }
  to_be_founded_.erase(peer);
  history_.heard(peer, life, message);
  if (peer == replica_->raft().leader()) {
    leader_heard_us_ = clock_.steady_us();
  }
  hear_report(message);
  replica_->step(std::move(message));
}

void Node::Impl::on_found(raft::NodeId peer, const wire::Found& found_message) {
  auto config = wire::decode_config(found_message.config);
  // A log that was restored or recovered begins with the CONFIG of another cluster; the one that lets a node in names
  // the cluster that it is let into.
  const auto naming = found_message.admission.empty() ? config : wire::decode_config(found_message.admission);
  if (!config || !naming) {
    ++counters_.messages_refused;
    return;
  }
  if (founding_now_ || !identity_.cluster_id.empty()) {
    // Empty when it connected, the peer was founded since: into this cluster, or, if a founder lost its disk half-way,
    // into another one that names the same members. Raft is not spoken between the two.
    if (const auto connected = peers_.find(peer); connected != peers_.end()) {
      connected->second.cluster_id = naming->cluster_id;
    }
    return;
  }
  if (const auto accepted = bootstrap_.accepts(*naming); !accepted) {
    enter(Phase::waiting, accepted.error() + ": waits to be admitted (does not vote, serves nothing)");
    return;
  }
  admission_data_ = found_message.admission;
  found(*std::move(config), naming->cluster_id);
}

void Node::Impl::on_forward(raft::NodeId peer, wire::Forward forward) {
  auto answer = [this, alive = std::weak_ptr(alive_), peer, number = forward.number,
                 nonce = forward.boot_nonce](wire::Outcome outcome) {
    if (!alive.expired()) {
      // A lost answer is the forwarder's to find out, by its deadline.
      static_cast<void>(network_.send(
          peer, wire::ForwardReply{.number = number, .boot_nonce = nonce, .outcome = std::move(outcome)}));
    }
  };
  const auto malformed = [&answer](const std::string& why) {
    answer(wire::Refused{.kind = wire::RefusalKind::malformed, .event = 0, .offset = {}, .detail = why});
  };
  if (forward.command == raft::Command::publish || forward.command == raft::Command::batch) {
    auto request = wire::PublishView::verify(std::move(forward.request));
    const bool is_batch = forward.command == raft::Command::batch;
    if (!request || request->request_count() != 1 || request->is_batch() != is_batch) {
      malformed(request ? "a forwarded write must be one request of its kind" : request.error().text);
      return;
    }
    accept(*std::move(request), Origin::forwarded, forward.timeout_ms, std::move(answer));
  } else if (forward.command == raft::Command::dedup) {
    auto entry = wire::decode_dedup(forward.request);
    if (!entry || entry->claims.size() != 1) {
      malformed(entry ? "a forwarded claim must be one claim" : entry.error().text);
      return;
    }
    accept(std::move(entry->claims.front()), Origin::forwarded, forward.timeout_ms, std::move(answer));
  } else if (forward.command == raft::Command::topic) {
    auto entry = wire::decode_topic(forward.request);
    if (!entry || entry->changes.size() != 1) {
      malformed(entry ? "a forwarded change must be of one topic" : entry.error().text);
      return;
    }
    accept(std::move(entry->changes.front()), Origin::forwarded, forward.timeout_ms, std::move(answer));
  } else if (forward.command == raft::Command::group) {
    auto entry = wire::decode_group(forward.request);
    if (!entry || entry->changes.size() != 1) {
      malformed(entry ? "a forwarded change must be of one group" : entry.error().text);
      return;
    }
    accept(std::move(entry->changes.front()), Origin::forwarded, forward.timeout_ms, std::move(answer));
  } else {
    malformed("only publishes, claims and changes of topics and groups are forwarded");
  }
}

}  // namespace weir::broker
