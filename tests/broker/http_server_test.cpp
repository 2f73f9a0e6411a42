// The routes of API §2-§4 and §7, over a real socket, against a real node.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/broker/http_fixture.hpp"

namespace weir::broker::http {
namespace {

std::string cursor_of(const Reply& reply) {
  return reply.header("weir-cursor");
}

TEST(HttpServer, PublishesOnceAndReadsBack) {
  const TestBroker broker;
  const std::string headers = "Idempotency-Key: \"o-1001\"\r\nContent-Type: application/json\r\n";
  const Reply stored = ask(broker, "POST /v1/events/orders/new", headers, R"({"sku":"A1","n":2})");
  EXPECT_EQ(stored.status, 201U) << stored.body;
  EXPECT_EQ(stored.header("weir-offset"), "0");
  EXPECT_EQ(stored.header("weir-durability"), "quorum-disk");
  EXPECT_TRUE(stored.header("weir-node").starts_with("n1; leader=n1; term=")) << stored.head;
  EXPECT_TRUE(stored.body.contains("\"duplicate\":false")) << stored.body;
  const Reply again = ask(broker, "POST /v1/events/orders/new", headers, R"({"sku":"A1","n":2})");
  EXPECT_EQ(again.status, 200U) << again.body;
  EXPECT_EQ(again.header("weir-duplicate"), "true");
  const auto time = stored.body.substr(stored.body.find("\"time\""), 34);
  EXPECT_TRUE(again.body.contains(time)) << again.body << " is not of " << time;

  const Reply read = ask(broker, "GET /v1/events/orders/new");
  EXPECT_EQ(read.status, 200U);
  EXPECT_EQ(read.header("content-type"), "application/x-ndjson");
  EXPECT_TRUE(read.body.starts_with(R"({"topic":"orders/new","offset":0,"position":1,"id":"o-1001","time":")"))
      << read.body;
  EXPECT_TRUE(read.body.ends_with("\"data\":{\"sku\":\"A1\",\"n\":2}}\n")) << read.body;
  EXPECT_EQ(read.header("weir-next"), "1");
  EXPECT_EQ(read.header("weir-applied"), "1");
  EXPECT_TRUE(cursor_of(read).ends_with(".1")) << cursor_of(read);
}

TEST(HttpServer, Fault61TheSameIdWithOtherContentIs422) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "POST /v1/events/a?id=x", "", "1").status, 201U);
  const Reply reuse = ask(broker, "POST /v1/events/a?id=x", "", "2");
  EXPECT_EQ(reuse.status, 422U);
  EXPECT_EQ(reuse.header("content-type"), "application/problem+json");
  EXPECT_TRUE(reuse.body.contains("urn:weir:problem:id-reuse")) << reuse.body;
  EXPECT_TRUE(reuse.body.contains("\"offset\":0")) << reuse.body;
}

TEST(HttpServer, BatchesAreAtomicAndCopyTopics) {
  const TestBroker broker;
  const std::string ndjson = "Content-Type: application/x-ndjson\r\n";
  EXPECT_EQ(ask(broker, "POST /v1/events/a", ndjson, "{\"data\":1}\n{\"data\":}\n").status, 400U);
  EXPECT_EQ(ask(broker, "GET /v1/events/a").status, 404U) << "nothing was stored";
  const Reply batch =
      ask(broker, "POST /v1/events/a", ndjson, "{\"id\":\"x\",\"data\":1}\n{\"id\":\"y\",\"data\":\"b\"}\n");
  EXPECT_EQ(batch.status, 201U) << batch.body;
  EXPECT_TRUE(batch.body.contains("\"stored\":2,\"duplicates\":0")) << batch.body;

  const std::string lines = ask(broker, "GET /v1/events/a").body;
  EXPECT_EQ(ask(broker, "POST /v1/events/copy", ndjson, lines).status, 201U);
  const Reply again = ask(broker, "POST /v1/events/copy", ndjson, lines);
  EXPECT_EQ(again.status, 200U) << again.body;
  EXPECT_TRUE(again.body.contains("\"stored\":0,\"duplicates\":2")) << again.body;
}

