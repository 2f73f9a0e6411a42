// What remembering ids costs in memory, on disk and in time.
//
//   ids_bench [COUNT [MEMORY_MIB]]        default 10,000,000 and 256; 0 = all in memory
//
// Inserts COUNT ids as an import does, 1,000 to a log entry. When the table has grown beyond MEMORY_MIB its ids go into
// runs in a temporary folder, as in a broker, but in line: what that took is counted apart. Then looks up ids that are
// there and ids that are not, in random order, as apply does it (filters first, the disk only where one says so), and
// opens the runs again as a start does.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "storage/dedup_index.hpp"
#include "storage/id_run_files.hpp"

namespace weir::bench {
namespace {

constexpr std::uint64_t kIdsOfAnEntry = 1000;
constexpr std::uint64_t kIdsOfARun = std::uint64_t{1} << 20U;
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
storage::IdPlace place_of(std::uint64_t number) {
  return {raft::Index{1 + number / kIdsOfAnEntry}, static_cast<std::uint32_t>(number % kIdsOfAnEntry)};
}

double ns_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
}

class Bench {
 public:
  Bench(std::uint64_t count, std::size_t memory_bytes, std::string folder)
      : count_(count), memory_bytes_(memory_bytes), folder_(std::move(folder)), files_(folder_) {}

  bool run() {
    if (!insert()) return false;
    look_up();
    return open_again();
  }

 private:
  bool insert() {
    double longest_ns = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t number = 0; number < count_; ++number) {
      const auto one = std::chrono::steady_clock::now();
      index_.insert(hash_of(number), place_of(number));
      longest_ns = std::max(longest_ns, ns_since(one));
      const bool ends_entry = number % kIdsOfAnEntry == kIdsOfAnEntry - 1;
      if (memory_bytes_ != 0 && ends_entry && number % 65'536 < kIdsOfAnEntry &&
          index_.memory_bytes() > memory_bytes_ && !move(number + 1))
        return false;
    }
    const double count = static_cast<double>(count_);
    const double insert_ns = (ns_since(begin) - moving_ns_) / count;
    std::size_t filters = 0;
    std::uint64_t disk = 0;
    for (const auto& run : index_.runs()) {
      filters += run->memory_bytes();
      disk += run->disk_bytes();
    }
    std::printf(
        "%llu ids: %.2f bytes of memory an id (table %.1f MiB, filters %.1f MiB), %.1f bytes on disk in %zu runs\n",
        static_cast<unsigned long long>(count_), static_cast<double>(index_.memory_bytes() + filters) / count,
        static_cast<double>(index_.memory_bytes()) / (1U << 20U), static_cast<double>(filters) / (1U << 20U),
        static_cast<double>(disk) / count, index_.runs().size());
    std::printf(
        "insert %.0f ns (longest %.0f us, with reading the clock); moving to runs %.0f ns an id, in the background\n",
        insert_ns, longest_ns / 1000, moving_ns_ / count);
    return true;
  }

  /// Everything up to `end` goes into runs.
  bool move(std::uint64_t end) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<storage::KeyedPlace> ids;
    while (moved_ < end) {
      ids.clear();
      for (; moved_ < end && (ids.size() < kIdsOfARun || moved_ % kIdsOfAnEntry != 0); ++moved_)
        ids.push_back({storage::key_of(hash_of(moved_)), place_of(moved_)});
      if (auto added = files_.add(place_of(moved_ - 1).log_index, ids, {}); !added) {
        std::fprintf(stderr, "ids_bench: %s\n", added.error().text.c_str());
        return false;
      }
    }
    index_.take_runs(files_.runs());
    index_.sweep_all();
    moving_ns_ += ns_since(begin);
    return true;
  }

  [[nodiscard]] std::vector<storage::IdPlace> find(storage::IdHash hash) {
    std::vector<storage::IdPlace> places = index_.find(hash);
    const storage::IdKey key = storage::key_of(hash);
    for (const auto& run : index_.runs()) {
      if (!run->may_contain(key)) continue;
      ++reads_;
      if (!run->find(key, places)) std::abort();
    }
    return places;
  }

  void look_up() {
    std::uint64_t wrong = 0;
    const auto hitting = std::chrono::steady_clock::now();
    for (std::uint64_t look = 0; look < kLookups; ++look) {
      const std::uint64_t number = mixed(look) % count_;
      const auto places = find(hash_of(number));
      if (std::ranges::find(places, place_of(number)) == places.end()) ++wrong;
    }
    const double hit_ns = ns_since(hitting) / static_cast<double>(kLookups);
    reads_ = 0;
    std::uint64_t turned_down = 0;
    const auto missing = std::chrono::steady_clock::now();
    for (std::uint64_t look = 0; look < kLookups; ++look) {
      const storage::IdHash hash = hash_of(count_ + mixed(look));
      if (index_.may_contain(hash) || index_.runs_may_contain(storage::key_of(hash)))
        turned_down += find(hash).empty() ? 0 : 1;
    }
    const double miss_ns = ns_since(missing) / static_cast<double>(kLookups);
    std::printf("hit %.0f ns, miss %.0f ns; %llu not found; of %llu misses %llu read the disk, %llu have a candidate\n",
                hit_ns, miss_ns, static_cast<unsigned long long>(wrong), static_cast<unsigned long long>(kLookups),
                static_cast<unsigned long long>(reads_), static_cast<unsigned long long>(turned_down));
  }

  bool open_again() {
    const auto begin = std::chrono::steady_clock::now();
    const auto opened = storage::IdRunFiles::find(folder_, raft::Index{1}, place_of(count_ - 1).log_index);
    if (!opened) {
      std::fprintf(stderr, "ids_bench: %s\n", opened.error().text.c_str());
      return false;
    }
    std::printf("opening the runs %.2f s\n", ns_since(begin) / 1e9);
    return true;
  }

  const std::uint64_t count_;
  const std::size_t memory_bytes_;
  const std::string folder_;
  storage::IdRunFiles files_;
  storage::DedupIndex index_;
  std::uint64_t moved_ = 0;
  std::uint64_t reads_ = 0;
  double moving_ns_ = 0;
};

}  // namespace
}  // namespace weir::bench

int main(int count, char** arguments) {
  const std::uint64_t ids = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 10'000'000;
  const std::uint64_t memory_mib = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 256;
  std::string folder = std::filesystem::temp_directory_path() / "weir-ids-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const bool done = weir::bench::Bench(ids, memory_mib << 20U, folder).run();
  std::filesystem::remove_all(folder);
  return done ? 0 : 1;
}
