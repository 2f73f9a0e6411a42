// One client's TCP connection while it speaks HTTP: bytes in, bytes out, and their deadlines. Runs on its shard's net
// thread. Owned by the coroutine that serves it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "broker/http/shard.hpp"
#include "broker/http/signal.hpp"

namespace weir::broker::http {

enum class ReadEnd : std::uint8_t { more = 1, closed = 2, timed_out = 3 };

class Connection : public Client, public std::enable_shared_from_this<Connection> {
 public:
  /// The listener has counted it (HttpMetrics::connections_open); the end is counted here.
  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Unread bytes; readers take from the front with consume().
  [[nodiscard]] std::string_view input() const { return std::string_view(input_).substr(taken_); }
  void consume(std::size_t size) { taken_ += size; }

  /// What is read from now on must have come by then.
  void set_deadline(std::chrono::milliseconds from_now);
  void clear_deadline() { deadline_ = Clock::time_point::max(); }
  /// Appends what arrives to input().
  boost::asio::awaitable<ReadEnd> read();
  /// False: the client is gone, or took not one byte for stalled_write_ms.
  boost::asio::awaitable<bool> write(std::string bytes);
  /// Sends the end and takes what is still under way, so that the last answer is not lost to a reset.
  boost::asio::awaitable<void> linger();

  /// Notices from now on when the client closes, or the server drains, while nothing is being read: both notify
  /// interrupted().
  void watch();
  void end_watch();
  [[nodiscard]] Signal& interrupted() { return interrupted_; }
  [[nodiscard]] bool gone() const { return gone_; }
  [[nodiscard]] bool draining() const { return shard_->draining(); }
  /// Between requests: draining may close the connection.
  void set_idle(bool idle) { idle_ = idle; }

  /// This connection's part of the memory for bodies.
  [[nodiscard]] BudgetShare& share() { return share_; }
  [[nodiscard]] Shard& shard() { return *shard_; }
  [[nodiscard]] const std::shared_ptr<Shard>& shard_ptr() const { return shard_; }
  /// For a WebSocket: the connection is empty afterwards.
  [[nodiscard]] boost::asio::ip::tcp::socket release() { return std::move(socket_); }

  void tick(Clock::time_point now) override;
  void drain() override;
  void kill() override;

 private:
  void watch_once();

  boost::asio::ip::tcp::socket socket_;
  std::shared_ptr<Shard> shard_;
  BudgetShare share_;
  std::string input_;
  std::size_t taken_ = 0;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool timed_out_ = false;
  bool idle_ = false;
  bool gone_ = false;
  bool watching_ = false;
  Signal interrupted_;
};

}  // namespace weir::broker::http
