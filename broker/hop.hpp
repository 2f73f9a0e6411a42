// From a coroutine to another executor and back. Callable on any executor.
//
// g++ 12 moves a lambda or a braced aggregate that is written inside a co_await expression by copying its bytes, which
// a std::string does not survive: give it a name first, `auto work = [...] {...}; co_await hop<T>(there,
// std::move(work));`.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace weir::broker {

/// Calls `start` with a callback for the result, which is to be called later, on the coroutine's own executor.
template <class Result, class Start>
boost::asio::awaitable<Result> call_and_wait(Start start) {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Result)>(
      [start = std::move(start)](auto handler) mutable {
        start([handler = std::move(handler)](Result result) mutable { std::move(handler)(std::move(result)); });
      },
      boost::asio::use_awaitable);
}

/// Runs `start` on `there` with a callback for the result; the coroutine resumes on its own executor. No work is
/// tracked: whoever runs the executors keeps them running until their coroutines have ended.
template <class Result, class Start>
boost::asio::awaitable<Result> hop_and_wait(boost::asio::any_io_executor there, Start start) {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Result)>(
      [](auto handler, const boost::asio::any_io_executor& on, Start begin) {
        boost::asio::post(on, [handler = std::move(handler), begin = std::move(begin)]() mutable {
          begin([handler = std::move(handler)](Result result) mutable {
            const auto reply_on = boost::asio::get_associated_executor(handler);
            boost::asio::post(reply_on, [handler = std::move(handler), result = std::move(result)]() mutable {
              std::move(handler)(std::move(result));
            });
          });
        });
      },
      boost::asio::use_awaitable, std::move(there), std::move(start));
}

/// The same for calls that answer at once.
template <class Result, class Compute>
boost::asio::awaitable<Result> hop(boost::asio::any_io_executor there, Compute compute) {
  return hop_and_wait<Result>(std::move(there), [compute = std::move(compute)](auto done) mutable { done(compute()); });
}

}  // namespace weir::broker
