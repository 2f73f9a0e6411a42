// GET /v1/backup over a real socket, and the folder that is made of what came (FAULTS 25, 27).
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "broker/core/digest.hpp"
#include "broker/new_life.hpp"
#include "storage/lmdb_log_store.hpp"
#include "tests/broker/http_fixture.hpp"
#include "tests/storage/sample.hpp"
#include "wire/hash.hpp"

namespace weir::broker::http {
namespace {

using storage::LmdbLogStore;
using storage::Medium;
using storage::TempFolder;

std::string publish(const TestBroker& broker, int number) {
  const std::string id = "Weir-Id: id-" + std::to_string(number) + "\r\n";
  return ask(broker, "POST /v1/events/a/b", id, "event " + std::to_string(number)).body;
}

/// HTTP/1.0: the body ends with the connection, and has no chunks.
std::string take(const TestBroker& broker) {
  TestClient client(broker.port());
  EXPECT_TRUE(client.send("GET /v1/backup HTTP/1.0\r\nHost: localhost\r\n\r\n"));
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_TRUE(head.contains(" 200 ")) << head;
  EXPECT_TRUE(head.contains("Content-Type: application/octet-stream\r\n")) << head;
  return client.read_until("nothing that a backup holds, so all of it");
}

std::expected<NewLife, storage::Error> restore(std::string_view bytes, const std::string& folder,
                                               std::size_t piece = 1000) {
  const BackupSource source = [&bytes, piece](std::size_t bytes_max) -> std::expected<std::string, storage::Error> {
    const std::string next(bytes.substr(0, std::min(piece, bytes_max)));
    bytes.remove_prefix(next.size());
    return next;
  };
  return restore_backup(source, {.folder = folder, .node = "n7", .segment_bytes = LmdbLogStore::kSegmentBytesMin});
}

/// Where each frame ends, as wire/README.md has it.
std::vector<std::size_t> ends_of_frames(std::string_view bytes) {
  std::vector<std::size_t> ends;
  std::size_t at = 8;
  while (at + 16 <= bytes.size()) {
    std::size_t size = 0;
    for (std::size_t byte = 0; byte < 4; ++byte) {
      size |= std::size_t{static_cast<unsigned char>(bytes[at + byte])} << (8 * byte);
    }
    at += 16 + size;
    ends.push_back(at);
  }
  return ends;
}

TEST(HttpBackup, WhatWasAcknowledgedIsInItAndIsRestored) {
  TestBroker broker;
  for (int number = 0; number < 20; ++number) publish(broker, number);
  NodeStatus status;
  broker.on_core([&] { status = broker.node().status(); });
  const std::string bytes = take(broker);

  const TempFolder folder(Medium::memory);
  const auto life = restore(bytes, folder / "data");
  ASSERT_TRUE(life.has_value()) << life.error().text;
  EXPECT_EQ(life->before.position, status.position);
  EXPECT_EQ(life->before.events, 20U);
  EXPECT_EQ(life->before.ids, 20U);
  EXPECT_EQ(life->before.topics, 1U);
  EXPECT_EQ(life->before.config.cluster_id, status.cluster_id);
  EXPECT_NE(life->after.config.cluster_id, status.cluster_id);
  EXPECT_NE(life->after.config.epoch, status.epoch);
  EXPECT_EQ(life->after.events, 20U);
  EXPECT_NE(life->after.digest, life->before.digest) << "the chain goes on";

  const auto store = LmdbLogStore::open({.folder = folder / "data", .node_name = "n7"});
  ASSERT_TRUE(store.has_value()) << store.error().text;
  EXPECT_EQ((*store)->identity().cluster_id, life->after.config.cluster_id);
  ASSERT_EQ(life->after.config.members.size(), 1U);
  EXPECT_EQ(life->after.config.members[0].name, "n7");
  EXPECT_EQ(life->after.config.members[0].incarnation, (*store)->identity().incarnation);
  EXPECT_EQ((*store)->recovered().last_index, life->after.index);
}

TEST(HttpBackup, FAULTS27_OfACutOneNothingIsRestoredAndTheFolderStaysEmpty) {
  TestBroker broker;
  for (int number = 0; number < 3; ++number) publish(broker, number);
  const std::string bytes = take(broker);
  std::vector<std::size_t> cuts{0, 1, bytes.size() - 1};
  for (const std::size_t end : ends_of_frames(bytes)) {
    if (end < bytes.size()) cuts.insert(cuts.end(), {end, end + 7, end - 1});
  }
  EXPECT_GE(cuts.size(), 9U);
  for (const std::size_t cut : cuts) {
    const TempFolder folder(Medium::memory);
    const auto life = restore(std::string_view(bytes).substr(0, cut), folder / "data");
    ASSERT_FALSE(life.has_value()) << cut;
    EXPECT_EQ(life.error().code, storage::Errc::damaged) << cut << ": " << life.error().text;
    for (const auto& left : std::filesystem::directory_iterator(folder / "data")) {
      EXPECT_EQ(left.path().filename(), "LOCK") << cut;
    }
    EXPECT_TRUE(restore(bytes, folder / "data").has_value()) << "and then the whole one is, after " << cut;
  }
}

/// A backup whose checksums hold but whose head names another digest: what apply makes of it decides.
TEST(HttpBackup, WhatIsRestoredIsComparedWithWhatWasCopied) {
  TestBroker broker;
  publish(broker, 0);
  const std::string bytes = take(broker);
  wire::BackupReader reader;
  wire::BackupWriter writer;
  std::string other;
  reader.feed(bytes);
  for (auto part = reader.next(); part && *part; part = reader.next()) {
    if (auto* head = std::get_if<wire::BackupHead>(&**part)) {
      ++head->digest;
      other += writer.head(*head);
    } else if (const auto* entries = std::get_if<wire::BackupEntries>(&**part)) {
      other += writer.entries(*entries);
    } else {
      other += writer.end();
    }
  }
  const TempFolder folder(Medium::memory);
  const auto life = restore(other, folder / "data");
  ASSERT_FALSE(life.has_value());
  EXPECT_TRUE(life.error().text.contains("is not what was copied")) << life.error().text;
}

TEST(HttpBackup, AFolderThatIsNotEmptyIsLeftAlone) {
  TestBroker broker;
  publish(broker, 0);
  const std::string bytes = take(broker);
  const TempFolder folder(Medium::memory);
  ASSERT_TRUE(restore(bytes, folder / "data").has_value());
  const auto again = restore(bytes, folder / "data");
  ASSERT_FALSE(again.has_value());
  EXPECT_TRUE(again.error().text.contains("is not empty")) << again.error().text;
  EXPECT_TRUE(LmdbLogStore::open({.folder = folder / "data", .node_name = "n7"}).has_value());
}

TEST(HttpBackup, ARecoveredLogGoesOnAndCanBeLookedAtBefore) {
  TestBroker broker;
  for (int number = 0; number < 3; ++number) publish(broker, number);
  const TempFolder folder(Medium::memory);
  const auto restored = restore(take(broker), folder / "data");
  ASSERT_TRUE(restored.has_value()) << restored.error().text;
  const auto looked = recover_folder(folder / "data", Recover::look);
  ASSERT_TRUE(looked.has_value()) << looked.error().text;
  EXPECT_EQ(looked->before.config, restored->after.config);
  EXPECT_EQ(looked->before.digest, restored->after.digest);
  const auto recovered = recover_folder(folder / "data", Recover::go);
  ASSERT_TRUE(recovered.has_value()) << recovered.error().text;
  EXPECT_EQ(recovered->before.digest, looked->before.digest) << "looking changed nothing";
  EXPECT_NE(recovered->after.config.cluster_id, recovered->before.config.cluster_id);
  EXPECT_NE(recovered->after.config.epoch, recovered->before.config.epoch);
  EXPECT_EQ(recovered->after.events, 3U);
  EXPECT_GT(recovered->after.term, recovered->before.term);
}

TEST(HttpBackup, FAULTS45_NothingIsRecoveredFromAFolderThatIsDamaged) {
  TestBroker broker;
  for (int number = 0; number < 3; ++number) publish(broker, number);
  const TempFolder folder(Medium::memory);
  const std::string data = folder / "data";
  ASSERT_TRUE(restore(take(broker), data).has_value());
  const std::string path = storage::segment_file(data);
  const std::size_t place = storage::read_file(path).find("event 1");
  ASSERT_NE(place, std::string::npos);
  storage::poke(path, place, "EVENT");
  for (const Recover how : {Recover::look, Recover::go}) {
    const auto life = recover_folder(data, how);
    ASSERT_FALSE(life.has_value());
    EXPECT_EQ(life.error().code, storage::Errc::damaged);
    EXPECT_TRUE(life.error().text.contains("segment-")) << life.error().text;
  }
}

TEST(HttpBackup, OneThatHasNoLogIsToldSo) {
  const TestBroker broker({}, Start::forming);
  const Reply reply = ask(broker, "GET /v1/backup?timeout=100ms");
  EXPECT_EQ(reply.status, 503U) << reply.body;
  EXPECT_EQ(ask(broker, "GET /v1/backup?what=1").status, 400U);
  EXPECT_EQ(ask(broker, "POST /v1/backup").status, 405U);
}

/// Those that do not read take both places; whoever comes next is told, and served once they have gone.
TEST(HttpBackup, AFewAtOnceAndTheNextIsRefused) {
  TestBroker broker;
  const std::string large(std::size_t{1} << 20U, 'x');
  for (int number = 0; number < 24; ++number) ASSERT_EQ(ask(broker, "POST /v1/events/a", "", large).status, 201U);
  {
    TestClient first(broker.port());
    TestClient second(broker.port());
    for (TestClient* client : {&first, &second}) {
      ASSERT_TRUE(client->send("GET /v1/backup HTTP/1.1\r\nHost: localhost\r\n\r\n"));
      ASSERT_TRUE(client->read_until("\r\n\r\n").contains(" 200 "));
    }
    const Reply refused = ask(broker, "GET /v1/backup");
    EXPECT_EQ(refused.status, 503U);
    EXPECT_TRUE(refused.body.contains("2 backups already")) << refused.body;
    EXPECT_EQ(ask(broker, "POST /v1/events/a", "", "1").status, 201U) << "nobody else is held up";
  }
  broker.wait_for_connections(0);
  EXPECT_GT(take(broker).size(), 24 * large.size());
}

}  // namespace
}  // namespace weir::broker::http
