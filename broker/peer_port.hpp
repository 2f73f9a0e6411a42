// What the two halves of the peer port, dialler and listener, share: settings, executors, the way to the handler, and
// the count of what still runs. Each part names the strand it belongs to.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/peer_links.hpp"

namespace weir::broker {

class PeerDialler;

/// A message on its way out and what it counts for in the queue until it is written or given up.
struct OutboundMessage {
  wire::PeerMessage message;
  std::size_t cost = 0;
};

/// Bytes given to send() and not yet to the socket: the core adds, io subtracts. Relaxed: it is a bound, not a message.
using QueuedBytes = std::atomic<std::size_t>;

class PeerPort : public std::enable_shared_from_this<PeerPort> {
 public:
  PeerPort(PeerLinksConfig config, boost::asio::any_io_executor io, boost::asio::any_io_executor core, const Log& log);

  const PeerLinksConfig config;
  const boost::asio::any_io_executor io;
  const boost::asio::any_io_executor core;
  const Log& log;

  // --- core strand
  struct Outlet {
    std::shared_ptr<PeerDialler> dialler;
    std::shared_ptr<QueuedBytes> queued_bytes;
    bool up = false;  ///< dialled and through the handshake, as far as the core has heard
    std::vector<OutboundMessage> outbox;
  };
  PeerHandler* handler = nullptr;  ///< none before start and after stop
  std::map<raft::NodeId, Outlet> outlets;
  std::map<raft::NodeId, std::size_t> callers;  ///< connections that each peer dialled, members or not; none is 0
  bool flush_posted = false;

  /// Takes what was sent during this turn of the core over to io: one hand-over, however many messages.
  void post_flush();
  /// Judges who dialled us; the answer to send. None: this node is stopping.
  [[nodiscard]] std::optional<wire::Welcome> admit_caller(const wire::Hello& caller);
  /// Judges whom we dialled; on success messages may be sent.
  [[nodiscard]] std::expected<void, std::string> admit_callee(raft::NodeId peer, const wire::Hello& callee);
  void lose_callee(raft::NodeId peer);
  /// A peer that only ever called, and whom this node could not reach, is gone with its last call.
  void lose_caller(raft::NodeId peer);

  // --- io strand
  bool stopping = false;
  /// Runs `task` to its end, reports an exception that escapes it, and counts it as living until then.
  void spawn(boost::asio::awaitable<void> task, std::string name);
  /// Calls `idle` on the core when no task lives any more.
  void when_idle(std::move_only_function<void()> idle);

 private:
  void flush();
  void task_ended();

  std::size_t tasks_ = 0;
  std::move_only_function<void()> idle_;
};

/// What a message weighs in the outbound queue: its bytes, about.
[[nodiscard]] std::size_t outbound_cost(const wire::PeerMessage& message);

}  // namespace weir::broker
