#include "tests/core/node_fixture.hpp"

#include <algorithm>
#include <utility>

namespace weir::broker::test {

raft::NodeId id_of(const std::string& name) {
  return wire::node_id(name);
}

wire::ConfigEntry config_of(const std::vector<std::string>& names, const std::string& cluster_id) {
  wire::ConfigEntry config;
  config.cluster_id = cluster_id;
  config.epoch = "e" + cluster_id;
  std::uint64_t incarnation = 0;
  for (const auto& name : names) {
    config.members.push_back({.node = id_of(name),
                              .name = name,
                              .raft_address = name + ":7401",
                              .http_address = name + ":7400",
                              .incarnation = ++incarnation});
  }
  return config;
}

wire::Hello hello_of(const std::string& name, const std::string& cluster_id, std::uint64_t incarnation,
                     const std::vector<std::string>& members) {
  wire::Hello hello;
  hello.cluster_id = cluster_id;
  hello.node = name;
  hello.incarnation = incarnation;
  hello.boot_nonce = 77;
  hello.members = members;
  hello.raft_address = name + ":7401";
  hello.http_address = name + ":7400";
  return hello;
}

NodeFixture::NodeFixture(std::vector<std::string> members) : names(std::move(members)) {
  raft::Entry entry{.index = raft::Index{1},
                    .term = raft::Term{1},
                    .command = raft::Command::config,
                    .checksum = 0,
                    .data = wire::encode(config_of(names))};
  entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
  disk.log.push_back(std::move(entry));
  make({.node = names.front(), .incarnation = 1, .cluster_id = "c"},
       {.hard_state = {.current_term = raft::Term{1}, .voted_for = raft::kNobody},
        .term_runs = {{.term = raft::Term{1}, .first = raft::Index{1}}},
        .first_index = raft::Index{1},
        .last_index = raft::Index{1},
        .config_entries = {raft::Index{1}}});
}

void NodeFixture::make_empty(const std::string& name, std::uint64_t incarnation) {
  disk.log.clear();
  make({.node = name, .incarnation = incarnation, .cluster_id = {}}, {});
}

void NodeFixture::make_damaged(const std::string& name, std::uint64_t incarnation) {
  disk.log.clear();
  make({.node = name, .incarnation = incarnation, .cluster_id = {}, .lost_data = true}, {});
}

void NodeFixture::restart() {
  node.reset();
  raft::Recovered recovered;
  recovered.first_index = disk.first;
  recovered.last_index = raft::Index{disk.log.size()};
  for (const auto& entry : disk.log) {
    if (entry.index < disk.first) {
      continue;
    }
    if (recovered.term_runs.empty() || recovered.term_runs.back().term != entry.term) {
      recovered.term_runs.push_back({.term = entry.term, .first = entry.index});
    }
    if (entry.command == raft::Command::config) {
      recovered.config_entries.push_back(entry.index);
    }
  }
  recovered.hard_state.current_term = recovered.term_runs.back().term;
  make({.node = names.front(), .incarnation = 1, .cluster_id = "c"}, std::move(recovered));
}

void NodeFixture::make(storage::Identity identity, raft::Recovered recovered) {
  NodeConfig config;
  config.name = identity.node;
  config.members = names;
  config.boot_nonce = 42;
  config.seed = 7;
  adapt(config);
  NodeEvents events;
  events.damaged = [this](const std::string& why) { damages.push_back(why); };
  events.notice = [this](const std::string& text) { notices.push_back(text); };
  events.unsettled = unsettled;
  node = std::make_unique<Node>(
      std::move(config), std::move(identity), std::move(recovered), disk, network, clock,
      [this](std::string cluster_id, raft::Entry entry, Disk::WriteDone done) {
        founded.emplace_back(std::move(cluster_id), std::move(entry));
        founding.push_back(std::move(done));
      },
      std::move(events));
}

void NodeFixture::join() {
  node->start();
  disk.finish_all();
  for (std::size_t i = 1; i < names.size(); ++i) {
    node->peer_up(hello_of(names[i], "c", i + 1, names));
  }
}

void NodeFixture::tick(int count) {
  for (int i = 0; i < count; ++i) {
    clock.pass_ms(10);
    node->tick();
  }
}

void NodeFixture::lead() {
  const auto leads = [this] {
    const auto status = node->status();
    return status.role == raft::Role::leader && status.applied_index == status.last_index;
  };
  for (int i = 0; i < 1'000 && !leads(); ++i) {
    tick();
    settle();
  }
}

void NodeFixture::settle() {
  do {
    disk.finish_all();
  } while (answer_peers() || !disk.writes.empty() || !disk.reads.empty());
}

bool NodeFixture::answer_peers() {
  bool answered = false;
  for (auto& [to, message] : std::exchange(network.sent, {})) {
    const auto* asked = std::get_if<raft::Message>(&message);
    const auto peer = std::ranges::find(names, to, id_of);
    if (asked == nullptr || !obedient.contains(*peer)) {
      continue;
    }
    if (const auto* vote = std::get_if<raft::RequestVote>(&asked->body)) {
      receive(*peer, asked->term, raft::RequestVoteReply{.kind = vote->kind, .answer = raft::VoteAnswer::granted});
      answered = true;
    } else if (const auto* append = std::get_if<raft::AppendEntries>(&asked->body)) {
      raft::AppendEntriesReply reply;
      reply.answer = raft::AppendAnswer::matched;
      reply.match_index = append->prev_log_index + append->entries.size();
      reply.read_context = append->read_context;
      receive(*peer, asked->term, reply);
      answered = true;
    }
  }
  return answered;
}

void NodeFixture::receive(const std::string& from, raft::Term term, decltype(raft::Message::body) body) {
  const auto place = static_cast<std::uint64_t>(std::ranges::find(names, from) - names.begin());
  raft::Message message{.from = id_of(from),
                        .to = id_of(names.front()),
                        .term = term,
                        .wall_clock_ms = clock.wall,
                        .body = std::move(body)};
  if (const auto report = reports.find(from); report != reports.end()) {
    message.report = report->second;
  }
  node->peer_message(id_of(from), {.incarnation = place + 1, .boot_nonce = 77}, std::move(message));
}

void NodeFixture::follow(raft::Term term, std::uint64_t prev_index, std::uint64_t prev_term) {
  receive("n2", term,
          raft::AppendEntries{.prev_log_index = raft::Index{prev_index},
                              .prev_log_term = raft::Term{prev_term},
                              .leader_commit = raft::Index{},
                              .entries = {noop_entry(prev_index + 1, term.value)},
                              .read_context = {}});
}

std::size_t NodeFixture::publish(const Request& request, std::uint32_t timeout_ms) {
  const std::size_t place = outcomes.size();
  outcomes.emplace_back();
  node->publish(bytes_of(request), timeout_ms,
                [this, place](const wire::Outcome& outcome) { outcomes[place] += text_of(outcome); });
  return place;
}

}  // namespace weir::broker::test
