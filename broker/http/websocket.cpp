#include "broker/http/websocket.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <exception>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/http/answers.hpp"
#include "broker/http/signal.hpp"
#include "broker/http/stream_text.hpp"
#include "broker/http/subscription.hpp"
#include "broker/http/wall_clock.hpp"
#include "broker/http/ws_message.hpp"
#include "broker/http/ws_wire.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ws = boost::beast::websocket;

namespace {

/// Publishes of one connection without an answer yet; reading pauses above either.
constexpr std::size_t kInFlightMax = 4096;
constexpr std::size_t kInFlightBytesMax = std::size_t{16} << 20U;
/// Acks and control frames that the client has not taken; reading pauses above.
constexpr std::size_t kAnswerBytesMax = std::size_t{1} << 20U;
/// One read of the log for one subscription.
constexpr std::uint64_t kEventsPerRead = 1000;
constexpr std::size_t kBytesPerRead = std::size_t{256} << 10U;
/// Close codes from here on belong to nobody (RFC 6455 §7.4.2); Beast 1.81 lets them pass.
constexpr std::uint16_t kCloseCodeEnd = 5000;
/// How long a client may take to end a connection that is closed on this side.
constexpr auto kFarewellTime = std::chrono::seconds(2);
/// Close, 1002 protocol error.
constexpr std::string_view kProtocolErrorFrame("\x88\x02\x03\xea", 4);

/// One subscription: its place in the log, and what it may send.
struct Feed {
  Feed(std::uint64_t number, const asio::any_io_executor& executor) : sid(number), wake(executor) {}
  const std::uint64_t sid;
  std::optional<std::uint64_t> credit;  ///< events it may still send; none: bounded by queued_bytes alone
  std::size_t queued_bytes = 0;         ///< in the outbound queue
  bool stopped = false;
  Signal wake;  ///< more credit, more room, or stopped
};

/// Frames for one write: texts end to end.
struct Frames {
  std::shared_ptr<Feed> feed;  ///< whose events these are; none: answers and control frames
  std::string text;
  std::vector<std::size_t> ends;

  void end_frame() { ends.push_back(text.size()); }
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

class WebSocket : public Client, public std::enable_shared_from_this<WebSocket> {
 public:
  WebSocket(asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard, std::string input)
      : shard_(std::move(shard)),
        executor_(socket.get_executor()),
        stream_(std::move(socket), std::move(input), shard_->metrics()),
        to_write_(executor_),
        may_read_(executor_) {
    shard_->metrics().websockets_open.fetch_add(1, std::memory_order_relaxed);
    shard_->metrics().connections_open.fetch_add(1, std::memory_order_relaxed);
    shard_->add(this);
  }
  ~WebSocket() override {
    shard_->metrics().websockets_open.fetch_sub(1, std::memory_order_relaxed);
    shard_->metrics().connections_open.fetch_sub(1, std::memory_order_relaxed);
    shard_->remove(this);
  }
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  asio::awaitable<void> run(std::shared_ptr<const Request> request, NameProtocol protocol, std::string name);

  void tick(Clock::time_point now) override;
  void drain() override;
  void kill() override { end(); }

 private:
  using Self = std::shared_ptr<WebSocket>;

  void configure(NameProtocol protocol);
  asio::awaitable<void> read_frames(Self self);
  asio::awaitable<void> write_frames(Self self);
  asio::awaitable<bool> write_queue(Self self);
  asio::awaitable<void> feed_events(Self self, std::shared_ptr<Feed> feed, ReadPlan plan);
  asio::awaitable<void> pump(Self self, std::shared_ptr<Feed> feed, std::shared_ptr<Subscription> subscription);

  void handle(std::string_view frame);
  void handle(WsSubscribe operation);
  void handle(const WsCredit& operation);
  void handle(WsPublish operation);
  void handle(const WsUnsubscribe& operation);
  void handle(const WsRefused& operation);

  void spawn(asio::awaitable<void> coroutine);
  void subscribe_from_url(const Request& request, const std::string& name);
  void answer(std::string_view frame);
  void push(Frames frames);
  void written(const Frames& frames);
  [[nodiscard]] bool reading_pauses() const;
  /// Writes what is queued, then closes with this code.
  void close(ws::close_code code);
  /// Everything ends now.
  void end();

