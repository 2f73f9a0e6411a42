// What a node says must be on its disk already: votes, terms, matched entries (FAULTS 2, 3, 121). One thread.
#pragma once

#include <cstddef>
#include <map>
#include <utility>

#include "broker/core/status.hpp"
#include "tests/sim/checkers/verdict.hpp"
#include "wire/peer_message.hpp"

namespace weir::sim {

class SimNode;

class MessageChecker {
 public:
  explicit MessageChecker(Verdict& verdict) : verdict_(verdict) {}

  void sent(const SimNode& node, const raft::Message& message);
  /// It was delivered; `before` is how the node was then.
  void delivered(SimNode& node, const raft::Message& message, const broker::NodeStatus& before);

 private:
  void check(const SimNode& node, const raft::Message& message, const raft::RequestVote& request);
  void check(const SimNode& node, const raft::Message& message, const raft::RequestVoteReply& reply);
  void check(const SimNode& node, const raft::Message& message, const raft::AppendEntries& request);
  void check(const SimNode& node, const raft::Message& message, const raft::AppendEntriesReply& reply);
  void check(const SimNode& node, const raft::Message& message, const raft::InstallSnapshot& request);
  void check(const SimNode& node, const raft::Message& message, const raft::InstallSnapshotReply& reply);
  template <class Other>
  void check(const SimNode& /*node*/, const raft::Message& /*message*/, const Other& /*other*/) {}
  void require_term(const SimNode& node, raft::Term term);
  void require_vote(const SimNode& node, raft::Term term, raft::NodeId candidate);

  Verdict& verdict_;
  std::map<std::pair<std::size_t, raft::Term>, raft::NodeId> votes_;  ///< who, when -> for whom
};

}  // namespace weir::sim
