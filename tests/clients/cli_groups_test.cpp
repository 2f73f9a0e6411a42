// `weir group`, `weir sub --group`, and clients/cpp/groups.hpp, against a broker of a few lines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cli/cli.hpp"
#include "clients/cpp/groups.hpp"
#include "tests/clients/fake_broker.hpp"
#include "tests/clients/run_cli.hpp"

namespace weir::cli {
namespace {

using test::FakeAnswer;
using test::FakeBroker;
using test::FakeRequest;
using test::FakeSocket;
using test::Ran;
using test::run_cli;
using test::run_cli_at;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* kGroup =
    R"({"group":"g","patterns":["a/**","b"],"cursor":"e7.4","generation":3,"lag":5,)"
    R"("leases":[{"lease":"L2","from":"e7.4","to":"e7.6","expires":"2026-11-20T22:50:01.123Z"}]})"
    "\n";
constexpr const char* kEvent =
    R"({"topic":"a/x","offset":1,"position":5,"cursor":"e7.5","id":null,"time":"2026-11-20T22:50:01.123Z","data":1.0})";

Ran group(const FakeBroker& broker, std::vector<std::string> words) {
  return run_cli_at(broker.endpoint(), "group", std::move(words));
}

client::Client client_of(const FakeBroker& broker) {
  client::ClientOptions options;
  options.servers = {broker.endpoint()};
  return client::Client(std::move(options));
}

TEST(CliGroup, LsAndInfoShowWhereGroupsAre) {
  const FakeBroker broker([](const FakeRequest& request) {
    return FakeAnswer{.body = request.target == "/v1/groups" ? std::string(R"({"groups":[)") + kGroup + "]}" : kGroup};
  });
  EXPECT_THAT(group(broker, {"ls"}).out, ContainsRegex("g +e7.4 +5 +1 +a/\\*\\* b\n"));
  const Ran info = group(broker, {"info", "g"});
  EXPECT_THAT(info.out, ContainsRegex("L2 +e7.4 +e7.6 +2026-11-20T22:50:01.123Z\n"));
  EXPECT_EQ(group(broker, {"info", "g", "-o", "json"}).out, kGroup);
  EXPECT_EQ(broker.requests().back().target, "/v1/groups/g");
}

TEST(CliGroup, SeekAndRmSayWhatTheyDid) {
  const FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.body = kGroup}; });
  EXPECT_EQ(group(broker, {"seek", "g", "1h"}).out, "g goes on after e7.4; its leases are lost\n");
  EXPECT_EQ(broker.requests().back().method, "PUT");
  EXPECT_EQ(broker.requests().back().body, R"({"cursor":"1h"})");
  EXPECT_EQ(group(broker, {"rm", "g"}).out, "g removed; it had finished everything up to e7.4\n");
  EXPECT_EQ(broker.requests().back().method, "DELETE");
  EXPECT_EQ(group(broker, {"seek", "g"}).code, 2);
}

TEST(CliGroup, ARefusalIsSaid) {
  const FakeBroker broker([](const FakeRequest&) {
    return FakeAnswer{.status = 404,
                      .body = R"({"type":"urn:weir:problem:not-found","title":"No","status":404,"detail":"no group"})"};
  });
  const Ran ran = group(broker, {"info", "g"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("no group"));
}

TEST(CliSub, WithAGroupMakesItGoesOnThereAndCommitsWhatItPrinted) {
  std::string subscribed;
  const FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.body = kGroup}; },
                          [&subscribed](FakeSocket& socket) {
                            subscribed = socket.read();
                            socket.send(R"({"op":"subscribed","sid":1,"cursor":"e7.4","node":"n1"})");
                            socket.send(R"({"op":"event","sid":1,)" + std::string(kEvent).substr(1));
                            socket.read();
                          });
  const Ran ran = run_cli(
      {"sub", "a/**", "--group", "g", "--from", "latest", "--count", "1", "--server", broker.endpoint().text()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("a/x 1 "));
  EXPECT_THAT(subscribed, HasSubstr(R"("from":"group:g")"));
  ASSERT_THAT(broker.requests(), SizeIs(2));
  EXPECT_EQ(broker.requests()[0].method, "PUT");
  EXPECT_EQ(broker.requests()[0].body, R"({"patterns":["a/**"],"cursor":"latest"})");
  EXPECT_EQ(broker.requests()[1].target, "/v1/groups/g/commit");
  EXPECT_EQ(broker.requests()[1].body, R"({"cursor":"e7.5"})");
}

TEST(ClientGroups, AClaimShowsItsEventsByteForByte) {
  const FakeBroker broker([](const FakeRequest&) {
    return FakeAnswer{
        .body = std::string(R"({"group":"g","lease":"L7","generation":4,"expires":"t","gap":{"from":1,"to":2},)"
                            R"("events":[)") +
                kEvent + R"(],"cursor":"e7.5"})"};
  });
  auto client = client_of(broker);
  const auto claimed = client::claim(client, "g", {.topics = {"a/**", "b"}, .from = "earliest", .max = 2});
  ASSERT_TRUE(claimed) << claimed.error().text;
  ASSERT_TRUE(*claimed);
  EXPECT_EQ((*claimed)->lease, "L7");
  EXPECT_EQ((*claimed)->cursor, "e7.5");
  EXPECT_EQ((*claimed)->gap, R"({"from":1,"to":2})");
  ASSERT_THAT((*claimed)->events, SizeIs(1));
  EXPECT_EQ((*claimed)->events[0].data, "1.0");
  EXPECT_EQ(broker.requests()[0].target,
            "/v1/groups/g/claim?max=2&lease=30000ms&from=earliest&topic=a%2F%2A%2A&topic=b");
}

TEST(ClientGroups, AClaimWaitsInPiecesAndMayEndEmpty) {
  const FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 204}; });
  client::ClientOptions options;
  options.servers = {broker.endpoint()};
  options.answer_timeout = std::chrono::milliseconds(1'500);
  client::Client client(std::move(options));
  const auto claimed = client::claim(client, "g", {.wait = std::chrono::milliseconds(1'200)});
  ASSERT_TRUE(claimed) << claimed.error().text;
  EXPECT_FALSE(*claimed);
  ASSERT_THAT(broker.requests(), SizeIs(3));
  EXPECT_THAT(broker.requests()[0].target, HasSubstr("wait=500ms"));
  EXPECT_THAT(broker.requests()[2].target, HasSubstr("wait=200ms"));
}

TEST(ClientGroups, ALostAnswerToACommitIsAskedForAgain) {
  int asked = 0;
  const FakeBroker broker([&asked](const FakeRequest&) {
    return ++asked == 1 ? FakeAnswer{.then = FakeAnswer::Then::say_nothing_and_close} : FakeAnswer{.body = kGroup};
  });
  auto client = client_of(broker);
  const auto committed = client::commit_group(client, "g", "L7", "e7.5");
  ASSERT_TRUE(committed) << committed.error().text;
  ASSERT_THAT(broker.requests(), SizeIs(2));
  EXPECT_EQ(broker.requests()[1].body, R"({"cursor":"e7.5","lease":"L7"})");
}

TEST(ClientGroups, ABatchIsOneRequestAndAskedForAgainOnlyIfItIsKnownAgain) {
  int asked = 0;
  const FakeBroker broker([&asked](const FakeRequest&) {
    return ++asked % 2 == 1
               ? FakeAnswer{.then = FakeAnswer::Then::say_nothing_and_close}
               : FakeAnswer{.status = 201,
                            .body = R"({"results":[{"topic":"out","offset":3,"position":9,"cursor":"e7.9","id":null,)"
                                    R"("time":"t","duplicate":false}],"stored":1,"duplicates":0,"cursor":"e7.9"})"};
  });
  auto client = client_of(broker);
  client::Batch batch{.publish = {{"out", {.data = "1.0"}}},
                      .commit = client::Batch::Commit{.group = "g", .lease = "L7", .cursor = "e7.5"},
                      .expect = {{"out", 3}}};
  const auto unknown = client::publish_batch(client, batch);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, client::errc::outcome_unknown);
  EXPECT_THAT(broker.requests(), SizeIs(1));
  asked = 0;
  batch.key = "k";
  const auto stored = client::publish_batch(client, batch);
  ASSERT_TRUE(stored) << stored.error().text;
  EXPECT_EQ(stored->results.at(0).offset, 3U);
  EXPECT_EQ(broker.requests().back().body,
            R"({"publish":[{"topic":"out","content_type":"application/json","data":1.0}],)"
            R"("commit":{"group":"g","cursor":"e7.5","lease":"L7"},)"
            R"("expect":{"out":{"next":3}}})");
}

TEST(ClientGroups, Fault094AKeyThatWouldBreakItsHeaderIsNotSent) {
  const FakeBroker broker([](const FakeRequest&) { return FakeAnswer{}; });
  auto client = client_of(broker);
  for (const std::string key : {"a\r\nWeir-Key: b", "a\"b", "a\\b", "\xc3\xa9"}) {
    const auto answer = client::publish_batch(client, {.publish = {{"out", {.data = "1"}}}, .key = key});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, client::errc::bad_argument) << key;
  }
  EXPECT_THAT(broker.requests(), IsEmpty());
}

}  // namespace
}  // namespace weir::cli
