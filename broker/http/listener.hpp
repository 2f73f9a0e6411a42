// Accepts connections and deals them out to the shards in turn. start() and stop() from the app's thread; accepting
// runs on the first net thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "broker/http/shard.hpp"

namespace weir::broker::http {

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(std::shared_ptr<ServerState> server, std::vector<std::shared_ptr<Shard>> shards);

  [[nodiscard]] std::expected<void, std::string> start();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void stop();

 private:
  static boost::asio::awaitable<void> accept(std::shared_ptr<Listener> self);
  [[nodiscard]] bool full() const;
  void hand_over(boost::asio::ip::tcp::socket socket, std::size_t number);

  std::shared_ptr<ServerState> server_;
  std::vector<std::shared_ptr<Shard>> shards_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
};

}  // namespace weir::broker::http
