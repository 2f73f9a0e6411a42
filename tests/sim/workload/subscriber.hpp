// A client that reads on and on with a cursor, waits when it has everything, and moves between nodes. One thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "broker/core/node.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

class Subscriber {
 public:
  Subscriber(World& world, std::string name, broker::Selector selector, Dice dice);

  void start() { move(dice_.between(0, 300) * kMillisecond); }
  /// Everything up to here was given to it.
  [[nodiscard]] raft::Position cursor() const { return state_.after; }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  void move(std::uint64_t delay_us);
  void connect();
  void open();
  void read();
  void got(std::expected<broker::ReadBatch, broker::ReadError> batch);
  void wait();
  void watch(std::uint64_t number);
  [[nodiscard]] bool connected() const;
  /// For callbacks: nothing if it has moved since.
  template <class Task>
  auto while_here(Task task) {
    return [this, number = number_, task = std::move(task)](auto&&... values) mutable {
      if (number == number_) {
        task(std::forward<decltype(values)>(values)...);
      }
    };
  }

  World& world_;
  std::string name_;
  broker::Selector selector_;
  Dice dice_;
  broker::ReadState state_;
  std::uint64_t number_ = 0;  ///< of the connection
  std::size_t place_ = 0;
  std::uint64_t boot_ = 0;
  std::uint64_t busy_us_ = 0;  ///< waited for an answer, while the node was not paused
  bool asked_ = false;
  std::optional<broker::WaiterId> waiter_;
};

}  // namespace weir::sim
