// One Raft and a test that plays everybody else. One thread.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "raft/raft.hpp"
#include "tests/raft/cluster.hpp"

namespace weir::raft::test {

/// Member 1 of `size`, with what its disk held.
struct Start {
  std::size_t size = 3;
  std::vector<std::uint64_t> log = {};  ///< terms
  std::uint64_t term = 0;               ///< if above the last entry's
  std::uint64_t voted_for = 0;
  Config config = {};
};

/// A log that began with these voters.
inline std::vector<PlacedConfiguration> founded_by(const Configuration& members) {
  return {{.index = Index{}, .configuration = std::make_shared<Configuration>(members)}};
}
inline std::vector<PlacedConfiguration> founded_by(std::size_t size) {
  return founded_by(voters_up_to(size));
}

class Solo {
 public:
  explicit Solo(const Start& start = {}) : raft(config_of(start), recovered_of(start)) {}

  Raft raft;

  /// A message of another member; returns what the node does about it.
  template <class Body>
  Output receive(std::uint64_t from, std::uint64_t term, Body body) {
    raft.step({.from = NodeId{from}, .to = NodeId{1}, .term = Term{term}, .body = std::move(body)});
    return raft.take_output();
  }

  Output tick(std::size_t ticks = 1) {
    for (std::size_t i = 0; i < ticks; ++i) {
      raft.tick();
    }
    return raft.take_output();
  }

  /// Time passes until the node asks for pre-votes.
  Output time_out() { return tick(raft.election_ticks_left()); }

  /// An election up to the vote requests, won in the pre-vote.
  Output campaign() {
    time_out();
    Output output;
    for (std::uint64_t voter = 2; raft.role() == Role::pre_candidate; ++voter) {
      output = receive(voter, raft.current_term().value + 1,
                       RequestVoteReply{.kind = VoteKind::pre_vote, .answer = VoteAnswer::granted});
    }
    return output;
  }

  /// An election with all votes; returns the new leader's first turn.
  Output lead() {
    Output output = campaign();
    for (std::uint64_t voter = 2; raft.role() == Role::candidate; ++voter) {
      output = receive(voter, raft.current_term().value,
                       RequestVoteReply{.kind = VoteKind::vote, .answer = VoteAnswer::granted});
    }
    return output;
  }

  /// The disk has everything it was given.
  Output persist() {
    raft.persisted(raft.term_at(raft.last_index()), raft.last_index());
    return raft.take_output();
  }

  Output matched(std::uint64_t from, std::uint64_t index) {
    AppendEntriesReply reply;
    reply.answer = AppendAnswer::matched;
    reply.match_index = Index{index};
    return receive(from, raft.current_term().value, reply);
  }

  Output conflict(std::uint64_t from, std::uint64_t term, std::uint64_t index) {
    AppendEntriesReply reply;
    reply.answer = AppendAnswer::conflict;
    reply.conflict_term = Term{term};
    reply.conflict_index = Index{index};
    return receive(from, raft.current_term().value, reply);
  }

  Output propose(const std::string& data) {
    (void)raft.propose({{.command = Command::publish, .checksum = 0, .data = Bytes::copy_of(data)}});
    return raft.take_output();
  }

  /// A leader whose NOOP is committed; the followers have everything.
  void lead_and_commit() {
    lead();
    persist();
    for (const ProgressView& follower : raft.progress()) {
      matched(follower.node.value, raft.last_index().value);
    }
  }

 private:
  static Config config_of(const Start& start) {
    Config config = start.config;
    config.id = NodeId{1};
    return config;
  }
  static Recovered recovered_of(const Start& start) {
    Disk disk{.hard_state = {}, .log = log_of(start.log), .founders = voters_up_to(start.size)};
    disk.hard_state.current_term = std::max(Term{start.term}, disk.term_at(disk.last_index()));
    disk.hard_state.voted_for = NodeId{start.voted_for};
    return disk.recover();
  }
};

/// An AppendEntries that says: after prev (index, term) come these entries, and leader_commit is so much.
inline AppendEntries append(std::uint64_t prev_index, std::uint64_t prev_term, std::vector<Entry> entries,
                            std::uint64_t leader_commit = 0) {
  return {.prev_log_index = Index{prev_index},
          .prev_log_term = Term{prev_term},
          .leader_commit = Index{leader_commit},
          .entries = std::move(entries),
          .read_context = {}};
}

inline RequestVote vote_request(std::uint64_t last_index, std::uint64_t last_term, VoteKind kind = VoteKind::vote) {
  return {.kind = kind, .last_log_index = Index{last_index}, .last_log_term = Term{last_term}};
}

/// A read of this member's (or another's) shell.
inline ReadContext read(std::uint64_t sequence, std::uint64_t node = 1) {
  return {.node = NodeId{node}, .boot_nonce = 77, .sequence = sequence};
}

/// An answer that confirms a read round.
inline AppendEntriesReply confirm(std::uint64_t match, const ReadContext& context) {
  AppendEntriesReply reply;
  reply.answer = AppendAnswer::matched;
  reply.match_index = Index{match};
  reply.read_context = context;
  return reply;
}

/// The bodies of this kind among the messages.
template <class Body>
std::vector<Body> bodies(const std::vector<Message>& messages) {
  std::vector<Body> found;
  for (const Message& message : messages) {
    if (const auto* body = std::get_if<Body>(&message.body)) {
      found.push_back(*body);
    }
  }
  return found;
}

/// The answer to the one request that was made.
template <class Body>
Body only(const std::vector<Message>& messages) {
  const std::vector<Body> found = bodies<Body>(messages);
  return found.size() == 1 ? found.front() : Body{};
}

template <class Event_>
bool has_event(const Output& output) {
  for (const Event& event : output.events) {
    if (std::holds_alternative<Event_>(event)) {
      return true;
    }
  }
  return false;
}

/// All terms of a log.
inline std::vector<std::uint64_t> terms_of(const Raft& raft) {
  std::vector<std::uint64_t> terms;
  for (Index index{1}; index <= raft.last_index(); index = index.next()) {
    terms.push_back(raft.term_at(index).value);
  }
  return terms;
}

}  // namespace weir::raft::test
