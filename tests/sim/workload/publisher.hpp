// A client that writes: one request after the other, each through whichever node it likes, again on another node when
// the end of an attempt is unknown and every event has an id. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/sim/dice.hpp"
#include "tests/sim/workload/request_maker.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

class Publisher {
 public:
  Publisher(World& world, RequestMaker& maker, Dice dice) : world_(world), maker_(maker), dice_(dice) {}

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
  /// Sees to an attempt whose node is gone or does not answer.
  void watch(std::uint64_t number);
  void decide(const wire::Outcome& outcome);

  World& world_;
  RequestMaker& maker_;
  Dice dice_;
  bool retired_ = false;
  std::shared_ptr<Request> request_;  ///< the one at work; null between two
  std::uint64_t number_ = 0;          ///< of the attempt; an answer to an earlier one is ignored
  bool open_ = false;                 ///< an attempt waits for its answer
  std::size_t place_ = 0;             ///< of its node
  std::uint64_t boot_ = 0;
  std::uint32_t timeout_ms_ = 0;
  std::uint64_t waited_us_ = 0;  ///< while the node was not paused
};

}  // namespace weir::sim
