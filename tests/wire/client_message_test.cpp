// The binary messages of weir.bin.v1: what goes in comes out, and nothing broken is taken for a message.
#include "wire/client_message.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/wire/samples.hpp"

namespace weir::wire {
namespace {

using test::tight;

PublishView request_of(const std::vector<std::string_view>& topics) {
  PublishBuilder builder;
  std::uint32_t number = 0;
  for (const auto topic : topics) {
    const std::string id = "id-" + std::to_string(number++);
    builder.add({.topic = topic, .id = id, .content_type = "text/plain", .body = "body of " + id});
  }
  return *PublishView::verify(*builder.finish());
}

EventResult stored(std::uint64_t offset, std::uint64_t position) {
  return {raft::Offset{offset}, raft::Position{position}, 1'700'000'000'000, Storing::stored};
}
EventResult duplicate(std::uint64_t offset, std::uint64_t position) {
  return {raft::Offset{offset}, raft::Position{position}, 1'600'000'000'000, Storing::duplicate};
}

/// a, b, a, a, b with two duplicates among them.
const std::vector<std::string_view> kTopics = {"a", "b", "a", "a", "b"};
const std::vector<EventResult> kResults = {stored(7, 100), duplicate(3, 9), stored(8, 101), duplicate(0, 1),
                                           stored(5, 102)};

std::string publish_bytes() {
  std::string out;
  append_publish(out, 42, 1500, request_of(kTopics).bytes());
  return out;
}
std::string ack_bytes() {
  std::string out;
  append_ack(out, ack_of(42, request_of(kTopics), kResults));
  return out;
}
std::vector<PlacedEvent> uneven_places() {
  return {{1, raft::Offset{3}, raft::Position{9}},
          {2, raft::Offset{10}, raft::Position{15}},
          {4, raft::Offset{4}, raft::Position{20}}};
}
std::string events_bytes(const std::vector<PlacedEvent>& placed) {
  std::string out;
  append_events(out, events_message(5, request_of(kTopics), placed));
  return out;
}

TEST(ClientMessage, APublishCarriesItsRequestAsItIs) {
  for (const std::size_t shift : {0U, 1U, 4U}) {
    const auto message = decode_client(tight(publish_bytes(), shift));
    ASSERT_TRUE(message) << message.error().text;
    const auto& publish = std::get<PublishMessage>(*message);
    EXPECT_EQ(publish.rid, 42U);
    EXPECT_EQ(publish.timeout_ms, 1500U);
    EXPECT_EQ(publish.request.bytes(), request_of(kTopics).bytes());
  }
}

TEST(ClientMessage, ARequestInsideIsReadInPlace) {
  const raft::Bytes bytes = tight(publish_bytes());
  const auto message = decode_client(bytes);
  ASSERT_TRUE(message);
  const auto* const inside = std::get<PublishMessage>(*message).request.bytes().data();
  EXPECT_GE(inside, bytes.data());
  EXPECT_LT(inside, bytes.data() + bytes.size());
}

TEST(ClientMessage, AnAckSaysWhereEachEventIs) {
  const auto message = decode_client(tight(ack_bytes()));
  ASSERT_TRUE(message) << message.error().text;
  const auto& ack = std::get<AckMessage>(*message);
  EXPECT_EQ(ack.rid, 42U);
  EXPECT_EQ(ack.duplicates.size(), 2U);
  EXPECT_EQ(results_of(ack, request_of(kTopics)), kResults);
}

TEST(ClientMessage, AnAckOfDuplicatesAloneHasNoPlaceOfItsOwn) {
  const std::vector<EventResult> results = {duplicate(1, 2), duplicate(3, 4)};
  const PublishView request = request_of({"a", "b"});
  const AckMessage ack = ack_of(1, request, results);
  EXPECT_EQ(ack.first_position, raft::Position{});
  std::string out;
  append_ack(out, ack);
  const auto message = decode_client(tight(out));
  ASSERT_TRUE(message);
  EXPECT_EQ(results_of(std::get<AckMessage>(*message), request), results);
}

TEST(ClientMessage, AnAckOfAnotherRequestIsRefused) {
  const AckMessage ack = ack_of(42, request_of(kTopics), kResults);
  EXPECT_FALSE(results_of(ack, request_of({"a"})));
  EXPECT_FALSE(results_of(ack, request_of({"a", "b", "c", "a", "b"})));
  EXPECT_FALSE(results_of(ack, request_of({"a", "b"})));
}

TEST(ClientMessage, WholeEntriesNeedNoColumns) {
  const PublishView entry = request_of(kTopics);
  const std::vector<PlacedEvent> placed = {{0, raft::Offset{7}, raft::Position{100}},
                                           {1, raft::Offset{3}, raft::Position{101}},
                                           {2, raft::Offset{8}, raft::Position{102}},
                                           {3, raft::Offset{9}, raft::Position{103}},
                                           {4, raft::Offset{4}, raft::Position{104}}};
  const EventsMessage message = events_message(5, entry, placed);
  EXPECT_TRUE(message.positions.empty());
  EXPECT_TRUE(message.offsets.empty());
  EXPECT_EQ(message.runs.size(), 1U);
  EXPECT_EQ(placed_events(message), placed);
}

TEST(ClientMessage, PartsOfAnEntryKeepTheirPlaces) {
  const auto message = decode_client(tight(events_bytes(uneven_places())));
  ASSERT_TRUE(message) << message.error().text;
  const auto& events = std::get<EventsMessage>(*message);
  EXPECT_EQ(events.sid, 5U);
  EXPECT_EQ(events.runs, (std::vector<OrdinalRun>{{1, 2}, {4, 1}}));
  EXPECT_EQ(placed_events(events), uneven_places());
  EXPECT_EQ(events.entry.event(4).body, "body of id-4");
}

TEST(ClientMessage, CutAnywhereItIsRefused) {
  for (const std::string& bytes : {publish_bytes(), ack_bytes(), events_bytes(uneven_places())}) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_client(tight(std::string_view(bytes).substr(0, size)))) << size;
    }
    ASSERT_TRUE(decode_client(tight(bytes)));
  }
}

