#include "tests/sim/checkers/message_checker.hpp"

#include <algorithm>
#include <string>
#include <variant>

#include "raft/describe.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {

void MessageChecker::sent(const SimNode& node, const raft::Message& message) {
  if (node.is_empty()) {
    verdict_.fail("FAULTS 24: " + node.name() + ", which is empty, says: " + raft::describe(message));
  }
  std::visit([&](const auto& body) { check(node, message, body); }, message.body);
}

bool MessageChecker::has_voted(const SimNode& voter, std::uint64_t incarnation, raft::Term term,
                               raft::NodeId candidate) const {
  const auto vote = votes_.find({voter.place(), incarnation, term});
  return vote != votes_.end() && vote->second == candidate;
}

/// FAULTS 8: what was said in a term that is over changes nothing. (That a pre-vote was refused stays true.)
void MessageChecker::delivered(SimNode& node, const raft::Message& message, const broker::NodeStatus& before) {
  const auto* vote = std::get_if<raft::RequestVoteReply>(&message.body);
  if (message.term >= before.term || (vote != nullptr && vote->kind == raft::VoteKind::pre_vote)) {
    return;
  }
  const broker::NodeStatus after = node.node().status();
  const bool same_matches = std::ranges::equal(before.members, after.members, {}, &broker::MemberStatus::match_index,
                                               &broker::MemberStatus::match_index);
  if (after.role != before.role || after.term != before.term || after.commit_index != before.commit_index ||
      !same_matches) {
    verdict_.fail("FAULTS 8: a message of a term that is over moves " + node.name() + ": " + raft::describe(message));
  }
}

void MessageChecker::require_term(const SimNode& node, raft::Term term) {
  if (node.image().hard_state().current_term < term) {
    verdict_.fail(node.name() + " speaks in term " + std::to_string(term.value) + " before its disk knows it");
  }
}

void MessageChecker::require_vote(const SimNode& node, raft::Term term, raft::NodeId candidate) {
  require_term(node, term);
  const auto [place, is_first] = votes_.try_emplace({node.place(), node.incarnation(), term}, candidate);
  if (!is_first && place->second != candidate) {
    verdict_.fail(node.name() + " votes twice in term " + std::to_string(term.value));
  }
  const raft::HardState& durable = node.image().hard_state();
  if (durable.current_term == term && durable.voted_for != candidate) {
    verdict_.fail(node.name() + " tells of a vote in term " + std::to_string(term.value) + " that its disk lacks");
  }
}

void MessageChecker::check(const SimNode& node, const raft::Message& message, const raft::RequestVote& request) {
  if (request.kind != raft::VoteKind::pre_vote) {
    require_vote(node, message.term, node.id());
  }
}

void MessageChecker::check(const SimNode& node, const raft::Message& message, const raft::RequestVoteReply& reply) {
  const bool granted = reply.answer == raft::VoteAnswer::granted;
  if (granted && reply.kind != raft::VoteKind::pre_vote) {
    require_vote(node, message.term, message.to);
  } else if (!granted) {
    require_term(node, message.term);
  }
}

void MessageChecker::check(const SimNode& node, const raft::Message& message, const raft::AppendEntries&) {
  require_term(node, message.term);
}

void MessageChecker::check(const SimNode& node, const raft::Message& message, const raft::AppendEntriesReply& reply) {
  require_term(node, message.term);
  const auto& image = node.image();
  // In a later term another leader may have had them cut off since.
  if (reply.answer == raft::AppendAnswer::matched && image.hard_state().current_term == message.term &&
      image.last_index() < reply.match_index) {
    verdict_.fail("FAULTS 121: " + node.name() + " says it has entry " + std::to_string(reply.match_index.value) +
                  ", its disk ends at " + std::to_string(image.last_index().value));
  }
}

void MessageChecker::check(const SimNode& node, const raft::Message& message, const raft::InstallSnapshot&) {
  require_term(node, message.term);
}

/// FAULTS 27: what is said to be installed is on the disk, the log at least up to there.
void MessageChecker::check(const SimNode& node, const raft::Message& message, const raft::InstallSnapshotReply& reply) {
  require_term(node, message.term);
  if (reply.answer == raft::InstallAnswer::installed && node.image().last_index() < reply.index) {
    verdict_.fail("FAULTS 27: " + node.name() + " says it has installed the snapshot of entry " +
                  std::to_string(reply.index.value) + ", its disk ends at " +
                  std::to_string(node.image().last_index().value));
  }
}

}  // namespace weir::sim
