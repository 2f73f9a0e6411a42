#include "storage/dedup_index.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace weir::storage {
namespace {

// 1,024 tables, told apart by bits of the hash: at 100 million ids a table that grows moves 100,000 slots, about a
// millisecond.
constexpr unsigned kShardBits = IdKey::kBits - 32;
constexpr std::size_t kShards = std::size_t{1} << kShardBits;

// A place in 8 bytes: | elsewhere 1 | log index 46 | ordinal 17 |. What does not fit is kept elsewhere, at this number.
constexpr unsigned kOrdinalBits = 17;
constexpr std::uint64_t kOrdinalLimit = std::uint64_t{1} << kOrdinalBits;
constexpr std::uint64_t kIndexLimit = std::uint64_t{1} << 46U;
constexpr std::uint64_t kElsewhere = std::uint64_t{1} << 63U;
/// No id. One whose fingerprint this would be has the next.
constexpr std::uint32_t kEmpty = 0;

/// 12 bytes: all that is kept of an id. The fingerprint, with the shard, is 42 bits of its hash: among 100 million ids
/// one look-up in 40,000 of a new id finds a candidate that the log then turns down.
class Shard {
 public:
  void insert(std::uint32_t fingerprint, std::uint64_t place) {
    if ((size_ + 1) * kLoadDenominator > homes_ * kLoadNumerator) rebuild();
    while (!put(fingerprint, place)) rebuild();
    ++size_;
  }

  /// Calls `found` with every place of this fingerprint, in order of insertion; stops when it returns false. An id that
  /// is not here costs a look at fingerprints alone.
  template <class Found>
  void each(std::uint32_t fingerprint, Found found) const {
    for (std::size_t at = home(fingerprint); at < fingerprints_.size() && fingerprints_[at] != kEmpty; ++at)
      if (fingerprints_[at] == fingerprint && !found(places_[at])) return;
  }
  /// What stands where a look-up of this fingerprint begins.
  [[nodiscard]] std::uint32_t first_of(std::uint32_t fingerprint) const {
    return fingerprints_.empty() ? kEmpty : fingerprints_[home(fingerprint)];
  }

  /// Takes out every place for which `unwanted` is true; how many. The order of the others stays.
  template <class Unwanted>
  std::size_t remove(Unwanted unwanted) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < fingerprints_.size(); ++at) {
      if (fingerprints_[at] == kEmpty || !unwanted(places_[at])) continue;
      fingerprints_[at] = kEmpty;
      ++count;
    }
    if (count == 0) return 0;
    size_ -= count;
    homes_ = std::max(kFirstHomes, size_ * kLoadDenominator / kLoadNumerator);
    rebuild();
    return count;
  }

  [[nodiscard]] std::size_t memory_bytes() const {
    return places_.capacity() * sizeof(std::uint64_t) + fingerprints_.capacity() * sizeof(std::uint32_t);
  }

 private:
  // Full at 4/5, and a quarter larger then: from 0.64 to 0.8 of the slots are used, whatever the size.
  static constexpr std::size_t kLoadNumerator = 4;
  static constexpr std::size_t kLoadDenominator = 5;
  static constexpr std::size_t kFirstHomes = 8;
  // Behind the last home. Slots do not wrap round: so equal fingerprints stay in order when the table grows.
  static constexpr std::size_t kTail = 24;

  [[nodiscard]] std::size_t home(std::uint32_t fingerprint) const {
    return static_cast<std::size_t>(std::uint64_t{fingerprint} * homes_ >> 32U);
  }
  bool put(std::uint32_t fingerprint, std::uint64_t place) {
    std::size_t at = home(fingerprint);
    while (at < fingerprints_.size() && fingerprints_[at] != kEmpty) ++at;
    if (at >= fingerprints_.size()) return false;
    places_[at] = place;
    fingerprints_[at] = fingerprint;
    return true;
  }
  /// Into a table a quarter larger than `homes_`.
  void rebuild() {
    const std::vector<std::uint64_t> places = std::exchange(places_, {});
    const std::vector<std::uint32_t> fingerprints = std::exchange(fingerprints_, {});
    bool all_in = false;
    while (!all_in) {
      homes_ = std::max(kFirstHomes, homes_ + homes_ / 4);
      places_.assign(homes_ + kTail, 0);
      fingerprints_.assign(homes_ + kTail, kEmpty);
      all_in = true;
      for (std::size_t at = 0; at < places.size() && all_in; ++at)
        if (fingerprints[at] != kEmpty) all_in = put(fingerprints[at], places[at]);
    }
  }

  std::vector<std::uint64_t> places_;
  std::vector<std::uint32_t> fingerprints_;
  std::size_t homes_ = 0;
  std::size_t size_ = 0;
};

}  // namespace

struct DedupIndex::Table {
  std::array<Shard, kShards> shards;
  std::vector<IdPlace> elsewhere;
  std::size_t size = 0;
  IdRuns runs;
  raft::Index forgotten_before;
  std::size_t to_sweep = 0;    ///< shards that may hold something from before forgotten_before,
  std::size_t next_shard = 0;  ///< beginning with this one, round and round
  std::uint32_t seen = 0;      ///< what prefetch() looked at, of no other use: so that it does look