// Whatever the bytes say, reading what was accepted stays inside them (under a sanitizer this is the test).
TEST(ClientMessage, DamagedAnywhereNothingIsReadOutside) {
  const std::uint64_t seed = test::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const PublishView request = request_of(kTopics);
  for (const std::string& bytes : {publish_bytes(), ack_bytes(), events_bytes(uneven_places())}) {
    for (int turn = 0; turn < 20'000; ++turn) {
      std::string damaged = bytes;
      for (std::uint64_t n = 1 + (random() % 3); n > 0; --n) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      const auto message = decode_client(tight(damaged));
      if (!message) continue;
      if (const auto* ack = std::get_if<AckMessage>(&*message)) static_cast<void>(results_of(*ack, request));
      const auto* const events = std::get_if<EventsMessage>(&*message);
      if (events == nullptr) continue;
      for (const PlacedEvent& placed : placed_events(*events)) {
        EXPECT_LE(events->entry.event(placed.ordinal).body.size(), damaged.size());
      }
    }
  }
}

TEST(ClientMessage, BrokenRulesAreRefused) {
  const auto refused = [](const EventsMessage& message) {
    std::string out;
    append_events(out, message);
    return !decode_client(tight(out));
  };
  const EventsMessage good = events_message(5, request_of(kTopics), uneven_places());
  ASSERT_FALSE(refused(good));
  EventsMessage outside = good;
  outside.runs = {{1, 2}, {5, 1}};
  EXPECT_TRUE(refused(outside));
  EventsMessage wrapping = good;
  wrapping.runs = {{1, 2}, {4, 0xffff'ffffU}};
  EXPECT_TRUE(refused(wrapping));
  EventsMessage falling = good;
  falling.runs = {{4, 1}, {1, 2}};
  EXPECT_TRUE(refused(falling));
  EventsMessage short_column = good;
  short_column.positions.pop_back();
  EXPECT_TRUE(refused(short_column));
  EventsMessage no_topic = good;
  no_topic.first_offsets.pop_back();
  EXPECT_TRUE(refused(no_topic));
  EventsMessage large = good;
  large.first_position = raft::Position{raft::kNumberLimit};
  EXPECT_TRUE(refused(large));
  AckMessage unordered = ack_of(42, request_of(kTopics), kResults);
  std::swap(unordered.duplicates[0], unordered.duplicates[1]);
  std::string out;
  append_ack(out, unordered);
  EXPECT_FALSE(decode_client(tight(out)));
}

TEST(ClientMessage, AStampedOrMergedRequestIsNotAClients) {
  const PublishView one = request_of({"a"});
  const std::vector<PublishView> two = {one, one};
  std::string stamped;
  append_publish(stamped, 1, 0, merge(std::span(&one, 1), 5));
  EXPECT_FALSE(decode_client(tight(stamped)));
  std::string merged;
  append_publish(merged, 1, 0, merge(two, 0));
  EXPECT_FALSE(decode_client(tight(merged)));
}

}  // namespace
}  // namespace weir::wire