TEST(HttpServer, ExpectationsHoldOrFailWithTheActualOffset) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "If-None-Match: *\r\n", "1").status, 201U);
  const Reply failed = ask(broker, "POST /v1/events/a", "If-None-Match: *\r\n", "1");
  EXPECT_EQ(failed.status, 412U);
  EXPECT_TRUE(failed.body.contains("\"next\":1")) << failed.body;
  const Reply head = ask(broker, "HEAD /v1/events/a");
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.header("weir-first"), "0");
  EXPECT_EQ(head.header("weir-next"), "1");
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "If-Match: " + head.header("etag") + "\r\n", "2").status, 201U);
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "If-Match: " + head.header("etag") + "\r\n", "3").status, 412U);
  EXPECT_EQ(ask(broker, "POST /v1/events/a?expect=2", "", "3").status, 201U);
  EXPECT_EQ(ask(broker, "HEAD /v1/events/missing").status, 404U);
}

TEST(HttpServer, AckNoneAnswersAtOnceAndStoresAllTheSame) {
  const TestBroker broker;
  const Reply accepted = ask(broker, "POST /v1/events/a?ack=none", "", "1");
  EXPECT_EQ(accepted.status, 202U);
  EXPECT_EQ(accepted.header("weir-offset"), "");
  EXPECT_EQ(ask(broker, "GET /v1/events/a?wait=10s").status, 200U);
}

TEST(HttpServer, Fault68FromHasOneAnswerPerForm) {
  const TestBroker broker;
  for (int i = 0; i < 5; ++i) ask(broker, "POST /v1/events/a", "", std::to_string(i));
  const auto data = [&](const std::string& query) {
    const Reply reply = ask(broker, "GET /v1/events/a?" + query, "Accept: text/plain\r\n");
    return std::to_string(reply.status) + ' ' + (reply.status == 200 ? reply.body : "") + reply.header("weir-next");
  };
  EXPECT_EQ(data("from=0&limit=2"), "200 0\n1\n2");
  EXPECT_EQ(data("from=3"), "200 3\n4\n5");
  EXPECT_EQ(data("from=5"), "200 5") << "exactly the end";
  EXPECT_EQ(data("from=100"), "200 100") << "the future is empty, never old";
  EXPECT_EQ(data("from=-2"), "200 3\n4\n5");
  EXPECT_EQ(data("from=-100"), "200 0\n1\n2\n3\n4\n5");
  EXPECT_EQ(data("from=latest"), "200 5");
  EXPECT_EQ(data("from=1h"), "200 0\n1\n2\n3\n4\n5");
  EXPECT_EQ(data("from=0&until=1"), "200 0\n1\n2");
  EXPECT_EQ(data("from=9223372036854775808"), "400 ");
  EXPECT_EQ(data("from=-x"), "400 ");
  const std::string cursor = cursor_of(ask(broker, "GET /v1/events/a?limit=2"));
  EXPECT_EQ(data("from=after:" + cursor), "200 2\n3\n4\n5");
  EXPECT_EQ(data("from=after:e7.2"), "410 ");
  const std::string epoch = cursor.substr(0, cursor.find('.'));
  EXPECT_EQ(data("from=after:" + epoch + ".900"), "410 ") << "never reached";
}

