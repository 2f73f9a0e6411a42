// Subscriptions of one WebSocket: what each client may get next, and how it is written.
#include <algorithm>
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/stream_text.hpp"
#include "broker/http/wall_clock.hpp"
#include "broker/http/websocket_session.hpp"
#include "broker/http/ws_bin.hpp"

namespace weir::broker::http {

namespace {

/// One read of the log for one subscription. Binary events are sent as they lie there, so more at a time cost little.
struct ReadSize {
  std::uint64_t events_max;
  std::size_t bytes_max;
};
constexpr ReadSize kTextRead{.events_max = 1000, .bytes_max = std::size_t{256} << 10U};
constexpr ReadSize kBinaryRead{.events_max = 16'384, .bytes_max = std::size_t{1} << 20U};

ReadSize read_limits(Subprotocol subprotocol) {
  return subprotocol == Subprotocol::bin ? kBinaryRead : kTextRead;
}

}  // namespace

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
  auto feed = std::make_shared<Feed>(operation.sid);
  feed->credit = operation.credit;
  feeds_.emplace(operation.sid, feed);
  spawn(open_feed(shared_from_this(), std::move(feed), std::move(operation.plan)));
}

void WebSocket::handle(const WsCredit& operation) {
  const auto found = feeds_.find(operation.sid);
  if (found == feeds_.end()) {
    answer(error_frame(std::nullopt, operation.sid, not_found("no subscription has this sid")));
    return;
  }
  const auto feed = found->second;
  feed->credit = std::min(feed->credit.value_or(0) + operation.count, kNumberEnd);
  go_on(feed);
}

void WebSocket::handle(const WsUnsubscribe& operation) {
  const auto found = feeds_.find(operation.sid);
  if (found == feeds_.end()) {
    answer(error_frame(std::nullopt, operation.sid, not_found("no subscription has this sid")));
    return;
  }
  found->second->stop();
  feeds_.erase(found);
}

asio::awaitable<void> WebSocket::open_feed(Self /*self*/, std::shared_ptr<Feed> feed, ReadPlan plan) {
  auto opened = co_await Subscription::open(shard_, std::move(plan));
  if (feed->stopped || ended_) co_return;
  if (!opened) {
    answer(error_frame(std::nullopt, feed->sid, opened.error()));
    remove(feed);
    co_return;
  }
  feed->subscription = std::move(*opened);
  feed->counted.emplace(shard_->metrics().subscriptions_open);
  answer(subscribed_frame(feed->sid, feed->subscription->cursor(), node_name_));
  if (const auto& gap = feed->subscription->delivery().gap_at_start()) {
    answer(control_frame("gap", feed->sid, gap_members(*gap)));
  }
  go_on(feed);
}

void WebSocket::remove(const std::shared_ptr<Feed>& feed) {
  feed->stop();
  if (const auto found = feeds_.find(feed->sid); found != feeds_.end() && found->second == feed) feeds_.erase(found);
}

void WebSocket::go_on(const std::shared_ptr<Feed>& feed) {
  if (feed->stopped || ended_ || feed->reading || !feed->subscription) return;
  // No credit, no reading: the log is the buffer.
  if (feed->credit == 0U || feed->queued_bytes >= shard_->limits().outbound_bytes_max) return;
  feed->waiting.reset();
  feed->reading = true;
  const auto [events_max, bytes_max] = read_limits(subprotocol_);
  feed->subscription->read(std::min(events_max, feed->credit.value_or(events_max)), bytes_max,
                           [self = shared_from_this(), feed](const std::expected<Step, Problem>& step) {
                             feed->reading = false;
                             self->deliver(feed, step);
                           });
}

void WebSocket::deliver(const std::shared_ptr<Feed>& feed, const std::expected<Step, Problem>& step) {
  if (feed->stopped || ended_) return;
  if (!step) {
    answer(error_frame(std::nullopt, feed->sid, step.error()));
    remove(feed);
    return;
  }
  Subscription& subscription = *feed->subscription;
  if (step->gap) push_control(feed, control_frame("gap", feed->sid, gap_members(*step->gap)));
  push_events(feed, *step);
  if (feed->credit) *feed->credit -= std::min<std::uint64_t>(*feed->credit, step->events.size());
  const bool tell = (step->caught_up && !feed->was_caught_up) || step->finished;
  feed->was_caught_up = step->caught_up;
  if (tell) {
    push_control(feed, control_frame(step->finished ? "finished" : "caught-up", feed->sid,
                                     caught_up_members(subscription.cursor())));
  }
  if (step->finished) {
    remove(feed);
  } else if (step->caught_up) {
    feed->waiting.emplace(subscription.wait([weak = weak_from_this(), weak_feed = std::weak_ptr(feed)] {
      const auto self = weak.lock();
      const auto waiter = weak_feed.lock();
      if (self && waiter) self->go_on(waiter);
    }));
  } else {
    go_on(feed);
  }
}

void WebSocket::subscribe_from_url(const Request& request, const std::string& name) {
  auto plan = parse_read(request, name, shard_->limits(), wall_clock_ms(), Transport::websocket);
  if (!plan) {
    answer(error_frame(std::nullopt, 0, plan.error()));
    return;
  }
  handle(WsSubscribe{0, std::move(*plan), std::nullopt});
}

void WebSocket::push_control(const std::shared_ptr<Feed>& feed, std::string_view frame) {
  Frames frames{.feed = feed, .kind = FrameKind::text, .text = std::string(frame), .ends = {}};
  frames.end_frame();
  push(std::move(frames));
}

void WebSocket::push_events(const std::shared_ptr<Feed>& feed, const Step& step) {
  if (step.events.empty()) return;
  const Subscription& subscription = *feed->subscription;
  const ReadPlan& plan = subscription.delivery().plan();
  Frames frames{.feed = feed, .kind = FrameKind::text, .text = {}, .ends = {}};
  if (subprotocol_ == Subprotocol::bin) {
    frames.kind = FrameKind::binary;
    append_event_messages(frames.text, frames.ends, feed->sid, step.events, plan);
  } else {
    const EventShape shape{subscription.epoch(), plan.data, ShowCursor::yes};
    for (const ReadEvent& event : step.events) {
      if (subscription.follows()) {
        append_event_frame(frames.text, feed->sid, shard_->event_texts().of(event, shape));
      } else {
        append_event_frame(frames.text, feed->sid, event, shape);
      }
      frames.end_frame();
    }
  }
  push(std::move(frames));
}

}  // namespace weir::broker::http
