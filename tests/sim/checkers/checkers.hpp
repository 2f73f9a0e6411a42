// All that is looked at while a simulation runs. One thread.
#pragma once

#include "tests/sim/checkers/client_checker.hpp"
#include "tests/sim/checkers/group_model.hpp"
#include "tests/sim/checkers/message_checker.hpp"
#include "tests/sim/checkers/model.hpp"
#include "tests/sim/checkers/raft_checker.hpp"
#include "tests/sim/checkers/read_checker.hpp"
#include "tests/sim/checkers/verdict.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

class Checkers {
 public:
  explicit Checkers(World& world)
      : groups(verdict),
        model(verdict, groups),
        raft(world, verdict,
             [this, &world](const raft::Entry& entry) {
               world.history.coverage.digests_compared += entry.command == raft::Command::digest ? 1 : 0;
               model.apply(entry);
               world.history.coverage.floors_raised = model.floors_raised();
             }),
        messages(verdict),
        clients(world, verdict, model, raft),
        readers(verdict, model) {}

  void started(SimNode& node) { raft.started(node); }
  void given(const SimNode& node, const broker::DiskWrite& write) { raft.given(node, write); }
  void durable(const SimNode& node) { raft.durable(node); }
  void raft_event(const SimNode& node, const raft::Event& event) { raft.raft_event(node, event); }
  void sent(const SimNode& node, const wire::PeerMessage& message) {
    if (const auto* raft_message = std::get_if<raft::Message>(&message)) {
      messages.sent(node, *raft_message);
    }
  }
  void ticked(SimNode& node) { raft.ticked(node); }
  /// Something happened on this node. Commits first: answers and reads of the same event are compared with them.
  void after(SimNode& node) {
    raft.after(node);
    clients.after();
    groups.after();
    readers.after();
  }

  Verdict verdict;
  GroupModel groups;
  Model model;
  RaftChecker raft;
  MessageChecker messages;
  ClientChecker clients;
  ReadChecker readers;
};

}  // namespace weir::sim
