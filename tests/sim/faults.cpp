#include "tests/sim/faults.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

constexpr std::array<std::uint32_t, 4> kPausesMaxMs{600, 1'200, 2'400, 4'800};
constexpr std::array<std::uint32_t, 4> kShortReigns{0, 0, 2, 6};

}  // namespace

Faults::Faults(World& world, Dice dice)
    : world_(world),
      dice_(dice),
      pause_max_ms_(kPausesMaxMs[dice_.below(kPausesMaxMs.size())]),
      short_reigns_of_ten_(kShortReigns[dice_.below(kShortReigns.size())]) {}

void Faults::schedule() {
  world_.timeline.after(dice_.between(20, pause_max_ms_) * kMillisecond, [this] {
    if (!healed_) {
      strike();
      schedule();
    }
  });
}

void Faults::strike() {
  SimNode& node = some_node();
  const std::size_t kind = dice_.below(100);
  if (kind < 6) {
    crash(node);
  } else if (kind < 9) {
    drain(node);
  } else if (kind < 20) {
    crash_in_write(node);
  } else if (kind < 26) {
    crash_leader();
  } else if (kind < 29) {
    crash_all();
  } else if (kind < 52) {
    partition();
  } else if (kind < 62) {
    world_.network->heal_all();
  } else if (kind < 97) {
    strike_machine(node, kind);
  } else {
    wipe();
  }
}

