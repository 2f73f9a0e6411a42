#include "broker/http/websocket.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <span>
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/wall_clock.hpp"
#include "broker/http/websocket_session.hpp"

namespace weir::broker::http {

namespace {

/// Publishes of one connection without an answer yet; reading pauses above either.
constexpr std::size_t kInFlightMax = 4096;
constexpr std::size_t kInFlightBytesMax = std::size_t{16} << 20U;
/// Acks and control frames that the client has not taken; reading pauses above.
constexpr std::size_t kAnswerBytesMax = std::size_t{1} << 20U;
/// Answers that wait for the same write share a place in the queue, up to this size.
constexpr std::size_t kAnswersTogether = std::size_t{256} << 10U;
/// One step of reading a message, and what a connection may hold between two messages.
constexpr std::size_t kReadStep = std::size_t{256} << 10U;
/// Close codes from here on belong to nobody (RFC 6455 §7.4.2); Beast 1.81 lets them pass.
constexpr std::uint16_t kCloseCodeEnd = 5000;
/// How long a client may take to end a connection that is closed on this side.
constexpr auto kFarewellTime = std::chrono::seconds(2);
/// Close, 1002 protocol error.
constexpr std::string_view kProtocolErrorFrame("\x88\x02\x03\xea", 4);

/// The header of a server's frame (RFC 6455 §5.2): final, not masked.
void append_frame_header(std::string& out, FrameKind kind, std::size_t size) {
  constexpr std::size_t kShort = 125;
  constexpr std::size_t kMedium = 65'535;
  out += kind == FrameKind::text ? '\x81' : '\x82';
  if (size <= kShort) {
    out += static_cast<char>(size);
    return;
  }
  const unsigned length_bytes = size <= kMedium ? 2 : 8;
  out += size <= kMedium ? '\x7e' : '\x7f';
  for (unsigned i = length_bytes; i > 0; --i) out += static_cast<char>((size >> (8U * (i - 1))) & 0xffU);
}

/// Frames as the socket sends them: a header, a payload, a header, ... Points into the Frames.
class FramedParts {
 public:
  explicit FramedParts(const Frames& frames) {
    std::vector<std::size_t> header_ends;
    std::size_t begin = 0;
    for (const std::size_t end : frames.ends) {
      append_frame_header(headers_, frames.kind, end - begin);
      header_ends.push_back(headers_.size());
      begin = end;
    }
    std::size_t header_begin = 0;
    begin = 0;
    for (std::size_t i = 0; i < frames.ends.size(); ++i) {
      buffers_.push_back(asio::buffer(headers_.data() + header_begin, header_ends[i] - header_begin));
      buffers_.push_back(asio::buffer(frames.text.data() + begin, frames.ends[i] - begin));
      header_begin = header_ends[i];
      begin = frames.ends[i];
    }
  }
  FramedParts(const FramedParts&) = delete;
  FramedParts& operator=(const FramedParts&) = delete;

  [[nodiscard]] std::span<const asio::const_buffer> buffers() const { return buffers_; }

