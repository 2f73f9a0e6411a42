// Latencies in bounded memory. Values only: one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::bench {

/// Counts of nanoseconds in buckets whose width grows with the value: 64 per power of two. A value is known to 1/64
/// (1.6 %), always rounded up, so a quantile is never flattered. 29 KiB, whatever is recorded.
class Histogram {
 public:
  void record(std::uint64_t ns, std::uint64_t count = 1);
  void add(const Histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// Exact; 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t max() const { return max_; }
  /// The smallest recorded value, as known, that `share` of all do not pass; 0 < share <= 1. 0 when empty.
  [[nodiscard]] std::uint64_t quantile(double share) const;

 private:
  static constexpr unsigned kBitsPerPower = 6;
  static constexpr std::size_t kPerPower = std::size_t{1} << kBitsPerPower;
  /// Values below 64 have a bucket each; then 64 buckets for each of the 58 powers of two up to 2^64.
  static constexpr std::size_t kBuckets = kPerPower * (1 + 64 - kBitsPerPower);

  [[nodiscard]] static std::size_t bucket_of(std::uint64_t ns);
  [[nodiscard]] static std::uint64_t last_of(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace weir::bench
