// What a client has asked of a node, until it is answered or the node has died. An answer that does not come within the
// call's timeout is a violation. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "tests/sim/world.hpp"

namespace weir::sim {

class Call {
 public:
  struct Hooks {
    std::function<void()> broken;       ///< the node died: nobody knows what became of it
    std::function<std::string()> text;  ///< what was asked, for a violation
  };

  Call(World& world, Hooks hooks) : world_(world), hooks_(std::move(hooks)) {}

  /// The number of this call; every earlier one is over.
  std::uint64_t begin(const SimNode& node, std::uint32_t timeout_ms);
  /// Another at the same node, from inside its answer.
  std::uint64_t begin_again();
  [[nodiscard]] std::uint64_t number() const { return number_; }
  void end() { open_ = false; }
  /// It waits for an answer.
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] bool open(std::uint64_t number) const { return open_ && number == number_; }
  /// No other was begun since, and the node has not died.
  [[nodiscard]] bool is_latest(std::uint64_t number) const { return number == number_; }
  [[nodiscard]] std::size_t place() const { return place_; }
  [[nodiscard]] std::uint32_t timeout_ms() const { return timeout_ms_; }

 private:
  void watch(std::uint64_t number);

  World& world_;
  Hooks hooks_;
  std::uint64_t number_ = 0;
  bool open_ = false;
  std::size_t place_ = 0;  ///< of its node
  std::uint64_t boot_ = 0;
  std::uint32_t timeout_ms_ = 0;
  std::uint64_t waited_us_ = 0;  ///< while the node was not paused
};

}  // namespace weir::sim
