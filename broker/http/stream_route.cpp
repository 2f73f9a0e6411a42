#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/body_writer.hpp"
#include "broker/http/cursor.hpp"
#include "broker/http/routes.hpp"
#include "broker/http/stream_text.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;

namespace {

/// One read and one write of a stream: enough that a fast topic costs few system calls, little enough that memory per
/// slow reader stays small.
constexpr std::uint64_t kEventsPerWrite = 1000;
constexpr std::size_t kBytesPerWrite = std::size_t{256} << 10U;

/// Tells a stream it has caught up, once each time it has.
class CaughtUp {
 public:
  [[nodiscard]] bool to_be_told(bool caught_up) {
    const bool now = caught_up && !was_;
    was_ = caught_up;
    return now;
  }

 private:
  bool was_ = false;
};

void append_step(std::string& out, const Step& step, const StreamText& text, const Subscription& subscription) {
  const raft::Position position = subscription.delivery().position();
  if (step.gap) text.append_control(out, "gap", gap_members(*step.gap), position);
  for (const ReadEvent& event : step.events) text.append_event(out, event);
}

asio::awaitable<void> pause(std::shared_ptr<Connection> connection, std::shared_ptr<Subscription> subscription) {
  using asio::experimental::awaitable_operators::operator||;
  const std::chrono::milliseconds heartbeat(connection->shard().limits().heartbeat_ms);
  auto first = subscription->wait(heartbeat) || connection->interrupted().wait();
  co_await std::move(first);
}

Response stream_head(const Subscription& subscription, const NodeStatus& status) {
  Response head{.content_type = std::string(content_type_of(subscription.delivery().plan().format))};
  head.add_header("Cache-Control", "no-store").add_header("X-Accel-Buffering", "no");
  head.add_header("Weir-Cursor", subscription.cursor()).add_header("Weir-Node", node_header(status));
  return head;
}

asio::awaitable<void> write_stream(std::shared_ptr<Connection> connection, BodyWriter writer, StreamText text,
                                   std::shared_ptr<Subscription> subscription, std::string head) {
  CaughtUp caught_up;
  std::string out;
  text.append_opening(out, subscription->delivery().position());
  if (const auto& gap = subscription->delivery().gap_at_start()) {
    text.append_control(out, "gap", gap_members(*gap), subscription->delivery().position());
  }
  std::string opening = std::move(head) + writer.piece(std::exchange(out, {}));
  const bool begun = co_await writer.write(std::move(opening));
  if (!begun) co_return;
  while (!connection->gone()) {
    auto step = co_await subscription->next(kEventsPerWrite, kBytesPerWrite);
    if (!step) co_return;  // cut off without an end: the client resumes elsewhere from its last event
    append_step(out, *step, text, *subscription);
    if (caught_up.to_be_told(step->caught_up)) {
      text.append_control(out, "caught-up", caught_up_members(subscription->cursor()),
                          subscription->delivery().position());
    }
    const bool ending = step->finished || connection->draining();
    if (connection->draining() && !step->finished) {
      text.append_control(out, "goaway", goaway_members(connection->shard().goaway_to(), subscription->cursor()),
                          subscription->delivery().position());
    }
    std::string bytes = writer.piece(std::exchange(out, {}));
    if (ending) bytes += writer.end();
    const bool written = co_await writer.write(std::move(bytes));
    if (!written || ending) co_return;
    if (!step->caught_up) continue;
    const auto paused_at = Clock::now();
    co_await pause(connection, subscription);
    const auto silent = Clock::now() - paused_at;
    if (silent >= std::chrono::milliseconds(connection->shard().limits().heartbeat_ms)) text.append_heartbeat(out);
  }
}

}  // namespace

asio::awaitable<void> serve_stream(std::shared_ptr<Connection> connection, SharedRequest request,
                                   std::shared_ptr<Subscription> subscription) {
  const auto status = co_await connection->shard().status();
  const ReadPlan& plan = subscription->delivery().plan();
  BodyWriter writer(connection, *request);
  std::string head = writer.head(stream_head(*subscription, *status));
  StreamText text(plan.format, subscription->epoch(), plan.data);
  auto& open = connection->shard().metrics().streams_open;
  open.fetch_add(1, std::memory_order_relaxed);
  connection->watch();
  co_await write_stream(connection, std::move(writer), std::move(text), subscription, std::move(head));
  connection->end_watch();
  open.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace weir::broker::http
