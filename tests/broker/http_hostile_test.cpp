// Hostile and slow clients against a running broker (FAULTS 70, 74, 79, 90-94, 99-102, 115). Each test ends with the
// broker still answering others.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/broker/http_fixture.hpp"

namespace weir::broker::http {
namespace {

using namespace std::string_literals;

/// Short enough that a test need not wait, long enough for a loaded machine.
HttpLimits impatient() {
  HttpLimits limits;
  limits.header_timeout_ms = 150;
  limits.body_timeout_ms = 150;
  limits.idle_timeout_ms = 150;
  return limits;
}

void expect_alive(const TestBroker& broker) {
  EXPECT_EQ(ask(broker, "GET /healthz").status, 200U);
}

/// What `bytes` are answered with; then the connection must be closed.
unsigned refused_with(const TestBroker& broker, const std::string& bytes) {
  TestClient client(broker.port());
  client.send(bytes);
  const Reply reply = client.reply();
  EXPECT_TRUE(client.closes()) << bytes.substr(0, 80);
  if (reply.status != 0) {
    EXPECT_EQ(reply.header("connection"), "close");
    EXPECT_EQ(reply.header("content-type"), "application/problem+json");
  }
  return reply.status;
}

TEST(Hostile, Fault90SmugglingIs400AndTheConnectionEnds) {
  const TestBroker broker;
  const std::string post = "POST /v1/events/a HTTP/1.1\r\nHost: localhost\r\n";
  const std::string smuggled =
      "\r\n0\r\n\r\nPOST /v1/events/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1";
  EXPECT_EQ(refused_with(broker, post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n" + smuggled), 400U);
  EXPECT_EQ(refused_with(broker, post + "Content-Length: 4\r\nContent-Length: 0\r\n" + smuggled), 400U);
  EXPECT_EQ(refused_with(broker, post + "Transfer-Encoding: xchunked\r\n" + smuggled), 400U);
  EXPECT_EQ(refused_with(broker, post + "Transfer-Encoding : chunked\r\n" + smuggled), 400U);
  EXPECT_EQ(refused_with(broker, post + "X: a\r\n b\r\n" + smuggled), 400U);
  EXPECT_EQ(refused_with(broker, post + "X: a\0b\r\n"s + smuggled), 400U);
  EXPECT_EQ(refused_with(broker, post + "X: a\rb\r\n" + smuggled), 400U);
  EXPECT_EQ(refused_with(broker, post + "Host: b\r\n" + smuggled), 400U);
  EXPECT_EQ(refused_with(broker, post + "Expect: x\r\n" + smuggled), 417U);
  EXPECT_EQ(refused_with(broker, "POST /v1/events/a HTTP/1.1\r\n" + smuggled), 400U);
  EXPECT_EQ(ask(broker, "GET /v1/topics").body, "{\"topics\":[]}\n") << "nothing came through";
}

TEST(Hostile, Fault91BodiesAreRefusedUnread) {
  const TestBroker broker;
  const std::string post = "POST /v1/events/a HTTP/1.1\r\nHost: localhost\r\n";
  EXPECT_EQ(refused_with(broker, post + "Content-Length: 10737418240\r\n\r\n"), 413U);
  EXPECT_EQ(refused_with(broker, post + "Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n"), 413U);
  EXPECT_EQ(
      refused_with(broker, post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(std::size_t{1} << 20U, 'x')),
      400U);
  EXPECT_EQ(refused_with(broker, post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400U);
  EXPECT_EQ(refused_with(broker, post + "Content-Type: application/x-ndjson\r\nContent-Length: 8388609\r\n\r\n"), 413U);
  EXPECT_EQ(refused_with(broker, "POST /v1/events/a/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"),
            400U);
  std::string endless = post + "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) endless += "10000\r\n" + std::string(0x10000, 'a') + "\r\n";
  EXPECT_EQ(refused_with(broker, endless), 413U);
  expect_alive(broker);
}

TEST(Hostile, Fault74BodiesAtTheLimitPassOneByteMoreDoesNot) {
  const TestBroker broker;
  const std::string body(std::size_t{1} << 20U, 'a');
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "", body).status, 201U);
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "Content-Length: 0\r\n").status, 201U);
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "Expect: 100-continue\r\nContent-Length: 1048577\r\n").status, 413U);
  EXPECT_EQ(ask(broker, "GET /v1/events/a?limit=1", "Accept: application/octet-stream\r\n").body, body);
}

