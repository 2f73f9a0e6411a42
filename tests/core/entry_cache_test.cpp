#include <gtest/gtest.h>

#include "broker/core/decoded_entry.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

DecodedEntryPtr entry_of(std::uint64_t index, std::size_t size) {
  return decoded(publish_entry(index, {{.events = {{.body = std::string(size, 'x')}}}}));
}

TEST(EntryCache, ForgetsTheLeastRecentlyUsedFirst) {
  EntryCache cache(25'000);
  cache.put(entry_of(1, 10'000));
  cache.put(entry_of(2, 10'000));
  EXPECT_NE(cache.find(raft::Index{1}), nullptr);
  cache.put(entry_of(3, 10'000));
  EXPECT_NE(cache.find(raft::Index{1}), nullptr);
  EXPECT_EQ(cache.find(raft::Index{2}), nullptr);
  EXPECT_LE(cache.bytes(), 25'000U);
}

TEST(EntryCache, KeepsTheNewestHoweverLargeItIs) {
  EntryCache cache(10);
  cache.put(entry_of(1, 10'000));
  cache.put(entry_of(2, 10'000));
  EXPECT_EQ(cache.find(raft::Index{1}), nullptr);
  EXPECT_NE(cache.find(raft::Index{2}), nullptr);
}

TEST(EntryCache, CountsAnEntryOnce) {
  EntryCache cache(1'000'000);
  cache.put(entry_of(1, 1'000));
  const auto bytes = cache.bytes();
  cache.put(entry_of(1, 1'000));
  EXPECT_EQ(cache.bytes(), bytes);
}

TEST(EntryCache, IsBoundedAlsoForEntriesWithoutData) {
  EntryCache cache(100'000);
  for (std::uint64_t i = 1; i <= 10'000; ++i) {
    cache.put(decoded(noop_entry(i)));
  }
  EXPECT_EQ(cache.find(raft::Index{1}), nullptr);
  EXPECT_NE(cache.find(raft::Index{10'000}), nullptr);
}

TEST(DecodedEntry, Fault044IsNotMadeOfDamagedBytes) {
  auto entry = publish_entry(1, {{.events = {{.body = "hello"}}}});
  std::string bytes(entry.data.view());
  bytes[bytes.find("hello")] = 'j';
  entry.data = raft::Bytes::own(std::move(bytes));
  EXPECT_FALSE(decode(entry));
}

TEST(DecodedEntry, Fault040OfALaterVersionSaysSo) {
  auto entry = noop_entry(1);
  entry.command = static_cast<raft::Command>(99);
  entry.checksum = wire::entry_checksum(entry.command, "");
  const auto result = decode(entry);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().find("upgrade this node"), std::string::npos);
}

}  // namespace
}  // namespace weir::broker::test
