// One WebSocket connection (API §5): its frames, its subscriptions, its queue. Private to broker/http/websocket*.cpp.
// Runs on its shard's net thread; its coroutines keep it alive.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/http/memory_budget.hpp"
#include "broker/http/signal.hpp"
#include "broker/http/subscription.hpp"
#include "broker/http/websocket.hpp"
#include "broker/http/ws_message.hpp"
#include "broker/http/ws_wire.hpp"
#include "wire/client_message.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ws = boost::beast::websocket;

/// One more in a count, for as long as this is there.
class OpenCount {
 public:
  explicit OpenCount(HttpMetrics::Count& count) : count_(count) { count_.fetch_add(1, std::memory_order_relaxed); }
  ~OpenCount() { count_.fetch_sub(1, std::memory_order_relaxed); }
  OpenCount(const OpenCount&) = delete;
  OpenCount& operator=(const OpenCount&) = delete;

 private:
  HttpMetrics::Count& count_;
};

/// One subscription: its place in the log, and what it may send. It goes on (WebSocket::go_on) when there is more to
/// read, credit again, or room again.
struct Feed {
  explicit Feed(std::uint64_t number) : sid(number) {}
  void stop() {
    stopped = true;
    waiting.reset();
  }

  const std::uint64_t sid;
  std::optional<std::uint64_t> credit;         ///< events it may still send; none: bounded by queued_bytes alone
  std::size_t queued_bytes = 0;                ///< in the outbound queue
  std::shared_ptr<Subscription> subscription;  ///< none until it is open
  std::optional<OpenCount> counted;            ///< as long as it is open
  std::optional<Tail::Waiting> waiting;        ///< for more events, when it has caught up
  bool reading = false;
  bool was_caught_up = false;
  bool stopped = false;
};

enum class FrameKind : std::uint8_t { text = 1, binary = 2 };

/// Frames for one write, of one kind: their bytes end to end.
struct Frames {
  std::shared_ptr<Feed> feed;  ///< whose events these are; none: answers and control frames
  FrameKind kind = FrameKind::text;
  std::string text;
  std::vector<std::size_t> ends;

  void end_frame() { ends.push_back(text.size()); }
};

class WebSocket : public Client, public std::enable_shared_from_this<WebSocket> {
 public:
  WebSocket(asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard, Subprotocol subprotocol, std::string input)
      : shard_(std::move(shard)),
        subprotocol_(subprotocol),
        executor_(socket.get_executor()),
        stream_(std::move(socket), std::move(input), shard_->metrics()),
        message_share_(shard_->server().budget),
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

  asio::awaitable<void> run(std::shared_ptr<const Request> request, std::string name);

  void tick(Clock::time_point now) override;
  void drain() override;
  void kill() override { end(); }

 private:
  using Self = std::shared_ptr<WebSocket>;

  void configure();
  asio::awaitable<void> read_frames(Self self);
  asio::awaitable<bool> read_message(Self self, beast::flat_buffer& buffer);
  asio::awaitable<void> write_frames(Self self);
  asio::awaitable<bool> write_queue(Self self);
  asio::awaitable<void> open_feed(Self self, std::shared_ptr<Feed> feed, ReadPlan plan);

  void handle(std::string_view frame);
  void handle(WsSubscribe operation);
  void handle(const WsCredit& operation);
  void handle(WsPublish operation);
  void handle(WsCommit operation);
  void handle(WsBatch operation);
  void handle(const WsUnsubscribe& operation);
  void handle(const WsRefused& operation);
  void handle_binary(raft::Bytes message);
  void handle(wire::PublishMessage message);

  void spawn(asio::awaitable<void> coroutine);
  void subscribe_from_url(const Request& request, const std::string& name);
  void answer(std::string_view frame, FrameKind kind = FrameKind::text);
  void push(Frames frames);
  [[nodiscard]] bool send_now(const Frames& frames);
  /// Reads on for this feed, unless it is reading, or may not send.
  void go_on(const std::shared_ptr<Feed>& feed);
  void deliver(const std::shared_ptr<Feed>& feed, const std::expected<Step, Problem>& step);
  void remove(const std::shared_ptr<Feed>& feed);
  void push_events(const std::shared_ptr<Feed>& feed, const Step& step);
  void push_control(const std::shared_ptr<Feed>& feed, std::string_view frame);
  using Answered = std::move_only_function<void(const wire::Outcome&)>;
  /// A request is handed over; its answer comes back to `answered`.
  void hand_over(raft::Bytes request, std::uint32_t timeout_ms, Answered answered);
  void hand_over(wire::GroupChange change, std::uint32_t timeout_ms, Answered answered);
  /// Counts `size` bytes as under way until the answer has come.
  std::move_only_function<void(wire::Outcome)> under_way(std::size_t size, Answered answered);
  void written(const Frames& frames);
  [[nodiscard]] bool reading_pauses() const;
  /// Writes what is queued, then closes with this code.
  void close(ws::close_code code);
  /// Everything ends now.
  void end();

  std::shared_ptr<Shard> shard_;
  const Subprotocol subprotocol_;
  asio::any_io_executor executor_;
  ws::stream<WsWire, false> stream_;
  BudgetShare message_share_;  ///< of the memory for bodies: the message that is being read
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
  bool writer_waits_ = false;  ///< for something to write
  bool ended_ = false;
  bool client_closed_ = false;  ///< its close has come; Beast answers it
  bool discarding_ = false;     ///< no memory was left for a message: what still comes is read and dropped
  Signal to_write_;
  Signal may_read_;
};

}  // namespace weir::broker::http
