// A follower's side of writing: hands writes to the leader and sees to their answers (DESIGN §4, "Answers across
// leader changes").
// Runs on the core strand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "broker/core/ports.hpp"
#include "broker/core/write_job.hpp"

namespace weir::broker {

class Forwarder {
 public:
  /// `lead`: takes a write when this node itself leads.
  Forwarder(PeerNetwork& network, Clock& clock, raft::NodeId self, std::uint64_t boot_nonce,
            std::function<void(WriteJob)> lead);

  /// Takes a write; the caller has seen to the bounds.
  void submit(WriteJob job);
  /// Who leads now: kNobody while nobody is known, this node itself when it leads.
  void leader_is(raft::NodeId leader);
  /// What was handed to `peer` may be lost.
  void peer_lost(raft::NodeId peer);
  void replied(raft::NodeId from, wire::ForwardReply reply);
  /// Tries waiting writes again; answers what is past its deadline.
  void tick();
  void abandon(const std::string& why);

  [[nodiscard]] std::size_t pending() const { return jobs_.size(); }
  [[nodiscard]] std::uint64_t forwarded() const { return forwarded_; }

 private:
  struct Job {
    WriteJob write;
    raft::NodeId handed_to = raft::kNobody;  ///< kNobody = with us
    std::uint64_t not_before_us = 0;         ///< after a "not leader": do not ask the same again at once
  };

  void dispatch();
  void hand_over(std::uint64_t number, Job& job);
  void expire(std::uint64_t now_us);
  /// Takes out the jobs that `ends` names; to be answered when no iterator is open, as a callback may come back here.
  template <class Ends>
  std::vector<WriteJob> take_out(const Ends& ends);

  PeerNetwork& network_;
  Clock& clock_;
  raft::NodeId self_;
  std::uint64_t boot_nonce_;
  std::function<void(WriteJob)> lead_;
  raft::NodeId leader_ = raft::kNobody;
  std::map<std::uint64_t, Job> jobs_;  ///< by forward number: the order of arrival
  std::uint64_t last_number_ = 0;
  std::uint64_t forwarded_ = 0;
};

}  // namespace weir::broker
