// POST /v1/batch: events of several topics, a commit and expectations, together or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/broker/http_fixture.hpp"

namespace weir::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HttpBatch : public ::testing::Test {
 protected:
  Reply batch(const std::string& body, const std::string& key = {}) {
    const std::string headers =
        key.empty() ? std::string(kJson) : std::string(kJson) + "Idempotency-Key: \"" + key + "\"\r\n";
    return ask(broker, "POST /v1/batch", headers, body);
  }
  /// One event in topic "t", held by lease L1 of group "g"; its cursor.
  std::string claimed() {
    EXPECT_EQ(ask(broker, "POST /v1/events/t", kJson, "1").status, 201U);
    const Reply claim = ask(broker, "POST /v1/groups/g/claim?topic=t");
    EXPECT_EQ(claim.status, 200U) << claim.body;
    return member(claim.body.substr(claim.body.rfind("\"cursor\"")), "cursor");
  }
  static std::string commit(const std::string& cursor, const std::string& lease = "L1") {
    return R"("commit":{"group":"g","lease":")" + lease + R"(","cursor":")" + cursor + "\"}";
  }
  std::string group() { return ask(broker, "GET /v1/groups/g").body; }
  TestBroker broker;
};

TEST_F(HttpBatch, StoresAndCommitsInOneEntry) {
  const std::string cursor = claimed();
  const Reply reply =
      batch(R"({"publish":[{"topic":"invoices","id":"inv-1","key":"k","headers":{"a":"b"},"data":{"n":1}},)"
            R"({"topic":"audit/log","data_base64":"AAE="}],)" +
            commit(cursor) + R"(,"expect":{"invoices":{"next":0}}})");
  EXPECT_EQ(reply.status, 201U) << reply.body;
  EXPECT_EQ(reply.header("Weir-Durability"), "quorum-disk");
  EXPECT_THAT(reply.body, HasSubstr(R"({"results":[{"topic":"invoices","offset":0,"position":2,)"));
  EXPECT_THAT(reply.body, HasSubstr(R"({"topic":"audit/log","offset":0,"position":3,)"));
  EXPECT_THAT(reply.body, HasSubstr(R"("stored":2,"duplicates":0)"));
  EXPECT_EQ(member(reply.body, "committed"), cursor);
  EXPECT_EQ(member(group(), "cursor"), cursor);
  EXPECT_THAT(ask(broker, "GET /v1/events/invoices").body,
              HasSubstr(R"("key":"k","headers":{"a":"b"},"data":{"n":1})"));
  EXPECT_THAT(ask(broker, "GET /v1/raft/log").body, HasSubstr("BATCH"));
}

TEST_F(HttpBatch, Fault061RepeatedByItsKeyGetsTheSameAnswerAndAnotherUnderItIsRefused) {
  const std::string cursor = claimed();
  const std::string body =
      R"({"publish":[{"topic":"out","data":1}],)" + commit(cursor) + R"(,"expect":{"out":{"next":0}}})";
  const Reply first = batch(body, "k-1");
  EXPECT_EQ(first.status, 201U) << first.body;
  const Reply again = batch(body, "k-1");
  EXPECT_EQ(again.status, 200U) << again.body;
  for (const auto* name : {"offset", "position", "time", "committed"}) {
    EXPECT_EQ(member(again.body, name), member(first.body, name)) << name;
  }
  const Reply other = batch(R"({"publish":[{"topic":"out","data":2}]})", "k-1");
  EXPECT_EQ(other.status, 422U);
  EXPECT_THAT(other.body, HasSubstr("urn:weir:problem:id-reuse"));
  EXPECT_THAT(other.body, Not(HasSubstr("publish[")));
}

TEST_F(HttpBatch, IsRefusedWhole) {
  const std::string cursor = claimed();
  const std::string events = R"("publish":[{"topic":"out","id":"a","data":1},{"topic":"out","id":"b","data":2}])";
  const Reply expected = batch("{" + events + "," + commit(cursor) + R"(,"expect":{"out":{"next":3}}})");
  EXPECT_EQ(expected.status, 412U);
  EXPECT_EQ(member(expected.body, "next"), "0");
  const Reply lost = batch("{" + events + "," + commit(cursor, "L9") + "}");
  EXPECT_EQ(lost.status, 409U);
  EXPECT_THAT(lost.body, HasSubstr("urn:weir:problem:lease-lost"));
  ASSERT_EQ(ask(broker, "POST /v1/events/out?id=b", kJson, "7").status, 201U);
  const Reply reused = batch("{" + events + "," + commit(cursor) + "}");
  EXPECT_EQ(reused.status, 422U);
  EXPECT_THAT(reused.body, HasSubstr("publish[1]: "));
  EXPECT_EQ(member(reused.body, "event"), "1");
  EXPECT_THAT(ask(broker, "GET /v1/events/out").body, Not(HasSubstr(R"("id":"a")")));
  EXPECT_THAT(group(), HasSubstr(R"("lease":"L1")"));
}

