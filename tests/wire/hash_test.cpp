// Checksums and identities: what is on disk and on the wire must not drift.
#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <set>

#include "tests/wire/samples.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weir::wire::test {
namespace {

/// The definition, in one call: length as u32, then the bytes, for each part.
Hash128 one_shot(std::initializer_list<std::string_view> parts) {
  std::string bytes;
  for (const auto part : parts) {
    const auto length = static_cast<std::uint32_t>(part.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes += part;
  }
  const auto hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

TEST(EntryChecksum, IsXxh3SeededWithTheCommand) {
  EXPECT_EQ(entry_checksum(raft::Command::publish, "weir"), XXH3_64bits_withSeed("weir", 4, 2));
  EXPECT_NE(entry_checksum(raft::Command::publish, "weir"), entry_checksum(raft::Command::dedup, "weir"));
  EXPECT_EQ(entry_checksum(raft::Command::noop, ""), 0U);
  EXPECT_EQ(entry_checksum(raft::Command::hollow, ""), 0U);
}

TEST(EntryChecksum, HoldsOnlyForItsOwnData) {
  EXPECT_TRUE(checksum_holds(entry(1, 1, raft::Command::publish, "data")));
  EXPECT_TRUE(checksum_holds(entry(1, 1, raft::Command::noop, "")));
  EXPECT_TRUE(checksum_holds(entry(1, 1, raft::Command::topic, "")));
  EXPECT_TRUE(checksum_holds(entry(1, 1, raft::Command::hollow, "")));
  EXPECT_FALSE(checksum_holds(entry(1, 1, raft::Command::hollow, "data")));
  auto changed = entry(1, 1, raft::Command::publish, "data");
  changed.data = raft::Bytes::copy_of("date");
  EXPECT_FALSE(checksum_holds(changed));
  auto noop = entry(1, 1, raft::Command::noop, "");
  noop.data = raft::Bytes::copy_of("x");
  EXPECT_FALSE(checksum_holds(noop));
}

TEST(IdHash, TellsApartWhereOneFieldEndsAndTheNextBegins) {
  const std::set<Hash128> hashes{id_hash("ab", "c", "d"), id_hash("a", "bc", "d"), id_hash("a", "b", "cd"),
                                 id_hash("abcd", "", ""), id_hash("", "abcd", ""), id_hash("", "", "abcd")};
  EXPECT_EQ(hashes.size(), 6U);
}

TEST(ContentDigest, IsOfKeyContentTypeAndBodyOnly) {
  const EventView event{
      .topic = "t", .id = "1", .source = "s", .key = "k", .content_type = "c", .headers = {}, .body = "b"};
  EventView same = event;
  same.topic = "u";
  same.id = "2";
  same.source = "";
  same.headers = {{"x", "y"}};
  EXPECT_EQ(content_digest(event), content_digest(same));
  for (auto field : {&EventView::key, &EventView::content_type, &EventView::body}) {
    EventView other = event;
    other.*field = "other";
    EXPECT_NE(content_digest(event), content_digest(other));
  }
}

TEST(ContentDigest, NoContentTypeIsTheDefaultOne) {
  const EventView none{.topic = "t", .content_type = "", .body = "b"};
  EventView said = none;
  said.content_type = "application/octet-stream";
  EXPECT_EQ(content_digest(none), content_digest(said));
}

TEST(ContentDigest, IsTheSameHowLongEverTheContentIs) {
  // Short ones are copied together, long ones streamed; what is on disk must not depend on which.
  for (const std::size_t size :
       {0U, 1U, 1000U, 1003U, 1004U, 1005U, 1011U, 1012U, 1013U, 1024U, 1025U, 5000U, 1U << 20U}) {
    const std::string body(size, 'b');
    EXPECT_EQ(content_digest({.topic = "t", .key = "key", .content_type = "c", .body = body}),
              one_shot({"key", "c", body}))
        << size;
    EXPECT_EQ(id_hash("topic", "", body), one_shot({"topic", "", body})) << size;
  }
}

TEST(NodeId, IsNeverNobody) {
  EXPECT_NE(node_id(""), raft::kNobody);
  EXPECT_NE(node_id("n1"), node_id("n2"));
  EXPECT_EQ(node_id("n1"), node_id("n1"));
}

}  // namespace
}  // namespace weir::wire::test
