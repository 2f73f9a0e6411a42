#include "broker/http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace weir::broker::http {

namespace asio = boost::asio;
using Code = boost::system::error_code;

namespace {

/// Large enough for nearly every head and small event, small enough for ten thousand idle connections.
constexpr std::size_t kReadBytes = std::size_t{8} << 10U;
/// Once a body is under way.
constexpr std::size_t kReadBytesMax = std::size_t{64} << 10U;
/// What a client may still send behind an answer that ended the connection.
constexpr std::size_t kLingerBytesMax = std::size_t{16} << 20U;
constexpr auto kLingerTime = std::chrono::milliseconds(2000);
/// What a client may send ahead while its stream is being served.
constexpr std::size_t kAheadBytesMax = std::size_t{64} << 10U;

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard)
    : socket_(std::move(socket)),
      shard_(std::move(shard)),
      share_(shard_->server().budget),
      interrupted_(socket_.get_executor()) {
  shard_->add(this);
}

Connection::~Connection() {
  shard_->metrics().connections_open.fetch_sub(1, std::memory_order_relaxed);
  shard_->remove(this);
}

void Connection::set_deadline(std::chrono::milliseconds from_now) {
  deadline_ = Clock::now() + from_now;
  timed_out_ = false;
}

asio::awaitable<ReadEnd> Connection::read() {
  if (timed_out_) co_return ReadEnd::timed_out;
  input_.erase(0, std::exchange(taken_, 0));
  const std::size_t size = input_.size();
  input_.resize(size + (size < kReadBytes ? kReadBytes : kReadBytesMax));
  const auto [ec, count] = co_await socket_.async_read_some(asio::buffer(input_.data() + size, input_.size() - size),
                                                            asio::as_tuple(asio::use_awaitable));
  input_.resize(size + count);
  shard_->metrics().bytes_received.fetch_add(count, std::memory_order_relaxed);
  if (!ec) co_return ReadEnd::more;
  co_return timed_out_ ? ReadEnd::timed_out : ReadEnd::closed;
}

asio::awaitable<bool> Connection::write(std::string bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    set_deadline(std::chrono::milliseconds(shard_->limits().stalled_write_ms));
    const auto [ec, count] = co_await socket_.async_write_some(asio::buffer(bytes.data() + sent, bytes.size() - sent),
                                                               asio::as_tuple(asio::use_awaitable));
    sent += count;
    shard_->metrics().bytes_sent.fetch_add(count, std::memory_order_relaxed);
    if (ec) {
      gone_ = true;
      co_return false;
    }
  }
  deadline_ = Clock::time_point::max();
  co_return true;
}

asio::awaitable<void> Connection::linger() {
  Code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  set_deadline(kLingerTime);
  std::string sink(kReadBytesMax, '\0');
  for (std::size_t taken = 0; taken < kLingerBytesMax;) {
    const auto [ec, count] = co_await socket_.async_read_some(asio::buffer(sink), asio::as_tuple(asio::use_awaitable));
    if (ec) co_return;
    taken += count;
  }
}

void Connection::watch() {
  watching_ = true;
  watch_once();
}

void Connection::end_watch() {
  watching_ = false;
  Code ignored;
  socket_.cancel(ignored);
}

void Connection::watch_once() {
  socket_.async_wait(asio::ip::tcp::socket::wait_read, [self = shared_from_this()](Code ec) {
    if (ec || !self->watching_) return;
    Code ignored;
    const std::size_t available = self->socket_.available(ignored);
    if (available == 0 || self->input_.size() >= kAheadBytesMax) {
      // Nothing to read from a readable socket: the client has closed. One that sends without end is cut off too.
      self->gone_ = true;
      self->interrupted_.notify();
      return;
    }
    const std::size_t size = self->input_.size();
    self->input_.resize(size + std::min(available, kAheadBytesMax));
    const std::size_t count =
        self->socket_.read_some(asio::buffer(self->input_.data() + size, self->input_.size() - size), ignored);
    self->input_.resize(size + count);
    self->watch_once();
  });
}

void Connection::tick(Clock::time_point now) {
  if (now < deadline_) return;
  timed_out_ = true;
  deadline_ = Clock::time_point::max();
  Code ignored;
  socket_.cancel(ignored);
}

void Connection::drain() {
  interrupted_.notify();
  Code ignored;
  if (idle_) socket_.cancel(ignored);
}

void Connection::kill() {
  gone_ = true;
  interrupted_.notify();
  Code ignored;
  socket_.close(ignored);
}

}  // namespace weir::broker::http
