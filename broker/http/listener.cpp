#include "broker/http/listener.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "broker/http/problem.hpp"
#include "broker/http/session.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using Code = boost::system::error_code;

namespace {

/// Out of file descriptors, most likely: those that are open must get a chance to end.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

std::unexpected<std::string> cannot(const char* what, const HttpConfig& config, const Code& ec) {
  return std::unexpected("cannot " + std::string(what) + " http " + config.address + ":" + std::to_string(config.port) +
                         ": " + ec.message() + "; choose another with --http HOST:PORT or stop what uses it");
}

/// Best effort: the client may be gone, and nobody waits for it.
void turn_away(tcp::socket socket) {
  const Response response = to_response(overloaded("too many connections"));
  const std::string bytes = head_text(response, BodyFraming::length, After::close) + response.body;
  Code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(bytes), ignored);
  socket.shutdown(tcp::socket::shutdown_send, ignored);
}

}  // namespace

Listener::Listener(std::shared_ptr<ServerState> server, std::vector<std::shared_ptr<Shard>> shards)
    : server_(std::move(server)), shards_(std::move(shards)), acceptor_(shards_.front()->net()) {}

std::expected<void, std::string> Listener::start() {
  const HttpConfig& config = server_->config;
  Code ec;
  const auto address = asio::ip::make_address(config.address, ec);
  if (ec) return cannot("understand the address of", config, ec);
  const tcp::endpoint endpoint(address, config.port);
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (!ec) port_ = acceptor_.local_endpoint(ec).port();
  if (ec) return cannot("listen on", config, ec);
  asio::co_spawn(acceptor_.get_executor(), accept(shared_from_this()), [](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  });
  return {};
}

void Listener::stop() {
  asio::post(acceptor_.get_executor(), [self = shared_from_this()] {
    Code ignored;
    self->acceptor_.close(ignored);
  });
}

bool Listener::full() const {
  return server_->metrics.connections_open.load(std::memory_order_relaxed) >= server_->config.limits.connections_max;
}

void Listener::hand_over(tcp::socket socket, std::size_t number) {
  Code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  // Counted before the next one is accepted, so that the limit is exact.
  server_->metrics.connections_open.fetch_add(1, std::memory_order_relaxed);
  const auto& shard = shards_[number % shards_.size()];
  asio::post(shard->net(), [shard, socket = std::move(socket)]() mutable { start_session(std::move(socket), shard); });
}

asio::awaitable<void> Listener::accept(std::shared_ptr<Listener> self) {
  asio::steady_timer pause(self->acceptor_.get_executor());
  for (std::size_t number = 0; self->acceptor_.is_open(); ++number) {
    // The socket belongs to its shard's thread from the start.
    tcp::socket socket(self->shards_[number % self->shards_.size()]->net());
    const auto [ec] = co_await self->acceptor_.async_accept(socket, asio::as_tuple(asio::use_awaitable));
    if (ec == asio::error::operation_aborted) co_return;
    if (ec) {
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    if (self->full()) {
      self->server_->metrics.connections_refused.fetch_add(1, std::memory_order_relaxed);
      turn_away(std::move(socket));
      continue;
    }
    self->hand_over(std::move(socket), number);
  }
}

}  // namespace weir::broker::http
