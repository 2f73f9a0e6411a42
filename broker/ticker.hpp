// The core's heartbeat in time: calls back every tick, on the executor it is given. All calls on that executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>

namespace weir::broker {

class Ticker {
 public:
  using Clock = std::chrono::steady_clock;

  /// After a stall (a suspended machine, SIGSTOP) at most this many ticks are made up for: the time is gone, and a
  /// burst of ticks would look like silence of the leader, whose messages wait in the socket.
  static constexpr int kTicksCaughtUpMax = 3;

  struct Due {
    int ticks = 0;
    Clock::time_point next;
  };
  /// Which ticks are due at `now` when the next was to come at `next`.
  [[nodiscard]] static Due due(Clock::time_point now, Clock::time_point next, Clock::duration tick);

  Ticker(const boost::asio::any_io_executor& executor, Clock::duration tick, std::function<void()> on_tick);
  void start();
  void stop();

 private:
  void arm();
  void fire();

  boost::asio::steady_timer timer_;
  Clock::duration tick_;
  std::function<void()> on_tick_;
  Clock::time_point next_;
  bool stopped_ = false;
};

}  // namespace weir::broker
