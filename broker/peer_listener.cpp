#include "broker/peer_listener.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "broker/hop.hpp"
#include "broker/peer_dialler.hpp"

namespace weir::broker {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// Messages handed to the core at once: as many as one staging buffer holds of the smallest.
constexpr std::size_t kBatchMessagesMax = 512;
/// Read and not yet taken by the core: then reading waits. Two of the largest frames.
constexpr std::size_t kInboundBytesMax = 2 * wire::kFrameBytesMax;
/// When no descriptor is free (FAULTS 55): one will be, soon or not.
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::seconds kRefusalLinePause{1};
/// Connections under one member's name at once: the member, its wiped folder, and strangers who know its name.
constexpr std::ptrdiff_t kIncarnationsMax = 4;

[[nodiscard]] std::string text_of(const tcp::endpoint& endpoint) {
  return Endpoint{endpoint.address().to_string(), endpoint.port()}.text();
}

/// What a member says on a connection that it dialled; the error names what it must not say.
[[nodiscard]] std::expected<void, std::string> check_message(raft::NodeId peer, const wire::PeerMessage& message) {
  if (std::holds_alternative<wire::Hello>(message)) return std::unexpected("a second hello");
  if (std::holds_alternative<wire::Welcome>(message)) return std::unexpected("a welcome that nobody asked for");
  const auto* raft_message = std::get_if<raft::Message>(&message);
  if (raft_message != nullptr && raft_message->from != peer)
    return std::unexpected("a message in another member's name");
  return {};
}

}  // namespace

PeerListener::PeerListener(std::shared_ptr<PeerPort> port)
    : port_(std::move(port)), acceptor_(port_->io), pause_(port_->io) {}

std::expected<void, std::string> PeerListener::listen() {
  const Endpoint& at = port_->config.listen;
  boost::system::error_code code;
  const tcp::endpoint endpoint(asio::ip::make_address(at.host, code), at.port);
  if (!code) acceptor_.open(endpoint.protocol(), code);
  if (!code) acceptor_.set_option(tcp::acceptor::reuse_address(true), code);
  if (!code) acceptor_.bind(endpoint, code);
  if (!code) acceptor_.listen(asio::socket_base::max_listen_connections, code);
  if (!code) return {};
  const std::string cure =
      code == asio::error::address_in_use ? "; is another weir running here? choose with --raft" : "";
  return std::unexpected("cannot listen for members on " + at.text() + ": " + code.message() + cure);
}

std::uint16_t PeerListener::port() const {
  boost::system::error_code code;
  return acceptor_.local_endpoint(code).port();
}

void PeerListener::start() {
  port_->spawn(accept(shared_from_this()), "peer listener");
}

void PeerListener::stop() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  for (const auto& socket : strangers_) socket->close("this node is stopping");
  for (const auto& [id, socket] : members_) socket->close("this node is stopping");
}

asio::awaitable<void> PeerListener::accept(std::shared_ptr<PeerListener> self) {
  while (!self->port_->stopping) {
    tcp::endpoint from;
    auto [code, socket] = co_await self->acceptor_.async_accept(from, kAwait);
    if (self->port_->stopping) break;
    if (code) {
      self->port_->log.warn("cannot accept a member's connection", {{"why", code.message()}});
      self->pause_.expires_after(kAcceptPause);
      co_await self->pause_.async_wait(kAwait);
      continue;
    }
    if (self->strangers_.size() >= self->port_->config.handshakes_max) {
      self->log_refused(text_of(from), "too many connections wait for their handshake");
      continue;
    }
    auto accepted = std::make_shared<PeerSocket>(std::move(socket));
    accepted->tune(self->port_->config.silence_max);
    self->strangers_.insert(accepted);
    self->port_->spawn(serve(self, accepted, text_of(from)), "peer connection");
  }
}

asio::awaitable<void> PeerListener::serve(std::shared_ptr<PeerListener> self, std::shared_ptr<PeerSocket> socket,
                                          std::string address) {
  socket->close_after(self->port_->config.handshake_timeout);
  const auto peer = co_await handshake(self, socket);
  self->strangers_.erase(socket);
  if (!peer) {
    if (!self->port_->stopping) self->log_refused(address, peer.error().text);
    socket->close(peer.error().text);
    co_return;
  }
  socket->lift_deadline();
  const raft::NodeId id = wire::node_id(peer->node);
  const bool is_admitted = self->admit(*peer, socket);
  if (!is_admitted) {
    self->log_refused(address, "'" + peer->node + "' is connected already, with several data folders");
    socket->close("too many connections under one name");
    asio::post(self->port_->core, [port = self->port_, id] { port->lose_caller(id); });
    co_return;
  }
  self->port_->log.debug("connection from peer", {{"peer", peer->node}, {"address", address}});
  // It is there: no use in waiting out a pause before dialling it.
  asio::post(self->port_->core, [port = self->port_, id] {
    const auto known = port->outlets.find(id);
    if (known == port->outlets.end()) return;
    asio::post(port->io, [dialler = known->second.dialler] { dialler->dial_now(); });
  });
  const PeerFault end = co_await receive(self, socket, *peer);
  if (end.kind == PeerFault::Kind::bad) {
    self->port_->log.warn("peer sent what no member sends; connection closed",
                          {{"peer", peer->node}, {"address", address}, {"why", end.text}});
  } else {
    self->port_->log.debug("connection from peer ended", {{"peer", peer->node}, {"why", end.text}});
  }
  socket->close(end.text);
  asio::post(self->port_->core, [port = self->port_, id] { port->lose_caller(id); });
  const auto current = self->members_.find({id, peer->incarnation});
  if (current != self->members_.end() && current->second == socket) self->members_.erase(current);
}

