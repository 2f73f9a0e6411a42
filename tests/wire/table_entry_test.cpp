// DEDUP, TOPIC, GROUP, RETAIN, DIGEST and CONFIG entries.
#include <flatbuffers/flatbuffers.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/wire/samples.hpp"

namespace weir::wire::test {
namespace {

DedupEntry dedup() {
  return {1'700'000'000'000, {{"orders", "", "a1"}, {"stock", "till-7", "a2"}}};
}

ConfigEntry config() {
  return {"k7m2qxa4",
          "e7h3kq2mz",
          {{node_id("n1"), "n1", "10.0.0.1:7400", "10.0.0.1:7480", 11},
           {node_id("n2"), "n2", "[::1]:1", "", 12},
           {node_id("n3"), "n3", "n3:1", "n3:2", 13, MemberKind::learner},
           {node_id("n4"), "n4", "n4:1", "n4:2", 14, MemberKind::joining},
           {node_id("n5"), "n5", "n5:1", "n5:2", 15, MemberKind::awaited}}};
}

TEST(DedupEntry, ComesBackAsItWasMade) {
  EXPECT_EQ(decode_dedup(encode(dedup())).value(), dedup());
  const auto bytes = encode(dedup());
  for (std::size_t shift = 0; shift < 8; ++shift) EXPECT_TRUE(decode_dedup(tight(bytes.view(), shift))) << shift;
}

TEST(DedupEntry, Fault088LiesAreRefused) {
  const auto refused = [](auto tell) {
    DedupEntry told = dedup();
    tell(told);
    return !decode_dedup(encode(told));
  };
  EXPECT_TRUE(refused([](auto& e) { e.time_ms = raft::kNumberLimit; }));
  EXPECT_TRUE(refused([](auto& e) { e.claims.clear(); }));
  EXPECT_TRUE(refused([](auto& e) { e.claims[0].topic = ""; }));
  EXPECT_TRUE(refused([](auto& e) { e.claims[1].topic = std::string(256, 't'); }));
  EXPECT_TRUE(refused([](auto& e) { e.claims[1].id = ""; }));
  EXPECT_TRUE(refused([](auto& e) { e.claims[1].id = std::string(257, 'i'); }));
}

TopicEntry topic() {
  const Setting off{Setting::Kind::off, 0};
  return {1'700'000'000'000,
          {{"orders", TopicAction::create, {{Setting::Kind::value, 7}, off, {}, {Setting::Kind::value, 9}}},
           {"stock", TopicAction::change, {{Setting::Kind::keep, 0}, {}, off, {}}},
           {"paid", TopicAction::put, {{}, {}, {}, {Setting::Kind::forever, 0}}},
           {"old", TopicAction::remove, {}}}};
}

TEST(TopicEntry, ComesBackAsItWasMade) {
  EXPECT_EQ(decode_topic(encode(topic())).value(), topic());
  const auto bytes = encode(topic());
  for (std::size_t shift = 0; shift < 8; ++shift) EXPECT_TRUE(decode_topic(tight(bytes.view(), shift))) << shift;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode_topic(tight(bytes.view().substr(0, size), 0));
    EXPECT_TRUE(!cut || (*cut == topic() && size + 8 > bytes.size())) << size << ": only padding may be missing";
  }
}

TEST(TopicEntry, Fault088LiesAreRefused) {
  const auto refused = [](auto tell) {
    TopicEntry told = topic();
    tell(told);
    return !decode_topic(encode(told));
  };
  EXPECT_TRUE(refused([](auto& e) { e.time_ms = raft::kNumberLimit; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes.clear(); }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].topic = ""; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].topic = std::string(256, 't'); }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].action = TopicAction{0}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].action = TopicAction{5}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].settings.age_ms.kind = Setting::Kind::keep; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].settings.age_ms = {Setting::Kind::keep, 0}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].settings.age_ms = {Setting::Kind::value, 0}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[1].settings.bytes = {Setting::Kind::off, 1}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[1].settings.count = {Setting::Kind::forever, 0}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[1].settings.dedup_ms = {Setting::Kind::forever, 1}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[1].settings.dedup_ms = {Setting::Kind{5}, 0}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[1].settings.dedup_ms = {Setting::Kind::value, raft::kNumberLimit}; }));
}

GroupEntry group() {
  return {1'700'000'000'000,
          {{.group = "billing", .action = GroupAction::create, .patterns = {"orders/**", "stock"}},
           {.group = "audit", .action = GroupAction::put, .start = GroupStart::position, .to = raft::Position{5}},
           {.group = "billing",
            .action = GroupAction::claim,
            .from = raft::Position{3},
            .to = raft::Position{9},
            .lease_ms = 30'000},
           {.group = "billing", .action = GroupAction::commit, .to = raft::Position{9}, .lease = 7},
           {.group = "audit", .action = GroupAction::put, .start = GroupStart::time, .time_ms = 99},
           {.group = "old", .action = GroupAction::remove}}};
}

TEST(GroupEntry, ComesBackAsItWasMade) {
  EXPECT_EQ(decode_group(encode(group())).value(), group());
  const auto bytes = encode(group());
  for (std::size_t shift = 0; shift < 8; ++shift) EXPECT_TRUE(decode_group(tight(bytes.view(), shift))) << shift;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode_group(tight(bytes.view().substr(0, size), 0));
    EXPECT_TRUE(!cut || (*cut == group() && size + 8 > bytes.size())) << size << ": only padding may be missing";
  }
}