 private:
  std::string headers_;
  std::vector<asio::const_buffer> buffers_;
};

/// Beast's handshake wants Beast's request.
beast::http::request<beast::http::empty_body> beast_request(const Request& request) {
  beast::http::request<beast::http::empty_body> copy;
  copy.method(beast::http::verb::get);
  copy.target(request.path);
  copy.version(11);
  for (const Field& field : request.fields) copy.insert(field.name, field.value);
  return copy;
}

}  // namespace

void WebSocket::spawn(asio::awaitable<void> coroutine) {
  asio::co_spawn(executor_, std::move(coroutine), [self = shared_from_this()](const std::exception_ptr& failure) {
    // As for sessions: only allocation throws.
    if (failure) std::rethrow_exception(failure);
  });
}

void WebSocket::configure() {
  const HttpLimits& limits = shard_->limits();
  // Idle clients are pinged from tick(), which knows whether one is silent or only slow to take what it was sent.
  stream_.set_option(
      ws::stream_base::timeout{.handshake_timeout = std::chrono::milliseconds(limits.handshake_timeout_ms),
                               .idle_timeout = ws::stream_base::none(),
                               .keep_alive_pings = false});
  stream_.set_option(ws::stream_base::decorator([subprotocol = subprotocol_](ws::response_type& response) {
    if (subprotocol == Subprotocol::unnamed) return;
    response.set(beast::http::field::sec_websocket_protocol,
                 subprotocol == Subprotocol::bin ? "weir.bin.v1" : "weir.json.v1");
  }));
  // A payload in base64 is a third larger than its bytes; id, key and headers stand beside it.
  const std::size_t text_max = limits.event_bytes_max * 4 / 3 + (std::size_t{64} << 10U);
  stream_.read_message_max(subprotocol_ == Subprotocol::bin ? wire::kPublishMessageBytesMax : text_max);
  stream_.control_callback([this](ws::frame_type kind, beast::string_view /*payload*/) {
    if (kind != ws::frame_type::close) return;
    client_closed_ = true;
    stream_.next_layer().client_is_done();
    if (stream_.reason().code >= kCloseCodeEnd) stream_.next_layer().finish_with(kProtocolErrorFrame);
  });
}

asio::awaitable<void> WebSocket::run(std::shared_ptr<const Request> request, std::string name) {
  const Self self = shared_from_this();
  const auto status = co_await shard_->status();
  epoch_ = status->epoch;
  node_name_ = status->name;
  configure();
  const auto handshake = beast_request(*request);
  const auto [ec] = co_await stream_.async_accept(handshake, asio::as_tuple(asio::use_awaitable));
  if (ec) co_return;
  if (shard_->draining()) drain();
  spawn(write_frames(self));
  if (!name.empty()) subscribe_from_url(*request, name);
  co_await read_frames(self);
  end();
}

asio::awaitable<void> WebSocket::read_frames(Self self) {
  beast::flat_buffer buffer;
  while (!ended_) {
    while (reading_pauses() && !ended_) co_await may_read_.wait();
    if (epoch_.empty()) {
      const auto status = co_await shard_->status();
      epoch_ = status->epoch;
    }
    const bool read = co_await read_message(self, buffer);
    if (!read) co_return;
    const auto data = buffer.cdata();
    const std::string_view message(static_cast<const char*>(data.data()), data.size());
    if (discarding_) continue;
    if (stream_.got_text()) {
      handle(message);
    } else if (subprotocol_ == Subprotocol::bin) {
      handle_binary(raft::Bytes::copy_of(message));
    } else {
      close(ws::close_code::unknown_data);
    }
    buffer.clear();
    if (buffer.capacity() > kReadStep) buffer.shrink_to_fit();
    message_share_.release();
  }
}

/// A large message grows only as far as the memory for bodies allows; false: the connection ends.
asio::awaitable<bool> WebSocket::read_message(Self /*self*/, beast::flat_buffer& buffer) {
  do {
    const auto [ec, size] = co_await stream_.async_read_some(buffer, kReadStep, asio::as_tuple(asio::use_awaitable));
    if (ec) co_return false;
    if (buffer.size() > kReadStep && !message_share_.hold(buffer.size())) {
      close(ws::close_code::try_again_later);
      discarding_ = true;
    }
    if (discarding_) buffer.clear();
  } while (!stream_.is_message_done());
  co_return true;
}

asio::awaitable<void> WebSocket::write_frames(Self self) {
  while (!ended_) {
    const bool written = co_await write_queue(self);
    if (!written) break;
    if (std::exchange(ping_due_, false)) {
      const auto [ec] = co_await stream_.async_ping({}, asio::as_tuple(asio::use_awaitable));
      if (ec) break;
    }
    if (!queue_.empty()) continue;
    if (close_code_) {
      stream_.next_layer().client_is_done();  // async_close returns when the client's own close has come
      co_await stream_.async_close(*close_code_, asio::as_tuple(asio::use_awaitable));
      break;
    }
    writer_waits_ = true;
    co_await to_write_.wait();
    writer_waits_ = false;
  }
  end();
}

/// Everything queued, gathered into as few writes as it fits; false: the connection is gone. Frames go around Beast,
/// which would take one composed operation each; it writes pings, pongs and the close, each whole, between ours.
asio::awaitable<bool> WebSocket::write_queue(Self /*self*/) {
  stream_.next_layer().cork();
  while (!queue_.empty() && !ended_) {
    if (client_closed_) {
      queue_.clear();  // RFC 6455 §5.5.1: nothing follows the close that answers the client's
      break;
    }
    const Frames frames = std::move(queue_.front());
    queue_.pop_front();
    const FramedParts parts(frames);
    const auto buffers = parts.buffers();
    const auto [ec, size] =
        co_await stream_.next_layer().async_write_some(buffers, asio::as_tuple(asio::use_awaitable));
    if (ec) co_return false;
    written(frames);
  }
  stream_.next_layer().uncork();
  co_return !ended_;
}

/// Past the queue, when nothing is in it and nobody is writing: what a turn produced for this client is one write.
bool WebSocket::send_now(const Frames& frames) {
  WsWire& wire = stream_.next_layer();
  if (!writer_waits_ || !queue_.empty() || client_closed_ || !wire.has_room()) return false;
  const FramedParts parts(frames);
  for (const asio::const_buffer part : parts.buffers()) {
    wire.append({static_cast<const char*>(part.data()), part.size()});
  }
  wire.uncork();
  return true;
}

void WebSocket::push(Frames frames) {
  if (frames.ends.empty() || ended_) return;
  if (frames.feed && send_now(frames)) return;
  if (frames.feed) {
    frames.feed->queued_bytes += frames.text.size();
  } else {
    answer_bytes_ += frames.text.size();
  }
  queue_.push_back(std::move(frames));
  to_write_.notify();
}

void WebSocket::written(const Frames& frames) {
  if (frames.feed) {
    const std::size_t full = shard_->limits().outbound_bytes_max;
    const bool was_full = frames.feed->queued_bytes >= full;
    frames.feed->queued_bytes -= frames.text.size();
    if (was_full) go_on(frames.feed);
    return;
  }
  answer_bytes_ -= frames.text.size();
  if (!reading_pauses()) may_read_.notify();
}

void WebSocket::answer(std::string_view frame, FrameKind kind) {
  if (!queue_.empty() && !queue_.back().feed && queue_.back().kind == kind &&
      queue_.back().text.size() < kAnswersTogether) {
    // Answers that wait for the same write share their place in the queue.
    queue_.back().text += frame;
    queue_.back().end_frame();
    answer_bytes_ += frame.size();
    return;
  }
  Frames frames{.feed = nullptr, .kind = kind, .text = std::string(frame), .ends = {}};
  frames.end_frame();
  push(std::move(frames));
}

bool WebSocket::reading_pauses() const {
  return in_flight_ >= kInFlightMax || in_flight_bytes_ >= kInFlightBytesMax || answer_bytes_ >= kAnswerBytesMax;
}

void WebSocket::handle(std::string_view frame) {
  std::visit([this](auto&& operation) { handle(std::forward<decltype(operation)>(operation)); },
             parse_operation(frame, shard_->limits(), wall_clock_ms(), epoch_));
}

void WebSocket::handle(const WsRefused& operation) {
  answer(error_frame(operation.rid, operation.sid, operation.problem));
}

void WebSocket::handle(WsPublish operation) {
  raft::Bytes bytes = std::move(operation.publish.bytes);
  const std::uint32_t timeout_ms = operation.publish.timeout_ms;
  hand_over(std::move(bytes), timeout_ms, [this, operation = std::move(operation)](const wire::Outcome& outcome) {
    answer(ack_frame(operation, outcome, epoch_));
  });
}

void WebSocket::handle(WsCommit operation) {
  const wire::GroupChange change = operation.change;
  const std::uint32_t timeout_ms = operation.timeout_ms;
  hand_over(change, timeout_ms, [this, operation = std::move(operation)](const wire::Outcome& outcome) {
    answer(ack_frame(operation, outcome, epoch_));
  });
}

void WebSocket::handle(WsBatch operation) {
  raft::Bytes bytes = std::move(operation.batch.bytes);
  const std::optional<wire::GroupChange> lone_commit = operation.batch.lone_commit;
  const std::uint32_t timeout_ms = operation.batch.timeout_ms;
  Answered answered = [this, operation = std::move(operation)](const wire::Outcome& outcome) {
    answer(ack_frame(operation, outcome, epoch_));
  };
  if (lone_commit) {
    hand_over(*lone_commit, timeout_ms, std::move(answered));
  } else {
    hand_over(std::move(bytes), timeout_ms, std::move(answered));
  }
}

std::move_only_function<void(wire::Outcome)> WebSocket::under_way(std::size_t size, Answered answered) {
  ++in_flight_;
  in_flight_bytes_ += size;
  return [self = shared_from_this(), answered = std::move(answered), size](const wire::Outcome& outcome) mutable {
    --self->in_flight_;
    self->in_flight_bytes_ -= size;
    answered(outcome);
    if (!self->reading_pauses()) self->may_read_.notify();
  };
}

void WebSocket::hand_over(raft::Bytes request, std::uint32_t timeout_ms, Answered answered) {
  const std::size_t size = request.size();
  shard_->lane().publish(std::move(request), timeout_ms, under_way(size, std::move(answered)));
}

void WebSocket::hand_over(wire::GroupChange change, std::uint32_t timeout_ms, Answered answered) {
  const std::size_t size = sizeof change + change.group.size();
  shard_->gateway().change_group(std::move(change), timeout_ms, executor_, under_way(size, std::move(answered)));
}

void WebSocket::tick(Clock::time_point now) {
  const HttpLimits& limits = shard_->limits();
  const WsWire& wire = stream_.next_layer();
  if (wire.finishing()) {
    if (now - wire.last_sent() > kFarewellTime) end();
    return;
  }
  if (wire.sending()) {
    // A client that takes nothing cannot answer a ping either: only its own limit counts.
    if (now - wire.last_sent() > std::chrono::milliseconds(limits.stalled_write_ms)) end();
    return;
  }
  if (now - wire.last_received() < std::chrono::milliseconds(limits.heartbeat_ms)) return;
  if (pinged_at_ < wire.last_received()) {
    pinged_at_ = now;
    ping_due_ = true;
    to_write_.notify();
  } else if (now - pinged_at_ > std::chrono::milliseconds(limits.ping_timeout_ms)) {
    end();
  }
}

void WebSocket::drain() {
  const std::string& to = shard_->goaway_to();
  std::string members = R"("to":)";
  if (to.empty()) {
    members += "null";
  } else {
    append_json_string(members, to);
  }
  answer(control_frame("goaway", std::nullopt, members));
  close(ws::close_code::going_away);
}

void WebSocket::close(ws::close_code code) {
  if (!close_code_) close_code_ = code;
  for (const auto& [sid, feed] : feeds_) feed->stop();
  to_write_.notify();
}

void WebSocket::end() {
  if (std::exchange(ended_, true)) return;
  for (const auto& [sid, feed] : feeds_) feed->stop();
  stream_.next_layer().close();
  to_write_.notify();
  may_read_.notify();
}

void start_websocket(asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard, std::shared_ptr<const Request> request,
                     Subprotocol subprotocol, std::string name, std::string input) {
  const auto executor = socket.get_executor();
  auto session = std::make_shared<WebSocket>(std::move(socket), std::move(shard), subprotocol, std::move(input));
  asio::co_spawn(executor, session->run(std::move(request), std::move(name)),
                 [session](const std::exception_ptr& failure) {
                   if (failure) std::rethrow_exception(failure);
                 });
}

}  // namespace weir::broker::http
