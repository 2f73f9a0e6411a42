// Subprotocol weir.bin.v1 (API §5; wire/client.fbs; FAULTS 70, 96).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/broker/http_fixture.hpp"
#include "wire/client_message.hpp"

namespace weir::broker::http {
namespace {

constexpr std::string_view kBin = "Sec-WebSocket-Protocol: weir.bin.v1\r\n";

struct Made {
  std::string topic = "orders";
  std::string id{};
  std::string body = "x";
  std::string content_type = "text/plain";
  std::string key{};
  std::vector<wire::Header> headers{};
};

raft::Bytes request_of(const std::vector<Made>& events) {
  wire::PublishBuilder builder;
  for (const Made& event : events) {
    builder.add({.topic = event.topic,
                 .id = event.id,
                 .key = event.key,
                 .content_type = event.content_type,
                 .headers = event.headers,
                 .body = event.body});
  }
  return builder.finish().value();
}

std::vector<Made> numbered(int first, int count) {
  std::vector<Made> events;
  for (int n = first; n < first + count; ++n) {
    events.push_back({.id = "o-" + std::to_string(n), .body = "body " + std::to_string(n)});
  }
  return events;
}

class BinSocket : public TestWebSocket {
 public:
  explicit BinSocket(const TestBroker& broker) : TestWebSocket(broker.port(), "/v1/ws", kBin) {}

