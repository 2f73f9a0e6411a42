// `weir cluster add, promote, remove, transfer, drain, verify`, against a broker of a few lines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cli/cli.hpp"
#include "tests/clients/fake_broker.hpp"
#include "tests/clients/run_cli.hpp"

namespace weir::cli {
namespace {

using test::FakeAnswer;
using test::FakeBroker;
using test::FakeRequest;
using test::Ran;
using test::run_cli_at;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Ran cluster(const FakeBroker& broker, std::vector<std::string> words) {
  return run_cli_at(broker.endpoint(), "cluster", std::move(words));
}

std::string member(const std::string& name, const std::string& role, const client::Endpoint& http, int match) {
  return R"({"node":")" + name + R"(","role":")" + role + R"(","http":")" + http.text() + R"(","match_index":)" +
         std::to_string(match) + "}";
}

/// `node` answers; n1 and n2 are voters at `http`.
std::string view(const std::string& node, const std::string& leader, const client::Endpoint& http,
                 const std::string& more = "") {
  return R"({"node":")" + node + R"(","role":")" + (node == leader ? "leader" : "follower") +
         R"(","term":5,"last_index":200,"leader":")" + leader + R"(","members":[)" +
         member("n1", leader == "n1" ? "leader" : "follower", http, 200) + "," +
         member("n2", leader == "n2" ? "leader" : "follower", http, 200) + more + "]}";
}

FakeAnswer problem(unsigned status, const std::string& type, const std::string& detail) {
  return {.status = status,
          .body = R"({"type":"urn:weir:problem:)" + type + R"(","title":"No","status":)" + std::to_string(status) +
                  R"(,"detail":")" + detail + "\"}"};
}

TEST(ClusterVerify, NamesThoseThatAgree) {
  FakeBroker broker([](const FakeRequest&) {
    return FakeAnswer{.body = R"({"index":12,"position":90214,"digest":"5f3a000000000001",)"
                              R"("agree":["n1","n2","n3"],"differ":[],"unreachable":[]})"};
  });
  const auto ran = cluster(broker, {"verify"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "n1 n2 n3 agree at 90214: 5f3a000000000001\n");
  EXPECT_EQ(broker.requests().at(0).method, "POST");
  EXPECT_EQ(broker.requests().at(0).target, "/v1/cluster/verify?timeout=5s");
  EXPECT_THAT(cluster(broker, {"verify", "-o", "json"}).out, HasSubstr(R"("agree":["n1","n2","n3"])"));
}

TEST(ClusterVerify, NamesTheOddOneAndTheOneThatCouldNotBeAsked) {
  std::string differ = R"("n2")";
  FakeBroker broker([&](const FakeRequest&) {
    return FakeAnswer{.body = R"({"index":12,"position":7,"digest":"5f","agree":["n1"],"differ":[)" + differ +
                              R"(],"unreachable":["n3"]})"};
  });
  const auto odd = cluster(broker, {"verify"});
  EXPECT_EQ(odd.code, 1);
  EXPECT_EQ(odd.out, "n1 is at 7: 5f\nn2 differs\nn3 could not be asked\n");
  differ.clear();
  EXPECT_EQ(cluster(broker, {"verify"}).code, 0) << "those that answer agree";
}

TEST(ClusterVerify, GoesWhereItIsPointedTo) {
  FakeBroker leader([](const FakeRequest&) {
    return FakeAnswer{.body = R"({"index":1,"position":0,"digest":"5f","agree":["n1"],"differ":[],"unreachable":[]})"};
  });
  FakeBroker follower([&](const FakeRequest& request) {
    return FakeAnswer{.status = 307, .headers = {{"Location", "http://" + leader.endpoint().text() + request.target}}};
  });
  EXPECT_EQ(cluster(follower, {"verify"}).code, 0);
  EXPECT_THAT(leader.requests(), SizeIs(1));
  EXPECT_EQ(leader.requests().at(0).target, "/v1/cluster/verify?timeout=5s");
}

TEST(ClusterVerify, PointersThatGoRoundEnd) {
  FakeBroker broker([&](const FakeRequest& request) {
    return FakeAnswer{.status = 307, .headers = {{"Location", "http://" + broker.endpoint().text() + request.target}}};
  });
  const auto ran = cluster(broker, {"verify"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.err, HasSubstr("from member to member"));
  EXPECT_LT(broker.requests().size(), 30U);
}

TEST(ClusterAdd, WatchesTheLearnerUntilItVotes) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.body = "{}"}; });
  const auto at = [&](const std::string& role, int match) {
    return view("n1", "n1", broker.endpoint(), "," + member("n4", role, broker.endpoint(), match));
  };
  broker.set_cluster(at("learner", 166));
  std::jthread promotes([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && broker.requests().empty()) std::this_thread::yield();
    broker.set_cluster(at("follower", 200));
  });
  const auto ran = cluster(broker, {"add", "n4", "--raft", "h:1", "--http", "h:2"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "n4 is a voter; 3 members\n");
  EXPECT_THAT(ran.err, IsEmpty()) << "no progress but on a terminal";
  ASSERT_THAT(broker.requests(), SizeIs(1));
  EXPECT_EQ(broker.requests().at(0).target, "/v1/cluster/members");
  EXPECT_EQ(broker.requests().at(0).body, R"({"node":"n4","action":"add","raft":"h:1","http":"h:2"})");
  EXPECT_EQ(broker.requests().at(0).content_type, "application/json");
}

