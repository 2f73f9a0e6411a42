#include "storage/dedup_index.hpp"

#include <algorithm>
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <type_traits>

namespace weir::storage {
namespace {

// A table rehashes when it grows. 1,024 of them, told apart by bits of the hash, keep each pause short: at 100 million
// ids one table moves 100,000 slots of 16 bytes, about a millisecond.
constexpr unsigned kShardBits = 10;
constexpr std::size_t kShards = std::size_t{1} << kShardBits;

// A place in 8 bytes: | elsewhere 1 | log index 46 | ordinal 17 |. What does not fit, and every place of a hash that
// has several, is kept elsewhere.
constexpr unsigned kOrdinalBits = 17;
constexpr std::uint64_t kOrdinalLimit = std::uint64_t{1} << kOrdinalBits;
constexpr std::uint64_t kIndexLimit = std::uint64_t{1} << 46U;
constexpr std::uint64_t kElsewhere = std::uint64_t{1} << 63U;

bool fits(IdPlace place) {
  return place.log_index.value < kIndexLimit && place.ordinal < kOrdinalLimit;
}
std::uint64_t pack(IdPlace place) {
  return place.log_index.value << kOrdinalBits | place.ordinal;
}
IdPlace unpack(std::uint64_t packed) {
  return {raft::Index{packed >> kOrdinalBits}, static_cast<std::uint32_t>(packed & (kOrdinalLimit - 1))};
}

// The key is a hash already.
struct TakeAsItIs {
  using is_avalanching = std::true_type;
  std::size_t operator()(std::uint64_t key) const noexcept { return key; }
};

template <class Value>
using Map = boost::unordered_flat_map<std::uint64_t, Value, TakeAsItIs>;

// What boost's table takes: 15 slots and 16 bytes of marks to a group.
template <class Value>
std::size_t bytes_of(const Map<Value>& map) {
  const std::size_t groups = (map.bucket_count() + 14) / 15;
  return groups * (15 * sizeof(typename Map<Value>::value_type) + 16);
}

}  // namespace

// 74 bits of each hash: `low` as the key, 10 bits of `high` for the shard. Two ids that agree in those share their
// places, which find() may do: a place is a candidate.
struct DedupIndex::Table {
  struct Shard {
    Map<std::uint64_t> places;
    Map<std::vector<IdPlace>> elsewhere;
  };
  std::array<Shard, kShards> shards;
  std::size_t size = 0;

  [[nodiscard]] Shard& shard(IdHash hash) { return shards[hash.high >> (64 - kShardBits)]; }
};

DedupIndex::DedupIndex() : table_(std::make_unique<Table>()) {}
DedupIndex::~DedupIndex() = default;
DedupIndex::DedupIndex(DedupIndex&&) noexcept = default;
DedupIndex& DedupIndex::operator=(DedupIndex&&) noexcept = default;

void DedupIndex::insert(IdHash hash, IdPlace place) {
  Table::Shard& shard = table_->shard(hash);
  ++table_->size;
  const auto [it, fresh] = shard.places.try_emplace(hash.low, fits(place) ? pack(place) : kElsewhere);
  if (fresh && fits(place)) return;
  std::vector<IdPlace>& places = shard.elsewhere[hash.low];
  if (it->second != kElsewhere) places.push_back(unpack(it->second));
  it->second = kElsewhere;
  places.push_back(place);
}

std::vector<IdPlace> DedupIndex::find(IdHash hash) const {
  const Table::Shard& shard = table_->shard(hash);
  const auto it = shard.places.find(hash.low);
  if (it == shard.places.end()) return {};
  if (it->second != kElsewhere) return {unpack(it->second)};
  return shard.elsewhere.find(hash.low)->second;
}

bool DedupIndex::may_contain(IdHash hash) const {
  return table_->shard(hash).places.contains(hash.low);
}

std::size_t DedupIndex::size() const {
  return table_->size;
}

std::size_t DedupIndex::memory_bytes() const {
  std::size_t bytes = sizeof(Table);
  for (const Table::Shard& shard : table_->shards) {
    bytes += bytes_of(shard.places) + bytes_of(shard.elsewhere);
    for (const auto& [key, places] : shard.elsewhere) bytes += places.capacity() * sizeof(IdPlace);
  }
  return bytes;
}

}  // namespace weir::storage
