// Formats that are on disks and between versions: the bytes of testdata/golden.txt must be read for ever, and be what
// is written as long as nobody decides otherwise. WEIR_REWRITE=1 writes the file anew; review its diff like code.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "tests/wire/samples.hpp"

namespace weir::wire::test {
namespace {

constexpr const char* kFile = "testdata/golden.txt";

std::string hex_of(Hash128 hash) {
  std::string bytes;
  for (const auto half : {hash.high, hash.low}) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(half >> static_cast<unsigned>(shift));
  }
  return to_hex(bytes);
}

ConfigEntry golden_config() {
  return {"k7m2qxa4", "e7h3kq2mz", {{node_id("n1"), "n1", "10.0.0.1:7400", "10.0.0.1:7480", 77}}};
}

DedupEntry golden_dedup() {
  return {1'700'000'000'000, {{"orders", "", "a1"}, {"stock", "till-7", "a2"}}};
}

TopicEntry golden_topic() {
  return {1'700'000'000'000,
          {{"orders", TopicAction::put, {{Setting::Kind::value, 7}, {Setting::Kind::off, 0}, {}, {}}},
           {"old", TopicAction::remove, {}}}};
}

GroupEntry golden_group() {
  return {1'700'000'000'000,
          {{.group = "billing", .action = GroupAction::create, .patterns = {"orders/**"}, .start = GroupStart::latest},
           {.group = "billing",
            .action = GroupAction::claim,
            .from = raft::Position{3},
            .to = raft::Position{9},
            .lease_ms = 30'000},
           {.group = "billing", .action = GroupAction::commit, .to = raft::Position{9}, .lease = 7}}};
}

RetainEntry golden_retain() {
  return {1'700'000'000'000, {{"orders", raft::Offset{42}}, {"stock", raft::Offset{7}}}, raft::Index{99}};
}

DigestEntry golden_digest() {
  return {1'700'000'000'000, raft::Index{1'024}, {{raft::NodeId{3}, 0x5f3a}, {raft::NodeId{9}, 0x5f3b}}};
}

raft::Bytes golden_merge() {
  const std::vector<PublishView> views{viewed(built(full_request())),
                                       viewed(built({.events = {{.topic = "stock", .body = "plain"}}}))};
  return merge(views, 1'700'000'000'000);
}

std::map<std::string, std::string> made() {
  std::map<std::string, std::string> golden;
  for (const auto& [name, message] : every_message()) golden["frame-" + name] = to_hex(joined(encode(message)));
  golden["entry-publish"] = to_hex(built(full_request()).view());
  golden["entry-publish-merged"] = to_hex(golden_merge().view());
  golden["entry-dedup"] = to_hex(encode(golden_dedup()).view());
  golden["entry-topic"] = to_hex(encode(golden_topic()).view());
  golden["entry-group"] = to_hex(encode(golden_group()).view());
  golden["entry-batch"] = to_hex(built(full_batch()).view());
  golden["entry-retain"] = to_hex(encode(golden_retain()).view());
  golden["entry-digest"] = to_hex(encode(golden_digest()).view());
  golden["entry-config"] = to_hex(encode(golden_config()).view());
  golden["hash-entry-checksum"] = std::to_string(entry_checksum(raft::Command::publish, "weir"));
  golden["hash-node-id"] = std::to_string(node_id("n1").value);
  golden["hash-id"] = hex_of(id_hash("orders", "till-7", "a1"));
  golden["hash-content"] = hex_of(content_digest(full_request().events[0].view()));
  return golden;
}

std::map<std::string, std::string> kept() {
  std::map<std::string, std::string> golden;
  std::ifstream file(kFile);
  for (std::string name, value; file >> name >> value;) golden[name] = value;
  return golden;
}

TEST(Golden, WhatIsWrittenIsWhatIsKept) {
  const auto golden = made();
  if (std::getenv("WEIR_REWRITE") != nullptr) {
    std::ofstream file(kFile);
    for (const auto& [name, value] : golden) file << name << ' ' << value << '\n';
  }
  EXPECT_EQ(golden, kept());
}

TEST(Golden, WhatIsKeptIsRead) {
  auto golden = kept();
  for (const auto& [name, message] : every_message()) {
    const auto got = received(from_hex(golden["frame-" + name]));
    ASSERT_TRUE(got) << name;
    EXPECT_EQ(*got, message) << name;
  }
  const auto bytes = [&](const char* name) { return tight(from_hex(golden[name])); };
  EXPECT_EQ(copy_of(viewed(bytes("entry-publish"))), std::vector{full_request()});
  EXPECT_EQ(viewed(bytes("entry-publish-merged")).time_ms(), 1'700'000'000'000U);
  EXPECT_EQ(copy_of(viewed(bytes("entry-publish-merged"))).at(1).events.at(0).body, "plain");
  EXPECT_EQ(decode_dedup(bytes("entry-dedup")).value(), golden_dedup());
  EXPECT_EQ(decode_topic(bytes("entry-topic")).value(), golden_topic());
  EXPECT_EQ(decode_group(bytes("entry-group")).value(), golden_group());
  EXPECT_EQ(copy_of(viewed(bytes("entry-batch"))), std::vector{full_batch()});
  EXPECT_EQ(decode_retain(bytes("entry-retain")).value(), golden_retain());
  EXPECT_EQ(decode_digest(bytes("entry-digest")).value(), golden_digest());
  EXPECT_EQ(decode_config(bytes("entry-config")).value(), golden_config());
}

}  // namespace
}  // namespace weir::wire::test