TEST(ClusterAdd, SaysHowFarALearnerIsThatDoesNotComeCloser) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.body = "{}"}; });
  broker.set_cluster(view("n1", "n1", broker.endpoint(), "," + member("n4", "learner", broker.endpoint(), 166)));
  const auto ran = cluster(broker, {"add", "n4", "--timeout", "0.3"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("still a learner, at 83 %"));
  EXPECT_EQ(cluster(broker, {"add", "n4", "--learner"}).out, "n4 is a learner\n");
}

TEST(ClusterAdd, RefusalsAreSaidAsTheyAre) {
  FakeBroker known([](const FakeRequest&) { return problem(409, "conflict", "'n4' is a member already"); });
  const auto refused = cluster(known, {"add", "n4"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("'n4' is a member already"));
  FakeBroker unheard([](const FakeRequest&) { return problem(503, "overloaded", "'n4' has not been heard"); });
  const auto late = cluster(unheard, {"add", "n4", "--timeout", "0.3"});
  EXPECT_EQ(late.code, 1) << "a broker was reached";
  EXPECT_THAT(late.err, HasSubstr("has not been heard"));
  EXPECT_GT(unheard.requests().size(), 1U) << "it may be starting";
  EXPECT_EQ(cluster(known, {"add"}).code, 2);
}

TEST(ClusterPromoteAndRemove, AskTheLeader) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.body = "{}"}; });
  EXPECT_EQ(cluster(broker, {"promote", "n4"}).out, "n4 is a voter\n");
  EXPECT_EQ(broker.requests().at(0).body, R"({"node":"n4","action":"promote"})");
  EXPECT_EQ(cluster(broker, {"remove", "n/4"}).out, "n/4 is removed\n");
  EXPECT_EQ(broker.requests().at(1).method, "DELETE");
  EXPECT_EQ(broker.requests().at(1).target, "/v1/cluster/members/n%2F4");
}

TEST(ClusterTransfer, WaitsUntilAnotherLeads) {
  FakeBroker broker([&](const FakeRequest&) {
    broker.set_cluster(view("n1", "n2", broker.endpoint()));
    return FakeAnswer{.status = 202, .body = "{}"};
  });
  broker.set_cluster(view("n1", "n1", broker.endpoint()));
  const auto ran = cluster(broker, {"transfer", "n2"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "n2 leads in term 5\n");
  EXPECT_EQ(broker.requests().at(0).body, R"({"to":"n2"})");
  EXPECT_EQ(cluster(broker, {"transfer", "n2"}).out, "n2 leads already\n");
}

TEST(ClusterTransfer, SaysWhenNobodyTookOver) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 202, .body = "{}"}; });
  broker.set_cluster(view("n1", "n1", broker.endpoint()));
  const auto ran = cluster(broker, {"transfer", "--timeout", "0.3"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("'n1' still leads"));
}

TEST(ClusterDrain, AsksTheMemberItself) {
  FakeBroker n2([](const FakeRequest&) { return FakeAnswer{.body = "{}"}; });
  FakeBroker n1([](const FakeRequest&) { return FakeAnswer{.status = 500}; });
  n1.set_cluster(R"({"node":"n1","role":"leader","term":5,"leader":"n1","members":[)" +
                 member("n1", "leader", n1.endpoint(), 1) + "," + member("n2", "follower", n2.endpoint(), 1) + "]}");
  const auto ran = cluster(n1, {"drain", "n2"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("n2 is drained"));
  EXPECT_THAT(n1.requests(), IsEmpty());
  EXPECT_EQ(n2.requests().at(0).method, "POST");
  EXPECT_EQ(n2.requests().at(0).target, "/v1/cluster/drain");
  EXPECT_EQ(cluster(n1, {"drain", "n2", "--end"}).out, "n2 is back in service\n");
  EXPECT_EQ(n2.requests().at(1).method, "DELETE");
  EXPECT_EQ(cluster(n1, {"drain", "n9"}).code, 1);
}

}  // namespace
}  // namespace weir::cli
