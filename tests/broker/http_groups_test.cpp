// /v1/groups: groups that are made, set, claimed from, committed and removed, over a real socket, against a real node
// that is alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "broker/http/group_request.hpp"
#include "tests/broker/http_fixture.hpp"

namespace weir::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HttpGroups : public ::testing::Test {
 protected:
  std::string publish(const std::string& topic, const std::string& data) {
    const Reply reply = ask(broker, "POST /v1/events/" + topic, kJson, data);
    EXPECT_EQ(reply.status, 201U) << reply.body;
    return member(reply.body, "cursor");
  }
  Reply claim(const std::string& query = "topic=t") { return ask(broker, "POST /v1/groups/g/claim?" + query); }
  Reply commit(const std::string& lease, const std::string& cursor) {
    const std::string with = lease.empty() ? "" : "&lease=" + lease;
    return ask(broker, "POST /v1/groups/g/commit?cursor=" + cursor + with);
  }
  std::string cursor_at(const std::string& position) {
    const std::string cursor = member(ask(broker, "GET /v1/groups/g").body, "cursor");
    return cursor.substr(0, cursor.find('.') + 1) + position;
  }
  TestBroker broker;
};

TEST_F(HttpGroups, HandOutCommitAndGoOn) {
  publish("t", "0");
  publish("other", "1");
  const std::string second = publish("t", "2");
  publish("t", "3");
  const Reply first = claim("topic=t&max=2&lease=30s");
  EXPECT_EQ(first.status, 200U) << first.body;
  EXPECT_EQ(member(first.body, "lease"), "L1");
  EXPECT_EQ(member(first.body, "generation"), "2");
  EXPECT_THAT(first.body, HasSubstr(R"("topic":"t","offset":0)"));
  EXPECT_THAT(first.body, HasSubstr(R"("topic":"t","offset":1)"));
  EXPECT_THAT(first.body, Not(HasSubstr("other")));
  EXPECT_THAT(first.body, HasSubstr(R"("cursor":")" + second + "\"}\n")) << "that is to be committed";

  const Reply next = claim("max=2");
  EXPECT_EQ(member(next.body, "lease"), "L2");
  EXPECT_THAT(next.body, HasSubstr(R"("offset":2)"));
  EXPECT_EQ(claim("max=2").status, 204U) << "all is handed out";

  const Reply shown = ask(broker, "GET /v1/groups/g");
  EXPECT_THAT(shown.body, HasSubstr(R"("patterns":["t"])"));
  EXPECT_THAT(shown.body, HasSubstr(R"("lag":3)"));
  EXPECT_THAT(shown.body, HasSubstr(R"({"lease":"L1","from":)"));

  const Reply done = commit("L1", second);
  EXPECT_EQ(done.status, 200U) << done.body;
  EXPECT_EQ(member(done.body, "committed"), second);
  EXPECT_EQ(member(done.body, "cursor"), second);
  EXPECT_EQ(commit("L1", second).status, 200U) << "the same commit again succeeds";
  EXPECT_THAT(ask(broker, "GET /v1/groups").body, HasSubstr(R"("lag":1,)"));
}

