// What the micro benchmarks work on: requests, entries and the events of a delivery, all of bench::EventMaker. What
// should work and does not ends the program (WEIR_CHECK): a benchmark of nothing must not print a figure. Values only:
// no thread rule.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/events.hpp"
#include "broker/core/decoded_entry.hpp"
#include "broker/core/reading.hpp"
#include "raft/check.hpp"
#include "raft/entry.hpp"
#include "wire/entry.hpp"

namespace weir::bench::micro {

inline constexpr const char* kTopic = "sensors/kitchen/temperature";
inline constexpr std::size_t kPayloadBytes = 128;
inline constexpr std::uint64_t kTimeMs = 1'790'000'000'000;

[[nodiscard]] EventMaker maker_of(Ids ids);

/// What a client sends: PublishBuilder's bytes.
[[nodiscard]] raft::Bytes request_of(std::span<const BenchEvent> events);
[[nodiscard]] wire::PublishView view_of(raft::Bytes request);
/// A PUBLISH entry with one request.
[[nodiscard]] raft::Entry entry_of(raft::Index index, std::span<const BenchEvent> events);
[[nodiscard]] broker::DecodedEntryPtr decoded_entry_of(raft::Index index, std::span<const BenchEvent> events);
/// All events of one entry, as a subscriber of their topic reads them.
[[nodiscard]] std::vector<broker::ReadEvent> read_events_of(std::size_t count);

/// To be called at the end: one iteration handled so many events, and so many bytes as they are written or read; 0:
/// none that would mean something.
void report(benchmark::State& state, std::size_t events, std::size_t bytes);

}  // namespace weir::bench::micro
