#include "tests/raft/cluster.hpp"

#include <algorithm>

#include "raft/check.hpp"
#include "raft/describe.hpp"

namespace weir::raft::test {

Recovered Disk::recover() const {
  Recovered recovered{.hard_state = hard_state,
                      .term_runs = {},
                      .first_index = first_index(),
                      .last_index = last_index(),
                      .prev_term = snapshot.term,
                      .snapshot_index = snapshot.index,
                      .configurations = {{Index{}, std::make_shared<Configuration>(founders)}}};
  if (snapshot.index != Index{}) {
    recovered.configurations = {{.index = snapshot.config.index, .configuration = snapshot.config.configuration}};
  }
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
  if (index == snapshot.index) {
    return snapshot.term;
  }
  return index < first_index() || index > last_index() ? Term{} : at(index).term;
}

namespace {

/// A snapshot's content: what was applied, in words.
std::string content_of(const std::vector<Entry>& applied) {
  std::string content;
  for (const Entry& each : applied) {
    content += describe(each) + "\n";
  }
  return content;
}

}  // namespace

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
  node.applied = node.disk.state;
  node.received.clear();
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
  node.reading_snapshot.clear();
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
            .install = output.install,
            .truncate_from = output.truncate_from,
            .append = std::move(output.append),
            .then_send = std::move(output.messages_after_persist)};
  if (turn.writes() || !turn.then_send.empty()) {
    node.turns.push_back(std::move(turn));
  }
  if (output.install) {
    node.applied = snapshots_.at(output.install->number);
  }
  if (output.commit_to) {
    apply(node, NodeId{id}, *output.commit_to);
  }
  std::ranges::move(output.catch_up, std::back_inserter(node.reading));
  std::ranges::move(output.snapshot_requests, std::back_inserter(node.reading_snapshot));
  // A turn without writes waits for those before it, and for nothing else.
  while (!node.turns.empty() && (!node.disk_is_held || !node.turns.front().writes())) {
    flush(id, 1);
  }
  if (!node.reads_are_held) {
    serve_reads(id);
  }
  receive_pieces(id, output.snapshot_pieces);
}

void Cluster::receive_pieces(std::uint64_t id, const std::vector<SnapshotPiece>& pieces) {
  Member& node = member(id);
  for (const SnapshotPiece& piece : pieces) {
    node.received = piece.offset == 0 ? std::string() : node.received;
    WEIR_CHECK(piece.offset == node.received.size(), piece.offset, node.received.size());
    node.received += piece.data.view();
    if (node.received.size() == piece.snapshot.size) {
      WEIR_CHECK(node.received == content_of(snapshots_.at(piece.snapshot.number)), piece.snapshot.number);
      act(id, [&](Raft& raft) { raft.snapshot_received(piece.snapshot); });
    }
  }
}

void Cluster::take_snapshot(std::uint64_t id) {
  Member& node = member(id);
  Disk& disk = node.disk;
  const Index index{node.applied.size()};
  // A snapshot on its way to the disk takes the place of this one.
  const bool installing = std::ranges::any_of(node.turns, [](const Turn& turn) { return turn.install.has_value(); });
  if (!node.raft || index <= disk.snapshot.index || installing) {
    return;
  }
  Snapshot snapshot{.index = index,
                    .term = disk.term_at(index),
                    .number = snapshots_.size() + 1,
                    .size = content_of(node.applied).size(),
                    .config = change_entry(disk.founders)};
  for (const Entry& each : node.applied) {
    snapshot.config = each.configuration ? each : snapshot.config;
  }
  snapshots_[snapshot.number] = disk.state = node.applied;
  disk.log.erase(disk.log.begin(), disk.log.begin() + static_cast<std::ptrdiff_t>(index.next() - disk.first_index()));
  disk.snapshot = snapshot;
  act(id, [&](Raft& raft) { raft.compact(index); });
}

void Cluster::make_durable(Member& node, std::uint64_t id) {
  const Turn turn = std::move(node.turns.front());
  node.turns.pop_front();
  if (turn.hard_state) {
    node.disk.hard_state = *turn.hard_state;
  }
  if (turn.install) {
    node.disk.snapshot = *turn.install;
    node.disk.state = snapshots_.at(turn.install->number);
    node.disk.log.clear();
  }
  if (turn.truncate_from) {
    WEIR_CHECK(*turn.truncate_from <= node.disk.last_index(), *turn.truncate_from, node.disk.last_index());
    node.disk.log.resize(*turn.truncate_from - node.disk.first_index());
  }
  for (const Entry& each : turn.append) {
    WEIR_CHECK(each.index == node.disk.last_index().next(), each.index, node.disk.last_index());
    node.disk.log.push_back(each);
  }
  watcher.on_durable(NodeId{id}, turn);
  send(turn.then_send);
  if (node.raft && !turn.append.empty()) {
    node.raft->persisted(turn.append.back().term, turn.append.back().index);
  } else if (node.raft && turn.install) {
    node.raft->persisted(turn.install->term, turn.install->index);
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
    const bool kept = request.first >= node.disk.first_index();
    for (Index index = request.first; kept && index <= node.disk.last_index(); index = index.next()) {
      const Entry& each = node.disk.at(index);
      bytes += size_of(each);
      if (bytes > request.bytes_max && !answer.entries.empty()) {
        break;
      }
      answer.entries.push_back(each);
    }
    act(id, [&](Raft& raft) { raft.catch_up(std::move(answer)); });
  }
  for (const SnapshotRequest& request : std::exchange(node.reading_snapshot, {})) {
    SnapshotRead answer{.to = request.to, .snapshot = node.disk.snapshot, .offset = 0, .data = {}};
    if (answer.snapshot.index != Index{}) {
      answer.offset = request.number == answer.snapshot.number ? request.offset : 0;
      answer.data = Bytes::own(content_of(node.disk.state).substr(answer.offset, request.bytes_max));
    }
    act(id, [&](Raft& raft) { raft.snapshot_read(std::move(answer)); });
  }
}

void Cluster::apply(Member& node, NodeId id, Index commit_to) {
  WEIR_CHECK(commit_to <= node.disk.last_index(), commit_to, node.disk.last_index());
  while (node.applied.size() < commit_to.value) {
    node.applied.push_back(node.disk.at(Index{node.applied.size() + 1}));
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

Entry change_entry(const Configuration& configuration) {
  Proposal proposal = change_to(configuration);
  return {.index = {},
          .term = {},
          .command = proposal.command,
          .checksum = 0,
          .data = std::move(proposal.data),
          .configuration = std::move(proposal.configuration)};
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