TEST(GroupEntry, Fault088LiesAreRefused) {
  const auto refused = [](auto tell) {
    GroupEntry told = group();
    tell(told);
    return !decode_group(encode(told));
  };
  EXPECT_TRUE(refused([](auto& e) { e.time_ms = raft::kNumberLimit; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes.clear(); }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].group = ""; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].group = std::string(65, 'g'); }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].action = GroupAction{0}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[5].action = GroupAction{6}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].patterns = {}; })) << "a new group reads something";
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].patterns = {""}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].patterns = {std::string(256, 't')}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].patterns.resize(17, "t"); }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].start = GroupStart{5}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[0].to = raft::Position{1}; })) << "not where it starts";
  EXPECT_TRUE(refused([](auto& e) { e.changes[1].to = raft::Position{raft::kNumberLimit}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[1].lease = 1; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[2].patterns = {"t"}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[2].from = raft::Position{9}; })) << "an empty range";
  EXPECT_TRUE(refused([](auto& e) { e.changes[2].lease_ms = 0; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[2].lease_ms = raft::kNumberLimit; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[3].start = GroupStart::latest; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[3].from = raft::Position{1}; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[3].lease_ms = 1; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[3].lease = raft::kNumberLimit; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[4].time_ms = 0; }));
  EXPECT_TRUE(refused([](auto& e) { e.changes[5].to = raft::Position{1}; }));
}

RetainEntry retain() {
  return {1'700'000'000'000, {{"orders", raft::Offset{42}}, {"stock", raft::Offset{0}}}, raft::Index{99}};
}

TEST(RetainEntry, ComesBackAsItWasMade) {
  EXPECT_EQ(decode_retain(encode(retain())).value(), retain());
  const auto bytes = encode(retain());
  for (std::size_t shift = 0; shift < 8; ++shift) EXPECT_TRUE(decode_retain(tight(bytes.view(), shift))) << shift;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode_retain(tight(bytes.view().substr(0, size), 0));
    EXPECT_TRUE(!cut || (*cut == retain() && size + 8 > bytes.size())) << size << ": only padding may be missing";
  }
}

TEST(RetainEntry, Fault088LiesAreRefused) {
  const auto refused = [](auto tell) {
    RetainEntry told = retain();
    tell(told);
    return !decode_retain(encode(told));
  };
  EXPECT_TRUE(refused([](auto& e) { e.time_ms = raft::kNumberLimit; }));
  EXPECT_TRUE(refused([](auto& e) { e.claims_before = raft::Index{raft::kNumberLimit}; }));
  EXPECT_TRUE(refused([](auto& e) { e.floors[0].topic = ""; }));
  EXPECT_TRUE(refused([](auto& e) { e.floors[0].first_offset = raft::Offset{raft::kNumberLimit}; }));
  EXPECT_TRUE(refused([](auto& e) { e.floors.resize(kFloorsMax + 1, {"t", raft::Offset{1}}); }));
}

DigestEntry digest() {
  return {1'700'000'000'000,
          raft::Index{1'024},
          {{raft::NodeId{3}, 0}, {raft::NodeId{9}, ~std::uint64_t{0}}, {raft::NodeId{~std::uint64_t{0}}, 7}}};
}

TEST(DigestEntry, ComesBackAsItWasMade) {
  EXPECT_EQ(decode_digest(encode(digest())).value(), digest());
  const auto bytes = encode(digest());
  for (std::size_t shift = 0; shift < 8; ++shift) EXPECT_TRUE(decode_digest(tight(bytes.view(), shift))) << shift;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode_digest(tight(bytes.view().substr(0, size), 0));
    EXPECT_TRUE(!cut || (*cut == digest() && size + 8 > bytes.size())) << size << ": only padding may be missing";
  }
}

TEST(DigestEntry, Fault088LiesAreRefused) {
  const auto refused = [](auto tell) {
    DigestEntry told = digest();
    tell(told);
    return !decode_digest(encode(told));
  };
  EXPECT_TRUE(refused([](auto& e) { e.time_ms = raft::kNumberLimit; }));
  EXPECT_TRUE(refused([](auto& e) { e.index = raft::Index{}; }));
  EXPECT_TRUE(refused([](auto& e) { e.index = raft::Index{raft::kNumberLimit}; }));
  EXPECT_TRUE(refused([](auto& e) { e.reports.clear(); }));
  EXPECT_TRUE(refused([](auto& e) { e.reports[0].node = raft::kNobody; }));
  EXPECT_TRUE(refused([](auto& e) { e.reports[1].node = e.reports[0].node; })) << "one word each";
  EXPECT_TRUE(refused([](auto& e) { std::swap(e.reports[0], e.reports[1]); }));
  EXPECT_TRUE(refused([](auto& e) {
    e.reports.clear();
    for (std::uint64_t n = 1; n <= 65; ++n) e.reports.push_back({raft::NodeId{n}, n});
  }));
}