TEST(Hostile, ExpectIsAnsweredBeforeTheBody) {
  const TestBroker broker;
  TestClient client(broker.port());
  client.send("POST /v1/events/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hi");
  EXPECT_EQ(client.reply().status, 201U);
}

TEST(Hostile, ChunkedBodiesArriveWhole) {
  const TestBroker broker;
  TestClient client(broker.port());
  client.send("POST /v1/events/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
  client.send("3\r\n ho\r\n0\r\n\r\n");
  EXPECT_EQ(client.reply().status, 201U);
  EXPECT_EQ(client.request("GET /v1/events/a", "Accept: text/plain\r\n").body, "hi ho\n");
}

TEST(Hostile, Fault92HeadersBeyondTheLimits) {
  const TestBroker broker;
  const std::string large(std::size_t{1} << 20U, 'a');
  EXPECT_EQ(refused_with(broker, "GET /" + large), 414U);
  EXPECT_EQ(refused_with(broker, "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + large), 431U);
  std::string many = "GET / HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 10'000; ++i) many += "a:\r\n";
  EXPECT_EQ(refused_with(broker, many + "\r\n"), 431U);
  expect_alive(broker);
}

TEST(Hostile, Fault93SlowAndSilentClientsAreCutOff) {
  const TestBroker broker(impatient());
  TestClient silent(broker.port());
  TestClient slow_head(broker.port());
  slow_head.send("GET / HTTP/1.1\r\nHost: loc");
  TestClient slow_body(broker.port());
  slow_body.send("POST /v1/events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
  TestClient done(broker.port());
  EXPECT_EQ(done.request("GET /healthz").status, 200U);
  EXPECT_EQ(slow_head.reply().status, 408U);
  EXPECT_EQ(slow_body.reply().status, 408U);
  EXPECT_TRUE(slow_head.closes());
  EXPECT_TRUE(slow_body.closes());
  EXPECT_TRUE(silent.closes());
  EXPECT_TRUE(done.closes()) << "idle after its request";
  expect_alive(broker);
}

TEST(Hostile, Fault93ATrickleDoesNotMoveTheDeadline) {
  const TestBroker broker(impatient());
  TestClient client(broker.port());
  client.send("GET / HTTP/1.1\r\nX: ");
  // Bytes are sent for as long as they are taken: only the deadline ends this.
  while (client.send("a") && ask(broker, "GET /healthz").status == 200 && !client.has_input()) {
  }
  EXPECT_EQ(client.reply().status, 408U);
}

TEST(Hostile, Fault94TopicsThatAreNone) {
  const TestBroker broker;
  for (const char* path : {"..", "%2e%2e", "a/%2e%2e/b", "%2f", "a%2f", "%00", "a%0d%0aX:%20y", "%ff", "%c0%ae", "",
                           "a//b", "%252e%252e", "a%20b", "*", "$sys/x"}) {
    const Reply reply = ask(broker, "POST /v1/events/" + std::string(path), "", "1");
    EXPECT_EQ(reply.status, 400U) << path;
    EXPECT_EQ(reply.header("x"), "") << path;
  }
  EXPECT_EQ(ask(broker, "POST /v1/events/" + std::string(300, 'a'), "", "1").status, 400U);
  EXPECT_EQ(ask(broker, "POST /v1/events/" + std::string(65'536, 'a'), "", "1").status, 414U);
  EXPECT_EQ(ask(broker, "GET /v1/topics").body, "{\"topics\":[]}\n");
}

TEST(Hostile, Fault100OtherProtocolsAreTurnedAway) {
  const TestBroker broker;
  EXPECT_EQ(refused_with(broker, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s), 400U) << "TLS";
  EXPECT_EQ(refused_with(broker, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505U);
  EXPECT_EQ(refused_with(broker, "CONNECT a:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400U);
  EXPECT_EQ(ask(broker, "TRACE /v1/events/a").status, 405U);
  EXPECT_EQ(ask(broker, "BREW /healthz").status, 405U);
  expect_alive(broker);
}

TEST(Hostile, Fault101PipeliningWithoutReadingIsBounded) {
  HttpLimits limits;
  limits.stalled_write_ms = 200;
  const TestBroker broker(limits);
  ask(broker, "POST /v1/events/a", "", std::string(100'000, 'a'));
  TestClient greedy(broker.port());
  const std::string get = "GET /v1/events/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::string requests;
  for (int i = 0; i < 20'000; ++i) requests += get;
  // Nothing is read: the broker stops taking requests, and gives the connection up after stalled_write_ms.
  bool taken = true;
  for (int i = 0; i < 100 && taken; ++i) taken = greedy.send(requests);
  EXPECT_FALSE(taken) << "two million requests were taken";
  expect_alive(broker);
}

TEST(Hostile, Fault70SlowReadersAreCutOffOnlyWhenTheyTakeNothing) {
  HttpLimits limits;
  limits.stalled_write_ms = 200;
  TestBroker broker(limits);
  for (int i = 0; i < 64; ++i) ask(broker, "POST /v1/events/a", "", std::string(std::size_t{256} << 10U, 'a'));
  TestClient slow(broker.port());
  slow.send("GET /v1/events/a?from=earliest&follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_FALSE(slow.read(1000).empty());
  // Not reading any more: sixteen megabytes cannot fit into the sockets' buffers, so the stream must end before them.
  broker.wait_for_connections(0);
  expect_alive(broker);
}

TEST(Hostile, Fault79ClientsThatVanishFreeTheirStream) {
  TestBroker broker;
  {
    TestClient gone(broker.port());
    gone.send("GET /v1/events/a?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    gone.read_until("caught-up");
  }
  broker.wait_for_connections(0);
  std::uint64_t waiters = 1;
  while (waiters > 0) broker.on_core([&] { waiters = broker.node().counters().waiters; });
}

TEST(Hostile, Fault102ConnectionsBeyondTheLimitAreTurnedAway) {
  HttpLimits limits;
  limits.connections_max = 8;
  TestBroker broker(limits);
  std::vector<std::unique_ptr<TestClient>> half;
  for (int i = 0; i < 8; ++i) {
    half.push_back(std::make_unique<TestClient>(broker.port()));
    half.back()->send("GET / HT");
  }
  TestClient one_more(broker.port());
  EXPECT_EQ(one_more.reply().status, 503U);
  half.clear();
  broker.wait_for_connections(0);
  expect_alive(broker);
}

TEST(Hostile, Fault102BodiesOfManyClientsShareABudget) {
  HttpLimits limits;
  limits.bodies_bytes_max = std::size_t{512} << 10U;
  const TestBroker broker(limits);
  const std::string body(std::size_t{400} << 10U, 'a');
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "", body).status, 201U);
  TestClient slow(broker.port());
  slow.send("POST /v1/events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n" + body);
  // As soon as the slow body is held, another one of this size does not fit beside it.
  unsigned status = 0;
  do {
    status = ask(broker, "POST /v1/events/a", "", body).status;
  } while (status == 201);
  EXPECT_EQ(status, 503U);
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "", "small").status, 201U);
}

TEST(Hostile, Fault115OtherSitesAndRebindingAreRefused) {
  const TestBroker broker;
  TestClient rebound(broker.port());
  rebound.send("GET /v1/topics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_EQ(rebound.reply().status, 403U);
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "Origin: http://evil.example\r\n", "1").status, 403U);
  EXPECT_EQ(TestWebSocket(broker.port(), "/v1/ws", "Origin: http://evil.example\r\n").status(), 403U);
  EXPECT_EQ(TestWebSocket(broker.port(), "/v1/ws", "Origin: http://localhost\r\n").status(), 101U);
  EXPECT_EQ(ask(broker, "GET /v1/topics").body, "{\"topics\":[]}\n");
}

}  // namespace
}  // namespace weir::broker::http
