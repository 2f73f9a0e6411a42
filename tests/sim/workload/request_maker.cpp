#include "tests/sim/workload/request_maker.hpp"

#include <array>
#include <utility>

#include "raft/check.hpp"

namespace weir::sim {
namespace {

constexpr std::size_t kLatest = 24;
constexpr std::size_t kBatchMax = 40;

void finish(Request& request) {
  wire::PublishBuilder builder;
  for (const auto& event : request.events) {
    wire::EventView view;
    view.topic = event.topic;
    view.id = event.id;
    view.body = event.body;
    builder.add(view);
    request.repeatable = request.repeatable && !event.id.empty();
  }
  if (request.expected) {
    builder.expect(request.events.front().topic, *request.expected);
  }
  auto bytes = builder.finish();
  WEIR_CHECK(bytes.has_value());
  request.bytes = *std::move(bytes);
}

}  // namespace

std::string RequestMaker::topic() {
  static constexpr std::array kTopics{"a/1", "a/2", "b", "c/x/y", "c/x/z"};
  return kTopics[dice_.below(kTopics.size())];
}

void RequestMaker::add_event(Request& request, std::string id) {
  std::string body = "r" + std::to_string(request.number) + "." + std::to_string(request.events.size());
  body.append(dice_.chance(1, 50) ? dice_.below(2'000) : dice_.below(40), '.');
  request.events.push_back({.topic = topic(), .id = std::move(id), .body = std::move(body)});
}

/// An id that was published or claimed before, now with other content.
void RequestMaker::draw_reuse(Request& request) {
  const wire::Claim used = some_id();
  add_event(request, used.id);
  request.events.back().topic = used.topic;
}

std::shared_ptr<Request> RequestMaker::draw() {
  auto request = std::make_shared<Request>();
  request->number = ++last_number_;
  request->repeatable = true;
  const std::size_t kind = dice_.below(20);
  if (kind < 1) {
    request->claim = dice_.chance(1, 3) ? some_id() : wire::Claim{.topic = topic(), .source = {}, .id = fresh_id()};
    return request;
  }
  if (kind < 2) {
    draw_reuse(*request);
  } else if (kind < 9) {
    add_event(*request, fresh_id());
  } else if (kind < 12) {
    add_event(*request, {});
  } else {
    const std::size_t count = dice_.chance(1, 3) ? 2 + dice_.below(4) : 2 + dice_.below(kBatchMax - 1);
    const bool with_ids = dice_.chance(3, 4);
    for (std::size_t i = 0; i < count; ++i) {
      add_event(*request, with_ids ? fresh_id() : std::string());
    }
    if (with_ids && dice_.chance(1, 10)) {
      draw_reuse(*request);  // then nothing of the batch may be stored
    }
    if (with_ids && dice_.chance(1, 4)) {
      request->events.push_back(request->events.front());
    }
  }
  if (dice_.chance(1, 8)) {
    const std::uint64_t next = model_.next_offset(request->events.front().topic);
    request->expected = raft::Offset{dice_.chance(1, 4) ? next + 1 : next};
  }
  finish(*request);
  return request;
}

std::shared_ptr<Request> RequestMaker::next() {
  if (!latest_.empty() && dice_.chance(1, 4)) {
    return latest_[dice_.below(latest_.size())];
  }
  auto request = draw();
  if (request->repeatable) {
    latest_.push_back(request);
    if (latest_.size() > kLatest) {
      latest_.pop_front();
    }
  }
  return request;
}

wire::Claim RequestMaker::some_id() {
  if (!latest_.empty() && dice_.chance(9, 10)) {
    const Request& request = *latest_[dice_.below(latest_.size())];
    if (request.claim) {
      return *request.claim;
    }
    const RequestEvent& event = request.events[dice_.below(request.events.size())];
    return {.topic = event.topic, .source = {}, .id = event.id};
  }
  return {.topic = topic(), .source = {}, .id = "never-" + std::to_string(dice_.below(10))};
}

}  // namespace weir::sim
