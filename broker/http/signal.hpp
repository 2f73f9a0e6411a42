// Wakes one waiting coroutine. Remembers a notification that came while nobody waited. Used on one net thread; the
// waiter keeps the signal alive.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace weir::broker::http {

class Signal {
 public:
  explicit Signal(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  void notify() {
    notified_ = true;
    timer_.cancel();
  }

  /// Until notify(), or the operation is cancelled; consumes the notification.
  boost::asio::awaitable<void> wait() {
    if (!notified_) co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    notified_ = false;
  }

 private:
  boost::asio::steady_timer timer_;
  bool notified_ = false;
};

}  // namespace weir::broker::http
