// A client that writes: one request after the other, each through whichever node it likes, again on another node when
// the end of an attempt is unknown and every event has an id. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/sim/dice.hpp"
#include "tests/sim/workload/call.hpp"
#include "tests/sim/workload/request_maker.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

class Publisher {
 public:
  Publisher(World& world, RequestMaker& maker, Dice dice);

  void start();
  /// Finishes what it has begun and begins nothing new.
  void retire() { retired_ = true; }
  [[nodiscard]] bool idle() const { return retired_ && request_ == nullptr; }
  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] std::uint64_t draw_pause_ms();
  void go_on(std::uint64_t delay_us);
  void attempt();
  void submit(SimNode& node);
  void answered(SimNode& node, std::uint64_t number, const Attempt& attempt, const wire::Outcome& outcome);
  /// The attempt's node is gone.
  void broken();
  void decide(const wire::Outcome& outcome);

  World& world_;
  RequestMaker& maker_;
  Dice dice_;
  bool retired_ = false;
  std::shared_ptr<Request> request_;  ///< the one at work; null between two
  Call call_;                         ///< the attempt
};

}  // namespace weir::sim
