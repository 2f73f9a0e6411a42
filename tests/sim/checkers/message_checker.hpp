// What a node says must be on its disk already: votes, terms, matched entries (FAULTS 2, 3, 121). One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>

#include "broker/core/status.hpp"
#include "tests/sim/checkers/verdict.hpp"
#include "wire/peer_message.hpp"

namespace weir::sim {

class SimNode;

class MessageChecker {
 public:
  explicit MessageChecker(Verdict& verdict) : verdict_(verdict) {}

  void sent(const SimNode& node, const raft::Message& message);
  /// `voter`, in the life of its disk that has this incarnation, has granted this vote, or has stood itself.
  [[nodiscard]] bool has_voted(const SimNode& voter, std::uint64_t incarnation, raft::Term term,
                               raft::NodeId candidate) const;
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
  /// Who, in which life of its disk, when -> for whom.
  std::map<std::tuple<std::size_t, std::uint64_t, raft::Term>, raft::NodeId> votes_;
};

}  // namespace weir::sim
