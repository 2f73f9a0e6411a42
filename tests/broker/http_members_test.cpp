// /v1/cluster/members and /v1/cluster/transfer, over a real socket, against a real node that is alone.
#include <gtest/gtest.h>

#include <string>

#include "tests/broker/http_fixture.hpp"

namespace weir::broker::http {
namespace {

/// An empty node that was started to join, and waits.
wire::Hello newcomer(const std::string& name) {
  wire::Hello hello;
  hello.node = name;
  hello.incarnation = 4;
  hello.boot_nonce = 1;
  hello.members = {"n1", name};
  hello.raft_address = "127.0.0.1:1";
  hello.http_address = "127.0.0.1:2";
  return hello;
}

TEST(HttpMembers, ANodeThatWaitsIsAddedAsALearnerAndRemoved) {
  TestBroker broker;
  const std::string body = R"({"node":"n4"})";
  const Reply early = ask(broker, "POST /v1/cluster/members", kJson, body);
  EXPECT_EQ(early.status, 503U) << early.body << ": it may be starting";
  EXPECT_TRUE(early.body.contains("--peers")) << early.body;
  broker.on_core([&] { broker.node().peer_up(newcomer("n4")); });
  const Reply added = ask(broker, "POST /v1/cluster/members", kJson, body);
  EXPECT_EQ(added.status, 200U) << added.body;
  EXPECT_TRUE(added.body.contains(R"({"node":"n4","role":"learner")")) << added.body;
  EXPECT_EQ(ask(broker, "POST /v1/cluster/members", kJson, body).status, 409U) << "twice";
  const Reply promoted = ask(broker, "POST /v1/cluster/members", kJson, R"({"node":"n4","action":"promote"})");
  EXPECT_EQ(promoted.status, 503U) << promoted.body;
  EXPECT_TRUE(promoted.body.contains("not caught up")) << promoted.body;
  const Reply removed = ask(broker, "DELETE /v1/cluster/members/n4");
  EXPECT_EQ(removed.status, 200U) << removed.body;
  EXPECT_FALSE(removed.body.contains("\"n4\"")) << removed.body;
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "", "1").status, 201U) << "and goes on";
}

TEST(HttpMembers, ANodeThatIsNotWhereItIsExpectedIsNotAdded) {
  TestBroker broker;
  broker.on_core([&] { broker.node().peer_up(newcomer("n4")); });
  const Reply other = ask(broker, "POST /v1/cluster/members", kJson, R"({"node":"n4","raft":"127.0.0.1:9"})");
  EXPECT_EQ(other.status, 409U) << other.body;
  EXPECT_TRUE(other.body.contains("says it is reached at 127.0.0.1:1, not at 127.0.0.1:9")) << other.body;
  const Reply same =
      ask(broker, "POST /v1/cluster/members", kJson, R"({"node":"n4","raft":"127.0.0.1:1","http":"127.0.0.1:2"})");
  EXPECT_EQ(same.status, 200U) << same.body;
}

TEST(HttpMembers, VerifyComparesNow) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "", "1").status, 201U);
  const Reply reply = ask(broker, "POST /v1/cluster/verify?timeout=5s");
  EXPECT_EQ(reply.status, 200U) << reply.body;
  EXPECT_TRUE(reply.body.contains(R"("position":1,"digest":")")) << reply.body;
  EXPECT_TRUE(reply.body.contains(R"("agree":["n1"],"differ":[],"unreachable":[])")) << reply.body;
  const Reply again = ask(broker, "POST /v1/cluster/verify");
  EXPECT_EQ(again.body, reply.body) << "asking changes nothing";
  EXPECT_EQ(ask(broker, "POST /v1/cluster/verify?timeout=soon").status, 400U);
  EXPECT_EQ(ask(broker, "GET /v1/cluster/verify").status, 405U);
  const Reply metrics = ask(broker, "GET /metrics");
  EXPECT_TRUE(metrics.body.contains("weir_digest_dispute 0\n")) << metrics.body;
}

TEST(HttpMembers, AMemberGoesOutOfServiceAndComesBack) {
  TestBroker broker;
  EXPECT_EQ(ask(broker, "POST /v1/cluster/drain").status, 409U) << "the only voter";
  EXPECT_EQ(ask(broker, "DELETE /v1/cluster/drain").status, 200U) << "it is in service";
  EXPECT_EQ(ask(broker, "POST /v1/cluster/drain?node=n1").status, 400U);
  EXPECT_EQ(ask(broker, "GET /readyz").status, 200U);
  EXPECT_EQ(ask(broker, "GET /v1/cluster/drain").header("allow"), "POST, DELETE");
}

TEST(HttpMembers, TheLastVoterStays) {
  const TestBroker broker;
  const Reply reply = ask(broker, "DELETE /v1/cluster/members/n1");
  EXPECT_EQ(reply.status, 409U) << reply.body;
  EXPECT_TRUE(reply.body.contains("last voter")) << reply.body;
}

TEST(HttpMembers, WhatIsNotThereOrNotUnderstoodIsRefused) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "DELETE /v1/cluster/members/n9").status, 404U);
  EXPECT_EQ(ask(broker, "POST /v1/cluster/members", kJson, R"({"node":"n9","action":"promote"})").status, 404U);
  for (const char* body : {"", "{}", "[]", "n4", R"({"node":4})", R"({"node":"n4","action":"dance"})",
                           R"({"node":"n4","more":"x"})", R"({"node":"n4")"}) {
    EXPECT_EQ(ask(broker, "POST /v1/cluster/members", kJson, body).status, 400U) << body;
  }
  const Reply wrong = ask(broker, "GET /v1/cluster/members/n1");
  EXPECT_EQ(wrong.status, 405U);
  EXPECT_EQ(wrong.header("allow"), "DELETE");
}

TEST(HttpMembers, LeadershipIsHandedToVotersOnly) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "POST /v1/cluster/transfer", kJson, R"({"to":"n9"})").status, 404U);
  EXPECT_EQ(ask(broker, "POST /v1/cluster/transfer", kJson, R"({"too":"n9"})").status, 400U);
  EXPECT_EQ(ask(broker, "POST /v1/cluster/transfer").status, 202U) << "nobody to hand over to: it stays";
  EXPECT_EQ(ask(broker, "POST /v1/events/a", "", "1").status, 201U);
}

TEST(HttpMembers, ANodeWithoutALeaderSaysSo) {
  const TestBroker broker({}, Start::forming);
  const Reply reply = ask(broker, "POST /v1/cluster/members", kJson, R"({"node":"n4"})");
  EXPECT_EQ(reply.status, 503U) << reply.body;
  EXPECT_TRUE(reply.body.contains("no-leader")) << reply.body;
}

}  // namespace
}  // namespace weir::broker::http
