// Accepts members' connections and receives what they send. Runs on the io strand (listen: before it runs).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/peer_port.hpp"
#include "broker/peer_socket.hpp"

namespace weir::broker {

class PeerListener : public std::enable_shared_from_this<PeerListener> {
 public:
  explicit PeerListener(std::shared_ptr<PeerPort> port);

  [[nodiscard]] std::expected<void, std::string> listen();
  [[nodiscard]] std::uint16_t port() const;
  void start();
  void stop();

 private:
  struct Caller {
    raft::NodeId node;
    std::uint64_t incarnation = 0;
    friend auto operator<=>(const Caller&, const Caller&) = default;
  };

  static boost::asio::awaitable<void> accept(std::shared_ptr<PeerListener> self);
  /// One accepted connection, from its first byte to its end.
  static boost::asio::awaitable<void> serve(std::shared_ptr<PeerListener> self, std::shared_ptr<PeerSocket> socket,
                                            std::string address);
  /// The caller's hello, if it is a member.
  static boost::asio::awaitable<std::expected<wire::Hello, PeerFault>> handshake(std::shared_ptr<PeerListener> self,
                                                                                 std::shared_ptr<PeerSocket> socket);
  static boost::asio::awaitable<PeerFault> receive(std::shared_ptr<PeerListener> self,
                                                   std::shared_ptr<PeerSocket> socket, wire::Hello peer);
  /// Takes the connection in. A member that calls again has lost its old connection, whether or not this side has
  /// noticed. Another incarnation under the same name, a wiped folder or a stranger, must not push the member out.
  [[nodiscard]] bool admit(const wire::Hello& peer, const std::shared_ptr<PeerSocket>& socket);
  void hand_over(raft::NodeId peer, PeerLife life, std::vector<wire::PeerMessage> messages);
  void log_refused(const std::string& address, const std::string& why);

  const std::shared_ptr<PeerPort> port_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::set<std::shared_ptr<PeerSocket>> strangers_;        ///< not through their handshake; at most handshakes_max
  std::map<Caller, std::shared_ptr<PeerSocket>> members_;  ///< at most kIncarnationsMax of one name

  // A stranger that knocks a thousand times a second gets one line a second.
  std::chrono::steady_clock::time_point next_refusal_line_;
  std::uint64_t unlogged_refusals_ = 0;
};

}  // namespace weir::broker
