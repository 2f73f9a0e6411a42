#include "broker/http/ws_wire.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;

namespace {

/// Gathered and not sent yet: enough for large writes, little per slow client. What waits above this is held back by
/// the session's own bound.
constexpr std::size_t kGatheredBytesMax = std::size_t{256} << 10U;
/// Corked frames leave early at this size: a write this large gains nothing by growing.
constexpr std::size_t kCorkBytesMax = std::size_t{64} << 10U;

/// What a client may still send behind the end.
constexpr std::size_t kDrainedBytesMax = std::size_t{16} << 20U;

}  // namespace

WsWire::WsWire(asio::ip::tcp::socket socket, std::string input, HttpMetrics& metrics)
    : state_(std::make_shared<State>(std::move(socket), std::move(input), metrics)) {}

WsWire::State::State(asio::ip::tcp::socket tcp_socket, std::string bytes, HttpMetrics& counters)
    : socket(std::move(tcp_socket)),
      input(std::move(bytes)),
      metrics(counters),
      progress(socket.get_executor(), asio::steady_timer::time_point::max()),
      last_sent(Clock::now()),
      last_received(last_sent) {}

bool WsWire::State::has_room() const {
  return failure || finished || gathered.size() < kGatheredBytesMax;
}

void WsWire::State::append(std::string_view bytes) {
  if (!failure && !finished) gathered += bytes;
}

void WsWire::State::flush() {
  if (writing || gathered.empty() || failure || (corked && gathered.size() < kCorkBytesMax)) return;
  writing = true;
  under_way.swap(gathered);
  sent = 0;
  last_sent = Clock::now();
  write_some();
}

void WsWire::State::write_some() {
  socket.async_write_some(asio::buffer(under_way.data() + sent, under_way.size() - sent),
                          [self = shared_from_this()](Code ec, std::size_t count) { self->sent_some(ec, count); });
}

void WsWire::State::sent_some(Code ec, std::size_t count) {
  sent += count;
  metrics.bytes_sent.fetch_add(count, std::memory_order_relaxed);
  if (count > 0) last_sent = Clock::now();
  if (!ec && sent < under_way.size()) {
    write_some();
    return;
  }
  failure = ec;
  under_way.clear();
  writing = false;
  flush();
  progress.cancel();
}

void WsWire::State::received(std::size_t count) {
  if (count > 0) last_received = Clock::now();
  metrics.bytes_received.fetch_add(count, std::memory_order_relaxed);
}

void WsWire::State::finish_sending() {
  corked = false;
  flush();
}

void WsWire::State::begin_draining() {
  Code ignored;
  socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  finished = true;
  draining = true;
  last_sent = Clock::now();
  under_way.resize(kCorkBytesMax);
}

bool WsWire::State::drained(Code ec, std::size_t count) {
  drained_bytes += count;
  return !ec && drained_bytes < kDrainedBytesMax;
}

void WsWire::uncork() {
  state_->corked = false;
  state_->flush();
}

void WsWire::finish_with(std::string_view bytes) {
  state_->append(bytes);
  state_->finished = true;
  uncork();
}

void WsWire::close() {
  Code ignored;
  state_->socket.close(ignored);
  if (!state_->failure) state_->failure = asio::error::operation_aborted;
  state_->progress.cancel();
}

void beast_close_socket(WsWire& wire) {
  wire.close();
}

}  // namespace weir::broker::http