TEST(HttpServer, PullAnswersInEveryFormat) {
  const TestBroker broker;
  ask(broker, "POST /v1/events/a/b?key=k&id=x", "Content-Type: text/plain\r\nWeir-H-Trace: 7\r\n", "hi");
  const Reply json = ask(broker, "GET /v1/events/a/*", "Accept: application/json\r\n");
  EXPECT_TRUE(json.body.starts_with(R"({"events":[{"topic":"a/b","offset":0,"position":1,"cursor":")")) << json.body;
  EXPECT_TRUE(json.body.contains(R"("next":null,"cursor":")")) << json.body;
  EXPECT_TRUE(json.body.ends_with("\"up_to_date\":true}\n")) << json.body;
  const Reply octets = ask(broker, "GET /v1/events/a/b?limit=1", "Accept: application/octet-stream\r\n");
  EXPECT_EQ(octets.body, "hi");
  EXPECT_EQ(octets.header("content-type"), "application/octet-stream") << "never the publisher's: this is an origin";
  EXPECT_EQ(octets.header("weir-content-type"), "text/plain");
  EXPECT_EQ(octets.header("weir-h-trace"), "7");
  EXPECT_EQ(octets.header("weir-id"), "x");
  EXPECT_EQ(octets.header("x-content-type-options"), "nosniff");
  EXPECT_TRUE(ask(broker, "GET /v1/events/a/b?data=base64").body.contains("\"data_base64\":\"aGk=\""));
  EXPECT_EQ(ask(broker, "GET /v1/events/a/b?key=other").body, "");
  EXPECT_EQ(ask(broker, "GET /v1/events/a/b", "Accept: image/png\r\n").status, 406U);
  EXPECT_EQ(ask(broker, "GET /v1/events?topic=a/b&topic=c/**").status, 200U);
}

TEST(HttpServer, LongPollsWaitForTheFirstEvent) {
  const TestBroker broker;
  TestClient reader(broker.port());
  reader.send("GET /v1/events/a?wait=15s HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ask(broker, "POST /v1/events/a", "", "1");
  const Reply got = reader.reply();
  EXPECT_EQ(got.status, 200U);
  EXPECT_TRUE(got.body.contains("\"data\":1")) << got.body;
  const Reply empty = reader.request("GET /v1/events/a?from=1&wait=10ms");
  EXPECT_EQ(empty.status, 204U) << "on the same connection";
  EXPECT_EQ(empty.header("weir-next"), "1");
  EXPECT_EQ(reader.request("GET /healthz").status, 200U);
}

TEST(HttpServer, FollowedTopicsStreamLines) {
  const TestBroker broker;
  ask(broker, "POST /v1/events/a", "", "1");
  TestClient reader(broker.port());
  reader.send("GET /v1/events/*?from=earliest&follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(reader.read_until("\r\n\r\n").contains("Transfer-Encoding: chunked"));
  EXPECT_TRUE(reader.read_until("\"data\":1}\n").contains("\"cursor\":\""));
  EXPECT_TRUE(reader.read_until("\n").contains("caught-up"));
  ask(broker, "POST /v1/events/b", "", "2");
  EXPECT_TRUE(reader.read_until("\"data\":2}\n").contains("\"topic\":\"b\""));
}

TEST(HttpServer, EventSourcesResumeWhereTheyWere) {
  const TestBroker broker;
  ask(broker, "POST /v1/events/a", "", "1");
  const std::string sse = " HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n";
  std::string id;
  {
    TestClient reader(broker.port());
    reader.send("GET /v1/events/a?from=earliest" + sse + "\r\n");
    EXPECT_TRUE(reader.read_until("\r\n\r\n").contains("Content-Type: text/event-stream"));
    const std::string text = reader.read_until("\"data\":1}\n\n");
    const auto at = text.rfind("id: ");
    id = text.substr(at + 4, text.find('\n', at) - at - 4);
    EXPECT_FALSE(text.contains("event:")) << text;
  }
  ask(broker, "POST /v1/events/a", "", "2");
  TestClient reader(broker.port());
  reader.send("GET /v1/events/a?from=earliest" + sse + "Last-Event-ID: " + id + "\r\n\r\n");
  const std::string text = reader.read_until("\"data\":2}\n\n");
  EXPECT_FALSE(text.contains("\"data\":1}")) << text;
  EXPECT_TRUE(reader.read_until("event: caught-up").contains("caught-up"));
}

TEST(HttpServer, BoundedStreamsEnd) {
  const TestBroker broker;
  for (int i = 0; i < 3; ++i) ask(broker, "POST /v1/events/a", "", std::to_string(i));
  TestClient reader(broker.port());
  reader.send("GET /v1/events/a?from=0&until=1&follow=1 HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n");
  const std::string text = reader.read_until("\r\n0\r\n\r\n");
  EXPECT_TRUE(text.ends_with("0\n1\n\r\n0\r\n\r\n")) << text;
  EXPECT_TRUE(reader.closes());
}

TEST(HttpServer, SilentStreamsAreHeardOf) {
  HttpLimits limits;
  limits.heartbeat_ms = 20;
  const TestBroker broker(limits);
  TestClient reader(broker.port());
  reader.send("GET /v1/events/a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
  EXPECT_TRUE(reader.read_until("\r\n:\n\n\r\n").ends_with("\r\n:\n\n\r\n"));
}

TEST(HttpServer, HttpOneDotZeroStreamsUntilTheEnd) {
  const TestBroker broker;
  ask(broker, "POST /v1/events/a", "", "1");
  TestClient reader(broker.port());
  reader.send("GET /v1/events/a?from=0&until=0&follow=1 HTTP/1.0\r\nAccept: text/plain\r\n\r\n");
  EXPECT_FALSE(reader.read_until("\r\n\r\n").contains("chunked"));
  EXPECT_EQ(reader.read_until("\n"), "1\n");
  EXPECT_TRUE(reader.closes());
}

TEST(HttpServer, ALinearReadSeesEverythingThatWasAcknowledged) {
  const TestBroker broker;
  const Reply stored = ask(broker, "POST /v1/events/a", "", "1");
  EXPECT_TRUE(ask(broker, "GET /v1/events/a?consistency=linear").body.contains("\"data\":1"));
  EXPECT_EQ(ask(broker, "GET /v1/events/a?min_position=1&wait=5s").status, 200U);
  const Reply ahead = ask(broker, "GET /v1/events/a?min_position=5&wait=10ms");
  EXPECT_EQ(ahead.status, 503U);
  EXPECT_EQ(ahead.header("retry-after"), "1");
}

TEST(HttpServer, IdsAreFoundAndClaimed) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "GET /v1/ids/a?id=x").status, 404U);
  ask(broker, "POST /v1/events/a?id=x", "", "1");
  const Reply found = ask(broker, "GET /v1/ids/a?id=x");
  EXPECT_EQ(found.status, 200U);
  EXPECT_TRUE(found.body.contains("\"state\":\"published\",\"offset\":0,\"position\":1")) << found.body;
  EXPECT_EQ(ask(broker, "PUT /v1/ids/a?id=y").status, 201U);
  EXPECT_EQ(ask(broker, "PUT /v1/ids/a?id=y").status, 200U);
  EXPECT_EQ(ask(broker, "PUT /v1/ids/a?id=x").status, 200U);
  EXPECT_TRUE(ask(broker, "GET /v1/ids/a?id=y").body.contains("\"state\":\"claimed\""));
  EXPECT_EQ(ask(broker, "POST /v1/events/a?id=y", "", "1").status, 409U);
  EXPECT_EQ(ask(broker, "PUT /v1/ids/a?id=z&owner=w").status, 400U);
  EXPECT_EQ(ask(broker, "GET /v1/ids/a").status, 400U);
}

TEST(HttpServer, TopicsClusterAndLogAreShown) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "GET /v1/topics").body, "{\"topics\":[]}\n");
  ask(broker, "POST /v1/events/a?id=x", "", "1");
  ask(broker, "POST /v1/events/a?id=x", "", "1");
  const Reply topics = ask(broker, "GET /v1/topics");
  EXPECT_TRUE(
      topics.body.starts_with(R"({"topics":[{"topic":"a","first_offset":0,"next_offset":1,"events":1,"last_time":")"))
      << topics.body;
  EXPECT_EQ(ask(broker, "GET /v1/topics/a").status, 200U);
  EXPECT_EQ(ask(broker, "GET /v1/topics/b").status, 404U);
  EXPECT_EQ(ask(broker, "GET /v1/topics?x=1").status, 400U);
  const Reply cluster = ask(broker, "GET /v1/cluster");
  EXPECT_TRUE(cluster.body.starts_with(R"({"node":"n1","role":"leader","term":)")) << cluster.body;
  EXPECT_TRUE(cluster.body.contains("\"position\":1")) << cluster.body;
  const Reply log = ask(broker, "GET /v1/raft/log?from=1&limit=100");
  EXPECT_TRUE(log.body.contains(R"("events":[{"topic":"a","offset":0,"id":"x","duplicate":false}])")) << log.body;
  EXPECT_TRUE(log.body.contains(R"("command":"NOOP")")) << log.body;
  EXPECT_EQ(ask(broker, "GET /v1/raft/log?limit=0").status, 400U);
}

