// `weir topic create, info, set, rm`, and clients/cpp/topics.hpp, against a broker of a few lines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cli/cli.hpp"
#include "clients/cpp/topics.hpp"
#include "tests/clients/fake_broker.hpp"
#include "tests/clients/run_cli.hpp"

namespace weir::cli {
namespace {

using test::FakeAnswer;
using test::FakeBroker;
using test::FakeRequest;
using test::Ran;
using test::run_cli_at;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kTopic =
    R"({"topic":"a/b","first_offset":2,"next_offset":5,"events":3,"last_time":null,"bytes":17,)"
    R"("settings":{"retention":{"age":"7d","bytes":null,"count":"off"},"dedup":null},)"
    R"("in_force":{"retention":{"age":"7d","bytes":1073741824,"count":"off"},"dedup":"retained"}})"
    "\n";

Ran topic(const FakeBroker& broker, std::vector<std::string> words) {
  return run_cli_at(broker.endpoint(), "topic", std::move(words));
}

FakeAnswer good(const FakeRequest&) {
  return {.body = kTopic};
}

TEST(CliTopic, CreateSendsWhatIsNamedAndShowsWhatHolds) {
  const FakeBroker broker(good);
  const Ran ran = topic(broker, {"create", "a/b", "--retention-age", "7d", "--retention-count", "off"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  ASSERT_THAT(broker.requests(), SizeIs(1));
  EXPECT_EQ(broker.requests()[0].method, "PUT");
  EXPECT_EQ(broker.requests()[0].target, "/v1/topics/a/b");
  EXPECT_EQ(broker.requests()[0].body, R"({"retention":{"age":"7d","count":"off"}})");
  EXPECT_THAT(ran.out, ContainsRegex("a/b +2 +5 +3 +17 +-\n"));
  EXPECT_THAT(ran.out, ContainsRegex("retention.age +7d +topic\n"));
  EXPECT_THAT(ran.out, ContainsRegex("retention.bytes +1073741824 +broker\n"));
  EXPECT_THAT(ran.out, ContainsRegex("retention.count +off +topic\n"));
  EXPECT_THAT(ran.out, ContainsRegex("dedup +retained +broker\n"));
}

TEST(CliTopic, SetChangesWhatIsNamedAndDefaultUnsetsIt) {
  const FakeBroker broker(good);
  const Ran ran = topic(broker, {"set", "a/b", "--retention-bytes", "default", "--dedup", "12h", "-o", "json"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, kTopic);
  ASSERT_THAT(broker.requests(), SizeIs(1));
  EXPECT_EQ(broker.requests()[0].method, "PATCH");
  EXPECT_EQ(broker.requests()[0].body, R"({"retention":{"bytes":null},"dedup":"12h"})");
  EXPECT_EQ(topic(broker, {"set", "a/b"}).code, 2);
  EXPECT_THAT(broker.requests(), SizeIs(1)) << "nothing was named, nothing was asked";
}

TEST(CliTopic, InfoShowsAndRmSaysWhereItWouldGoOn) {
  const FakeBroker broker([](const FakeRequest& request) {
    return request.method == "DELETE" ? FakeAnswer{.body = R"({"topic":"a/b","removed":true,"next_offset":5})"}
                                      : FakeAnswer{.body = kTopic};
  });
  EXPECT_THAT(topic(broker, {"info", "a/b"}).out, HasSubstr("retention.age"));
  EXPECT_EQ(topic(broker, {"rm", "a/b"}).out, "a/b removed; should it come back, its next offset is 5\n");
}

TEST(CliTopic, ARefusalIsSaidAndIsNoTableOfNothing) {
  const FakeBroker broker([](const FakeRequest&) {
    return FakeAnswer{
        .status = 409,
        .body = R"({"type":"urn:weir:problem:conflict","title":"No","status":409,"detail":"it differs"})"};
  });
  const Ran ran = topic(broker, {"create", "a"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("it differs"));
}

TEST(ClientTopics, ALostAnswerToAChangeIsUnknownAndNotAskedAgain) {
  const FakeBroker broker(
      [](const FakeRequest&) { return FakeAnswer{.then = FakeAnswer::Then::say_nothing_and_close}; });
  client::ClientOptions options;
  options.servers = {broker.endpoint()};
  client::Client client(options);
  const auto changed = client::put_topic(client, "t", {.age = "7d", .bytes = {}, .count = {}, .dedup = {}});
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, client::errc::outcome_unknown);
  EXPECT_THAT(broker.requests(), SizeIs(1));
}

}  // namespace
}  // namespace weir::cli
