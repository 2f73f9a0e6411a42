// What remembering ids costs in memory and time.
//
//   ids_bench [COUNT]        default 10,000,000
//
// Inserts COUNT ids as an import does, 1,000 to a log entry, then looks up ids that are there and ids that are not, in
// random order. Printed: ns for each, the longest single insert, bytes for each id, candidates that the log would turn
// down.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "storage/dedup_index.hpp"

namespace weir::bench {
namespace {

constexpr std::uint64_t kIdsOfAnEntry = 1000;
constexpr std::uint64_t kLookups = 2'000'000;

/// As random as a hash of an id (splitmix64).
std::uint64_t mixed(std::uint64_t number) {
  number += 0x9e3779b97f4a7c15ULL;
  number = (number ^ (number >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  number = (number ^ (number >> 27U)) * 0x94d049bb133111ebULL;
  return number ^ (number >> 31U);
}
storage::IdHash hash_of(std::uint64_t number) {
  return {mixed(2 * number), mixed(2 * number + 1)};
}

double ns_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
}

void run(std::uint64_t count) {
  storage::DedupIndex index;
  double longest = 0;
  const auto inserting = std::chrono::steady_clock::now();
  for (std::uint64_t number = 0; number < count; ++number) {
    const auto begin = std::chrono::steady_clock::now();
    index.insert(hash_of(number),
                 {raft::Index{1 + number / kIdsOfAnEntry}, static_cast<std::uint32_t>(number % kIdsOfAnEntry)});
    longest = std::max(longest, ns_since(begin));
  }
  const double insert_ns = ns_since(inserting) / static_cast<double>(count);

  std::uint64_t wrong = 0;
  const auto hitting = std::chrono::steady_clock::now();
  for (std::uint64_t look = 0; look < kLookups; ++look) {
    const std::uint64_t number = mixed(look) % count;
    const auto places = index.find(hash_of(number));
    const storage::IdPlace place{raft::Index{1 + number / kIdsOfAnEntry},
                                 static_cast<std::uint32_t>(number % kIdsOfAnEntry)};
    if (std::ranges::find(places, place) == places.end()) ++wrong;
  }
  const double hit_ns = ns_since(hitting) / static_cast<double>(kLookups);

  std::uint64_t turned_down = 0;
  const auto missing = std::chrono::steady_clock::now();
  for (std::uint64_t look = 0; look < kLookups; ++look) turned_down += index.may_contain(hash_of(count + mixed(look)));
  const double miss_ns = ns_since(missing) / static_cast<double>(kLookups);

  std::printf(
      "%llu ids: %.1f bytes an id, insert %.0f ns (longest %.0f us, with reading the clock), hit %.0f ns, "
      "miss %.0f ns; %llu not found, %llu of %llu misses have a candidate\n",
      static_cast<unsigned long long>(count), static_cast<double>(index.memory_bytes()) / static_cast<double>(count),
      insert_ns, longest / 1000, hit_ns, miss_ns, static_cast<unsigned long long>(wrong),
      static_cast<unsigned long long>(turned_down), static_cast<unsigned long long>(kLookups));
}

}  // namespace
}  // namespace weir::bench

int main(int count, char** arguments) {
  weir::bench::run(count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 10'000'000);
  return 0;
}
