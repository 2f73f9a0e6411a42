// Committed entries through the state machine, look-ups of ids included, as broker::Applier does it. The argument:
// events of an entry.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/micro/samples.hpp"
#include "broker/core/state_machine.hpp"

namespace weir::bench::micro {
namespace {

/// A log to be applied: when a state machine has seen it all a new one begins. 30 MB of events, and of small entries
/// fewer.
constexpr std::size_t kEventsOfLog = 200'000;
constexpr std::size_t kEntriesOfLog = 20'000;

using Log = std::vector<broker::DecodedEntryPtr>;

Log log_of(std::size_t events, Ids ids) {
  EventMaker maker = maker_of(ids);
  Log log;
  for (std::uint64_t index = 1; index <= std::min(kEntriesOfLog, kEventsOfLog / events); ++index)
    log.push_back(decoded_entry_of(raft::Index{index}, maker.make(events, kTimeMs)));
  return log;
}

std::uint64_t apply_one(broker::StateMachine& machine, const broker::DecodedEntryPtr& entry, const Log& log) {
  const broker::RunPlaces none;
  benchmark::DoNotOptimize(machine.lookups(*entry, none));
  const auto earlier = [&log](raft::Index index) { return log[index.value - 1]; };
  return machine.apply(entry, earlier, none).stored;
}

void apply_entries(benchmark::State& state, Ids ids) {
  const auto events = static_cast<std::size_t>(state.range(0));
  const Log log = log_of(events, ids);
  broker::StateMachine machine;
  std::size_t next = 0;
  for (auto _ : state) {
    const std::uint64_t stored = apply_one(machine, log[next], log);
    WEIR_CHECK(stored == events, stored, events);
    if (++next < log.size()) continue;
    state.PauseTiming();
    machine = broker::StateMachine();
    next = 0;
    state.ResumeTiming();
  }
  report(state, events, log.front()->data_bytes);
}
BENCHMARK_CAPTURE(apply_entries, ids, Ids::every_event)->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK_CAPTURE(apply_entries, no_ids, Ids::none)->Arg(1)->Arg(100)->Arg(1000);

/// Every event is one that the log has already, and is compared with it.
void apply_duplicates(benchmark::State& state) {
  const auto events = static_cast<std::size_t>(state.range(0));
  const Log log = log_of(events, Ids::every_event);
  broker::StateMachine machine;
  for (const auto& entry : log) apply_one(machine, entry, log);
  const std::size_t originals = log.size();
  std::vector<broker::DecodedEntry> again;
  for (const auto& entry : log) again.push_back(*entry);
  std::uint64_t index = originals;
  for (auto _ : state) {
    broker::DecodedEntry& entry = again[index % originals];
    entry.index = raft::Index{++index};
    // Shares the events; the copy of a few words is in the figure.
    const std::uint64_t stored = apply_one(machine, std::make_shared<const broker::DecodedEntry>(entry), log);
    WEIR_CHECK(stored == 0, stored);
  }
  report(state, events, log.front()->data_bytes);
}
BENCHMARK(apply_duplicates)->Arg(1)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace weir::bench::micro
