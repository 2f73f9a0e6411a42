#include "broker/http/ws_bin.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/topic.hpp"
#include "broker/http/answers.hpp"
#include "broker/http/event_input.hpp"
#include "raft/check.hpp"

namespace weir::broker::http {

namespace {

std::expected<void, Problem> check_request(const wire::PublishView& request, const HttpLimits& limits) {
  for (const std::string_view topic : request.topics()) {
    if (auto checked = check_topic(topic); !checked) return std::unexpected(bad_request(std::move(checked.error())));
  }
  if (request.event_count() > limits.batch_events_max) {
    return std::unexpected(too_large("a request holds at most " + std::to_string(limits.batch_events_max) + " events"));
  }
  std::size_t bytes = 0;
  CheckedType type;
  for (std::uint32_t ordinal = 0; ordinal < request.event_count(); ++ordinal) {
    const wire::EventView event = request.event(ordinal);
    if (auto checked = check_event(event, type, limits); !checked) {
      return std::unexpected(bad_request("event " + std::to_string(ordinal) + ": " + checked.error()));
    }
    if (event.body.size() > limits.event_bytes_max) {
      return std::unexpected(too_large("the payload of event " + std::to_string(ordinal) + " is longer than " +
                                       std::to_string(limits.event_bytes_max) + " bytes"));
    }
    bytes += event.body.size();
  }
  if (bytes > limits.batch_bytes_max) {
    return std::unexpected(
        too_large("a request holds at most " + std::to_string(limits.batch_bytes_max) + " bytes of payload"));
  }
  return {};
}

bool may_see_all(const wire::PublishView& entry, const ReadPlan& plan) {
  return !plan.key &&
         std::ranges::all_of(entry.topics(), [&plan](std::string_view topic) { return plan.selector->matches(topic); });
}

/// Only what is delivered, as an entry of its own.
wire::PublishView copy_out(std::span<const ReadEvent> events) {
  wire::PublishBuilder builder;
  for (const ReadEvent& event : events) builder.add(event.view());
  // What came out of an entry that holds the rules goes into one that does.
  auto bytes = builder.finish();
  WEIR_CHECK(bytes.has_value());
  const wire::PublishView built = *wire::PublishView::verify(*std::move(bytes));
  return *wire::PublishView::verify(wire::merge(std::span(&built, 1), events.front().time_ms));
}

void append_entry(std::string& out, std::uint64_t sid, std::span<const ReadEvent> events, const ReadPlan& plan) {
  const wire::PublishView& entry = *events.front().entry;
  std::vector<wire::PlacedEvent> placed;
  placed.reserve(events.size());
  for (const ReadEvent& event : events) placed.push_back({event.ordinal, event.offset, event.position});
  if (2 * events.size() >= entry.event_count() && may_see_all(entry, plan)) {
    wire::append_events(out, wire::events_message(sid, entry, placed));
    return;
  }
  for (std::uint32_t ordinal = 0; wire::PlacedEvent & event : placed) event.ordinal = ordinal++;
  wire::append_events(out, wire::events_message(sid, copy_out(events), placed));
}

}  // namespace

std::expected<wire::PublishMessage, WsRefused> parse_publish_message(raft::Bytes message, const HttpLimits& limits) {
  auto decoded = wire::decode_client(std::move(message));
  if (!decoded) return std::unexpected(WsRefused{{}, {}, bad_request(decoded.error().text)});
  auto* const publish = std::get_if<wire::PublishMessage>(&*decoded);
  if (publish == nullptr) return std::unexpected(WsRefused{{}, {}, bad_request("a client sends Publish only")});
  if (auto checked = check_request(publish->request, limits); !checked) {
    return std::unexpected(WsRefused{publish->rid, {}, std::move(checked.error())});
  }
  publish->timeout_ms =
      publish->timeout_ms == 0 ? limits.publish_timeout_ms : std::min(publish->timeout_ms, kTimeoutMsMax);
  return std::move(*publish);
}

BinAnswer answer_of(const wire::PublishMessage& message, const wire::Outcome& outcome) {
  const Retry retry = message.request.every_event_has_id() ? Retry::safe : Retry::unsafe;
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return {.ack = {}, .error = error_frame(message.rid, std::nullopt, refusal_problem(*refused, retry))};
  }
  const auto* published = std::get_if<wire::Published>(&outcome);
  if (published == nullptr || published->results.size() != message.request.event_count()) {
    return {.ack = {},
            .error = error_frame(message.rid, std::nullopt, Problem{.detail = "the node answered something else"})};
  }
  BinAnswer answer;
  wire::append_ack(answer.ack, wire::ack_of(message.rid, message.request, published->results));
  return answer;
}

void append_event_messages(std::string& out, std::vector<std::size_t>& ends, std::uint64_t sid,
                           std::span<const ReadEvent> events, const ReadPlan& plan) {
  while (!events.empty()) {
    const auto same = [&events](const ReadEvent& event) { return event.entry == events.front().entry; };
    const auto end = std::ranges::find_if_not(events, same);
    const auto count = static_cast<std::size_t>(end - events.begin());
    append_entry(out, sid, events.first(count), plan);
    ends.push_back(out.size());
    events = events.subspan(count);
  }
}

}  // namespace weir::broker::http