TEST(HttpServer, OperationsRoutesAnswer) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "GET /healthz").body, "ok\n");
  EXPECT_EQ(ask(broker, "GET /readyz").status, 200U);
  EXPECT_EQ(ask(broker, "GET /").header("location"), "/ui/");
  const Reply page = ask(broker, "GET /ui/");
  EXPECT_TRUE(page.body.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.header("content-security-policy").contains("script-src 'self'"));
  EXPECT_EQ(ask(broker, "GET /ui/script.js").header("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(ask(broker, "GET /ui/other").status, 404U);
  ask(broker, "POST /v1/events/a", "", "1");
  const Reply metrics = ask(broker, "GET /metrics");
  EXPECT_TRUE(metrics.body.contains("\nweir_events_stored_total 1\n")) << metrics.body;
  EXPECT_TRUE(metrics.body.contains("weir_http_requests_total{route=\"publish\",status=\"2xx\"} 1\n")) << metrics.body;
  EXPECT_TRUE(metrics.body.contains("weir_publish_seconds_count 1\n")) << metrics.body;
}

TEST(HttpServer, AFormingNodeSaysWhyItIsNotReady) {
  const TestBroker broker({}, Start::forming);
  const Reply ready = ask(broker, "GET /readyz");
  EXPECT_EQ(ready.status, 503U);
  EXPECT_TRUE(ready.body.contains("urn:weir:problem:forming")) << ready.body;
  EXPECT_EQ(ask(broker, "GET /healthz").status, 200U);
  EXPECT_EQ(ask(broker, "GET /v1/events/a").status, 503U);
  const Reply publish = ask(broker, "POST /v1/events/a?timeout=20ms", "", "1");
  EXPECT_EQ(publish.status, 503U) << publish.body;
  EXPECT_TRUE(publish.body.contains("\"safe_to_retry\":true")) << publish.body;
}

TEST(HttpServer, Fault65WhatMayStillBeStoredIsOutcomeUnknown) {
  TestBroker broker;
  broker.on_core([&] { broker.disk().hold(); });
  const Reply unknown = ask(broker, "POST /v1/events/a?id=x&timeout=50ms", "", "1");
  broker.on_core([&] { broker.disk().release(); });
  EXPECT_EQ(unknown.status, 504U) << unknown.body;
  EXPECT_TRUE(unknown.body.contains("urn:weir:problem:outcome-unknown")) << unknown.body;
  EXPECT_TRUE(unknown.body.contains("\"safe_to_retry\":true")) << unknown.body;
  EXPECT_EQ(ask(broker, "POST /v1/events/a?id=x", "", "1").status, 200U) << "it was stored, and only once";
}

TEST(HttpServer, RequestsOnOneConnectionAreAnsweredInOrder) {
  const TestBroker broker;
  TestClient client(broker.port());
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    requests += "POST /v1/events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1";
  }
  client.send(requests);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.reply().header("weir-offset"), std::to_string(i));
}