  std::shared_ptr<Shard> shard_;
  asio::any_io_executor executor_;
  ws::stream<WsWire, false> stream_;
  std::string epoch_;
  std::string node_name_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Feed>> feeds_;
  std::deque<Frames> queue_;  ///< bounded: events by each feed's queued_bytes, answers by reading_pauses()
  std::size_t answer_bytes_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t in_flight_bytes_ = 0;
  std::optional<ws::close_code> close_code_;
  Clock::time_point pinged_at_ = Clock::time_point::min();
  bool ping_due_ = false;
  bool ended_ = false;
  Signal to_write_;
  Signal may_read_;
};

void WebSocket::spawn(asio::awaitable<void> coroutine) {
  asio::co_spawn(executor_, std::move(coroutine), [self = shared_from_this()](const std::exception_ptr& failure) {
    // As for sessions: only allocation throws.
    if (failure) std::rethrow_exception(failure);
  });
}

void WebSocket::configure(NameProtocol protocol) {
  const HttpLimits& limits = shard_->limits();
  // Idle clients are pinged from tick(), which knows whether one is silent or only slow to take what it was sent.
  stream_.set_option(
      ws::stream_base::timeout{.handshake_timeout = std::chrono::milliseconds(limits.handshake_timeout_ms),
                               .idle_timeout = ws::stream_base::none(),
                               .keep_alive_pings = false});
  stream_.set_option(ws::stream_base::decorator([protocol](ws::response_type& response) {
    if (protocol == NameProtocol::yes) response.set(beast::http::field::sec_websocket_protocol, "weir.json.v1");
  }));
  // A payload in base64 is a third larger than its bytes; id, key and headers stand beside it.
  stream_.read_message_max(limits.event_bytes_max * 4 / 3 + (std::size_t{64} << 10U));
  stream_.auto_fragment(false);
  stream_.text(true);
  stream_.control_callback([this](ws::frame_type kind, beast::string_view /*payload*/) {
    if (kind != ws::frame_type::close) return;
    stream_.next_layer().client_is_done();
    if (stream_.reason().code >= kCloseCodeEnd) stream_.next_layer().finish_with(kProtocolErrorFrame);
  });
}

asio::awaitable<void> WebSocket::run(std::shared_ptr<const Request> request, NameProtocol protocol, std::string name) {
  const Self self = shared_from_this();
  const auto status = co_await shard_->status();
  epoch_ = status->epoch;
  node_name_ = status->name;
  configure(protocol);
  const auto handshake = beast_request(*request);
  const auto [ec] = co_await stream_.async_accept(handshake, asio::as_tuple(asio::use_awaitable));
  if (ec) co_return;
  if (shard_->draining()) drain();
  spawn(write_frames(self));
  if (!name.empty()) subscribe_from_url(*request, name);
  co_await read_frames(self);
  end();
}

void WebSocket::subscribe_from_url(const Request& request, const std::string& name) {
  auto plan = parse_read(request, name, shard_->limits(), wall_clock_ms(), Transport::websocket);
  if (!plan) {
    answer(error_frame(std::nullopt, 0, plan.error()));
    return;
  }
  handle(WsSubscribe{0, std::move(*plan), std::nullopt});
}

asio::awaitable<void> WebSocket::read_frames(Self /*self*/) {
  beast::flat_buffer buffer;
  while (!ended_) {
    while (reading_pauses() && !ended_) co_await may_read_.wait();
    if (epoch_.empty()) {
      const auto status = co_await shard_->status();
      epoch_ = status->epoch;
    }
    const auto [ec, size] = co_await stream_.async_read(buffer, asio::as_tuple(asio::use_awaitable));
    if (ec) co_return;
    if (stream_.got_text()) {
      const auto data = buffer.cdata();
      handle(std::string_view(static_cast<const char*>(data.data()), data.size()));
    } else {
      close(ws::close_code::unknown_data);
    }
    buffer.consume(size);
  }
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
    co_await to_write_.wait();
  }
  end();
}

/// Everything queued, gathered into as few writes as it fits; false: the connection is gone.
asio::awaitable<bool> WebSocket::write_queue(Self /*self*/) {
  stream_.next_layer().cork();
  while (!queue_.empty() && !ended_) {
    const Frames frames = std::move(queue_.front());
    queue_.pop_front();
    std::size_t begin = 0;
    for (const std::size_t frame_end : frames.ends) {
      const auto [ec, size] = co_await stream_.async_write(asio::buffer(frames.text.data() + begin, frame_end - begin),
                                                           asio::as_tuple(asio::use_awaitable));
      if (ec) co_return false;
      begin = frame_end;
    }
    written(frames);
  }
  stream_.next_layer().uncork();
  co_return !ended_;
}

void WebSocket::push(Frames frames) {
  if (frames.ends.empty() || ended_) return;
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
    frames.feed->queued_bytes -= frames.text.size();
    frames.feed->wake.notify();
    return;
  }
  answer_bytes_ -= frames.text.size();
  if (!reading_pauses()) may_read_.notify();
}