  // Of the two halves of the hash: every bit of it is as good as the next.
  [[nodiscard]] static std::size_t shard_of(IdHash hash) { return key_of(hash).value >> 32U; }
  [[nodiscard]] static std::uint32_t fingerprint_of(IdHash hash) {
    return std::max(static_cast<std::uint32_t>(key_of(hash).value), kEmpty + 1);
  }
  [[nodiscard]] bool is_in_runs(raft::Index index) const {
    return !runs.empty() && index >= runs.front()->first_index() && index <= runs.back()->last_index();
  }
  /// Forgotten, or in a run.
  [[nodiscard]] bool is_unwanted(raft::Index index) const { return index < forgotten_before || is_in_runs(index); }

  [[nodiscard]] std::uint64_t pack(IdPlace place) {
    if (place.log_index.value < kIndexLimit && place.ordinal < kOrdinalLimit && place.log_index != raft::Index{})
      return place.log_index.value << kOrdinalBits | place.ordinal;
    elsewhere.push_back(place);
    return kElsewhere | (elsewhere.size() - 1);
  }
  [[nodiscard]] IdPlace unpack(std::uint64_t packed) const {
    if ((packed & kElsewhere) != 0) return elsewhere[packed & ~kElsewhere];
    return {raft::Index{packed >> kOrdinalBits}, static_cast<std::uint32_t>(packed & (kOrdinalLimit - 1))};
  }
};

DedupIndex::DedupIndex() : table_(std::make_unique<Table>()) {}
DedupIndex::~DedupIndex() = default;
DedupIndex::DedupIndex(DedupIndex&&) noexcept = default;
DedupIndex& DedupIndex::operator=(DedupIndex&&) noexcept = default;

void DedupIndex::insert(IdHash hash, IdPlace place) {
  table_->shards[Table::shard_of(hash)].insert(Table::fingerprint_of(hash), table_->pack(place));
  ++table_->size;
}

void DedupIndex::insert(std::span<const Id> ids) {
  std::array<std::size_t, kShards + 1> next{};
  for (const Id& id : ids) ++next[Table::shard_of(id.hash) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<Id> by_shard(ids.size());
  for (const Id& id : ids) by_shard[next[Table::shard_of(id.hash)]++] = id;
  for (const Id& id : by_shard) insert(id.hash, id.place);
}

void DedupIndex::forget_before(raft::Index index) {
  if (index <= table_->forgotten_before) return;
  table_->forgotten_before = index;
  table_->to_sweep = kShards;
}

void DedupIndex::sweep() {
  if (table_->to_sweep == 0) return;
  table_->size -= table_->shards[table_->next_shard].remove(
      [this](std::uint64_t packed) { return table_->is_unwanted(table_->unpack(packed).log_index); });
  table_->next_shard = (table_->next_shard + 1) % kShards;
  --table_->to_sweep;
}

void DedupIndex::sweep_all() {
  while (table_->to_sweep != 0) sweep();
}

void DedupIndex::take_runs(IdRuns runs) {
  table_->runs = std::move(runs);
  table_->to_sweep = kShards;
}

const IdRuns& DedupIndex::runs() const {
  return table_->runs;
}

bool DedupIndex::runs_may_contain(IdKey key) const {
  return std::ranges::any_of(table_->runs, [key](const auto& run) { return run->may_contain(key); });
}

bool DedupIndex::is_in_runs(raft::Index log_index) const {
  return table_->is_in_runs(log_index);
}

std::vector<IdPlace> DedupIndex::find(IdHash hash) const {
  std::vector<IdPlace> places;
  table_->shards[Table::shard_of(hash)].each(Table::fingerprint_of(hash), [&](std::uint64_t packed) {
    places.push_back(table_->unpack(packed));
    return true;
  });
  return places;
}

// Loads: a prefetch instruction is given up where its page is not at hand either, and mostly it is not.
void DedupIndex::prefetch(std::span<const IdHash> hashes) const {
  std::uint32_t seen = 0;
  for (const IdHash hash : hashes) seen ^= table_->shards[Table::shard_of(hash)].first_of(Table::fingerprint_of(hash));
  table_->seen = seen;
}

bool DedupIndex::may_contain(IdHash hash) const {
  bool found = false;
  table_->shards[Table::shard_of(hash)].each(Table::fingerprint_of(hash), [&](std::uint64_t /*packed*/) {
    found = true;
    return false;
  });
  return found;
}

std::uint64_t DedupIndex::size_with_runs() const {
  std::uint64_t size = table_->size;
  for (const auto& run : table_->runs) size += run->size();
  return size;
}

std::size_t DedupIndex::size() const {
  return table_->size;
}

std::size_t DedupIndex::memory_bytes() const {
  std::size_t bytes = sizeof(Table) + table_->elsewhere.capacity() * sizeof(IdPlace);
  for (const Shard& shard : table_->shards) bytes += shard.memory_bytes();
  return bytes;
}

}  // namespace weir::storage