TEST(HttpServer, PagesOfAllowedOriginsMayReadTheHeaders) {
  const TestBroker broker;
  const std::string origin = "Origin: http://console.example\r\n";
  EXPECT_EQ(ask(broker, "OPTIONS /v1/events/a", origin).status, 204U);
  const Reply reply = ask(broker, "GET /v1/topics", origin);
  EXPECT_EQ(reply.header("access-control-allow-origin"), "http://console.example");
  EXPECT_TRUE(reply.header("access-control-expose-headers").contains("Weir-Cursor"));
  EXPECT_EQ(ask(broker, "GET /v1/topics", "Origin: http://evil.example\r\n").status, 403U);
}

TEST(HttpServer, DrainingSaysGoodbyeAndEnds) {
  TestBroker broker;
  TestClient idle(broker.port());
  EXPECT_EQ(idle.request("GET /healthz").status, 200U);
  TestClient stream(broker.port());
  stream.send("GET /v1/events/a?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  stream.read_until("caught-up");
  TestClient poll(broker.port());
  poll.send("GET /v1/events/a?wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n");
  broker.stop("n3:7400");
  EXPECT_TRUE(stream.read_until("0\r\n\r\n").contains(R"({"control":"goaway","to":"n3:7400","cursor":")"));
  EXPECT_TRUE(idle.closes());
  EXPECT_TRUE(poll.closes());
  EXPECT_THROW(TestClient(broker.port()), std::runtime_error);
}

}  // namespace
}  // namespace weir::broker::http
