// One connection of the peer port: a socket, a deadline that closes it, frames in and one frame out at a time.
// Runs on the io strand. Held by the coroutines that use it.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wire/peer_message.hpp"

namespace weir::broker {

/// Why nothing more comes from a peer.
struct PeerFault {
  enum class Kind : std::uint8_t {
    gone = 1,  ///< closed, reset, timed out
    bad = 2,   ///< it sent what no member sends
  };
  Kind kind = Kind::gone;
  std::string text;
};

class PeerSocket : public std::enable_shared_from_this<PeerSocket> {
 public:
  explicit PeerSocket(boost::asio::ip::tcp::socket socket);

  [[nodiscard]] boost::asio::ip::tcp::socket& socket() { return socket_; }
  /// Small frames leave at once; a peer that vanished is noticed after silence_max.
  void tune(std::chrono::milliseconds silence_max);
  /// Closes the socket unless a later call moves or lifts the deadline.
  void close_after(std::chrono::milliseconds time);
  void lift_deadline();
  /// Safe to call again. `why` is what read and write then give as their error; the first one counts.
  void close(std::string why);
  [[nodiscard]] const std::string& closed_why() const { return closed_why_; }

  /// The next frame, at most length_max long. Memory is taken for a frame only when its header has passed every check.
  static boost::asio::awaitable<std::expected<wire::PeerMessage, PeerFault>> read(std::shared_ptr<PeerSocket> self,
                                                                                  std::size_t length_max);
  /// The next frame is here already: read() will not wait.
  [[nodiscard]] bool has_frame() const;
  static boost::asio::awaitable<std::expected<void, PeerFault>> write(std::shared_ptr<PeerSocket> self,
                                                                      wire::PeerMessage message);

 private:
  [[nodiscard]] PeerFault gone(const boost::system::error_code& code) const;
  static boost::asio::awaitable<std::expected<void, PeerFault>> fill(std::shared_ptr<PeerSocket> self);
  [[nodiscard]] std::string_view staged() const { return {staging_.data() + begin_, end_ - begin_}; }

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer deadline_;
  std::string closed_why_;

  // What has arrived and is not consumed: staging_[begin_, end_). Small frames are read many at a time; of a large one
  // only the beginning comes through here.
  std::vector<char> staging_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace weir::broker
