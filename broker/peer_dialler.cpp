#include "broker/peer_dialler.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <utility>
#include <variant>

#include "broker/hop.hpp"

namespace weir::broker {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// One gather write: enough for one system call to be busy, little enough that the next heartbeat waits only briefly.
constexpr std::size_t kGatherBytesMax = std::size_t{1} << 20U;
/// As many parts as one system call takes from asio.
constexpr std::size_t kGatherPartsMax = 64;

}  // namespace

PeerDialler::PeerDialler(std::shared_ptr<PeerPort> port, Peer peer, std::shared_ptr<QueuedBytes> queued_bytes)
    : port_(std::move(port)),
      peer_(std::move(peer)),
      id_(wire::node_id(peer_.name)),
      queued_bytes_(std::move(queued_bytes)),
      resolver_(port_->io),
      pause_(port_->io),
      jitter_(static_cast<std::minstd_rand::result_type>(port_->config.seed ^ id_.value)),
      backoff_(port_->config.backoff_min) {}

void PeerDialler::start() {
  port_->spawn(run(shared_from_this()), "dialler of " + peer_.name);
}

void PeerDialler::stop() {
  resolver_.cancel();
  pause_.cancel();
  if (socket_) socket_->close("this node is stopping");
}

void PeerDialler::dial_now() {
  backoff_ = port_->config.backoff_min;
  pause_.cancel();
}

void PeerDialler::move_to(const Endpoint& address) {
  if (peer_.raft == address) return;
  peer_.raft = address;
  resolver_.cancel();
  if (socket_) socket_->close("the member has moved to " + address.text());
  dial_now();
}

asio::awaitable<void> PeerDialler::run(std::shared_ptr<PeerDialler> self) {
  while (!self->port_->stopping) {
    self->socket_ = std::make_shared<PeerSocket>(tcp::socket(self->port_->io));
    const auto began = std::chrono::steady_clock::now();
    const std::string why = co_await session(self);
    self->socket_->close(why);
    if (self->port_->stopping) break;
    self->log_end(why);
    // A connection that held ends the backing off; one that is cut at once does not.
    const bool held = self->is_up_ && std::chrono::steady_clock::now() - began > self->port_->config.backoff_max;
    if (held) self->backoff_ = self->port_->config.backoff_min;
    self->is_up_ = false;
    self->drop_queue();
    self->pause_.expires_after(self->next_pause());
    co_await self->pause_.async_wait(kAwait);
  }
  self->drop_queue();
}

asio::awaitable<std::string> PeerDialler::session(std::shared_ptr<PeerDialler> self) {
  const std::shared_ptr<PeerSocket> socket = self->socket_;
  const auto connected = co_await connect(self, socket);
  if (!connected) co_return connected.error();
  const auto welcomed = co_await handshake(self, socket);
  if (!welcomed) co_return welcomed.error();
  self->is_up_ = true;
  self->last_failure_.clear();
  self->port_->log.info("connected to peer", {{"peer", self->peer_.name}, {"address", self->peer_.raft.text()}});
  const std::string why = co_await watch(socket);
  asio::post(self->port_->core, [port = self->port_, id = self->id_] { port->lose_callee(id); });
  co_return why;
}

asio::awaitable<std::expected<PeerDialler::Endpoints, std::string>> PeerDialler::resolve(
    std::shared_ptr<PeerDialler> self) {
  // An address needs no resolver; asio's keeps a thread of its own from its first use on.
  boost::system::error_code not_an_address;
  const auto address = asio::ip::make_address(self->peer_.raft.host, not_an_address);
  if (!not_an_address) co_return Endpoints{tcp::endpoint(address, self->peer_.raft.port)};
  const std::string service = std::to_string(self->peer_.raft.port);
  const auto [code, results] = co_await self->resolver_.async_resolve(self->peer_.raft.host, service, kAwait);
  if (code) co_return std::unexpected("cannot resolve '" + self->peer_.raft.host + "': " + code.message());
  Endpoints endpoints;
  for (const auto& result : results) endpoints.push_back(result.endpoint());
  co_return endpoints;
}

asio::awaitable<std::expected<void, std::string>> PeerDialler::connect(std::shared_ptr<PeerDialler> self,
                                                                       std::shared_ptr<PeerSocket> socket) {
  const auto endpoints = co_await resolve(self);
  if (!endpoints) co_return std::unexpected(endpoints.error());
  if (self->port_->stopping) co_return std::unexpected("this node is stopping");
  socket->close_after(self->port_->config.connect_timeout);
  const auto [code, endpoint] = co_await asio::async_connect(socket->socket(), *endpoints, kAwait);
  if (code) co_return std::unexpected(socket->closed_why().empty() ? code.message() : socket->closed_why());
  socket->tune(self->port_->config.silence_max);
  co_return std::expected<void, std::string>{};
}

