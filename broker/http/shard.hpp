// What the connections of one net thread share: their list, the clock that enforces their deadlines, a recent copy of
// the node's status. Everything runs on that net thread, except the constructor.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "broker/gateway.hpp"
#include "broker/http/access.hpp"
#include "broker/http/event_texts.hpp"
#include "broker/http/memory_budget.hpp"
#include "broker/http/metrics.hpp"
#include "broker/http/server.hpp"
#include "broker/http/tail.hpp"

namespace weir::broker::http {

using Clock = std::chrono::steady_clock;

/// One for the whole server; outlives all shards.
struct ServerState {
  ServerState(HttpConfig http_config, Gateway& node)
      : config(std::move(http_config)), gateway(node), budget(config.limits.bodies_bytes_max) {}
  const HttpConfig config;
  Gateway& gateway;
  HttpMetrics metrics;
  MemoryBudget budget;
};

/// A connection, as its shard sees it: HTTP or WebSocket.
class Client {
 public:
  virtual ~Client() = default;
  /// Now and then, at least as often as the shortest time limit asks for.
  virtual void tick(Clock::time_point now) = 0;
  /// The server stops: say goodbye and end soon.
  virtual void drain() = 0;
  /// End now.
  virtual void kill() = 0;
};

class Shard : public std::enable_shared_from_this<Shard> {
 public:
  Shard(boost::asio::io_context& net, std::shared_ptr<ServerState> server);

  [[nodiscard]] boost::asio::io_context& net() { return net_; }
  [[nodiscard]] ServerState& server() { return *server_; }
  [[nodiscard]] const HttpLimits& limits() const { return server_->config.limits; }
  [[nodiscard]] Gateway& gateway() { return server_->gateway; }
  [[nodiscard]] PublishLane& lane() { return *lane_; }
  [[nodiscard]] HttpMetrics& metrics() { return server_->metrics; }

  void add(Client* client);
  /// From the client's destructor.
  void remove(Client* client);

  /// What those who follow these topics share.
  [[nodiscard]] std::shared_ptr<Tail> tail(const std::shared_ptr<const Selector>& selector);

  [[nodiscard]] EventTexts& event_texts() { return event_texts_; }

  /// At most kStatusAgeMax old.
  boost::asio::awaitable<std::shared_ptr<const NodeStatus>> status();

  [[nodiscard]] bool draining() const { return draining_; }
  /// Where clients should go instead; may be empty.
  [[nodiscard]] const std::string& goaway_to() const { return goaway_to_; }
  /// `empty` runs when no connection is left.
  void drain(std::string to, std::move_only_function<void()> empty);
  void kill_all();

 private:
  void arm();
  void tell_if_empty();

  boost::asio::io_context& net_;
  std::shared_ptr<ServerState> server_;
  std::shared_ptr<PublishLane> lane_;
  std::unordered_set<Client*> clients_;
  std::unordered_map<std::string, std::weak_ptr<Tail>> tails_;  ///< by the selector's text
  std::size_t tails_max_ = 0;                                   ///< then those without readers are forgotten
  EventTexts event_texts_;
  boost::asio::steady_timer ticker_;
  bool ticking_ = false;
  std::shared_ptr<const NodeStatus> status_;
  Clock::time_point status_at_;
  bool draining_ = false;
  std::string goaway_to_;
  std::move_only_function<void()> empty_;
};

}  // namespace weir::broker::http