void WebSocket::answer(std::string_view frame) {
  if (!queue_.empty() && !queue_.back().feed && queue_.back().text.size() < kBytesPerRead) {
    // Answers that wait for the same write share their place in the queue.
    queue_.back().text += frame;
    queue_.back().end_frame();
    answer_bytes_ += frame.size();
    return;
  }
  Frames frames{.feed = nullptr, .text = std::string(frame), .ends = {}};
  frames.end_frame();
  push(std::move(frames));
}

bool WebSocket::reading_pauses() const {
  return in_flight_ >= kInFlightMax || in_flight_bytes_ >= kInFlightBytesMax || answer_bytes_ >= kAnswerBytesMax;
}

void WebSocket::handle(std::string_view frame) {
  std::visit([this](auto&& operation) { handle(std::forward<decltype(operation)>(operation)); },
             parse_operation(frame, shard_->limits(), wall_clock_ms()));
}

void WebSocket::handle(const WsRefused& operation) {
  answer(error_frame(operation.rid, operation.sid, operation.problem));
}

void WebSocket::handle(WsSubscribe operation) {
  if (feeds_.contains(operation.sid)) {
    answer(error_frame(std::nullopt, operation.sid, bad_request("this sid is in use; unsub it first")));
    return;
  }
  if (feeds_.size() >= shard_->limits().subscriptions_max) {
    answer(error_frame(std::nullopt, operation.sid,
                       {.status = 429,
                        .type = "quota",
                        .title = "Quota",
                        .detail = "one connection holds at most " + std::to_string(shard_->limits().subscriptions_max) +
                                  " subscriptions"}));
    return;
  }
  auto feed = std::make_shared<Feed>(operation.sid, executor_);
  feed->credit = operation.credit;
  feeds_.emplace(operation.sid, feed);
  spawn(feed_events(shared_from_this(), std::move(feed), std::move(operation.plan)));
}

void WebSocket::handle(const WsCredit& operation) {
  const auto found = feeds_.find(operation.sid);
  if (found == feeds_.end()) {
    answer(error_frame(std::nullopt, operation.sid, not_found("no subscription has this sid")));
    return;
  }
  Feed& feed = *found->second;
  feed.credit = std::min(feed.credit.value_or(0) + operation.count, kNumberEnd);
  feed.wake.notify();
}

void WebSocket::handle(const WsUnsubscribe& operation) {
  const auto found = feeds_.find(operation.sid);
  if (found == feeds_.end()) {
    answer(error_frame(std::nullopt, operation.sid, not_found("no subscription has this sid")));
    return;
  }
  found->second->stopped = true;
  found->second->wake.notify();
  feeds_.erase(found);
}

void WebSocket::handle(WsPublish operation) {
  const std::size_t size = operation.publish.bytes.size();
  ++in_flight_;
  in_flight_bytes_ += size;
  raft::Bytes bytes = std::move(operation.publish.bytes);
  const std::uint32_t timeout_ms = operation.publish.timeout_ms;
  shard_->gateway().publish(
      std::move(bytes), timeout_ms, executor_,
      [self = shared_from_this(), operation = std::move(operation), size](const wire::Outcome& outcome) {
        --self->in_flight_;
        self->in_flight_bytes_ -= size;
        self->answer(ack_frame(operation, outcome, self->epoch_));
        if (!self->reading_pauses()) self->may_read_.notify();
      });
}