asio::awaitable<std::expected<wire::Hello, PeerFault>> PeerListener::handshake(std::shared_ptr<PeerListener> self,
                                                                               std::shared_ptr<PeerSocket> socket) {
  auto first = co_await PeerSocket::read(socket, wire::kHandshakeBytesMax);
  if (!first) co_return std::unexpected(first.error());
  auto* hello = std::get_if<wire::Hello>(&*first);
  if (hello == nullptr) co_return std::unexpected(PeerFault{PeerFault::Kind::bad, "it did not begin with a hello"});
  const std::shared_ptr<PeerPort> port = self->port_;
  auto admit = [port, caller = *hello] { return port->admit_caller(caller); };
  auto welcome = co_await hop<std::optional<wire::Welcome>>(port->core, std::move(admit));
  if (!welcome) co_return std::unexpected(PeerFault{PeerFault::Kind::gone, "this node is stopping"});
  const std::string refusal = welcome->refusal;
  wire::PeerMessage answer = std::move(*welcome);
  const auto sent = co_await PeerSocket::write(socket, std::move(answer));
  if (!refusal.empty()) {
    co_return std::unexpected(PeerFault{PeerFault::Kind::bad, "'" + hello->node + "' is refused: " + refusal});
  }
  if (!sent) {
    asio::post(port->core, [port, id = wire::node_id(hello->node)] { port->lose_caller(id); });
    co_return std::unexpected(sent.error());
  }
  co_return std::move(*hello);
}

asio::awaitable<PeerFault> PeerListener::receive(std::shared_ptr<PeerListener> self, std::shared_ptr<PeerSocket> socket,
                                                 wire::Hello peer) {
  const raft::NodeId id = wire::node_id(peer.node);
  std::vector<wire::PeerMessage> batch;
  std::size_t handed_over = 0;
  for (;;) {
    auto message = co_await PeerSocket::read(socket, wire::kFrameBytesMax);
    if (!message) co_return message.error();
    if (auto checked = check_message(id, *message); !checked)
      co_return PeerFault{PeerFault::Kind::bad, checked.error()};
    handed_over += outbound_cost(*message);
    batch.push_back(std::move(*message));
    if (socket->has_frame() && batch.size() < kBatchMessagesMax) continue;
    self->hand_over(id, {.incarnation = peer.incarnation, .boot_nonce = peer.boot_nonce}, std::exchange(batch, {}));
    if (handed_over < kInboundBytesMax) continue;
    // Once through the core's queue: everything handed over before has been taken then.
    co_await asio::post(self->port_->core, asio::use_awaitable);
    handed_over = 0;
  }
}

void PeerListener::hand_over(raft::NodeId peer, PeerLife life, std::vector<wire::PeerMessage> messages) {
  asio::dispatch(port_->core, [port = port_, peer, life, messages = std::move(messages)]() mutable {
    for (wire::PeerMessage& message : messages) {
      if (port->handler != nullptr) port->handler->peer_message(peer, life, std::move(message));
    }
  });
}

bool PeerListener::admit(const wire::Hello& peer, const std::shared_ptr<PeerSocket>& socket) {
  const raft::NodeId node = wire::node_id(peer.node);
  const auto first = members_.lower_bound({node, 0});
  const auto last = members_.upper_bound({node, std::numeric_limits<std::uint64_t>::max()});
  auto current = members_.find({node, peer.incarnation});
  if (current == members_.end()) {
    if (std::distance(first, last) >= kIncarnationsMax) return false;
    current = members_.try_emplace({node, peer.incarnation}).first;
  } else {
    current->second->close("the peer has connected again");
  }
  current->second = socket;
  return true;
}

void PeerListener::log_refused(const std::string& address, const std::string& why) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_refusal_line_) {
    ++unlogged_refusals_;
    return;
  }
  next_refusal_line_ = now + kRefusalLinePause;
  const std::uint64_t unlogged = std::exchange(unlogged_refusals_, 0);
  port_->log.warn("connection to the peer port refused",
                  {{"address", address}, {"why", why}, {"unlogged_before", unlogged}});
}

}  // namespace weir::broker
