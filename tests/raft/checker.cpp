#include "tests/raft/checker.hpp"

#include <algorithm>

#include "raft/describe.hpp"
#include "raft/quorum.hpp"

namespace weir::raft::test {

Checker::Checker(Cluster& cluster) : cluster_(cluster) {
  cluster_.watcher.on_event = [this](NodeId id, const Event& event) { on_event(id, event); };
  cluster_.watcher.on_output = [this](NodeId id, const Output& output) { on_output(id, output); };
  cluster_.watcher.on_durable = [this](NodeId id, const Turn& turn) {
    if (!turn.append.empty()) {
      log_matching(cluster_.member(id.value).disk.term_at(turn.append.front().index.prev()), turn.append);
    }
  };
  cluster_.watcher.on_send = [this](const Message& message) { on_send(message); };
  cluster_.watcher.on_apply = [this](NodeId id, const Entry& entry) { on_apply(id, entry); };
}

void Checker::expect(bool holds, const std::string& what) {
  if (!holds) {
    violations_.push_back(what);
  }
}

void Checker::on_event(NodeId id, const Event& event) {
  if (const auto* role = std::get_if<RoleChanged>(&event); role != nullptr && role->role == Role::leader) {
    election_safety(id, role->term);
  }
  truncations_ += std::holds_alternative<LogTruncated>(event) ? 1U : 0U;
  installs_ += std::holds_alternative<SnapshotInstalled>(event) ? 1U : 0U;
  // Correct members never send what a correct member refuses.
  if (const auto* refused = std::get_if<MessageRefused>(&event)) {
    expect(false, describe(Event{*refused}));
  }
}

void Checker::on_output(NodeId id, const Output& output) {
  const bool became_leader = std::ranges::any_of(output.events, [](const Event& event) {
    const auto* role = std::get_if<RoleChanged>(&event);
    return role != nullptr && role->role == Role::leader;
  });
  if (became_leader && cluster_.raft(id.value).role() == Role::leader) {
    leader_completeness(id);
  }
  committed(id);
  for (const ReadState& read : output.read_states) {
    const auto asked = reads_.extract(read.context);
    expect(!asked.empty(), "a read answered twice, or never asked");
    expect(asked.empty() || read.index >= asked.mapped(), "stale read at " + std::to_string(read.index.value));
    ++reads_answered_;
  }
  for (const ReadRefused& read : output.reads_refused) {
    expect(reads_.erase(read.context) == 1, "a read refused twice, or never asked");
  }
}

/// "At most one leader can be elected in a given term."
void Checker::election_safety(NodeId id, Term term) {
  const auto [leader, is_first] = leaders_.emplace(term, id);
  expect(is_first || leader->second == id, "two leaders of term " + std::to_string(term.value));
}

/// "If a log entry is committed in a given term, then that entry will be present in the logs of the leaders for all
/// higher-numbered terms."
void Checker::leader_completeness(NodeId id) {
  const Raft& leader = cluster_.raft(id.value);
  for (std::size_t i = leader.first_index().value - 1; i < committed_.size(); ++i) {
    expect(leader.term_at(Index{i + 1}) == committed_[i],
           "leader without committed entry " + std::to_string(i + 1) + ": " + leader.describe());
  }
}

/// "If two logs contain an entry with the same index and term, then the logs are identical in all entries up through
/// the given index": by induction, if each (index, term) has one content and one term before it, everywhere and ever.
void Checker::log_matching(Term prev_term, const std::vector<Entry>& entries) {
  for (const Entry& each : entries) {
    const Content content{.prev_term = prev_term, .command = each.command, .data = std::string(each.data.view())};
    const auto [known, is_first] = entries_.emplace(std::pair(each.index, each.term), content);
    expect(is_first || known->second == content, "two contents of entry " + describe(each));
    prev_term = each.term;
  }
}

/// Acknowledged means on disk on a majority: looked at the moment a leader's commit_index rises.
void Checker::committed(NodeId id) {
  const Raft& node = cluster_.raft(id.value);
  Index& before = commit_index_[id];
  before = std::min(before, node.commit_index());  // it restarted
  for (; before < node.commit_index(); before = before.next()) {
    const Index index = before.next();
    if (index < node.first_index()) {
      continue;  // in a snapshot
    }
    const Term term = node.term_at(index);
    if (index.value <= committed_.size()) {
      expect(committed_[index.value - 1] == term, "two entries committed at " + std::to_string(index.value));
      continue;
    }
    committed_.push_back(term);
    const std::vector<NodeId>& voters = node.configuration().voters;
    std::size_t disks = 0;
    for (const NodeId each : voters) {
      disks += cluster_.member(each.value).disk.term_at(index) == term ? 1U : 0U;
    }
    expect(disks >= majority(voters.size()),
           "committed on " + std::to_string(disks) + " disks: entry " + std::to_string(index.value));
  }
}

/// "If a server has applied a log entry at a given index to its state machine, no other server will ever apply a
/// different log entry for the same index."
void Checker::on_apply(NodeId id, const Entry& entry) {
  if (entry.index.value > applied_.size()) {
    expect(entry.index.value == applied_.size() + 1, "applied with a hole before it: " + describe(entry));
    applied_.resize(entry.index.value, entry);
  }
  expect(applied_[entry.index.value - 1] == entry,
         "node " + std::to_string(id.value) + " applied another entry: " + describe(entry));
}

/// What a message says about its sender's disk is true when it leaves (FAULTS 2, 3, 121).
void Checker::on_send(const Message& message) {
  const Disk& disk = cluster_.member(message.from.value).disk;
  if (const auto* reply = std::get_if<RequestVoteReply>(&message.body)) {
    if (reply->answer == VoteAnswer::granted && reply->kind != VoteKind::pre_vote) {
      const auto [vote, is_first] = votes_.emplace(std::pair(message.from, message.term), message.to);
      expect(is_first || vote->second == message.to, "second vote: " + describe(message));
      expect(disk.hard_state.current_term > message.term || disk.hard_state.voted_for == message.to,
             "vote before it is durable: " + describe(message));
    }
  }
  if (const auto* reply = std::get_if<AppendEntriesReply>(&message.body)) {
    const Raft& node = cluster_.raft(message.from.value);
    const bool in_log = reply->match_index >= node.first_index();
    if (reply->answer == AppendAnswer::matched && node.current_term() == message.term && in_log) {
      expect(disk.term_at(reply->match_index) == node.term_at(reply->match_index),
             "answer before it is durable: " + describe(message));
    }
  }
  if (const auto* reply = std::get_if<InstallSnapshotReply>(&message.body)) {
    const bool there = reply->answer != InstallAnswer::installed || disk.snapshot.index >= reply->index ||
                       disk.last_index() >= reply->index;
    expect(there, "answer before the snapshot is durable: " + describe(message));
  }
  if (const auto* request = std::get_if<AppendEntries>(&message.body)) {
    log_matching(request->prev_log_term, request->entries);
    expect(disk.hard_state.current_term >= message.term, "leads before its vote is durable: " + describe(message));
  }
}

}  // namespace weir::raft::test