TEST_F(HttpBatch, WithoutEventsIsACommit) {
  const std::string cursor = claimed();
  const Reply reply = batch("{" + commit(cursor) + "}");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, R"({"results":[],"stored":0,"duplicates":0,"committed":")" + cursor + "\"}\n");
  EXPECT_EQ(batch(R"({"publish":[],)" + commit(cursor) + "}").status, 200U) << "the same commit again succeeds";
}

TEST_F(HttpBatch, CommitsForSeveralGroups) {
  const std::string cursor = claimed();
  ASSERT_EQ(ask(broker, "PUT /v1/groups/h", kJson, R"({"pattern":"**"})").status, 201U);
  const Reply reply = batch(R"({"publish":[{"topic":"out","data":1}],"commit":[{"group":"g","lease":"L1","cursor":")" +
                            cursor + R"("},{"group":"h","cursor":")" + cursor + "\"}]}");
  EXPECT_EQ(reply.status, 201U) << reply.body;
  EXPECT_THAT(reply.body, HasSubstr(R"("committed":[")" + cursor + "\",\"" + cursor + "\"]"));
  EXPECT_THAT(ask(broker, "GET /v1/groups/h").body, HasSubstr(cursor));
}

TEST_F(HttpBatch, WhatHasNoPlaceIsRefusedByName) {
  const auto refused = [this](const std::string& body) {
    const Reply reply = batch(body);
    EXPECT_EQ(reply.status, 400U) << body << reply.body;
    return reply.body;
  };
  EXPECT_THAT(refused("{}"), HasSubstr("'publish'"));
  EXPECT_THAT(refused("[]"), HasSubstr("JSON object"));
  EXPECT_THAT(refused(R"({"x":1})"), HasSubstr("'x'"));
  EXPECT_THAT(refused(R"({"publish":{}})"), HasSubstr("array"));
  EXPECT_THAT(refused(R"({"publish":[{"topic":"a","data":1},{"data":1}]})"), HasSubstr("publish[1]"));
  EXPECT_THAT(refused(R"({"publish":[{"topic":"a"}]})"), HasSubstr("'data'"));
  EXPECT_THAT(refused(R"({"publish":[{"topic":"$sys/a","data":1}]})"), HasSubstr("publish[0]"));
  EXPECT_THAT(refused(R"({"publish":[{"topic":"a","data":1}],"commit":7})"), HasSubstr("'commit'"));
  EXPECT_THAT(refused(R"({"publish":[{"topic":"a","data":1}],"commit":{"group":"g"}})"), HasSubstr("cursor"));
  EXPECT_THAT(refused(R"({"publish":[{"topic":"a","data":1}],"commit":{"group":"g","cursor":"x"}})"),
              HasSubstr("cursor"));
  EXPECT_THAT(refused(R"({"publish":[{"topic":"a","data":1}],"expect":{"a":1}})"), HasSubstr("'expect'"));
  EXPECT_THAT(refused(R"({"expect":{"a":{"next":1}}})"), HasSubstr("expectations go with events"));
  EXPECT_EQ(batch("{}", std::string(257, 'k')).status, 400U);
  EXPECT_EQ(ask(broker, "GET /v1/batch").status, 405U);
  EXPECT_EQ(ask(broker, "GET /v1/topics").body, "{\"topics\":[]}\n") << "nothing came of it";
}

TEST_F(HttpBatch, Fault074APayloadOfTheMaximumAndOneMore) {
  const std::string max(std::size_t{1} << 20U, 'x');
  EXPECT_EQ(batch(R"({"publish":[{"topic":"a","content_type":"text/plain","data":")" + max + "\"}]}").status, 201U);
  EXPECT_EQ(batch(R"({"publish":[{"topic":"a","content_type":"text/plain","data":")" + max + "x\"}]}").status, 400U);
}

TEST_F(HttpBatch, OverAWebSocketIsTheSame) {
  const std::string cursor = claimed();
  TestWebSocket socket(broker.port());
  socket.send_text(R"({"op":"batch","rid":10,"publish":[{"topic":"out","data":1}],"idempotency_key":"k",)" +
                   commit(cursor) + "}");
  const std::string first = socket.next_text();
  EXPECT_THAT(first, HasSubstr(R"({"op":"ack","rid":10,"results":[{"topic":"out","offset":0)"));
  EXPECT_EQ(member(first, "committed"), cursor);
  socket.send_text(R"({"op":"batch","rid":11,"publish":[{"topic":"out","data":1}],"idempotency_key":"k",)" +
                   commit(cursor) + "}");
  EXPECT_THAT(socket.next_text(), HasSubstr(R"("duplicate":true)"));
  socket.send_text(R"({"op":"batch","rid":12,)" + commit(cursor) + "}");
  EXPECT_THAT(socket.next_text(), HasSubstr(R"({"op":"ack","rid":12,"results":[])"));
  socket.send_text(R"({"op":"batch","rid":13,"publish":[{"topic":"out","data":1}],)" + commit(cursor, "L9") + "}");
  EXPECT_THAT(socket.next_text(), HasSubstr("urn:weir:problem:lease-lost"));
  socket.send_text(R"({"op":"batch","rid":14,"publish":[{}]})");
  EXPECT_THAT(socket.next_text(), HasSubstr("publish[0]"));
}

}  // namespace
}  // namespace weir::broker::http