asio::awaitable<std::expected<void, std::string>> PeerDialler::handshake(std::shared_ptr<PeerDialler> self,
                                                                         std::shared_ptr<PeerSocket> socket) {
  const std::shared_ptr<PeerPort> port = self->port_;
  socket->close_after(port->config.handshake_timeout);
  auto say_hello = [port] { return port->handler == nullptr ? std::optional<wire::Hello>{} : port->handler->hello(); };
  auto hello = co_await hop<std::optional<wire::Hello>>(port->core, std::move(say_hello));
  if (!hello) co_return std::unexpected("this node is stopping");
  wire::PeerMessage greeting = std::move(*hello);
  const auto sent = co_await PeerSocket::write(socket, std::move(greeting));
  if (!sent) co_return std::unexpected(sent.error().text);
  auto answer = co_await PeerSocket::read(socket, wire::kHandshakeBytesMax);
  if (!answer) co_return std::unexpected(answer.error().text);
  const auto* welcome = std::get_if<wire::Welcome>(&*answer);
  if (welcome == nullptr) co_return std::unexpected("it answered a hello with something else");
  if (!welcome->refusal.empty()) co_return std::unexpected("it refused this node: " + welcome->refusal);
  if (welcome->hello.node != self->peer_.name) {
    co_return std::unexpected("its address " + self->peer_.raft.text() + " is answered by '" + welcome->hello.node +
                              "'; check the peers list");
  }
  socket->lift_deadline();
  auto admit = [port, id = self->id_, callee = welcome->hello] { return port->admit_callee(id, callee); };
  auto admitted = co_await hop<std::expected<void, std::string>>(port->core, std::move(admit));
  if (!admitted) co_return std::unexpected("refused: " + admitted.error());
  co_return admitted;
}

asio::awaitable<std::string> PeerDialler::watch(std::shared_ptr<PeerSocket> socket) {
  char byte = 0;
  const auto [code, count] = co_await socket->socket().async_read_some(asio::buffer(&byte, 1), kAwait);
  if (!socket->closed_why().empty()) co_return socket->closed_why();
  if (!code) co_return "it sent bytes on a connection that is only written";
  co_return code == asio::error::eof ? "closed by the peer" : code.message();
}

void PeerDialler::send(const std::vector<OutboundMessage>& messages) {
  for (const OutboundMessage& message : messages) {
    if (!is_up_) {
      give_up(message.cost);
      continue;
    }
    wire::EncodedFrame frame = wire::encode(message.message);
    if (frame.size > wire::kFrameHeaderBytes + wire::kFrameBytesMax) {
      port_->log.error("message too large for a frame", {{"peer", peer_.name}, {"bytes", frame.size}});
      give_up(message.cost);
      continue;
    }
    queue_.push_back({std::move(frame), message.cost});
  }
  write_next();
}

void PeerDialler::write_next() {
  if (writing_ > 0 || queue_.empty() || !is_up_) return;
  std::vector<asio::const_buffer> buffers;
  std::size_t bytes = 0;
  while (writing_ < queue_.size()) {
    const wire::EncodedFrame& frame = queue_[writing_].frame;
    const bool is_full = bytes + frame.size > kGatherBytesMax || buffers.size() + frame.parts.size() > kGatherPartsMax;
    if (writing_ > 0 && is_full) break;
    for (const raft::Bytes& part : frame.parts) buffers.emplace_back(part.data(), part.size());
    bytes += frame.size;
    ++writing_;
  }
  const auto in_large_pieces = [](const boost::system::error_code& code, std::size_t) {
    return code ? 0 : kGatherBytesMax;
  };
  asio::async_write(socket_->socket(), buffers, in_large_pieces,
                    [self = shared_from_this(), socket = socket_](const boost::system::error_code& code, std::size_t) {
                      self->written(socket, code);
                    });
}

void PeerDialler::written(const std::shared_ptr<PeerSocket>& socket, const boost::system::error_code& code) {
  for (; writing_ > 0; --writing_) {
    give_up(queue_.front().cost);
    queue_.pop_front();
  }
  if (code) {
    socket->close(code.message());
    drop_queue();
    return;
  }
  write_next();
}

void PeerDialler::give_up(std::size_t cost) {
  queued_bytes_->fetch_sub(cost, std::memory_order_relaxed);
}

/// All but the frames under the socket's hands: written() lets those go.
void PeerDialler::drop_queue() {
  while (queue_.size() > writing_) {
    give_up(queue_.back().cost);
    queue_.pop_back();
  }
}

void PeerDialler::log_end(const std::string& why) {
  if (is_up_) {
    port_->log.warn("connection to peer lost", {{"peer", peer_.name}, {"why", why}});
  } else if (why != last_failure_) {
    last_failure_ = why;
    port_->log.warn("cannot reach peer; trying on",
                    {{"peer", peer_.name}, {"address", peer_.raft.text()}, {"why", why}});
  }
}

/// Doubles, up to the maximum, and shortened by up to half: members that lost each other do not dial in step.
std::chrono::milliseconds PeerDialler::next_pause() {
  const auto full = static_cast<unsigned>(backoff_.count());
  backoff_ = std::min(backoff_ * 2, port_->config.backoff_max);
  return std::chrono::milliseconds(full - jitter_() % (full / 2 + 1));
}

}  // namespace weir::broker
