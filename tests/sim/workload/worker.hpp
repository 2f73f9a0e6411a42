// A worker of a consumer group: claims a few positions, and commits them, in time or too late, in parts or whole, once
// or again. One thread.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/dice.hpp"
#include "tests/sim/workload/call.hpp"
#include "tests/sim/world.hpp"
#include "wire/group.hpp"
#include "wire/outcome.hpp"

namespace weir::sim {

class Worker {
 public:
  Worker(World& world, Dice dice);
  void start() { go_on(dice_.between(0, 500)); }
  /// Asks for nothing more.
  void retire() { retired_ = true; }
  [[nodiscard]] bool idle() const { return retired_ && !call_.open(); }

 private:
  void go_on(std::uint64_t delay_ms);
  void attempt();
  /// What to ask `node` for next; nothing is held and nothing can be: an empty group's name.
  [[nodiscard]] wire::GroupChange draw(SimNode& node);
  void answered(std::uint64_t number, const wire::GroupChange& asked, const wire::Outcome& outcome);

  World& world_;
  Dice dice_;
  Call call_;
  bool retired_ = false;
  wire::GroupChange held_;     ///< the claim at work; `lease` 0 = none
  std::uint64_t done_to_ = 0;  ///< of it
};

}  // namespace weir::sim
