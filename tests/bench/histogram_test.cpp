#include "bench/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace weir::bench {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.quantile(0.5), 0U);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t ns = 1; ns <= 100; ++ns) histogram.record(ns);
  EXPECT_EQ(histogram.quantile(0.5), 50U);
  EXPECT_EQ(histogram.quantile(0.01), 1U);
  EXPECT_EQ(histogram.quantile(1), 100U);
}

// The stated precision, at every power of two and beside it.
TEST(Histogram, AnyOneValueIsKnownToOneIn64AndNeverFlattered) {
  for (unsigned power = 0; power < 64; ++power) {
    const std::uint64_t two = std::uint64_t{1} << power;
    for (const std::uint64_t ns : {two - 1, two, two + 1, two + (two / 3)}) {
      Histogram histogram;
      histogram.record(ns);
      histogram.record(std::numeric_limits<std::uint64_t>::max());  // so that the maximum does not cap the answer
      const std::uint64_t known = histogram.quantile(0.5);
      EXPECT_GE(known, ns);
      EXPECT_LE(known - ns, ns / 64) << ns;
    }
  }
}

TEST(Histogram, QuantilesOfRandomValuesAgreeWithSorting) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> values(10'001);
  Histogram histogram;
  for (std::uint64_t& value : values) {
    value = random() >> (random() % 64);
    histogram.record(value);
  }
  std::ranges::sort(values);
  for (const double share : {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    const std::uint64_t exact = values[rank - 1];
    EXPECT_GE(histogram.quantile(share), exact) << share;
    EXPECT_LE(histogram.quantile(share) - exact, exact / 64) << share;
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, TwoAddUpToOne) {
  Histogram left;
  Histogram right;
  left.record(10, 3);
  right.record(1'000'000);
  left.add(right);
  EXPECT_EQ(left.count(), 4U);
  EXPECT_EQ(left.max(), 1'000'000U);
  EXPECT_EQ(left.quantile(0.75), 10U);
  EXPECT_EQ(left.quantile(0.76), 1'000'000U);
}

}  // namespace
}  // namespace weir::bench