  void publish(std::uint64_t rid, const raft::Bytes& request) {
    std::string message;
    wire::append_publish(message, rid, 0, request);
    send_frame(0x82, message);
  }
  /// The next binary message; a text or an end instead of it is a failure.
  template <class Message>
  Message next_message() {
    while (true) {
      const WsFrame frame = next();
      if (frame.opcode == 9) continue;
      EXPECT_EQ(frame.opcode, 2) << frame.payload;
      auto message = wire::decode_client(raft::Bytes::copy_of(frame.payload));
      if (!message || !std::holds_alternative<Message>(*message)) {
        throw std::runtime_error("not the message expected: " + frame.payload);
      }
      return std::get<Message>(*std::move(message));
    }
  }
  std::vector<wire::EventResult> results(std::uint64_t rid, const raft::Bytes& request) {
    const auto ack = next_message<wire::AckMessage>();
    EXPECT_EQ(ack.rid, rid);
    return wire::results_of(ack, wire::PublishView::verify(request).value()).value();
  }
  /// "offset:body" of the next `count` events, over as many messages as they take.
  std::vector<std::string> take(std::size_t count) {
    std::vector<std::string> taken;
    while (taken.size() < count) {
      const auto message = next_message<wire::EventsMessage>();
      for (const wire::PlacedEvent& placed : wire::placed_events(message)) {
        taken.push_back(std::to_string(placed.offset.value) + ":" +
                        std::string(message.entry.event(placed.ordinal).body));
      }
    }
    return taken;
  }
};

TEST(WebSocketBin, IsNamedInTheHandshakeAndPreferred) {
  const TestBroker broker;
  const BinSocket socket(broker);
  EXPECT_TRUE(socket.head().contains("Sec-WebSocket-Protocol: weir.bin.v1")) << socket.head();
  const TestWebSocket both(broker.port(), "/v1/ws", "Sec-WebSocket-Protocol: weir.json.v1, weir.bin.v1\r\n");
  EXPECT_TRUE(both.head().contains("Sec-WebSocket-Protocol: weir.bin.v1")) << both.head();
}

TEST(WebSocketBin, ABatchIsAcknowledgedAndKnownAgain) {
  const TestBroker broker;
  BinSocket socket(broker);
  const raft::Bytes first = request_of(numbered(0, 3));
  socket.publish(7, first);
  const auto stored = socket.results(7, first);
  ASSERT_EQ(stored.size(), 3U);
  EXPECT_EQ(stored[2].offset, raft::Offset{2});
  EXPECT_EQ(stored[2].storing, wire::Storing::stored);
  const raft::Bytes second = request_of(numbered(2, 3));
  socket.publish(8, second);
  const auto again = socket.results(8, second);
  EXPECT_EQ(again[0].storing, wire::Storing::duplicate);
  EXPECT_EQ(again[0].offset, raft::Offset{2});
  EXPECT_EQ(again[0].time_ms, stored[2].time_ms);
  EXPECT_EQ(again[1].offset, raft::Offset{3});
  EXPECT_EQ(again[2].offset, raft::Offset{4});
  EXPECT_EQ(again[2].position, again[1].position.next());
  EXPECT_EQ(ask(broker, "GET /v1/events/orders?from=4").body.substr(0, 29), R"({"topic":"orders","offset":4,)");
}

TEST(WebSocketBin, ManyBatchesMayBeUnderWay) {
  const TestBroker broker;
  BinSocket socket(broker);
  constexpr int kRequests = 200;
  for (int n = 0; n < kRequests; ++n) {
    socket.publish(static_cast<std::uint64_t>(n), request_of(numbered(n * 10, 10)));
  }
  std::vector<bool> answered(kRequests);
  for (int n = 0; n < kRequests; ++n) {
    const auto ack = socket.next_message<wire::AckMessage>();
    ASSERT_LT(ack.rid, answered.size());
    EXPECT_FALSE(answered[ack.rid]);
    answered[ack.rid] = true;
    EXPECT_TRUE(ack.duplicates.empty());
  }
}

TEST(WebSocketBin, SubscribersGetEntriesCutAtTheirCursorAndCredit) {
  const TestBroker broker;
  BinSocket socket(broker);
  const raft::Bytes request = request_of(numbered(0, 6));
  socket.publish(1, request);
  static_cast<void>(socket.results(1, request));
  socket.send_text(R"({"op":"sub","sid":1,"topic":"orders","from":1,"credit":2})");
  EXPECT_TRUE(socket.next_text().starts_with(R"({"op":"subscribed","sid":1)"));
  EXPECT_EQ(socket.take(2), (std::vector<std::string>{"1:body 1", "2:body 2"}));
  socket.send_text(R"({"op":"credit","sid":1,"n":100})");
  EXPECT_EQ(socket.take(3), (std::vector<std::string>{"3:body 3", "4:body 4", "5:body 5"}));
  EXPECT_TRUE(socket.next_text().starts_with(R"({"op":"caught-up","sid":1)"));
}

// What a reader may not see must not lie in what it is sent.
TEST(WebSocketBin, EventsOfOtherTopicsAndKeysAreCutOut) {
  const TestBroker broker;
  BinSocket socket(broker);
  const raft::Bytes request = request_of({{.topic = "a", .body = "one", .key = "k"},
                                          {.topic = "secret", .body = "hidden"},
                                          {.topic = "a", .body = "other", .key = "l"},
                                          {.topic = "a", .body = "two", .key = "k"}});
  socket.publish(1, request);
  static_cast<void>(socket.results(1, request));
  socket.send_text(R"({"op":"sub","sid":1,"topic":"a","from":"earliest","key":"k"})");
  EXPECT_TRUE(socket.next_text().starts_with(R"({"op":"subscribed")"));
  const auto message = socket.next_message<wire::EventsMessage>();
  EXPECT_FALSE(message.entry.bytes().view().contains("hidden"));
  EXPECT_FALSE(message.entry.bytes().view().contains("other"));
  EXPECT_NE(message.entry.time_ms(), 0U);
  const auto placed = wire::placed_events(message);
  ASSERT_EQ(placed.size(), 2U);
  EXPECT_EQ(placed[0], (wire::PlacedEvent{0, raft::Offset{0}, raft::Position{1}}));
  EXPECT_EQ(placed[1], (wire::PlacedEvent{1, raft::Offset{2}, raft::Position{4}}));
  EXPECT_EQ(message.entry.event(1).body, "two");
}

TEST(WebSocketBin, DuplicatesInsideAnEntryAreNotDelivered) {
  const TestBroker broker;
  BinSocket socket(broker);
  for (std::uint64_t rid = 0; rid < 2; ++rid) {
    const raft::Bytes request = request_of(numbered(static_cast<int>(rid) * 2, 4));
    socket.publish(rid, request);
    static_cast<void>(socket.results(rid, request));
  }
  socket.send_text(R"({"op":"sub","sid":1,"topic":"**","from":"earliest"})");
  EXPECT_TRUE(socket.next_text().starts_with(R"({"op":"subscribed")"));
  EXPECT_EQ(socket.take(6),
            (std::vector<std::string>{"0:body 0", "1:body 1", "2:body 2", "3:body 3", "4:body 4", "5:body 5"}));
}

// What one protocol lets in, every other shows: the same rules as over HTTP.
TEST(WebSocketBin, RequestsThatBreakARuleAreRefusedByNumber) {
  const TestBroker broker;
  BinSocket socket(broker);
  const std::vector<Made> broken = {
      {.topic = "no//topic"},
      {.topic = "$sys/x"},
      {.id = "\xff"},
      {.key = "\xff"},
      {.body = "{", .content_type = "application/json"},
      {.content_type = "nonsense"},
      {.headers = {{"bad name", "v"}}},
      {.headers = {{"Upper", "v"}}},
      {.headers = {{"a", "line\nbreak"}}},
      {.headers = {{"a", "1"}, {"a", "2"}}},
      {.key = std::string(2000, 'k')},
  };
  std::uint64_t rid = 0;
  for (const Made& event : broken) {
    socket.publish(++rid, request_of({{.body = "fine"}, event}));
    const std::string text = socket.next_text();
    EXPECT_TRUE(text.starts_with(R"({"op":"error","rid":)" + std::to_string(rid) + ",")) << rid << text;
    EXPECT_TRUE(text.contains("bad-request")) << text;
  }
  EXPECT_EQ(ask(broker, "GET /v1/topics").body.find("orders"), std::string::npos) << "all or none";
  HttpLimits limits;
  limits.event_bytes_max = 10;
  const TestBroker small(limits);
  BinSocket large(small);
  large.publish(1, request_of({{.body = "longer than ten"}}));
  EXPECT_TRUE(large.next_text().contains("too-large"));
}

TEST(WebSocketBin, OtherContentUnderAKnownIdIsRefused) {
  const TestBroker broker;
  BinSocket socket(broker);
  const raft::Bytes first = request_of({{.id = "o-1", .body = "one"}});
  socket.publish(1, first);
  static_cast<void>(socket.results(1, first));
  socket.publish(2, request_of({{.id = "o-1", .body = "two"}}));
  const std::string text = socket.next_text();
  EXPECT_TRUE(text.starts_with(R"({"op":"error","rid":2,"problem":{"type":"urn:weir:problem:id-reuse")")) << text;
}

TEST(WebSocketBin, WhatIsNoMessageEndsThatConnectionOnly) {
  const TestBroker broker;
  std::string ack;
  const raft::Bytes request = request_of({{.body = "x"}});
  wire::append_ack(ack, {.rid = 1});
  std::string cut;
  wire::append_publish(cut, 1, 0, request);
  cut.pop_back();
  for (const std::string& bytes : {std::string("hello"), std::string(), ack, cut, std::string(100'000, '\xff')}) {
    BinSocket socket(broker);
    socket.send_frame(0x82, bytes);
    EXPECT_TRUE(socket.next_text().starts_with(R"({"op":"error","problem":)"));
    EXPECT_EQ(socket.next_text(), "closed 1007");
  }
  TestWebSocket json(broker.port());
  json.send_frame(0x82, cut);
  EXPECT_EQ(json.next_text(), "closed 1003") << "weir.json.v1 has no binary messages";
  BinSocket socket(broker);
  socket.publish(1, request);
  EXPECT_EQ(socket.results(1, request).size(), 1U);
}

TEST(WebSocketBin, AMessageAboveTheLimitIsNotRead) {
  const TestBroker broker;
  BinSocket socket(broker);
  // 16 MiB.
  const std::string head("\x82\xff\0\0\0\0\x01\0\0\0", 10);
  socket.send_bytes(head + std::string(4, '\0'));
  EXPECT_EQ(socket.next_text(), "closed 1009");
}

TEST(WebSocketBin, MessagesShareTheMemoryForBodies) {
  HttpLimits limits;
  limits.bodies_bytes_max = std::size_t{512} << 10U;
  const TestBroker broker(limits);
  BinSocket socket(broker);
  const raft::Bytes small = request_of({{.body = std::string(300'000, 'x')}});
  socket.publish(1, small);
  EXPECT_EQ(socket.results(1, small).size(), 1U);
  socket.publish(2, request_of({{.body = std::string(900'000, 'x')}}));
  EXPECT_EQ(socket.next_text(), "closed 1013");
}

}  // namespace
}  // namespace weir::broker::http
