// The events of one log entry on their way to subscribers. What is encoded for one subscriber of a format is what every
// other of them gets. The argument: events of the entry.
#include <string>
#include <vector>

#include "bench/micro/samples.hpp"
#include "broker/core/waiters.hpp"
#include "broker/http/delivery.hpp"
#include "broker/http/stream_text.hpp"
#include "broker/http/ws_bin.hpp"
#include "broker/http/ws_message.hpp"

namespace weir::bench::micro {
namespace {

using broker::ReadEvent;

broker::http::ReadPlan plan_of_topic() {
  broker::http::ReadPlan plan = broker::http::websocket_plan({});
  plan.selector = broker::http::parse_selector({kTopic}).value();
  return plan;
}

/// `append` writes one event.
template <class Append>
void encode_each(benchmark::State& state, const Append& append) {
  const auto events = read_events_of(static_cast<std::size_t>(state.range(0)));
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const ReadEvent& event : events) append(out, event);
  }
  report(state, events.size(), out.size());
}

void encode_stream(benchmark::State& state, broker::http::Format format) {
  const broker::http::StreamText text(format, "e7", broker::http::DataForm::natural);
  encode_each(state, [&text](std::string& out, const ReadEvent& event) { text.append_event(out, event); });
}
BENCHMARK_CAPTURE(encode_stream, ndjson, broker::http::Format::ndjson)->Arg(1)->Arg(1000);
BENCHMARK_CAPTURE(encode_stream, sse, broker::http::Format::sse)->Arg(1)->Arg(1000);

void encode_ws_json(benchmark::State& state) {
  const broker::http::EventShape shape{.epoch = "e7", .cursor = broker::http::ShowCursor::yes};
  encode_each(state, [&shape](std::string& out, const ReadEvent& event) {
    broker::http::append_event_frame(out, 1, event, shape);
  });
}
BENCHMARK(encode_ws_json)->Arg(1)->Arg(1000);

void encode_ws_bin(benchmark::State& state) {
  const auto events = read_events_of(static_cast<std::size_t>(state.range(0)));
  const broker::http::ReadPlan plan = plan_of_topic();
  std::string out;
  std::vector<std::size_t> ends;
  for (auto _ : state) {
    out.clear();
    ends.clear();
    broker::http::append_event_messages(out, ends, 1, events, plan);
  }
  report(state, events.size(), out.size());
}
BENCHMARK(encode_ws_bin)->Arg(1)->Arg(1000);

/// Which of what was read one subscriber gets: its gaps, limits and ends. The copy of the events is in the figure.
void select_events(benchmark::State& state) {
  const auto events = read_events_of(static_cast<std::size_t>(state.range(0)));
  broker::ReadBatch batch;
  batch.events = events;
  batch.next.after = events.back().position;
  batch.up_to_date = true;
  broker::ReadStart start;
  start.topic_exists = true;
  for (auto _ : state) {
    broker::http::Delivery delivery(plan_of_topic(), start);
    benchmark::DoNotOptimize(delivery.take(batch, kTimeMs));
  }
  report(state, events.size(), events.size() * kPayloadBytes);
}
BENCHMARK(select_events)->Arg(1)->Arg(1000);

/// An entry was applied: subscribers that were caught up are woken. The argument: so many of them wait.
void wake_subscribers(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const broker::Selector selector = *plan_of_topic().selector;
  const std::vector<std::string_view> topics{kTopic};
  broker::Waiters waiters;
  std::size_t woken = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < count; ++i) waiters.add(selector, [&woken] { ++woken; });
    waiters.advance(topics);
  }
  WEIR_CHECK(woken == count * static_cast<std::size_t>(state.iterations()), woken, count);
  report(state, count, 0);
}
BENCHMARK(wake_subscribers)->Arg(1)->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace weir::bench::micro