TEST(DedupEntry, ManyShortClaimsInOneEntryAreRead) {
  DedupEntry many{1, {}};
  for (int n = 0; n < 200'000; ++n) many.claims.push_back({"t", "", std::string(1, static_cast<char>('a' + n % 26))});
  EXPECT_EQ(decode_dedup(encode(many)).value(), many);
}

TEST(DedupEntry, Fault087ClaimsThatShareStringsDoNotMultiply) {
  // 60,000 claims of one table: 240 KB would become gigabytes of copies.
  flatbuffers::FlatBufferBuilder builder;
  const auto text = builder.CreateString(std::string(200, 'x'));
  const auto source = builder.CreateString(std::string(100'000, 's'));
  auto start = builder.StartTable();
  builder.AddOffset(4, text);
  builder.AddOffset(6, source);
  builder.AddOffset(8, text);
  const flatbuffers::Offset<flatbuffers::Table> claim(builder.EndTable(start));
  const auto claims = builder.CreateVector(std::vector(60'000, claim));
  start = builder.StartTable();
  builder.AddElement<std::uint64_t>(4, 1);
  builder.AddOffset(6, claims);
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
  EXPECT_FALSE(decode_dedup(tight({reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()})));
}

TEST(ConfigEntry, ComesBackAsItWasMade) {
  EXPECT_EQ(decode_config(encode(config())).value(), config());
  const auto bytes = encode(config());
  for (std::size_t shift = 0; shift < 8; ++shift) EXPECT_TRUE(decode_config(tight(bytes.view(), shift))) << shift;
}

TEST(ConfigEntry, Fault088LiesAreRefused) {
  const auto refused = [](auto tell) {
    ConfigEntry told = config();
    tell(told);
    return !decode_config(encode(told));
  };
  EXPECT_TRUE(refused([](auto& e) { e.cluster_id = ""; }));
  EXPECT_TRUE(refused([](auto& e) { e.cluster_id = std::string(65, 'c'); }));
  EXPECT_TRUE(refused([](auto& e) { e.epoch = ""; }));
  EXPECT_TRUE(refused([](auto& e) { e.epoch = "e 1"; }));
  EXPECT_TRUE(refused([](auto& e) { e.members.clear(); }));
  EXPECT_TRUE(refused([](auto& e) { e.members[1].node = raft::kNobody; }));
  EXPECT_TRUE(refused([](auto& e) { e.members[1].node = e.members[0].node; }));
  EXPECT_TRUE(refused([](auto& e) { e.members[1].name = "n1"; }));
  EXPECT_TRUE(refused([](auto& e) { e.members[1].name = "n/1"; }));
  EXPECT_TRUE(refused([](auto& e) { e.members[1].raft_address = std::string(256, 'a'); }));
  EXPECT_TRUE(refused([](auto& e) { e.members[1].http_address = "a\nb"; }));
  EXPECT_TRUE(refused([](auto& e) { e.members[1].kind = static_cast<MemberKind>(4); }));
  EXPECT_TRUE(refused([](auto& e) { e.members.erase(e.members.begin(), e.members.begin() + 2); })) << "no voter";
  EXPECT_TRUE(refused([](auto& e) {
    e.members.clear();
    for (std::uint64_t n = 1; n <= 65; ++n) e.members.push_back({raft::NodeId{n}, "n" + std::to_string(n), "", "", 1});
  }));
}

TEST(Entry, NothingIsNoEntry) {
  EXPECT_FALSE(PublishView::verify({}));
  EXPECT_FALSE(decode_dedup({}));
  EXPECT_FALSE(decode_retain({}));
  EXPECT_FALSE(decode_topic({}));
  EXPECT_FALSE(decode_group({}));
  EXPECT_FALSE(decode_digest({}));
  EXPECT_FALSE(decode_config({}));
}

TEST(Entry, WhatIsLargerThanAFrameIsNotLookedAt) {
  const auto huge = raft::Bytes::own(std::string(kMergedBytesMax + 1, '\0'));
  EXPECT_EQ(PublishView::verify(huge).error().code, Errc::too_large);
  EXPECT_EQ(decode_dedup(huge).error().code, Errc::too_large);
  EXPECT_EQ(decode_group(huge).error().code, Errc::too_large);
  EXPECT_EQ(decode_digest(huge).error().code, Errc::too_large);
  EXPECT_EQ(decode_config(huge).error().code, Errc::too_large);
}

}  // namespace
}  // namespace weir::wire::test
