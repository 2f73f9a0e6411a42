// From bytes to requests, entries and frames, and back. The argument: events of a request or an entry.
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bench/micro/samples.hpp"
#include "broker/http/event_input.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/ws_message.hpp"
#include "wire/client_message.hpp"
#include "wire/peer_message.hpp"

namespace weir::bench::micro {
namespace {

std::size_t events_of(const benchmark::State& state) {
  return static_cast<std::size_t>(state.range(0));
}
std::vector<BenchEvent> sample(std::size_t count) {
  EventMaker maker = maker_of(Ids::every_event);
  const auto events = maker.make(count, kTimeMs);
  return {events.begin(), events.end()};
}

void encode_request(benchmark::State& state) {
  const auto events = sample(events_of(state));
  std::size_t bytes = 0;
  for (auto _ : state) bytes = request_of(events).size();
  report(state, events.size(), bytes);
}
BENCHMARK(encode_request)->Arg(1)->Arg(100)->Arg(1000);

void verify_request(benchmark::State& state) {
  const auto events = sample(events_of(state));
  const raft::Bytes request = request_of(events);
  for (auto _ : state) benchmark::DoNotOptimize(view_of(request));
  report(state, events.size(), request.size());
}
BENCHMARK(verify_request)->Arg(1)->Arg(100)->Arg(1000);

/// As a follower does on receipt: the checksum, then every rule of the format.
void decode_entry(benchmark::State& state) {
  const auto events = sample(events_of(state));
  const raft::Entry entry = entry_of(raft::Index{1}, events);
  for (auto _ : state) {
    auto decoded = broker::decode(entry);
    WEIR_CHECK(decoded, decoded.error());
    benchmark::DoNotOptimize(decoded);
  }
  report(state, events.size(), entry.data.size());
}
BENCHMARK(decode_entry)->Arg(1)->Arg(100)->Arg(1000);

wire::PeerMessage append_entries(std::span<const BenchEvent> events) {
  raft::AppendEntries body;
  body.entries.push_back(entry_of(raft::Index{1}, events));
  return raft::Message{.from = raft::NodeId{1}, .to = raft::NodeId{2}, .term = raft::Term{1}, .body = std::move(body)};
}

void encode_peer_frame(benchmark::State& state) {
  const auto events = sample(events_of(state));
  const wire::PeerMessage message = append_entries(events);
  std::size_t bytes = 0;
  for (auto _ : state) bytes = wire::encode(message).size;
  report(state, events.size(), bytes);
}
BENCHMARK(encode_peer_frame)->Arg(1)->Arg(100)->Arg(1000);

void decode_peer_frame(benchmark::State& state) {
  const auto events = sample(events_of(state));
  std::string frame;
  for (const raft::Bytes& part : wire::encode(append_entries(events)).parts) frame += part.view();
  const auto payload = raft::Bytes::copy_of(std::string_view(frame).substr(wire::kFrameHeaderBytes));
  for (auto _ : state) {
    const auto header = wire::decode_header(frame, wire::kFrameBytesMax);
    auto message = wire::decode(*header, payload);
    WEIR_CHECK(message, message.error().text);
    benchmark::DoNotOptimize(message);
  }
  report(state, events.size(), frame.size());
}
BENCHMARK(decode_peer_frame)->Arg(1)->Arg(100)->Arg(1000);

/// A publish of weir.bin.v1, as a client builds it.
void encode_bin_batch(benchmark::State& state) {
  const auto events = sample(events_of(state));
  std::string out;
  for (auto _ : state) {
    out.clear();
    wire::append_publish(out, 1, 0, request_of(events));
  }
  report(state, events.size(), out.size());
}
BENCHMARK(encode_bin_batch)->Arg(1)->Arg(100)->Arg(1000);

/// The same, as the edge takes it.
void decode_bin_batch(benchmark::State& state) {
  const auto events = sample(events_of(state));
  std::string out;
  wire::append_publish(out, 1, 0, request_of(events));
  const auto message = raft::Bytes::copy_of(out);
  for (auto _ : state) {
    auto decoded = wire::decode_client(message);
    WEIR_CHECK(decoded, decoded.error().text);
    benchmark::DoNotOptimize(decoded);
  }
  report(state, events.size(), out.size());
}
BENCHMARK(decode_bin_batch)->Arg(1)->Arg(100)->Arg(1000);

std::string json_line(const BenchEvent& event) {
  return R"({"id":")" + event.id + R"(","key":"k1","data":{"sku":"A1","n":2,"note":")" + event.body + R"("}})";
}

/// An ndjson request: lines to a finished publish request.
void parse_json_lines(benchmark::State& state) {
  const auto events = sample(events_of(state));
  broker::http::Request request;
  request.method = broker::http::Method::post;
  request.fields.push_back({"content-type", "application/x-ndjson"});
  for (const BenchEvent& event : events) request.body += json_line(event) + "\n";
  const broker::HttpLimits limits;
  for (auto _ : state) {
    auto publish = broker::http::parse_publish(request, kTopic, "e7", limits);
    WEIR_CHECK(publish, publish.error().detail);
    benchmark::DoNotOptimize(publish);
  }
  report(state, events.size(), request.body.size());
}
BENCHMARK(parse_json_lines)->Arg(1)->Arg(100)->Arg(1000);

/// A publish of weir.json.v1: one event a frame.
void parse_json_frame(benchmark::State& state) {
  const std::string frame =
      R"({"op":"pub","rid":9,"topic":")" + std::string(kTopic) + "\"," + json_line(sample(1).front()).substr(1);
  const broker::HttpLimits limits;
  for (auto _ : state) {
    auto operation = broker::http::parse_operation(frame, limits, kTimeMs);
    WEIR_CHECK(std::holds_alternative<broker::http::WsPublish>(operation), frame);
    benchmark::DoNotOptimize(operation);
  }
  report(state, 1, frame.size());
}
BENCHMARK(parse_json_frame);

}  // namespace
}  // namespace weir::bench::micro
