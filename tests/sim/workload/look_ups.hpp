// A client that asks where ids were stored, linearly, on any node. One thread.
#pragma once

#include <cstdint>

#include "tests/sim/dice.hpp"
#include "tests/sim/workload/request_maker.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

class LookUps {
 public:
  LookUps(World& world, RequestMaker& maker, Dice dice) : world_(world), maker_(maker), dice_(dice) {}
  void start();

 private:
  void ask(SimNode& node);

  World& world_;
  RequestMaker& maker_;
  Dice dice_;
};

}  // namespace weir::sim
