// What all parts of one simulation share. One thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "broker/core/node.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/history.hpp"
#include "tests/sim/settings.hpp"
#include "tests/sim/timeline.hpp"

namespace weir::sim {

class Checkers;
class SimNetwork;
class SimNode;

struct World {
  /// Founders, and then spares: empty nodes that are no members until they are added.
  World(const Settings& run_settings, std::size_t founder_count, Dice dice, std::size_t spare_count = 0);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const Settings settings;
  Timeline timeline;
  History history;
  std::unique_ptr<Checkers> checkers;
  std::unique_ptr<SimNetwork> network;
  std::vector<std::unique_ptr<SimNode>> nodes;
  /// Somebody was elected.
  std::function<void(SimNode&)> on_leader = [](SimNode&) {};
  /// Who brings back a member that lost its disk.
  broker::Readmission readmission = broker::Readmission::by_hand;
  /// How long events are kept.
  broker::RetentionLimits retention;
  /// Disks do nothing wrong by themselves.
  bool calm_disks = false;
  /// A test makes members differ, or puts an old disk back: they may say so.
  bool alarms_expected = false;
  /// Has the last word on how a node is configured, each time it starts.
  std::function<void(broker::NodeConfig&)> adapt = [](broker::NodeConfig&) {};
};

}  // namespace weir::sim
