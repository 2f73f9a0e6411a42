#include "broker/ticker.hpp"

#include <utility>

namespace weir::broker {

Ticker::Due Ticker::due(Clock::time_point now, Clock::time_point next, Clock::duration tick) {
  if (now < next) return {0, next};
  const auto late = (now - next) / tick;
  if (late >= kTicksCaughtUpMax) return {kTicksCaughtUpMax, now + tick};
  return {static_cast<int>(late) + 1, next + tick * (late + 1)};
}

Ticker::Ticker(const boost::asio::any_io_executor& executor, Clock::duration tick, std::function<void()> on_tick)
    : timer_(executor), tick_(tick), on_tick_(std::move(on_tick)) {}

void Ticker::start() {
  next_ = Clock::now() + tick_;
  arm();
}

void Ticker::stop() {
  stopped_ = true;
  timer_.cancel();
}

void Ticker::arm() {
  timer_.expires_at(next_);
  timer_.async_wait([this](const boost::system::error_code& code) {
    if (!code && !stopped_) fire();
  });
}

void Ticker::fire() {
  const Due now_due = due(Clock::now(), next_, tick_);
  next_ = now_due.next;
  for (int i = 0; i < now_due.ticks && !stopped_; ++i) on_tick_();
  if (!stopped_) arm();
}

}  // namespace weir::broker
