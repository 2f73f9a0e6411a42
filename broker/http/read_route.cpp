#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/cursor.hpp"
#include "broker/http/pull_body.hpp"
#include "broker/http/routes.hpp"
#include "broker/http/wall_clock.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;

namespace {

/// Log read for one pull that finds little, because of its key: beyond this it answers with what it has and a cursor.
constexpr int kBatchesPerPullMax = 64;
constexpr std::uint64_t kEventsPerRead = 1000;
constexpr std::size_t kBytesPerRead = std::size_t{1} << 20U;

/// Reads into `body` until the plan or the log has no more for now.
asio::awaitable<std::expected<bool, Problem>> collect(std::shared_ptr<Subscription> subscription, PullBody* body) {
  const ReadPlan& plan = subscription->delivery().plan();
  for (int batch = 0; batch < kBatchesPerPullMax; ++batch) {
    const std::size_t left = plan.bytes_max - std::min(plan.bytes_max, body->bytes());
    if (left == 0) break;
    auto step = co_await subscription->next(kEventsPerRead, std::min(left, kBytesPerRead));
    if (!step) co_return std::unexpected(std::move(step.error()));
    if (step->gap && body->count() > 0) break;
    if (step->gap) co_return std::unexpected(gap_problem(*step->gap));
    for (const ReadEvent& event : step->events) body->add(event);
    if (step->finished || step->caught_up) co_return step->caught_up;
  }
  co_return false;
}

/// Until something may have come, the client has gone, the server drains, or `deadline`.
asio::awaitable<void> wait_for_more(std::shared_ptr<Connection> connection, std::shared_ptr<Subscription> subscription,
                                    Clock::time_point deadline) {
  using asio::experimental::awaitable_operators::operator||;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  auto first = subscription->wait(std::max(left, std::chrono::milliseconds(1))) || connection->interrupted().wait();
  co_await std::move(first);
}

Response finished_pull(const Subscription& subscription, PullBody& body, bool up_to_date, const NodeStatus& status) {
  const Delivery& delivery = subscription.delivery();
  const std::string cursor = subscription.cursor();
  const bool single = delivery.plan().single_topic().has_value();
  const bool nothing = body.count() == 0;
  const bool no_content =
      nothing && (delivery.plan().mode == Mode::long_poll || delivery.plan().format == Format::octets);
  Response response{.status = no_content ? 204U : 200U};
  response.add_header("Cache-Control", "no-store");
  response.add_header("Weir-Cursor", cursor);
  if (single) response.add_header("Weir-Next", std::to_string(delivery.next_offset().value));
  response.add_header("Weir-Applied", std::to_string(subscription.applied().value));
  response.add_header("Weir-Node", node_header(status));
  if (no_content) return response;
  body.finish(response, {.cursor = cursor,
                         .next = single ? std::optional(delivery.next_offset()) : std::nullopt,
                         .up_to_date = up_to_date});
  return response;
}

Answer pull(std::shared_ptr<Connection> connection, std::shared_ptr<Subscription> subscription) {
  const ReadPlan& plan = subscription->delivery().plan();
  const auto deadline = Clock::now() + std::chrono::milliseconds(plan.wait_ms);
  PullBody body(plan, subscription->epoch());
  auto up_to_date = co_await collect(subscription, &body);
  if (plan.mode == Mode::long_poll && up_to_date && body.count() == 0) {
    connection->watch();
    while (up_to_date && body.count() == 0 && !subscription->delivery().finished() && Clock::now() < deadline &&
           !connection->gone() && !connection->draining()) {
      co_await wait_for_more(connection, subscription, deadline);
      up_to_date = co_await collect(subscription, &body);
    }
    connection->end_watch();
  }
  if (!up_to_date) co_return to_response(up_to_date.error());
  const auto status = co_await connection->shard().status();
  co_return finished_pull(*subscription, body, *up_to_date, *status);
}

Problem no_topic(std::string_view topic) {
  return not_found("topic '" + std::string(topic) +
                   "' not found; the first publish creates it, and wait= or follow=1 wait for that");
}

}  // namespace

asio::awaitable<std::optional<Response>> read_route(std::shared_ptr<Connection> connection, SharedRequest request,
                                                    std::string name) {
  auto plan = parse_read(*request, name, connection->shard().limits(), wall_clock_ms());
  if (!plan) co_return to_response(plan.error());
  const Mode mode = plan->mode;
  auto subscription = co_await Subscription::open(connection->shard_ptr(), std::move(*plan));
  if (!subscription) co_return to_response(subscription.error());
  if (mode == Mode::stream) {
    co_await serve_stream(std::move(connection), std::move(request), std::move(*subscription));
    co_return std::nullopt;
  }
  const Delivery& delivery = (*subscription)->delivery();
  const auto topic = delivery.plan().single_topic();
  if (topic && !(*subscription)->start().topic_exists && mode == Mode::pull) co_return to_response(no_topic(*topic));
  if (delivery.gap_at_start()) co_return to_response(gap_problem(*delivery.gap_at_start()));
  Response response = co_await pull(connection, *subscription);
  co_return response;
}

Answer head_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string name) {
  auto plan = parse_read(*request, name, shard->limits(), wall_clock_ms());
  if (!plan) co_return to_response(plan.error());
  plan->from = FromLatest{};
  auto opened = co_await Subscription::open(shard, std::move(*plan));
  if (!opened) co_return to_response(opened.error());
  const Subscription& subscription = **opened;
  const ReadStart& start = subscription.start();
  const auto topic = subscription.delivery().plan().single_topic();
  Response response = topic && !start.topic_exists ? to_response(no_topic(*topic)) : Response{};
  response.body.clear();
  response.add_header("Cache-Control", "no-store");
  if (topic) {
    response.add_header("Weir-First", std::to_string(start.first_offset.value));
    response.add_header("Weir-Next", std::to_string(start.next_offset.value));
    response.add_header("ETag", format_etag(subscription.epoch(), start.next_offset));
  }
  response.add_header("Weir-Cursor", format_cursor(subscription.epoch(), start.last_position));
  response.add_header("Weir-Epoch", subscription.epoch());
  response.add_header("Weir-Applied", std::to_string(start.last_position.value));
  co_return response;
}

}  // namespace weir::broker::http
