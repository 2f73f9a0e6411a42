// The network between simulated nodes, as broker/peer_links uses it: every node dials every other and only sends on the
// connection it dialled; a handshake comes first; a connection keeps its order and loses what is under way when it
// breaks. Raft messages are treated worse than TCP would: some are lost, doubled or overtaken. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/ports.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/world.hpp"
#include "wire/peer_message.hpp"

namespace weir::sim {

class SimNetwork {
 public:
  SimNetwork(World& world, Dice dice);

  void started(std::size_t node);
  /// `from` dials the node of that name from now on, if it does not yet.
  void connect(std::size_t from, const std::string& name);
  /// The process is gone: its peers notice sooner or later.
  void stopped(std::size_t node);
  /// From now on nothing gets from `from` to `to`. Connections that need this way break after a while.
  void cut(std::size_t from, std::size_t to);
  void heal(std::size_t from, std::size_t to);
  void heal_all();
  /// No more losses, repeats and spikes.
  void calm_down() { calm_ = true; }
  /// For tests: so many of a thousand Raft messages are lost all the same, and what goes to or comes from `node` takes
  /// so much longer.
  void lose(std::uint32_t per_mille) { always_lost_per_mille_ = per_mille; }
  void slow_down(std::size_t node, std::uint64_t us) { slow_us_[node] = us; }

  broker::Sent send(std::size_t from, raft::NodeId to, wire::PeerMessage message);

 private:
  using Way = std::pair<std::size_t, std::size_t>;  ///< from, to
  /// What a dialling node knows of its connection.
  struct Link {
    std::uint64_t connection = 0;  ///< the latest attempt
    bool up = false;
    std::uint64_t backoff_ms = 50;
  };
  struct Connection {
    std::size_t from = 0;
    std::size_t to = 0;
    broker::PeerLife life;          ///< of the dialling node
    bool accepted = false;          ///< the called end reads from it
    bool broken = false;            ///< what is sent from now on is lost
    std::uint64_t clear_at_us = 0;  ///< arrival of the last message: none overtakes it
    std::deque<wire::PeerMessage> held;
  };

  void dial(std::size_t from, std::size_t to, std::uint64_t delay_us);
  void attempt(std::size_t from, std::size_t to);
  void accept(std::uint64_t number, const wire::Hello& caller);
  void welcome(std::uint64_t number, const wire::Welcome& welcome);
  void retry(std::size_t from, std::size_t to);
  void break_connection(std::uint64_t number, std::uint64_t notice_us);
  void lose_callee(std::uint64_t number, std::size_t from, std::size_t to);
  void lose_caller(std::uint64_t number);
  void break_if_still_cut(Way way);
  void transmit(std::uint64_t number, wire::PeerMessage message);
  void deliver(std::uint64_t number, wire::PeerMessage message);
  void spoil(wire::PeerMessage& message) const;
  [[nodiscard]] std::uint64_t delay_us();
  [[nodiscard]] std::size_t place_of(raft::NodeId node) const;
  [[nodiscard]] bool is_cut(std::size_t from, std::size_t to) const { return cuts_.contains({from, to}); }

  World& world_;
  Dice dice_;
  std::uint32_t usual_delay_us_;
  std::uint32_t lost_per_mille_;
  bool wild_;  ///< some networks delay much and reorder often
  bool calm_ = false;
  std::uint32_t always_lost_per_mille_ = 0;
  std::map<std::size_t, std::uint64_t> slow_us_;  ///< by node
  std::set<Way> dialled_;                         ///< in this life of the one who dials
  std::map<Way, Link> links_;
  std::map<std::uint64_t, Connection> connections_;
  std::map<Way, std::size_t> callers_;  ///< accepted connections, by (caller, called)
  std::map<Way, std::uint64_t> cuts_;   ///< and the number of the cut
  std::uint64_t last_connection_ = 0;
  std::uint64_t last_cut_ = 0;
};

/// One node's way into it.
class SimPort final : public broker::PeerNetwork {
 public:
  SimPort(SimNetwork& network, std::size_t node) : network_(network), node_(node) {}
  broker::Sent send(raft::NodeId to, wire::PeerMessage message) override {
    return network_.send(node_, to, std::move(message));
  }
  void connect(const std::string& node, const std::string& /*address*/) override { network_.connect(node_, node); }

 private:
  SimNetwork& network_;
  std::size_t node_;
};

}  // namespace weir::sim
