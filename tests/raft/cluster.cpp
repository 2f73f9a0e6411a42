#include "tests/raft/cluster.hpp"

#include <algorithm>

#include "raft/check.hpp"

namespace weir::raft::test {

Recovered Disk::recover() const {
  Recovered recovered{.hard_state = hard_state,
                      .term_runs = {},
                      .first_index = Index{1},
                      .last_index = last_index(),
                      .configurations = {{Index{}, std::make_shared<Configuration>(founders)}}};
  for (const Entry& each : log) {
    if (each.configuration) {
      recovered.configurations.push_back({.index = each.index, .configuration = each.configuration});
    }
    if (recovered.term_runs.empty() || recovered.term_runs.back().term != each.term) {
      recovered.term_runs.push_back({.term = each.term, .first = each.index});
    }
  }
  return recovered;
}

Term Disk::term_at(Index index) const {
  return index == Index{} || index > last_index() ? Term{} : log[index.value - 1].term;
}

Cluster::Cluster(std::size_t size, Config base, std::size_t founders) {
  for (std::uint64_t id = 1; id <= size; ++id) {
    base.id = NodeId{id};
    members_.emplace_back().config = base;
    members_.back().disk.founders = voters_up_to(std::min(size, founders));
  }
}

std::vector<NodeId> Cluster::ids() const {
  std::vector<NodeId> ids;
  for (const Member& each : members_) {
    ids.push_back(each.config.id);
  }
  return ids;
}

void Cluster::start(std::uint64_t id) {
  Member& node = member(id);
  WEIR_CHECK(!node.raft, id);
  node.applied.clear();
  node.raft = std::make_unique<Raft>(node.config, node.disk.recover());
  take_turn(id);
}

void Cluster::start_all() {
  for (std::uint64_t id = 1; id <= size(); ++id) {
    start(id);
  }
}

void Cluster::crash(std::uint64_t id, std::size_t turns_kept) {
  Member& node = member(id);
  for (; turns_kept > 0 && !node.turns.empty(); --turns_kept) {
    node.turns.front().then_send.clear();
    make_durable(node, id);
  }
  node.raft.reset();
  node.turns.clear();
  node.reading.clear();
}

void Cluster::act(std::uint64_t id, const std::function<void(Raft&)>& input) {
  if (is_up(id)) {
    input(raft(id));
    take_turn(id);
  }
}

void Cluster::tick(std::uint64_t id) {
  act(id, [](Raft& raft) { raft.tick(); });
}

std::expected<Index, ProposeError> Cluster::propose(std::uint64_t id, const std::string& data) {
  auto result = raft(id).propose({{.command = Command::publish, .checksum = 0, .data = Bytes::copy_of(data)}});
  take_turn(id);
  return result;
}

std::expected<Index, ChangeError> Cluster::change(std::uint64_t id, const Configuration& configuration) {
  auto result = raft(id).change_membership(change_to(configuration));
  take_turn(id);
  return result;
}

void Cluster::step(Message message) {
  act(message.to.value, [&](Raft& raft) { raft.step(std::move(message)); });
}

void Cluster::take_turn(std::uint64_t id) {
  Member& node = member(id);
  Output output = node.raft->take_output();
  for (const Event& event : output.events) {
    watcher.on_event(NodeId{id}, event);
  }
  watcher.on_output(NodeId{id}, output);
  send(std::move(output.messages));
  Turn turn{.hard_state = output.hard_state,
            .truncate_from = output.truncate_from,
            .append = std::move(output.append),
            .then_send = std::move(output.messages_after_persist)};
  if (turn.writes() || !turn.then_send.empty()) {
    node.turns.push_back(std::move(turn));
  }
  if (output.commit_to) {
    apply(node, NodeId{id}, *output.commit_to);
  }
  std::ranges::move(output.catch_up, std::back_inserter(node.reading));
  // A turn without writes waits for those before it, and for nothing else.
  while (!node.turns.empty() && (!node.disk_is_held || !node.turns.front().writes())) {
    flush(id, 1);
  }
  if (!node.reads_are_held) {
    serve_reads(id);
  }
}

void Cluster::make_durable(Member& node, std::uint64_t id) {
  const Turn turn = std::move(node.turns.front());
  node.turns.pop_front();
  if (turn.hard_state) {
    node.disk.hard_state = *turn.hard_state;
  }
  if (turn.truncate_from) {
    WEIR_CHECK(*turn.truncate_from <= node.disk.last_index(), *turn.truncate_from, node.disk.last_index());
    node.disk.log.resize(turn.truncate_from->value - 1);
  }
  for (const Entry& each : turn.append) {
    WEIR_CHECK(each.index == node.disk.last_index().next(), each.index, node.disk.last_index());
    node.disk.log.push_back(each);
  }
  watcher.on_durable(NodeId{id}, turn);
  send(turn.then_send);
  if (node.raft && !turn.append.empty()) {
    node.raft->persisted(turn.append.back().term, turn.append.back().index);
  }
}

void Cluster::flush(std::uint64_t id, std::size_t count) {
  Member& node = member(id);
  bool flushed = false;
  for (; count > 0 && !node.turns.empty(); --count) {
    make_durable(node, id);
    flushed = true;
  }
  if (flushed) {
    take_turn(id);
  }
}

void Cluster::serve_reads(std::uint64_t id) {
  Member& node = member(id);
  for (const CatchUpRequest& request : std::exchange(node.reading, {})) {
    CatchUp answer{.to = request.to, .first = request.first, .entries = {}};
    std::size_t bytes = 0;
    for (Index index = request.first; index <= node.disk.last_index(); index = index.next()) {
      const Entry& each = node.disk.log[index.value - 1];
      bytes += size_of(each);
      if (bytes > request.bytes_max && !answer.entries.empty()) {
        break;
      }
      answer.entries.push_back(each);
    }
    act(id, [&](Raft& raft) { raft.catch_up(std::move(answer)); });
  }
}

void Cluster::apply(Member& node, NodeId id, Index commit_to) {
  WEIR_CHECK(commit_to <= node.disk.last_index(), commit_to, node.disk.last_index());
  while (node.applied.size() < commit_to.value) {
    node.applied.push_back(node.disk.log[node.applied.size()]);
    watcher.on_apply(id, node.applied.back());
  }
  node.raft->applied(commit_to);
}

void Cluster::send(std::vector<Message> messages) {
  for (Message& message : messages) {
    watcher.on_send(message);
    network_.push_back(std::move(message));
  }
}

void Cluster::isolate(std::uint64_t id) {
  for (std::uint64_t other = 1; other <= size(); ++other) {
    if (other != id) {
      cut(id, other);
      cut(other, id);
    }
  }
}

void Cluster::split(const std::vector<std::vector<std::uint64_t>>& sides) {
  for (const auto& side : sides) {
    for (const std::uint64_t from : side) {
      for (std::uint64_t to = 1; to <= size(); ++to) {
        if (std::ranges::find(side, to) == side.end()) {
          cut(from, to);
          cut(to, from);
        }
      }
    }
  }
}

bool Cluster::arrives(const Message& message) const {
  return is_up(message.to.value) && !cut_.contains({message.from.value, message.to.value});
}

Message Cluster::take_message(std::size_t place) {
  Message message = std::move(network_.at(place));
  network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(place));
  watcher.on_deliver(message, arrives(message));
  return message;
}

