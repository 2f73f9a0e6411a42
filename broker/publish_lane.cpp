#include "broker/publish_lane.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace weir::broker {
namespace asio = boost::asio;

void PublishLane::publish(raft::Bytes request, std::uint32_t timeout_ms, Done done) {
  requests_.push_back({std::move(request), timeout_ms, std::move(done)});
  // Behind the sockets that were found ready at the same time.
  if (requests_.size() == 1) asio::post(net_, [self = shared_from_this()] { self->hand_over(); });
}

asio::awaitable<wire::Outcome> PublishLane::publish(raft::Bytes request, std::uint32_t timeout_ms) {
  auto begin = [self = shared_from_this(), timeout_ms](auto handler, raft::Bytes bytes) {
    self->publish(std::move(bytes), timeout_ms, [handler = std::move(handler)](wire::Outcome outcome) mutable {
      std::move(handler)(std::move(outcome));
    });
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(wire::Outcome)>(std::move(begin), asio::use_awaitable,
                                                                                  std::move(request));
}

void PublishLane::hand_over() {
  asio::post(core_, [self = shared_from_this(), requests = std::exchange(requests_, {})]() mutable {
    self->take(std::move(requests));
  });
}

void PublishLane::take(std::vector<Request> requests) {
  for (Request& request : requests) {
    node_.publish(std::move(request.bytes), request.timeout_ms,
                  [self = shared_from_this(), done = std::move(request.done)](wire::Outcome outcome) mutable {
                    self->answer(std::move(done), std::move(outcome));
                  });
  }
}

void PublishLane::answer(Done done, wire::Outcome outcome) {
  answers_.push_back({std::move(done), std::move(outcome)});
  // Behind the rest of the entry that was applied.
  if (answers_.size() == 1) asio::post(core_, [self = shared_from_this()] { self->hand_back(); });
}

void PublishLane::hand_back() {
  asio::post(net_, [answers = std::exchange(answers_, {})]() mutable {
    for (Answer& each : answers) each.done(std::move(each.outcome));
  });
}

}  // namespace weir::broker