asio::awaitable<void> WebSocket::feed_events(Self self, std::shared_ptr<Feed> feed, ReadPlan plan) {
  auto opened = co_await Subscription::open(shard_, std::move(plan));
  if (opened && !feed->stopped) {
    auto& open = shard_->metrics().subscriptions_open;
    open.fetch_add(1, std::memory_order_relaxed);
    answer(subscribed_frame(feed->sid, (*opened)->cursor(), node_name_));
    if (const auto& gap = (*opened)->delivery().gap_at_start()) {
      answer(control_frame("gap", feed->sid, gap_members(*gap)));
    }
    co_await pump(self, feed, *opened);
    open.fetch_sub(1, std::memory_order_relaxed);
  } else if (!opened) {
    answer(error_frame(std::nullopt, feed->sid, opened.error()));
  }
  if (const auto found = feeds_.find(feed->sid); found != feeds_.end() && found->second == feed) feeds_.erase(found);
}

asio::awaitable<void> WebSocket::pump(Self /*self*/, std::shared_ptr<Feed> feed,
                                      std::shared_ptr<Subscription> subscription) {
  using asio::experimental::awaitable_operators::operator||;
  const EventShape shape{subscription->epoch(), subscription->delivery().plan().data, ShowCursor::yes};
  bool was_caught_up = false;
  while (!feed->stopped && !ended_) {
    // No credit, no reading: the log is the buffer.
    if (feed->credit == 0U || feed->queued_bytes >= shard_->limits().outbound_bytes_max) {
      co_await feed->wake.wait();
      continue;
    }
    auto step =
        co_await subscription->next(std::min(kEventsPerRead, feed->credit.value_or(kEventsPerRead)), kBytesPerRead);
    if (feed->stopped || ended_) co_return;
    if (!step) {
      answer(error_frame(std::nullopt, feed->sid, step.error()));
      co_return;
    }
    Frames frames{.feed = feed, .text = {}, .ends = {}};
    if (step->gap) {
      frames.text += control_frame("gap", feed->sid, gap_members(*step->gap));
      frames.end_frame();
    }
    for (const ReadEvent& event : step->events) {
      append_event_frame(frames.text, feed->sid, event, shape);
      frames.end_frame();
    }
    if (feed->credit) *feed->credit -= std::min<std::uint64_t>(*feed->credit, step->events.size());
    const bool tell = (step->caught_up && !was_caught_up) || step->finished;
    was_caught_up = step->caught_up;
    if (tell) {
      frames.text += control_frame(step->finished ? "finished" : "caught-up", feed->sid,
                                   caught_up_members(subscription->cursor()));
      frames.end_frame();
    }
    push(std::move(frames));
    if (step->finished) co_return;
    if (!step->caught_up) continue;
    const std::chrono::milliseconds heartbeat(shard_->limits().heartbeat_ms);
    auto first = subscription->wait(heartbeat) || feed->wake.wait();
    co_await std::move(first);
  }
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
  for (const auto& [sid, feed] : feeds_) {
    feed->stopped = true;
    feed->wake.notify();
  }
  to_write_.notify();
}

void WebSocket::end() {
  if (std::exchange(ended_, true)) return;
  for (const auto& [sid, feed] : feeds_) {
    feed->stopped = true;
    feed->wake.notify();
  }
  stream_.next_layer().close();
  to_write_.notify();
  may_read_.notify();
}

}  // namespace

void start_websocket(asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard, std::shared_ptr<const Request> request,
                     NameProtocol protocol, std::string name, std::string input) {
  const auto executor = socket.get_executor();
  auto session = std::make_shared<WebSocket>(std::move(socket), std::move(shard), std::move(input));
  asio::co_spawn(executor, session->run(std::move(request), protocol, std::move(name)),
                 [session](const std::exception_ptr& failure) {
                   if (failure) std::rethrow_exception(failure);
                 });
}

}  // namespace weir::broker::http
