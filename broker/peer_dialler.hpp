// Keeps one connection to one other member, for sending: dials, says hello, writes what the core sends, and starts
// again when it ends. Runs on the io strand.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <expected>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "broker/peer_port.hpp"
#include "broker/peer_socket.hpp"

namespace weir::broker {

class PeerDialler : public std::enable_shared_from_this<PeerDialler> {
 public:
  PeerDialler(std::shared_ptr<PeerPort> port, Peer peer, std::shared_ptr<QueuedBytes> queued_bytes);

  void start();
  void stop();
  /// Ends a pause between two attempts: the member has just shown that it lives.
  void dial_now();
  /// The member is at `address` from now on: what stands is closed, and it is dialled there.
  void move_to(const Endpoint& address);
  /// In order. Given up if there is no connection.
  void send(const std::vector<OutboundMessage>& messages);

 private:
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;
  struct QueuedFrame {
    wire::EncodedFrame frame;
    std::size_t cost = 0;
  };

  static boost::asio::awaitable<void> run(std::shared_ptr<PeerDialler> self);
  /// One connection from dialling to its end; says why it ended.
  static boost::asio::awaitable<std::string> session(std::shared_ptr<PeerDialler> self);
  static boost::asio::awaitable<std::expected<Endpoints, std::string>> resolve(std::shared_ptr<PeerDialler> self);
  static boost::asio::awaitable<std::expected<void, std::string>> connect(std::shared_ptr<PeerDialler> self,
                                                                          std::shared_ptr<PeerSocket> socket);
  static boost::asio::awaitable<std::expected<void, std::string>> handshake(std::shared_ptr<PeerDialler> self,
                                                                            std::shared_ptr<PeerSocket> socket);
  /// Until the connection ends: a peer never sends on it.
  static boost::asio::awaitable<std::string> watch(std::shared_ptr<PeerSocket> socket);
  void write_next();
  void written(const std::shared_ptr<PeerSocket>& socket, const boost::system::error_code& code);
  void give_up(std::size_t cost);
  void drop_queue();
  void log_end(const std::string& why);
  [[nodiscard]] std::chrono::milliseconds next_pause();

  const std::shared_ptr<PeerPort> port_;
  Peer peer_;
  const raft::NodeId id_;
  const std::shared_ptr<QueuedBytes> queued_bytes_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::steady_timer pause_;
  std::minstd_rand jitter_;
  std::chrono::milliseconds backoff_;
  std::shared_ptr<PeerSocket> socket_;  ///< of the session that runs
  bool is_up_ = false;                  ///< it is through its handshake: frames may be queued
  std::string last_failure_;            ///< logged already: the same again is no news
  std::deque<QueuedFrame> queue_;
  std::size_t writing_ = 0;  ///< frames at the front of queue_ that are being written
};

}  // namespace weir::broker
