// The table of ids. The argument: ids it holds already.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "bench/micro/samples.hpp"
#include "storage/dedup_index.hpp"

namespace weir::bench::micro {
namespace {

constexpr std::uint64_t kIdsOfEntry = 1000;
constexpr std::size_t kLookups = 2'000'000;

/// As random as a hash of an id (splitmix64).
std::uint64_t mixed(std::uint64_t number) {
  number += 0x9e3779b97f4a7c15ULL;
  number = (number ^ (number >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  number = (number ^ (number >> 27U)) * 0x94d049bb133111ebULL;
  return number ^ (number >> 31U);
}
storage::DedupIndex::Id id_of(std::uint64_t number) {
  return {{mixed(2 * number), mixed(2 * number + 1)},
          {raft::Index{1 + number / kIdsOfEntry}, static_cast<std::uint32_t>(number % kIdsOfEntry)}};
}

/// The ids 0 to `count` - 1.
storage::DedupIndex index_of(std::uint64_t count) {
  constexpr std::uint64_t kAtOnce = std::uint64_t{1} << 20U;
  storage::DedupIndex index;
  std::vector<storage::DedupIndex::Id> ids;
  for (std::uint64_t number = 0; number < count;) {
    ids.clear();
    for (; number < count && ids.size() < kAtOnce; ++number) ids.push_back(id_of(number));
    index.insert(ids);
  }
  return index;
}
std::uint64_t held(const benchmark::State& state) {
  return static_cast<std::uint64_t>(state.range(0));
}

/// Of new events, one after the other.
void insert_ids(benchmark::State& state) {
  storage::DedupIndex index = index_of(held(state));
  std::uint64_t number = held(state);
  for (auto _ : state) {
    const storage::DedupIndex::Id id = id_of(number++);
    index.insert(id.hash, id.place);
  }
  report(state, 1, sizeof(storage::IdHash));
  state.counters["memory_bytes_per_id"] = static_cast<double>(index.memory_bytes()) / static_cast<double>(index.size());
}

enum class Asked : std::uint8_t { stored = 1, new_ids = 2 };
/// Hashes of ids in random order: of those held, or of others.
std::vector<storage::IdHash> asked(std::uint64_t held, Asked which) {
  std::vector<storage::IdHash> hashes;
  for (std::size_t look = 0; look < kLookups; ++look)
    hashes.push_back(id_of(which == Asked::stored ? mixed(look) % held : held + mixed(look)).hash);
  return hashes;
}

void find_ids(benchmark::State& state, Asked which) {
  const storage::DedupIndex index = index_of(held(state));
  const auto hashes = asked(held(state), which);
  std::size_t look = 0;
  std::size_t found = 0;
  for (auto _ : state) found += index.find(hashes[look++]).empty() ? 0 : 1;
  WEIR_CHECK(which == Asked::new_ids || found == look, found, look);
  report(state, 1, sizeof(storage::IdHash));
}

void may_contain_id(benchmark::State& state, Asked which) {
  const storage::DedupIndex index = index_of(held(state));
  const auto hashes = asked(held(state), which);
  std::size_t look = 0;
  std::size_t found = 0;
  for (auto _ : state) found += index.may_contain(hashes[look++]) ? 1 : 0;
  WEIR_CHECK(which == Asked::new_ids || found == look, found, look);
  report(state, 1, sizeof(storage::IdHash));
  state.counters["said_yes"] = static_cast<double>(found) / static_cast<double>(look);
}

/// A fixed number, so that the table is filled once and not for every guess at how often to repeat.
void at_both_sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(1'000'000)->Arg(10'000'000)->Iterations(kLookups);
}
BENCHMARK(insert_ids)->Apply(at_both_sizes);
BENCHMARK_CAPTURE(find_ids, hit, Asked::stored)->Apply(at_both_sizes);
BENCHMARK_CAPTURE(find_ids, miss, Asked::new_ids)->Apply(at_both_sizes);
BENCHMARK_CAPTURE(may_contain_id, hit, Asked::stored)->Apply(at_both_sizes);
BENCHMARK_CAPTURE(may_contain_id, miss, Asked::new_ids)->Apply(at_both_sizes);

}  // namespace
}  // namespace weir::bench::micro
