#include "bench/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace weir::bench {

std::size_t Histogram::bucket_of(std::uint64_t ns) {
  if (ns < kPerPower) return static_cast<std::size_t>(ns);
  const auto shift = static_cast<unsigned>(std::bit_width(ns)) - 1U - kBitsPerPower;
  // ns >> shift is in [64, 128): its leading one counts the power, the six bits after it the place.
  return (shift * kPerPower) + static_cast<std::size_t>(ns >> shift);
}

std::uint64_t Histogram::last_of(std::size_t bucket) {
  if (bucket < kPerPower) return bucket;
  const auto shift = static_cast<unsigned>(bucket / kPerPower) - 1U;
  const std::uint64_t place = kPerPower + (bucket % kPerPower);
  return (place << shift) + ((std::uint64_t{1} << shift) - 1);
}

void Histogram::record(std::uint64_t ns, std::uint64_t count) {
  if (count == 0) return;
  counts_[bucket_of(ns)] += count;
  count_ += count;
  max_ = std::max(max_, ns);
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::quantile(double share) const {
  if (count_ == 0) return 0;
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= wanted) return std::min(last_of(i), max_);
  }
  return max_;
}

}  // namespace weir::bench
