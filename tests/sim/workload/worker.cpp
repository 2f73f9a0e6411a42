#include "tests/sim/workload/worker.hpp"

#include <algorithm>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

constexpr const char* kGroup = "workers";

}  // namespace

Worker::Worker(World& world, Dice dice)
    : world_(world),
      dice_(dice),
      call_(world, {.broken = [this] { go_on(dice_.between(5, 100)); },
                    .text = [this] { return "a worker with lease L" + std::to_string(held_.lease); }}) {}

void Worker::go_on(std::uint64_t delay_ms) {
  world_.timeline.after(delay_ms * kMillisecond, [this] { attempt(); });
}

void Worker::attempt() {
  if (retired_) {
    return;
  }
  SimNode& node = *world_.nodes[dice_.below(world_.nodes.size())];
  if (!node.running() || !node.ready()) {
    return go_on(dice_.between(5, 50));
  }
  const std::uint64_t number = call_.begin(node, dice_.between(200, 3'000));
  node.later(dice_.between(0, 500), [this, &node, number] {
    if (!call_.is_latest(number)) {
      return;
    }
    wire::GroupChange change = draw(node);
    if (change.group.empty()) {
      call_.end();
      return go_on(dice_.between(20, 200));
    }
    world_.history.note("worker", static_cast<std::uint64_t>(change.action), change.lease, change.to.value);
    node.node().change_group(change, call_.timeout_ms(), [this, number, change](const wire::Outcome& outcome) {
      answered(number, change, outcome);
    });
  });
}

wire::GroupChange Worker::draw(SimNode& node) {
  if (held_.lease != 0) {
    const bool in_parts = done_to_ + 1 < held_.to.value && dice_.chance(1, 3);
    const std::uint64_t to = in_parts ? done_to_ + 1 : held_.to.value;
    return {.group = kGroup, .action = wire::GroupAction::commit, .to = raft::Position{to}, .lease = held_.lease};
  }
  const auto group = node.node().group(kGroup);
  if (!group) {
    return {.group = kGroup, .action = wire::GroupAction::create, .patterns = {"**"}};
  }
  const std::uint64_t last = node.node().status().position.value;
  const std::uint64_t end =
      std::min(group->next_to.value_or(raft::Position{last}).value, group->next_from.value + dice_.between(1, 6));
  if (end <= group->next_from.value) {
    return {};
  }
  return {.group = kGroup,
          .action = wire::GroupAction::claim,
          .from = group->next_from,
          .to = raft::Position{end},
          .lease_ms = dice_.between(100, 2'000)};
}

void Worker::answered(std::uint64_t number, const wire::GroupChange& asked, const wire::Outcome& outcome) {
  if (!call_.open(number)) {
    return world_.checkers->verdict.fail("a worker is answered twice");
  }
  call_.end();
  world_.checkers->groups.told(asked, outcome);
  Coverage& coverage = world_.history.coverage;
  const auto* changed = std::get_if<wire::GroupChanged>(&outcome);
  const auto* refused = std::get_if<wire::Refused>(&outcome);
  world_.history.note("work", changed != nullptr ? changed->lease : 0,
                      refused != nullptr ? static_cast<std::uint64_t>(refused->kind) : 0);
  if (changed != nullptr && asked.action == wire::GroupAction::claim) {
    ++coverage.leases;
    held_ = asked;
    held_.lease = changed->lease;
    done_to_ = asked.from.value;
    // Some take longer than they may.
    return go_on(dice_.chance(1, 3) ? asked.lease_ms + dice_.between(0, 500) : dice_.between(0, 200));
  }
  if (changed != nullptr && asked.action == wire::GroupAction::commit) {
    ++coverage.commits;
    done_to_ = std::max(done_to_, asked.to.value);
    if (done_to_ == held_.to.value && !dice_.chance(1, 5)) {
      held_ = {};
    }
  }
  if (refused != nullptr && refused->kind == wire::RefusalKind::lease_lost) {
    ++coverage.leases_lost;
    held_ = {};
  }
  go_on(dice_.between(5, 150));
}

}  // namespace weir::sim
