#include "broker/core/peer_history.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace weir::broker {
namespace {

/// Messages are under way for seconds; nobody starts so often in that time.
constexpr std::size_t kLivesMax = 8;

/// Its term is on the sender's disk: not so that of a pre-vote, which may never come about.
[[nodiscard]] bool shows_term(const raft::Message& message) {
  if (const auto* vote = std::get_if<raft::RequestVote>(&message.body)) {
    return vote->kind != raft::VoteKind::pre_vote;
  }
  return std::holds_alternative<raft::AppendEntries>(message.body) ||
         std::holds_alternative<raft::AppendEntriesReply>(message.body);
}

}  // namespace

void PeerHistory::add(Shown& shown, const Shown& more) {
  shown.term = std::max(shown.term, more.term);
  if (std::pair(more.acknowledged_term, more.acknowledged) > std::pair(shown.acknowledged_term, shown.acknowledged)) {
    shown.acknowledged_term = more.acknowledged_term;
    shown.acknowledged = more.acknowledged;
  }
}

void PeerHistory::heard(raft::NodeId peer, const PeerLife& life, const raft::Message& message) {
  if (!shows_term(message)) {
    return;
  }
  Peer& known = peers_[peer];
  if (known.incarnation != life.incarnation) {
    known = {.incarnation = life.incarnation, .lives = {}, .before = {}};
  }
  auto one = std::ranges::find(known.lives, life.boot_nonce, &Life::boot_nonce);
  if (one == known.lives.end()) {
    if (known.lives.size() == kLivesMax) {
      add(known.before, known.lives.front().shown);
      known.lives.pop_front();
    }
    one = known.lives.insert(known.lives.end(), Life{.boot_nonce = life.boot_nonce, .shown = {}});
  }
  Shown shown{.term = message.term, .acknowledged_term = {}, .acknowledged = {}};
  const auto* reply = std::get_if<raft::AppendEntriesReply>(&message.body);
  if (reply != nullptr && reply->answer == raft::AppendAnswer::matched) {
    shown.acknowledged_term = message.term;
    shown.acknowledged = reply->match_index;
  }
  add(one->shown, shown);
}

std::optional<std::string> PeerHistory::contradiction(const wire::Hello& hello) const {
  const auto place = peers_.find(wire::node_id(hello.node));
  if (place == peers_.end() || place->second.incarnation != hello.incarnation || hello.cluster_id.empty()) {
    return std::nullopt;
  }
  Shown shown = place->second.before;
  for (const Life& life : place->second.lives) {
    if (life.boot_nonce != hello.boot_nonce) {
      add(shown, life.shown);
    }
  }
  if (hello.started_term < shown.term) {
    return "it began with term " + std::to_string(hello.started_term.value) + " and had shown term " +
           std::to_string(shown.term.value);
  }
  if (hello.started_term == shown.acknowledged_term && hello.started_index < shown.acknowledged) {
    return "its log began with " + std::to_string(hello.started_index.value) + " entries and it had acknowledged " +
           std::to_string(shown.acknowledged.value);
  }
  return std::nullopt;
}

}  // namespace weir::broker