TEST_F(HttpGroups, AClaimWaitsForAnEvent) {
  publish("t", "0");
  ASSERT_EQ(member(claim().body, "lease"), "L1");
  TestClient waiting(broker.port());
  ASSERT_TRUE(waiting.send("POST /v1/groups/g/claim?wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  publish("other", "1");
  publish("t", "2");
  const Reply reply = waiting.reply();
  EXPECT_EQ(reply.status, 200U);
  EXPECT_THAT(reply.body, HasSubstr(R"("offset":1)"));
}

TEST_F(HttpGroups, WhatALeaseHeldGoesToAnotherWhenItRunsOut) {
  const std::string cursor = publish("t", "0");
  ASSERT_EQ(member(claim("topic=t&lease=100ms").body, "lease"), "L1");
  const Reply taken = claim("lease=30s&wait=20s");
  EXPECT_EQ(member(taken.body, "lease"), "L2") << taken.body;
  EXPECT_THAT(taken.body, HasSubstr(R"("offset":0)"));
  const Reply late = commit("L1", cursor);
  EXPECT_EQ(late.status, 409U);
  EXPECT_THAT(late.body, HasSubstr("urn:weir:problem:lease-lost"));
  EXPECT_EQ(commit("L2", cursor).status, 200U);
}

TEST_F(HttpGroups, WithoutALeaseOnlyWhileNobodyHoldsOne) {
  const std::string cursor = publish("t", "0");
  ASSERT_EQ(ask(broker, "PUT /v1/groups/g", kJson, R"({"pattern":"t"})").status, 201U);
  ASSERT_EQ(claim().status, 200U);
  const Reply refused = commit("", cursor);
  EXPECT_EQ(refused.status, 409U);
  EXPECT_THAT(refused.body, HasSubstr("urn:weir:problem:conflict"));
  EXPECT_EQ(ask(broker, "PUT /v1/groups/g", kJson, R"({"cursor":"earliest"})").status, 200U);
  EXPECT_EQ(commit("", cursor).status, 200U) << "set elsewhere, its leases are lost";
}

TEST_F(HttpGroups, ArePutOnceSetAndRemoved) {
  const std::string end = publish("t", "0");
  const std::string new_only = "Content-Type: application/json\r\nIf-None-Match: *\r\n";
  EXPECT_EQ(ask(broker, "PUT /v1/groups/g", new_only, R"({"patterns":["t","u/**"]})").status, 201U);
  EXPECT_EQ(ask(broker, "PUT /v1/groups/g", new_only, R"({"patterns":["t","u/**"]})").status, 200U);
  EXPECT_EQ(ask(broker, "PUT /v1/groups/g", new_only, R"({"pattern":"t"})").status, 409U);
  const Reply set = ask(broker, "PUT /v1/groups/g", kJson, R"({"cursor":"latest"})");
  EXPECT_EQ(set.status, 200U);
  EXPECT_EQ(member(set.body, "cursor"), end);
  EXPECT_EQ(member(ask(broker, "PUT /v1/groups/g", kJson, R"({"cursor":"1h"})").body, "cursor"), cursor_at("0"));
  EXPECT_EQ(ask(broker, "DELETE /v1/groups/g").status, 200U);
  EXPECT_EQ(ask(broker, "DELETE /v1/groups/g").status, 404U);
  EXPECT_EQ(ask(broker, "GET /v1/groups/g").status, 404U);
  EXPECT_EQ(ask(broker, "GET /v1/groups").body, "{\"groups\":[]}\n");
}

TEST_F(HttpGroups, ThatDoNotExistAreNotMadeByAccident) {
  publish("t", "0");
  EXPECT_EQ(claim("max=1").status, 404U);
  EXPECT_EQ(commit("L1", "e7.1").status, 410U);
  EXPECT_EQ(ask(broker, "PUT /v1/groups/g", kJson, R"({"cursor":"earliest"})").status, 404U);
  EXPECT_EQ(claim("topic=t&from=latest").status, 204U);
  EXPECT_EQ(claim("topic=t&from=earliest").status, 204U) << "from= is for the claim that makes the group";
  EXPECT_EQ(claim("topic=u").status, 409U);
  EXPECT_EQ(commit("L9", cursor_at("1")).status, 409U);
}

TEST_F(HttpGroups, CursorsOfAnotherLifeAreGone) {
  publish("t", "0");
  ASSERT_EQ(claim().status, 200U);
  for (const Reply& reply :
       {commit("L1", "eaaaaaaaa.1"), ask(broker, "POST /v1/groups/h/claim?topic=t&from=after:e7.1"),
        ask(broker, "PUT /v1/groups/g", kJson, R"({"cursor":"e7.1"})"),
        ask(broker, "POST /v1/batch", kJson, R"({"commit":{"group":"g","cursor":"e7.1"}})")}) {
    EXPECT_EQ(reply.status, 410U) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr("urn:weir:problem:epoch-changed"));
    EXPECT_THAT(reply.body, HasSubstr(R"("earliest":)"));
  }
}

TEST(HttpGroupsEarly, ANodeThatIsInNoClusterDoesNotCallACursorGone) {
  const TestBroker broker({}, Start::forming);
  const Reply commit = ask(broker, "POST /v1/groups/g/commit?lease=L1&cursor=e7.1");
  EXPECT_EQ(commit.status, 503U) << commit.body;
  const Reply batch = ask(broker, "POST /v1/batch", kJson, R"({"commit":{"group":"g","lease":"L1","cursor":"e7.1"}})");
  EXPECT_EQ(batch.status, 503U) << batch.body;
}

TEST_F(HttpGroups, ReadersGoOnWhereAGroupIs) {
  publish("t", "0");
  const std::string second = publish("t", "1");
  publish("t", "2");
  EXPECT_EQ(ask(broker, "GET /v1/events/t?from=group:g").status, 404U);
  ASSERT_EQ(ask(broker, "PUT /v1/groups/g", kJson, R"({"pattern":"t"})").status, 201U);
  EXPECT_THAT(ask(broker, "GET /v1/events/t?from=group:g&limit=1").body, HasSubstr(R"("offset":0)"));
  ASSERT_EQ(commit("", second).status, 200U);
  EXPECT_THAT(ask(broker, "GET /v1/events/t?from=group:g").body, HasSubstr(R"({"topic":"t","offset":2)"));
  TestWebSocket socket(broker.port());
  socket.send_text(R"({"op":"sub","sid":1,"topic":"t","from":"group:g"})");
  EXPECT_THAT(socket.next_text(), HasSubstr(R"("op":"subscribed","sid":1,"cursor":")" + second));
  EXPECT_THAT(socket.next_text(), HasSubstr(R"("offset":2)"));
}

TEST_F(HttpGroups, WebSocketsCommitToo) {
  const std::string cursor = publish("t", "0");
  ASSERT_EQ(claim().status, 200U);
  TestWebSocket socket(broker.port());
  socket.send_text(R"({"op":"commit","rid":1,"group":"g","lease":"L1","cursor":")" + cursor + "\"}");
  EXPECT_EQ(socket.next_text(), R"({"op":"ack","rid":1,"committed":")" + cursor + R"(","cursor":")" + cursor + "\"}");
  socket.send_text(R"({"op":"commit","rid":2,"group":"g","lease":"L2","cursor":")" + cursor + "\"}");
  EXPECT_THAT(socket.next_text(), HasSubstr("urn:weir:problem:lease-lost"));
  for (const auto* wrong :
       {R"({"op":"commit","rid":3,"group":"g"})", R"({"op":"commit","rid":3,"group":7,"cursor":"e7.1"})",
        R"({"op":"commit","rid":3,"group":"a/b","cursor":"e7.1"})",
        R"({"op":"commit","rid":3,"group":"g","cursor":"e7.1","x":1})"}) {
    socket.send_text(wrong);
    EXPECT_THAT(socket.next_text(), HasSubstr(R"("op":"error","rid":3)")) << wrong;
  }
}

TEST_F(HttpGroups, WhatHasNoPlaceIsRefusedByName) {
  publish("t", "0");
  for (const auto* line :
       {"POST /v1/groups/g/claim?topic=t&max=0", "POST /v1/groups/g/claim?topic=t&max=1001",
        "POST /v1/groups/g/claim?topic=t&lease=30", "POST /v1/groups/g/claim?topic=t&lease=10ms",
        "POST /v1/groups/g/claim?topic=t&lease=13h", "POST /v1/groups/g/claim?topic=t&wait=1",
        "POST /v1/groups/g/claim?topic=t/", "POST /v1/groups/g/claim?topic=t&topic=t",
        "POST /v1/groups/g/claim?topic=t&from=-1", "POST /v1/groups/g/claim?topic=t&from=5",
        "POST /v1/groups/g/claim?topic=t&x=1", "POST /v1/groups/a%2Fb/claim?topic=t",
        "POST /v1/groups/../claim?topic=t", "POST /v1/groups/g/commit", "POST /v1/groups/g/commit?cursor=7",
        "POST /v1/groups/g/commit?cursor=e7.1&lease=7", "GET /v1/groups/a/b", "GET /v1/groups/g?x=1"}) {
    const Reply reply = ask(broker, line);
    EXPECT_TRUE(reply.status == 400 || reply.status == 410) << line << ": " << reply.status << reply.body;
  }
  for (const auto* body :
       {"", "{}", "[]", R"({"pattern":7})", R"({"patterns":"t"})", R"({"patterns":[7]})", R"({"pattern":"t","x":1})",
        R"({"cursor":7})", R"({"cursor":"-1"})", R"({"pattern":"a/**/b"})"}) {
    EXPECT_EQ(ask(broker, "PUT /v1/groups/g", kJson, body).status, 400U) << body;
  }
  EXPECT_EQ(ask(broker, "POST /v1/groups/g").status, 405U);
  EXPECT_EQ(ask(broker, "GET /v1/groups/g/claim").status, 405U);
  EXPECT_EQ(ask(broker, "GET /v1/groups").body, "{\"groups\":[]}\n") << "nothing came of it";
}

TEST_F(HttpGroups, ManyWorkersGetEachEventOnce) {
  constexpr int kEvents = 60;
  constexpr int kWorkers = 6;
  for (int i = 0; i < kEvents; ++i) publish("t", std::to_string(i));
  ASSERT_EQ(ask(broker, "PUT /v1/groups/g", kJson, R"({"pattern":"t"})").status, 201U);
  std::vector<std::unique_ptr<TestClient>> workers;
  for (int i = 0; i < kWorkers; ++i) workers.push_back(std::make_unique<TestClient>(broker.port()));
  std::multiset<std::string> seen;
  for (int round = 0; round < kEvents / kWorkers / 2; ++round) {
    for (const auto& worker : workers) {
      ASSERT_TRUE(worker->send("POST /v1/groups/g/claim?max=2&wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    for (const auto& worker : workers) {
      const Reply reply = worker->reply();
      ASSERT_EQ(reply.status, 200U) << reply.body;
      const std::regex offset(R"re("offset":([0-9]+))re");
      for (std::sregex_iterator found(reply.body.begin(), reply.body.end(), offset), end; found != end; ++found) {
        seen.insert((*found)[1]);
      }
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kEvents));
  EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), seen.size()) << "none to two of them";
}

}  // namespace
}  // namespace weir::broker::http
