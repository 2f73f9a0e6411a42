#include "tests/sim/sim_network.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/describe.hpp"
#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

constexpr std::uint64_t kBackoffMinMs = 50;
constexpr std::uint64_t kBackoffMaxMs = 1'000;
/// A handshake that got no answer is given up.
constexpr std::uint64_t kHandshakeUs = 2 * kSecond;
/// A cut is noticed within the silence that the real links allow.
constexpr std::uint32_t kSilenceMaxMs = 5'000;

[[nodiscard]] std::uint64_t mark_of(const wire::PeerMessage& message) {
  const auto* raft_message = std::get_if<raft::Message>(&message);
  return raft_message == nullptr ? message.index() : 16 + raft_message->body.index() + 32 * raft_message->term.value;
}

[[nodiscard]] std::string text_of(const wire::PeerMessage& message) {
  if (const auto* raft_message = std::get_if<raft::Message>(&message)) {
    auto text = raft::describe(*raft_message);
    // Who to whom stands in front already, with names.
    const std::size_t ids = text.find(' ');
    return text.erase(ids, text.find(' ', ids + 1) - ids);
  }
  static constexpr const char* kNames[] = {"Hello", "Welcome", "Found", "Raft", "Forward", "ForwardReply"};
  return kNames[message.index()];
}

}  // namespace

