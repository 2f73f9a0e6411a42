#include "broker/publish_lane.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "broker/hop.hpp"

namespace weir::broker {
namespace asio = boost::asio;

void PublishLane::publish(raft::Bytes request, std::uint32_t timeout_ms, Done done) {
  auto requests = requests_.lock();
  if (!requests) {
    requests = std::make_shared<Requests>();
    requests_ = requests;
    // Behind the sockets that were found ready at the same time.
    asio::post(net_, [self = shared_from_this(), requests] {
      self->requests_.reset();
      asio::post(self->core_, [self, gathered = std::move(*requests)]() mutable { self->take(std::move(gathered)); });
    });
  }
  requests->push_back({std::move(request), timeout_ms, std::move(done)});
}

asio::awaitable<wire::Outcome> PublishLane::publish(raft::Bytes request, std::uint32_t timeout_ms) {
  return call_and_wait<wire::Outcome>(
      [self = shared_from_this(), request = std::move(request), timeout_ms](auto done) mutable {
        self->publish(std::move(request), timeout_ms, std::move(done));
      });
}

void PublishLane::take(Requests requests) {
  for (Request& request : requests) {
    node_.publish(std::move(request.bytes), request.timeout_ms,
                  [self = shared_from_this(), done = std::move(request.done)](wire::Outcome outcome) mutable {
                    self->answer(std::move(done), std::move(outcome));
                  });
  }
}

void PublishLane::answer(Done done, wire::Outcome outcome) {
  auto answers = answers_.lock();
  if (!answers) {
    answers = std::make_shared<Answers>();
    answers_ = answers;
    // Behind the rest of the entry that was applied.
    asio::post(core_, [self = shared_from_this(), answers] {
      self->answers_.reset();
      asio::post(self->net_, [gathered = std::move(*answers)]() mutable {
        for (Answer& each : gathered) each.done(std::move(each.outcome));
      });
    });
  }
  answers->push_back({std::move(done), std::move(outcome)});
}

}  // namespace weir::broker
