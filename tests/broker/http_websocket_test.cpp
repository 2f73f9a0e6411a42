// WebSockets (API §5; FAULTS 70, 96, 99).
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/broker/http_fixture.hpp"

namespace weir::broker::http {
namespace {

using namespace std::string_literals;

void publish(const TestBroker& broker, std::string_view topic, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += "{\"data\":" + std::to_string(i) + "}\n";
  const std::string line = "POST /v1/events/" + std::string(topic);
  ASSERT_EQ(ask(broker, line, "Content-Type: application/x-ndjson\r\n", lines).status, 201U);
}

TEST(WebSocket, ShakesHands) {
  const TestBroker broker;
  const TestWebSocket plain(broker.port());
  EXPECT_EQ(plain.status(), 101U);
  EXPECT_TRUE(plain.head().contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) << plain.head();
  EXPECT_FALSE(plain.head().contains("Sec-WebSocket-Protocol"));
  const TestWebSocket named(broker.port(), "/v1/ws", "Sec-WebSocket-Protocol: weir.json.v1\r\n");
  EXPECT_TRUE(named.head().contains("Sec-WebSocket-Protocol: weir.json.v1")) << named.head();
  EXPECT_EQ(TestWebSocket(broker.port(), "/v1/ws", "Sec-WebSocket-Protocol: mqtt\r\n").status(), 400U);
  EXPECT_EQ(ask(broker, "GET /v1/ws").status, 426U);
}

TEST(WebSocket, PublishesAndSubscribes) {
  const TestBroker broker;
  TestWebSocket socket(broker.port());
  socket.send_text(R"({"op":"sub","sid":1,"topic":"orders/**"})");
  EXPECT_TRUE(socket.next_text().starts_with(R"({"op":"subscribed","sid":1,"cursor":")"));
  EXPECT_TRUE(socket.next_text().starts_with(R"({"op":"caught-up","sid":1)"));
  socket.send_text(R"({"op":"pub","rid":9,"topic":"orders/new","id":"o-1002","data":{"n":1}})");
  std::string ack;
  std::string event;
  for (int i = 0; i < 2; ++i) {
    const std::string text = socket.next_text();
    (text.starts_with(R"({"op":"ack")") ? ack : event) = text;
  }
  EXPECT_TRUE(ack.starts_with(R"({"op":"ack","rid":9,"offset":0,"position":1,"cursor":")")) << ack;
  EXPECT_TRUE(event.starts_with(R"({"op":"event","sid":1,"topic":"orders/new","offset":0,"position":1,"cursor":")"))
      << event;
  socket.send_text(R"({"op":"pub","rid":10,"topic":"orders/new","id":"o-1002","data":{"n":1}})");
  EXPECT_TRUE(socket.next_text().contains(R"("rid":10,"offset":0)"));
  socket.send_text(R"({"op":"pub","rid":11,"topic":"orders/new","id":"o-1002","data":2})");
  EXPECT_TRUE(socket.next_text().contains(R"("rid":11,"problem":{"type":"urn:weir:problem:id-reuse")"));
}

TEST(WebSocket, AUrlWithATopicSubscribesAtOnce) {
  const TestBroker broker;
  publish(broker, "a", 3);
  TestWebSocket socket(broker.port(), "/v1/events/a?from=1");
  EXPECT_TRUE(socket.next_text().contains("subscribed"));
  EXPECT_TRUE(socket.next_text().contains("\"offset\":1"));
  EXPECT_TRUE(socket.next_text().contains("\"offset\":2"));
  EXPECT_TRUE(socket.next_text().contains("caught-up"));
}

TEST(WebSocket, ManyPublishesMayBeUnderWay) {
  const TestBroker broker;
  TestWebSocket socket(broker.port());
  for (int i = 0; i < 500; ++i) {
    socket.send_text(R"({"op":"pub","rid":)" + std::to_string(i) + R"(,"topic":"a","data":1})");
  }
  std::set<std::string> rids;
  for (int i = 0; i < 500; ++i) {
    const std::string ack = socket.next_text();
    ASSERT_TRUE(ack.starts_with(R"({"op":"ack","rid":)")) << ack;
    rids.insert(ack.substr(0, ack.find(",\"offset\"")));
  }
  EXPECT_EQ(rids.size(), 500U);
}

TEST(WebSocket, WithoutCreditNothingIsSent) {
  const TestBroker broker;
  publish(broker, "a", 5);
  TestWebSocket socket(broker.port());
  socket.send_text(R"({"op":"sub","sid":1,"topic":"a","from":"earliest","credit":2})");
  EXPECT_TRUE(socket.next_text().contains("subscribed"));
  EXPECT_TRUE(socket.next_text().contains("\"offset\":0"));
  EXPECT_TRUE(socket.next_text().contains("\"offset\":1"));
  socket.send_text(R"({"op":"nothing","rid":1})");
  EXPECT_TRUE(socket.next_text().contains("\"op\":\"error\"")) << "an answer, and no event before it";
  socket.send_text(R"({"op":"credit","sid":1,"n":2})");
  EXPECT_TRUE(socket.next_text().contains("\"offset\":2"));
  EXPECT_TRUE(socket.next_text().contains("\"offset\":3"));
  socket.send_text(R"({"op":"credit","sid":1,"n":2})");
  EXPECT_TRUE(socket.next_text().contains("\"offset\":4"));
}

TEST(WebSocket, SubscriptionsEndWhenTheyAreToldTo) {
  const TestBroker broker;
  publish(broker, "a", 1);
  TestWebSocket socket(broker.port());
  socket.send_text(R"({"op":"sub","sid":1,"topic":"a"})");
  EXPECT_TRUE(socket.next_text().contains("subscribed"));
  EXPECT_TRUE(socket.next_text().contains("caught-up"));
  socket.send_text(R"({"op":"sub","sid":1,"topic":"a"})");
  EXPECT_TRUE(socket.next_text().contains("in use"));
  socket.send_text(R"({"op":"unsub","sid":1})");
  socket.send_text(R"({"op":"unsub","sid":1})");
  EXPECT_TRUE(socket.next_text().contains("no subscription has this sid"));
  socket.send_text(R"({"op":"sub","sid":1,"topic":"a","from":"earliest"})");
  EXPECT_TRUE(socket.next_text().contains("subscribed"));
  EXPECT_TRUE(socket.next_text().contains("\"offset\":0"));
}

TEST(WebSocket, SubscriptionsAreBounded) {
  HttpLimits limits;
  limits.subscriptions_max = 2;
  const TestBroker broker(limits);
  TestWebSocket socket(broker.port());
  for (int sid = 0; sid < 3; ++sid) {
    socket.send_text(R"({"op":"sub","topic":"a","sid":)" + std::to_string(sid) + '}');
  }
  std::string all;
  for (int i = 0; i < 5; ++i) all += socket.next_text();
  EXPECT_TRUE(all.contains("urn:weir:problem:quota")) << all;
}

TEST(WebSocket, CursorsOfAnotherLifeAreRefused) {
  const TestBroker broker;
  TestWebSocket socket(broker.port());
  socket.send_text(R"({"op":"sub","sid":1,"topic":"a","from":"after:e7.5"})");
  EXPECT_TRUE(socket.next_text().contains(R"("sid":1,"problem":{"type":"urn:weir:problem:epoch-changed")"));
}

/// The offsets of the next events of this socket, whatever control frames stand between.
std::vector<std::string> offsets(TestWebSocket& socket, std::size_t count) {
  std::vector<std::string> found;
  while (found.size() < count) {
    const std::string text = socket.next_text();
    if (!text.contains(R"("op":"event")")) continue;
    const std::size_t begin = text.find("\"offset\":") + 9;
    found.push_back(text.substr(begin, text.find(',', begin) - begin));
  }
  return found;
}

TEST(WebSocket, FollowersOfATopicGetEachEventOnceWhoeverComesAndGoes) {
  const TestBroker broker;
  std::vector<std::unique_ptr<TestWebSocket>> followers;
  for (int i = 0; i < 20; ++i) {
    followers.push_back(std::make_unique<TestWebSocket>(broker.port()));
    // Some ask for little at a time, some for another selector with the same events.
    const std::string credit = i % 5 == 1 ? R"(,"credit":4)" : "";
    const std::string topic = i % 5 == 2 ? "*" : "f";
    followers.back()->send_text(R"({"op":"sub","sid":)" + std::to_string(i) + R"(,"topic":")" + topic + '"' + credit +
                                '}');
    EXPECT_TRUE(followers.back()->next_text().contains("subscribed"));
  }
  for (int round = 0; round < 10; ++round) {
    publish(broker, "f", 3);
    const std::vector<std::string> expected = {std::to_string(3 * round), std::to_string(3 * round + 1),
                                               std::to_string(3 * round + 2)};
    for (std::size_t i = 0; i < followers.size(); ++i) {
      if (!followers[i]) continue;
      EXPECT_EQ(offsets(*followers[i], 3), expected) << "follower " << i << ", round " << round;
      if (i % 5 == 1) followers[i]->send_text(R"({"op":"credit","n":3,"sid":)" + std::to_string(i) + '}');
    }
    followers[static_cast<std::size_t>(2 * round)].reset();
  }
}

TEST(WebSocket, AFollowerSeesItsOwnSidAndShape) {
  const TestBroker broker;
  TestWebSocket plain(broker.port(), "/v1/events/a?from=latest");
  TestWebSocket base64(broker.port(), "/v1/events/a?from=latest&data=base64");
  for (TestWebSocket* socket : {&plain, &base64}) {
    EXPECT_TRUE(socket->next_text().contains("subscribed"));
    EXPECT_TRUE(socket->next_text().contains("caught-up"));
  }
  publish(broker, "a", 1);
  const std::string as_json = plain.next_text();
  const std::string as_base64 = base64.next_text();
  EXPECT_TRUE(as_json.contains(R"("data":0)")) << as_json;
  EXPECT_TRUE(as_base64.contains(R"("data_base64":"MA==")")) << as_base64;
  plain.send_text(R"({"op":"sub","sid":77,"topic":"a"})");
  EXPECT_TRUE(plain.next_text().contains("subscribed"));
  EXPECT_TRUE(plain.next_text().contains("caught-up"));
  publish(broker, "a", 1);
  const std::string both = plain.next_text() + plain.next_text();
  EXPECT_TRUE(both.contains(R"("sid":0,"topic":"a","offset":1)")) << both;
  EXPECT_TRUE(both.contains(R"("sid":77,"topic":"a","offset":1)")) << both;
}

TEST(WebSocket, LongTopicsOfEventsArriveCompleteAndInOrder) {
  const TestBroker broker;
  publish(broker, "a", 20'000);
  TestWebSocket socket(broker.port(), "/v1/events/a?from=0");
  EXPECT_TRUE(socket.next_text().contains("subscribed"));
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = socket.next_text();
    ASSERT_TRUE(text.contains("\"offset\":" + std::to_string(i) + ',')) << text;
  }
}

int closed_with(const TestBroker& broker, int first_byte, std::string_view payload) {
  TestWebSocket socket(broker.port());
  socket.send_frame(first_byte, payload);
  while (true) {
    const WsFrame frame = socket.next();
    if (frame.opcode == -1) return 0;
    if (frame.opcode != 8) continue;
    socket.send_frame(0x88, frame.payload);
    EXPECT_TRUE(socket.client().closes());
    return frame.close_code();
  }
}

TEST(WebSocket, Fault96BrokenFramesCloseWithTheirCode) {
  const TestBroker broker;
  EXPECT_EQ(closed_with(broker, 0x88, "\x03\xe8"), 1000) << "a proper close is echoed";
  EXPECT_EQ(closed_with(broker, 0xc1, "{}"), 1002) << "RSV1";
  EXPECT_EQ(closed_with(broker, 0x83, "{}"), 1002) << "reserved opcode";
  EXPECT_EQ(closed_with(broker, 0x8b, "{}"), 1002) << "reserved control opcode";
  EXPECT_EQ(closed_with(broker, 0x09, "x"), 1002) << "fragmented ping";
  EXPECT_EQ(closed_with(broker, 0x80, "x"), 1002) << "continuation of nothing";
  EXPECT_EQ(closed_with(broker, 0x81, "\xff"), 1007) << "bad UTF-8";
  EXPECT_EQ(closed_with(broker, 0x88, "\x03\xec"), 1002) << "close code 1004";
  EXPECT_EQ(closed_with(broker, 0x88, "\x03"), 1002) << "half a close code";
  EXPECT_EQ(closed_with(broker, 0x88, "\x13\x88"), 1002) << "close code 5000";
  EXPECT_EQ(closed_with(broker, 0x88, "\xff\xff"), 1002) << "close code 65535";
  EXPECT_EQ(closed_with(broker, 0x82, "x"), 1003) << "binary frames come later";
}

TEST(WebSocket, Fault96AnnouncedLengthsAllocateNothing) {
  const TestBroker broker;
  TestWebSocket socket(broker.port());
  socket.send_bytes("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"s);
  EXPECT_EQ(socket.next().close_code(), 1009);
  TestWebSocket unmasked(broker.port());
  unmasked.send_bytes("\x81\x02{}"s);
  EXPECT_EQ(unmasked.next().close_code(), 1002);
  TestWebSocket large(broker.port());
  large.send_frame(0x81, std::string(std::size_t{2} << 20U, ' '));
  EXPECT_EQ(large.next().close_code(), 1009);
  EXPECT_EQ(ask(broker, "GET /healthz").status, 200U);
}

TEST(WebSocket, Fault96EndlessFragmentsAreBounded) {
  const TestBroker broker;
  TestWebSocket socket(broker.port());
  const std::string piece(std::size_t{64} << 10U, ' ');
  socket.send_frame(0x01, piece);
  for (int i = 0; i < 64 && socket.send_frame(0x00, piece); ++i) {
  }
  EXPECT_EQ(socket.next().close_code(), 1009);
}

TEST(WebSocket, PingsAreAnswered) {
  const TestBroker broker;
  TestWebSocket socket(broker.port());
  socket.send_frame(0x89, "hi");
  const WsFrame pong = socket.next();
  EXPECT_EQ(pong.opcode, 10);
  EXPECT_EQ(pong.payload, "hi");
}

TEST(WebSocket, Fault99APingFloodWithoutReadingIsBounded) {
  HttpLimits limits;
  limits.stalled_write_ms = 200;
  TestBroker broker(limits);
  TestWebSocket socket(broker.port());
  const std::string ping("\x89\xfd\0\0\0\0"s + std::string(125, 'x'));
  std::string flood;
  for (int i = 0; i < 10'000; ++i) flood += ping;
  bool taken = true;
  for (int i = 0; i < 100 && taken; ++i) taken = socket.send_bytes(flood);
  EXPECT_FALSE(taken) << "130 MB of pings were taken and 130 MB of pongs kept";
  broker.wait_for_connections(0);
}

TEST(WebSocket, Fault79SilentClientsArePingedThenDropped) {
  HttpLimits limits;
  limits.heartbeat_ms = 40;
  limits.ping_timeout_ms = 80;
  TestBroker broker(limits);
  TestWebSocket socket(broker.port());
  EXPECT_EQ(socket.next().opcode, 9);
  broker.wait_for_connections(0);
}

TEST(WebSocket, Fault70SubscribersThatTakeNothingAreClosed) {
  HttpLimits limits;
  limits.stalled_write_ms = 200;
  TestBroker broker(limits);
  for (int i = 0; i < 64; ++i) ask(broker, "POST /v1/events/a", "", std::string(std::size_t{256} << 10U, 'a'));
  TestWebSocket slow(broker.port(), "/v1/events/a?from=0");
  broker.wait_for_connections(0);
  EXPECT_EQ(ask(broker, "GET /healthz").status, 200U);
}

TEST(WebSocket, DrainingSaysGoawayAndCloses1001) {
  TestBroker broker;
  TestWebSocket socket(broker.port());
  socket.send_text(R"({"op":"sub","sid":1,"topic":"a"})");
  EXPECT_TRUE(socket.next_text().contains("subscribed"));
  EXPECT_TRUE(socket.next_text().contains("caught-up"));
  std::thread stopping([&] { broker.stop("n3:7400"); });
  EXPECT_EQ(socket.next_text(), R"({"op":"goaway","to":"n3:7400"})");
  EXPECT_EQ(socket.next().close_code(), 1001);
  socket.send_frame(0x88, "\x03\xe9");
  stopping.join();
}

}  // namespace
}  // namespace weir::broker::http