void Faults::strike_machine(SimNode& node, std::size_t kind) {
  if (kind < 74 && node.running()) {
    ++world_.history.coverage.pauses;
    node.pause(dice_.between(20, 2'000) * kMillisecond);
  } else if (kind < 84 && node.running()) {
    ++world_.history.coverage.stalls;
    world_.history.note("stall", node.place());
    world_.history.say([&] { return node.name() + "'s disk stalls"; });
    node.disk().stall(dice_.between(50, 3'000) * kMillisecond);
  } else if (kind < 86 && node.running()) {
    ++world_.history.coverage.full_disks;
    world_.history.note("full", node.place());
    world_.history.say([&] { return node.name() + "'s disk is full"; });
    node.disk().fill(dice_.between(50, 3'000) * kMillisecond);
  } else if (kind < 89 && node.running()) {
    ++world_.history.coverage.disk_errors;
    node.disk().fail_next();
    // Whoever looks after the process starts it again.
    world_.timeline.after(dice_.between(500, 2'500) * kMillisecond, [this, &node, boot = node.boot()] {
      const bool same = node.running() && node.boot() == boot;
      // A flush that was under way at the healing may still fail.
      if (same && (!healed_ || node.node().status().phase == broker::Phase::failed)) {
        crash(node);
      }
    });
  } else {
    jump_clock();
  }
}

void Faults::crash(SimNode& node) {
  if (node.running()) {
    ++world_.history.coverage.crashes;
    node.crash();
    start_again(node, dice_.between(5, dice_.chance(1, 3) ? 4'000 : 400) * kMillisecond);
  }
}

void Faults::crash_in_snapshot(SimNode& node) {
  node.disk().when_in_snapshot([this, &node, boot = node.boot()] {
    if (!healed_ && node.boot() == boot) {
      crash(node);
    }
  });
}

void Faults::crash_in_write(SimNode& node) {
  if (!node.running()) {
    return;
  }
  if (dice_.chance(1, 2)) {
    return crash_in_snapshot(node);
  }
  // A flush that takes a while lets writes gather for the next one: that is then torn between them.
  const std::uint64_t gather_us = dice_.chance(2, 3) ? dice_.between(20, 300) * kMillisecond : 1;
  node.disk().stall(gather_us);
  world_.timeline.after(gather_us - 1, [this, &node, boot = node.boot()] {
    if (!healed_ && node.running() && node.boot() == boot) {
      node.disk().when_flushing([this, &node, boot] {
        if (!healed_ && node.boot() == boot) {
          crash(node);
        }
      });
    }
  });
}

void Faults::drain(SimNode& node) {
  if (!node.running() || node.node().status().phase == broker::Phase::draining) {
    return;
  }
  ++world_.history.coverage.drains;
  node.later(0, [this, &node] {
    if (healed_) {
      return;
    }
    node.node().drain(dice_.between(100, 2'000), [this, &node, boot = node.boot()] {
      world_.timeline.after(0, [this, &node, boot] {
        if (node.running() && node.boot() == boot) {
          node.crash();
          start_again(node, dice_.between(5, 400) * kMillisecond);
        }
      });
    });
  });
}

void Faults::start_again(SimNode& node, std::uint64_t delay_us) {
  world_.timeline.after(delay_us, [&node] {
    if (!node.running()) {
      node.start();
    }
  });
}

void Faults::crash_all() {
  for (const auto& node : world_.nodes) {
    crash(*node);
  }
}

void Faults::crash_leader() {
  if (SimNode* node = leader()) {
    ++world_.history.coverage.leader_crashes;
    crash(*node);
  }
}

SimNode* Faults::leader() const {
  SimNode* latest = nullptr;
  raft::Term term;
  for (const auto& node : world_.nodes) {
    if (!node->running()) {
      continue;
    }
    const auto status = node->node().status();
    if (status.role == raft::Role::leader && status.term > term) {
      latest = node.get();
      term = status.term;
    }
  }
  return latest;
}

// --- the network

void Faults::cut_both(std::size_t a, std::size_t b) {
  world_.network->cut(a, b);
  world_.network->cut(b, a);
}

void Faults::isolate(std::size_t node) {
  for (std::size_t other = 0; other < world_.nodes.size(); ++other) {
    if (other != node) {
      cut_both(node, other);
    }
  }
}

void Faults::isolate_leader() {
  if (const SimNode* node = leader()) {
    ++world_.history.coverage.isolated_leaders;
    isolate(node->place());
  }
}

void Faults::elected(SimNode& node) {
  if (healed_ || world_.nodes.size() == 1 || !dice_.chance(short_reigns_of_ten_, 10)) {
    return;
  }
  ++world_.history.coverage.short_reigns;
  world_.timeline.after(dice_.between(0, 30'000), [this, &node, boot = node.boot()] {
    if (healed_ || !node.running() || node.boot() != boot) {
      return;
    }
    if (dice_.chance(1, 2)) {
      return crash(node);
    }
    isolate(node.place());
    world_.timeline.after(dice_.between(200, 2'000) * kMillisecond, [this] { world_.network->heal_all(); });
  });
}

/// FAULTS 11: one node sees both halves, which do not see each other.
void Faults::bridge() {
  ++world_.history.coverage.bridges;
  for (std::size_t a = 1; a < world_.nodes.size(); ++a) {
    for (std::size_t b = a + 1; b < world_.nodes.size(); ++b) {
      if (a % 2 != b % 2) {
        cut_both(a, b);
      }
    }
  }
}

void Faults::cut_one_way() {
  ++world_.history.coverage.one_way_cuts;
  const std::size_t node = dice_.below(world_.nodes.size());
  const bool deaf = dice_.chance(1, 2);
  for (std::size_t other = 0; other < world_.nodes.size(); ++other) {
    if (other != node && dice_.chance(3, 4)) {
      deaf ? world_.network->cut(other, node) : world_.network->cut(node, other);
    }
  }
}

void Faults::partition() {
  if (world_.nodes.size() == 1) {
    return;
  }
  ++world_.history.coverage.partitions;
  const std::size_t kind = dice_.below(7);
  world_.history.note("partition", kind);
  world_.history.say([kind] { return "partition of kind " + std::to_string(kind); });
  if (kind < 1) {
    isolate(dice_.below(world_.nodes.size()));
  } else if (kind < 4) {
    isolate_leader();
  } else if (kind < 5) {
    bridge();
  } else {
    cut_one_way();
  }
  world_.timeline.after(dice_.between(100, 5'000) * kMillisecond, [this] { world_.network->heal_all(); });
}

// --- clocks and disks

void Faults::jump_clock() {
  ++world_.history.coverage.clock_jumps;
  constexpr std::uint32_t kTenYearsS = 315'360'000;
  const auto seconds =
      static_cast<std::int64_t>(dice_.chance(1, 2) ? dice_.between(1, 100) : dice_.between(1, kTenYearsS));
  some_node().clock().set_wall(dice_.chance(1, 2) ? seconds * 1'000 : -seconds * 1'000);
}

/// As many disks as leave a majority of those that CONFIG names; what was never a member's is no loss. And empty nodes
/// that were started with the same names found a cluster of their own: they must meet somebody who has one.
bool Faults::may_wipe(const SimNode& node) const {
  if (node.is_empty() || world_.checkers->raft.committed_count() == 0 || !world_.checkers->raft.may_lose(node)) {
    return false;
  }
  // Those that know of their loss found nothing, but that is drawn when it happens.
  const auto is_empty_then = [&](const SimNode& each) {
    return each.place() == node.place() || (each.is_empty() && !each.knows_of_loss());
  };
  const auto would_found = [&](const SimNode& each) {
    return is_empty_then(each) && std::ranges::all_of(world_.nodes, [&](const auto& peer) {
             return is_empty_then(*peer) || std::ranges::find(each.peers(), peer->name()) == each.peers().end();
           });
  };
  return std::ranges::none_of(world_.nodes, [&](const auto& each) { return would_found(*each); });
}

void Faults::wipe() {
  SimNode& node = some_node();
  if (!may_wipe(node)) {
    return;
  }
  ++world_.history.coverage.wipes;
  if (node.running()) {
    node.crash();
  }
  node.wipe();
  start_again(node, dice_.between(5, 1'000) * kMillisecond);
}

void Faults::heal() {
  healed_ = true;
  world_.network->heal_all();
  world_.network->calm_down();
  for (const auto& node : world_.nodes) {
    const auto phase = node->running() ? node->node().status().phase : broker::Phase::failed;
    if (node->running() && (phase == broker::Phase::failed || phase == broker::Phase::draining)) {
      node->crash();
    }
    if (!node->running()) {
      node->start();
    }
    node->resume();
    node->disk().calm_down();
  }
}

}  // namespace weir::sim