void Cluster::deliver(std::size_t place) {
  Message message = take_message(place);
  if (arrives(message)) {
    step(std::move(message));
  }
}

void Cluster::deliver_together(std::uint64_t id, std::size_t count) {
  act(id, [&](Raft& raft) {
    for (std::size_t place = 0; place < network_.size() && count > 0;) {
      if (network_[place].to != NodeId{id}) {
        ++place;
        continue;
      }
      Message message = take_message(place);
      if (arrives(message)) {
        raft.step(std::move(message));
        --count;
      }
    }
  });
}

void Cluster::settle() {
  while (!network_.empty()) {
    deliver();
  }
}

void Cluster::run(std::size_t ticks) {
  for (std::size_t i = 0; i < ticks; ++i) {
    for (std::uint64_t id = 1; id <= size(); ++id) {
      tick(id);
    }
    settle();
  }
}

NodeId Cluster::leader() const {
  const Raft* latest = nullptr;
  for (const Member& each : members_) {
    if (each.raft && each.raft->role() == Role::leader &&
        (latest == nullptr || each.raft->current_term() > latest->current_term())) {
      latest = each.raft.get();
    }
  }
  return latest == nullptr ? kNobody : latest->leader();
}

NodeId Cluster::elect(std::size_t ticks_max) {
  for (std::size_t i = 0; i < ticks_max; ++i) {
    const NodeId id = leader();
    if (id != kNobody) {
      const Raft& node = raft(id.value);
      if (node.term_at(node.commit_index()) == node.current_term()) {
        return id;
      }
    }
    run(1);
  }
  return kNobody;
}

Configuration voters_up_to(std::size_t size) {
  Configuration configuration;
  for (std::uint64_t id = 1; id <= size; ++id) {
    configuration.voters.emplace_back(id);
  }
  return configuration;
}

Proposal change_to(const Configuration& configuration) {
  std::string words;
  for (const NodeId voter : configuration.voters) {
    words += (words.empty() ? "" : " ") + std::to_string(voter.value);
  }
  for (const NodeId learner : configuration.learners) {
    words += " (" + std::to_string(learner.value) + ")";
  }
  return {.command = Command::config,
          .checksum = 0,
          .data = Bytes::own(std::move(words)),
          .configuration = std::make_shared<Configuration>(configuration)};
}

Entry entry(std::uint64_t index, std::uint64_t term, std::string data) {
  return {.index = Index{index},
          .term = Term{term},
          .command = Command::publish,
          .checksum = 0,
          .data = Bytes::own(data.empty() ? "x" + std::to_string(index) : std::move(data))};
}

std::vector<Entry> log_of(const std::vector<std::uint64_t>& terms) {
  std::vector<Entry> log;
  for (const std::uint64_t term : terms) {
    log.push_back(entry(log.size() + 1, term));
  }
  return log;
}

}  // namespace weir::raft::test
