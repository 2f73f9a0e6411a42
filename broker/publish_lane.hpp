// Publishes of one net thread on their way to the core, and their outcomes on the way back. What is ready together goes
// together: one wake-up for all of it, and requests that arrive together share an entry of the log, and its flush.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "broker/core/node.hpp"

namespace weir::broker {

class PublishLane : public std::enable_shared_from_this<PublishLane> {
 public:
  using Done = std::move_only_function<void(wire::Outcome)>;

  /// The node outlives the lane.
  PublishLane(boost::asio::any_io_executor net, boost::asio::any_io_executor core, Node& node)
      : net_(std::move(net)), core_(std::move(core)), node_(node) {}

  /// On the net thread; `done` runs there too, later.
  void publish(raft::Bytes request, std::uint32_t timeout_ms, Done done);
  boost::asio::awaitable<wire::Outcome> publish(raft::Bytes request, std::uint32_t timeout_ms);

 private:
  struct Request {
    raft::Bytes bytes;
    std::uint32_t timeout_ms;
    Done done;
  };
  struct Answer {
    Done done;
    wire::Outcome outcome;
  };

  using Requests = std::vector<Request>;
  using Answers = std::vector<Answer>;

  void take(Requests requests);
  void answer(Done done, wire::Outcome outcome);

  boost::asio::any_io_executor net_;
  boost::asio::any_io_executor core_;
  Node& node_;
  // What is being gathered belongs to the queue that will hand it over: if that is never run, nobody holds it.
  std::weak_ptr<Requests> requests_;  ///< net thread; the node bounds what it takes, a session what it has under way
  std::weak_ptr<Answers> answers_;    ///< core strand
};

}  // namespace weir::broker
