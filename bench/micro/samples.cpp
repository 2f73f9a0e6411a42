#include "bench/micro/samples.hpp"

#include <memory>
#include <utility>

namespace weir::bench::micro {

EventMaker maker_of(Ids ids) {
  return {"0123abcd", kPayloadBytes, ids, 0};
}

raft::Bytes request_of(std::span<const BenchEvent> events) {
  wire::PublishBuilder builder;
  for (const BenchEvent& event : events)
    builder.add({.topic = kTopic, .id = event.id, .content_type = "text/plain", .body = event.body});
  auto request = builder.finish();
  WEIR_CHECK(request, request.error().text);
  return *std::move(request);
}

wire::PublishView view_of(raft::Bytes request) {
  auto view = wire::PublishView::verify(std::move(request));
  WEIR_CHECK(view, view.error().text);
  return *std::move(view);
}

raft::Entry entry_of(raft::Index index, std::span<const BenchEvent> events) {
  const wire::PublishView view = view_of(request_of(events));
  raft::Entry entry{.index = index,
                    .term = raft::Term{1},
                    .command = raft::Command::publish,
                    .checksum = 0,
                    .data = wire::merge({&view, 1}, kTimeMs)};
  entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
  return entry;
}

broker::DecodedEntryPtr decoded_entry_of(raft::Index index, std::span<const BenchEvent> events) {
  auto entry = broker::decode(entry_of(index, events));
  WEIR_CHECK(entry, entry.error());
  return *std::move(entry);
}

std::vector<broker::ReadEvent> read_events_of(std::size_t count) {
  EventMaker maker = maker_of(Ids::every_event);
  const auto entry = std::make_shared<const wire::PublishView>(
      *decoded_entry_of(raft::Index{1}, maker.make(count, kTimeMs))->publish());
  std::vector<broker::ReadEvent> events;
  for (std::uint32_t ordinal = 0; ordinal < count; ++ordinal) {
    events.push_back({.entry = entry,
                      .ordinal = ordinal,
                      .offset = raft::Offset{ordinal},
                      .position = raft::Position{ordinal + std::uint64_t{1}},
                      .time_ms = kTimeMs});
  }
  return events;
}

void report(benchmark::State& state, std::size_t events, std::size_t bytes) {
  const auto turns = static_cast<std::int64_t>(state.iterations());
  state.SetItemsProcessed(turns * static_cast<std::int64_t>(events));
  if (bytes > 0) state.SetBytesProcessed(turns * static_cast<std::int64_t>(bytes));
}

}  // namespace weir::bench::micro
