// The peer port: this node dials every other member and uses that connection only to send; what members dialled here is
// only received from. So each direction has one order, one queue, and one place where it ends.
//
// Frames are read, checked and written on `io`, the handler runs on `core`. The app gives the core's own io_context for
// both: on few cores two wake-ups a message cost more than the checksum (docs in app.cpp).
// listen, start, send and stop are called on the core strand. Outlives the io contexts' last run; the log outlives it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/core/ports.hpp"
#include "broker/endpoint.hpp"
#include "broker/log.hpp"
#include "wire/peer_message.hpp"

namespace weir::broker {

/// Who is behind the port: the node, or a test. Every call is made on the core strand.
class PeerHandler {
 public:
  virtual ~PeerHandler() = default;
  [[nodiscard]] virtual wire::Hello hello() const = 0;
  /// The error is the refusal, which is sent and logged.
  [[nodiscard]] virtual std::expected<void, std::string> judge(const wire::Hello& peer) = 0;
  /// The connection dialled to `peer` is through its handshake; or, while there is none, one from it.
  virtual void peer_up(const wire::Hello& peer) = 0;
  /// The connection that this node dialled is gone; or, while there is none, the last one from it.
  virtual void peer_down(raft::NodeId peer) = 0;
  virtual void peer_message(raft::NodeId peer, PeerLife life, wire::PeerMessage message) = 0;
};

struct PeerLinksConfig {
  Endpoint listen;
  std::vector<Peer> peers;  ///< all other members
  std::uint64_t seed = 0;   ///< of the jitter
  std::size_t queue_bytes_max = kPeerQueueBytesMax;
  /// Accepted and not through their handshake; more are closed at once, so that strangers cannot keep members out.
  std::size_t handshakes_max = 64;
  std::chrono::milliseconds connect_timeout{2'000};  ///< a SYN is lost or answered by then
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds backoff_min{50};
  std::chrono::milliseconds backoff_max{1'000};
  /// A peer that acknowledges nothing for this long has vanished without a word (FAULTS 79).
  std::chrono::milliseconds silence_max{5'000};
};

class PeerLinks final : public PeerNetwork {
 public:
  PeerLinks(PeerLinksConfig config, boost::asio::any_io_executor io, boost::asio::any_io_executor core, const Log& log);
  ~PeerLinks() override;
  PeerLinks(const PeerLinks&) = delete;
  PeerLinks& operator=(const PeerLinks&) = delete;

  /// Binds the port. The error names the address and the way out.
  [[nodiscard]] std::expected<void, std::string> listen();
  /// The port in force (when 0 was asked).
  [[nodiscard]] std::uint16_t port() const;
  /// Accepts and dials. `handler` must live until `stop` has called back.
  void start(PeerHandler& handler);
  Sent send(raft::NodeId to, wire::PeerMessage message) override;
  void connect(const std::string& node, const std::string& address) override;
  void moved(const std::string& node, const std::string& address) override;
  /// Closes everything; the handler is not called any more. `stopped` runs on the core. Call once.
  void stop(std::move_only_function<void()> stopped);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace weir::broker