SimNetwork::SimNetwork(World& world, Dice dice)
    : world_(world),
      dice_(dice),
      usual_delay_us_(dice_.chance(1, 4) ? dice_.between(2'000, 20'000) : dice_.between(100, 1'500)),
      lost_per_mille_(dice_.chance(1, 3) ? dice_.between(1, 60) : 0),
      wild_(dice_.chance(1, 4)) {}

// --- connections

void SimNetwork::started(std::size_t node) {
  std::erase_if(dialled_, [node](const Way& way) { return way.first == node; });
  for (const std::string& peer : world_.nodes[node]->peers()) {
    connect(node, peer);
  }
}

void SimNetwork::connect(std::size_t from, const std::string& name) {
  const std::size_t to = place_of(wire::node_id(name));
  if (from != to && dialled_.insert({from, to}).second) {
    links_[{from, to}] = {};
    dial(from, to, dice_.between(0, 20'000));
  }
}

void SimNetwork::stopped(std::size_t node) {
  // A process that dies is noticed at once, a machine that dies after a silence.
  const std::uint64_t notice_us =
      dice_.chance(4, 5) ? dice_.between(500, 5'000) : dice_.between(100, kSilenceMaxMs) * kMillisecond;
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, connection] : connections_) {
    if (connection.from == node || connection.to == node) {
      numbers.push_back(number);
    }
  }
  for (const std::uint64_t number : numbers) {
    break_connection(number, notice_us);
  }
  for (std::size_t other = 0; other < world_.nodes.size(); ++other) {
    links_[{node, other}] = {};
    callers_[{other, node}] = 0;
  }
}

void SimNetwork::dial(std::size_t from, std::size_t to, std::uint64_t delay_us) {
  world_.nodes[from]->later(delay_us, [this, from, to] { attempt(from, to); });
}

void SimNetwork::retry(std::size_t from, std::size_t to) {
  Link& link = links_[{from, to}];
  link.up = false;
  link.connection = 0;
  const std::uint64_t pause_ms = link.backoff_ms - dice_.below(link.backoff_ms / 2);
  link.backoff_ms = std::min(link.backoff_ms * 2, kBackoffMaxMs);
  dial(from, to, pause_ms * kMillisecond);
}

void SimNetwork::attempt(std::size_t from, std::size_t to) {
  if (is_cut(from, to) || is_cut(to, from) || !world_.nodes[to]->running()) {
    return retry(from, to);
  }
  const std::uint64_t number = ++last_connection_;
  const auto hello = world_.nodes[from]->node().hello();
  links_[{from, to}].connection = number;
  connections_[number] = {
      .from = from, .to = to, .life = {.incarnation = hello.incarnation, .boot_nonce = hello.boot_nonce}, .held = {}};
  world_.nodes[to]->later(delay_us(), [this, number, hello] { accept(number, hello); });
  world_.nodes[from]->later(kHandshakeUs, [this, number, from, to] {
    const Link& link = links_[{from, to}];
    if (link.connection == number && !link.up) {
      break_connection(number, 0);
      retry(from, to);
    }
  });
}

void SimNetwork::accept(std::uint64_t number, const wire::Hello& caller) {
  const auto place = connections_.find(number);
  if (place == connections_.end() || place->second.broken) {
    return;
  }
  Connection& connection = place->second;
  SimNode& called = *world_.nodes[connection.to];
  wire::Welcome answer{.hello = called.node().hello(), .refusal = {}};
  if (const auto judged = called.node().judge(caller); !judged) {
    answer.refusal = judged.error();
  } else {
    connection.accepted = true;
    ++callers_[{connection.from, connection.to}];
    called.node().peer_up(caller);
  }
  if (!is_cut(connection.to, connection.from)) {
    world_.nodes[connection.from]->later(delay_us(), [this, number, answer] { welcome(number, answer); });
  }
}

void SimNetwork::welcome(std::uint64_t number, const wire::Welcome& answer) {
  const auto place = connections_.find(number);
  if (place == connections_.end() || place->second.broken) {
    return;
  }
  const Connection& connection = place->second;
  SimNode& caller = *world_.nodes[connection.from];
  Link& link = links_[{connection.from, connection.to}];
  if (link.connection != number) {
    return;
  }
  if (!answer.refusal.empty() || !caller.node().judge(answer.hello)) {
    const auto [from, to] = Way{connection.from, connection.to};
    break_connection(number, 0);
    return retry(from, to);
  }
  link.up = true;
  link.backoff_ms = kBackoffMinMs;
  caller.node().peer_up(answer.hello);
}

void SimNetwork::break_connection(std::uint64_t number, std::uint64_t notice_us) {
  Connection& connection = connections_.at(number);
  if (std::exchange(connection.broken, true)) {
    return;
  }
  connection.held.clear();
  const auto [from, to] = Way{connection.from, connection.to};
  if (world_.nodes[from]->running()) {
    world_.nodes[from]->later(notice_us, [this, number, from, to] { lose_callee(number, from, to); });
  }
  if (world_.nodes[to]->running()) {
    world_.nodes[to]->later(notice_us + dice_.between(0, 2'000), [this, number] { lose_caller(number); });
  } else {
    connection.accepted = false;
  }
}

void SimNetwork::lose_callee(std::uint64_t number, std::size_t from, std::size_t to) {
  Link& link = links_[{from, to}];
  if (link.connection != number || !link.up) {
    return;
  }
  link.up = false;
  world_.nodes[from]->node().peer_down(world_.nodes[to]->id());
  retry(from, to);
}

/// As PeerPort: a peer that only ever called is gone with its last call.
void SimNetwork::lose_caller(std::uint64_t number) {
  Connection& connection = connections_.at(number);
  if (!std::exchange(connection.accepted, false)) {
    return;
  }
  const auto [from, to] = Way{connection.from, connection.to};
  const bool was_last = --callers_[{from, to}] == 0;
  if (was_last && !links_[{to, from}].up) {
    world_.nodes[to]->node().peer_down(world_.nodes[from]->id());
  }
}

// --- cuts

void SimNetwork::cut(std::size_t from, std::size_t to) {
  if (!cuts_.emplace(Way{from, to}, ++last_cut_).second) {
    return;
  }
  const std::uint64_t number = last_cut_;
  const std::uint64_t silence_us = dice_.between(50, kSilenceMaxMs) * kMillisecond;
  world_.timeline.after(silence_us, [this, way = Way{from, to}, number] {
    const auto place = cuts_.find(way);
    if (place != cuts_.end() && place->second == number) {
      break_if_still_cut(way);
    }
  });
}

/// Data does not get through on one connection, acknowledgements not on the other.
void SimNetwork::break_if_still_cut(Way way) {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, connection] : connections_) {
    const Way one{connection.from, connection.to};
    const Way other{connection.to, connection.from};
    if (!connection.broken && (one == way || other == way)) {
      numbers.push_back(number);
    }
  }
  for (const std::uint64_t number : numbers) {
    break_connection(number, dice_.between(0, 2'000));
  }
}

void SimNetwork::heal(std::size_t from, std::size_t to) {
  if (cuts_.erase({from, to}) == 0) {
    return;
  }
  // TCP sends again what was not acknowledged.
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, connection] : connections_) {
    if (connection.from == from && connection.to == to && !connection.broken) {
      numbers.push_back(number);
    }
  }
  for (const std::uint64_t number : numbers) {
    for (auto& message : std::exchange(connections_.at(number).held, {})) {
      transmit(number, std::move(message));
    }
  }
}

void SimNetwork::heal_all() {
  while (!cuts_.empty()) {
    const auto [from, to] = cuts_.begin()->first;
    heal(from, to);
  }
}

// --- messages

std::uint64_t SimNetwork::delay_us() {
  if (!calm_ && dice_.chance(1, wild_ ? 40 : 300)) {
    return dice_.between(20'000, wild_ ? 700'000 : 150'000);
  }
  return usual_delay_us_ / 2 + dice_.between(0, usual_delay_us_);
}

std::size_t SimNetwork::place_of(raft::NodeId node) const {
  const auto place = std::ranges::find_if(world_.nodes, [node](const auto& each) { return each->id() == node; });
  WEIR_CHECK(place != world_.nodes.end(), node);
  return static_cast<std::size_t>(place - world_.nodes.begin());
}

void SimNetwork::spoil(wire::PeerMessage& message) const {
  auto* raft_message = std::get_if<raft::Message>(&message);
  if (raft_message == nullptr) {
    return;
  }
  auto* vote = std::get_if<raft::RequestVoteReply>(&raft_message->body);
  if (vote != nullptr && world_.settings.mistake == Mistake::refusal_flipped) {
    vote->answer = raft::VoteAnswer::granted;
  }
  auto* reply = std::get_if<raft::AppendEntriesReply>(&raft_message->body);
  if (reply != nullptr && world_.settings.mistake == Mistake::reply_inflated) {
    reply->match_index = reply->match_index.next();
  }
}

broker::Sent SimNetwork::send(std::size_t from, raft::NodeId to_node, wire::PeerMessage message) {
  const std::size_t to = place_of(to_node);
  const Link& link = links_[{from, to}];
  if (!link.up) {
    return broker::Sent::dropped;
  }
  world_.checkers->sent(*world_.nodes[from], message);
  spoil(message);
  const bool is_raft = std::holds_alternative<raft::Message>(message);
  const bool twice =
      is_raft ? !calm_ && dice_.chance(1, 150)
              : world_.settings.mistake == Mistake::forward_repeated && std::holds_alternative<wire::Forward>(message);
  const std::uint32_t lost_per_mille = calm_ ? always_lost_per_mille_ : lost_per_mille_;
  if (is_raft && lost_per_mille > 0 && dice_.chance(lost_per_mille, 1'000)) {
    ++world_.history.coverage.messages_lost;
    return broker::Sent::queued;
  }
  if (twice) {
    ++world_.history.coverage.messages_doubled;
    transmit(link.connection, message);
  }
  transmit(link.connection, std::move(message));
  return broker::Sent::queued;
}

void SimNetwork::transmit(std::uint64_t number, wire::PeerMessage message) {
  Connection& connection = connections_.at(number);
  if (connection.broken) {
    return;
  }
  if (is_cut(connection.from, connection.to)) {
    connection.held.push_back(std::move(message));
    return;
  }
  std::uint64_t arrival_us = world_.timeline.now_us() + delay_us();
  for (const std::size_t end : {connection.from, connection.to}) {
    const auto slow = slow_us_.find(end);
    arrival_us += slow == slow_us_.end() ? 0 : slow->second;
  }
  const bool overtakes = !calm_ && std::holds_alternative<raft::Message>(message) && dice_.chance(1, wild_ ? 5 : 100);
  if (overtakes) {
    ++world_.history.coverage.messages_overtaken;
  } else {
    arrival_us = connection.clear_at_us = std::max(arrival_us, connection.clear_at_us);
  }
  world_.nodes[connection.to]->later(
      arrival_us - world_.timeline.now_us(),
      [this, number, message = std::move(message)]() mutable { deliver(number, std::move(message)); });
}

void SimNetwork::deliver(std::uint64_t number, wire::PeerMessage message) {
  const auto place = connections_.find(number);
  if (place == connections_.end() || !place->second.accepted) {
    return;
  }
  const Connection& connection = place->second;
  world_.history.note("deliver", connection.from, connection.to, mark_of(message));
  world_.history.say([&] {
    return world_.nodes[connection.from]->name() + "->" + world_.nodes[connection.to]->name() + " " + text_of(message);
  });
  SimNode& to = *world_.nodes[connection.to];
  const raft::NodeId from = world_.nodes[connection.from]->id();
  const broker::PeerLife life = connection.life;
  const auto* late = std::get_if<raft::Message>(&message);
  if (late == nullptr || late->term >= world_.checkers->raft.term_of(to)) {
    return to.node().peer_message(from, life, std::move(message));
  }
  const raft::Message copy = *late;
  const broker::NodeStatus before = to.node().status();
  to.node().peer_message(from, life, std::move(message));
  world_.checkers->messages.delivered(to, copy, before);
}

}  // namespace weir::sim
