#include "tests/sim/script.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"

namespace weir::sim {

Script::Script(std::size_t founder_count, Adapt adapt, std::size_t spare_count)
    : world({.seed = 1}, founder_count, Dice(1), spare_count) {
  world.network->calm_down();
  world.calm_disks = true;
  if (adapt) {
    world.adapt = std::move(adapt);
  }
  for (const auto& node : world.nodes) {
    node->start();
  }
}

void Script::run_for(std::uint64_t us) {
  static_cast<void>(run_until([] { return false; }, us));
}

bool Script::run_until(const std::function<bool()>& condition, std::uint64_t us) {
  const auto over = std::make_shared<bool>(false);
  world.timeline.after(us, [over] { *over = true; });
  while (!*over && !condition()) {
    world.timeline.run_next();
  }
  return condition();
}

SimNode& Script::leader() {
  SimNode* leader = nullptr;
  const bool found = run_until([&] {
    raft::Term term;
    for (const auto& node : world.nodes) {
      if (!node->running()) {
        continue;
      }
      const auto status = node->node().status();
      if (status.role == raft::Role::leader && status.term > term && status.applied_index == status.last_index) {
        leader = node.get();
        term = status.term;
      }
    }
    return leader != nullptr;
  });
  WEIR_CHECK(found);
  return *leader;
}

SimNode& Script::follower() {
  const auto place = leader().place();
  return node((place + 1) % world.nodes.size());
}

SimNode& Script::other_follower() {
  const auto place = leader().place();
  return node((place + 2) % world.nodes.size());
}

Answer Script::publish(SimNode& at, const std::string& id, const std::string& body, std::uint32_t timeout_ms) {
  auto request = std::make_shared<Request>();
  request->number = world.timeline.tasks_run();
  request->events = {{.topic = "t", .id = id, .body = body}};
  request->repeatable = !id.empty();
  wire::PublishBuilder builder;
  wire::EventView view;
  view.topic = "t";
  view.id = id;
  view.body = body;
  builder.add(view);
  request->bytes = *builder.finish();
  auto answer = std::make_shared<std::string>();
  at.later(0, [this, &at, request, answer, timeout_ms] {
    const Attempt attempt = world.checkers->clients.begin(request);
    at.node().publish(request->bytes, timeout_ms, [this, attempt, answer](const wire::Outcome& outcome) {
      world.checkers->clients.answered(attempt, outcome);
      if (const auto* published = std::get_if<wire::Published>(&outcome)) {
        const auto& result = published->results.front();
        *answer =
            (result.storing == wire::Storing::stored ? "stored " : "duplicate ") + std::to_string(result.offset.value);
      } else {
        *answer = is_unknown(outcome) ? "unknown" : "refused";
      }
    });
  });
  return answer;
}

std::string Script::ask(SimNode& at, const std::string& id, const std::string& body, std::uint32_t timeout_ms) {
  const auto answer = publish(at, id, body, timeout_ms);
  static_cast<void>(run_until([&] { return !answer->empty(); }));
  return *answer;
}

std::vector<std::string> Script::read(SimNode& at, raft::Position& cursor) {
  broker::Selector everything;
  everything.patterns.push_back(*broker::Pattern::parse("**"));
  auto state = std::make_shared<broker::ReadState>();
  state->after = cursor;
  std::vector<std::string> bodies;
  bool up_to_date = false;
  while (!up_to_date) {
    auto batch = std::make_shared<std::optional<broker::ReadBatch>>();
    at.later(0, [&at, everything, state, batch, this] {
      at.node().read(everything, *state, {.events_max = 3}, [this, &at, everything, state, batch](auto result) {
        world.checkers->readers.read("script", everything, *state, *result, at.node().status().applied_index);
        *batch = std::move(result).value();
      });
    });
    WEIR_CHECK(run_until([&] { return batch->has_value(); }));
    for (const auto& event : (*batch)->events) {
      bodies.emplace_back(event.view().body);
    }
    *state = (*batch)->next;
    up_to_date = (*batch)->up_to_date;
  }
  cursor = state->after;
  return bodies;
}

std::vector<std::string> Script::read(SimNode& at) {
  raft::Position cursor;
  return read(at, cursor);
}

std::string Script::change(SimNode& at, broker::MemberAction action, const SimNode& node) {
  const auto answer = std::make_shared<std::string>();
  at.later(0, [&at, action, name = node.name(), answer] {
    at.node().change_members({.action = action, .node = name}, 2'000,
                             [answer](const auto& changed) { *answer = changed ? "done" : changed.error().detail; });
  });
  static_cast<void>(run_until([&] { return !answer->empty(); }));
  return *answer;
}

std::optional<wire::MemberKind> Script::kind_of(const SimNode& node) const {
  const ConfigPtr config = world.checkers->raft.config();
  const auto* member = config == nullptr ? nullptr : find_member(*config, node.id());
  return member == nullptr ? std::nullopt : std::optional(member->kind);
}

bool Script::becomes(const SimNode& node, std::optional<wire::MemberKind> kind, std::uint64_t us) {
  return run_until([&] { return kind_of(node) == kind; }, us);
}

void Script::isolate(const SimNode& node) {
  for (const auto& other : world.nodes) {
    if (other->place() != node.place()) {
      world.network->cut(node.place(), other->place());
      world.network->cut(other->place(), node.place());
    }
  }
}

void Script::crash_and_start(SimNode& node) {
  node.crash();
  node.start();
}

std::string Script::converge() {
  world.network->heal_all();
  for (const auto& node : world.nodes) {
    node->running() ? node->resume() : node->start();
  }
  const bool even = run_until([this] {
    const raft::Index committed{world.checkers->raft.committed_count()};
    return std::ranges::all_of(world.nodes, [this, committed](const auto& node) {
      const auto status = node->node().status();
      return !kind_of(*node) || node->wiped() ||
             (status.applied_index == committed && status.last_index == committed && status.leader);
    });
  });
  const auto& violation = world.checkers->verdict.violation();
  return !violation.empty() ? violation : even ? "even" : "not even";
}

}  // namespace weir::sim
