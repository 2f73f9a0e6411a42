// What peers have shown to be on their disks, so that an older copy of a data folder that is put back is noticed
// (FAULTS 25). In memory: a node that starts has seen nothing yet.
// Runs on the core strand. Deterministic.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "broker/core/ports.hpp"
#include "raft/message.hpp"
#include "wire/peer_message.hpp"

namespace weir::broker {

class PeerHistory {
 public:
  /// A message came from this life of `peer`.
  void heard(raft::NodeId peer, const PeerLife& life, const raft::Message& message);
  /// What is less in `hello` than an earlier life with the same data folder has shown; nothing if all is well.
  [[nodiscard]] std::optional<std::string> contradiction(const wire::Hello& hello) const;

 private:
  /// Durable before it was said.
  struct Shown {
    raft::Term term;
    /// To this node as the leader of `acknowledged_term`. Later leaders may have cut it off, but then the term is
    /// higher as well.
    raft::Term acknowledged_term;
    raft::Index acknowledged;
  };
  struct Life {
    std::uint64_t boot_nonce = 0;
    Shown shown;
  };
  struct Peer {
    std::uint64_t incarnation = 0;
    std::deque<Life> lives;  ///< the latest few: messages of an earlier one may come after those of a later one
    Shown before;            ///< all earlier lives together
  };
  static void add(Shown& shown, const Shown& more);

  std::map<raft::NodeId, Peer> peers_;
};

}  // namespace weir::broker
