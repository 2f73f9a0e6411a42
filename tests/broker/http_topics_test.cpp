// /v1/topics/{topic}: settings that are put, changed and refused, topics that are removed; over a real socket, against
// a real node that is alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "broker/http/topic_settings.hpp"
#include "tests/broker/http_fixture.hpp"

namespace weir::broker::http {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kNew = "Content-Type: application/json\r\nIf-None-Match: *\r\n";

/// Retention has come by within kPatience.
bool loses_events_before(const TestBroker& broker, const std::string& topic, const std::string& first_offset) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (member(ask(broker, "GET /v1/topics/" + topic).body, "first_offset") != first_offset) {
    if (std::chrono::steady_clock::now() > deadline) return false;
  }
  return true;
}

TEST(HttpTopics, ArePutChangedShownAndRemoved) {
  const TestBroker broker;
  const Reply put = ask(broker, "PUT /v1/topics/a/b", kJson,
                        R"({"retention":{"age":"7d","bytes":"1GiB","count":1000},"dedup":"12h"})");
  EXPECT_EQ(put.status, 201U) << put.body;
  EXPECT_EQ(put.header("Weir-Durability"), "quorum-disk");
  const std::string settings = R"({"retention":{"age":"7d","bytes":1073741824,"count":1000},"dedup":"12h"})";
  const std::string shown =
      R"({"topic":"a/b","first_offset":0,"next_offset":0,"events":0,"last_time":null,"bytes":0,"settings":)" +
      settings + R"(,"in_force":)" + settings + "}\n";
  EXPECT_EQ(put.body, shown);
  EXPECT_EQ(ask(broker, "GET /v1/topics/a/b").body, shown);
  EXPECT_EQ(ask(broker, "GET /v1/events/a/b?from=earliest").status, 200U) << "it exists, and is empty";

  const Reply changed =
      ask(broker, "PATCH /v1/topics/a/b", kJson, R"({"retention":{"age":null,"bytes":"off"},"dedup":"retained"})");
  EXPECT_EQ(changed.status, 200U) << changed.body;
  EXPECT_THAT(changed.body, HasSubstr(R"("settings":{"retention":{"age":null,"bytes":"off","count":1000},)"
                                      R"("dedup":null},"in_force":{"retention":{"age":"off","bytes":"off",)"
                                      R"("count":1000},"dedup":"retained"}})"));

  EXPECT_EQ(ask(broker, "POST /v1/events/a/b?id=i", "", "1").status, 201U);
  const Reply removed = ask(broker, "DELETE /v1/topics/a/b");
  EXPECT_EQ(removed.status, 200U);
  EXPECT_EQ(removed.body, "{\"topic\":\"a/b\",\"removed\":true,\"next_offset\":1}\n");
  EXPECT_EQ(ask(broker, "GET /v1/topics/a/b").status, 404U);
  EXPECT_EQ(ask(broker, "GET /v1/events/a/b?from=earliest").status, 404U);
  EXPECT_EQ(ask(broker, "HEAD /v1/events/a/b").status, 404U);
  EXPECT_EQ(ask(broker, "GET /v1/ids/a/b?id=i").status, 404U);
  EXPECT_EQ(ask(broker, "GET /v1/topics").body, "{\"topics\":[]}\n");
  EXPECT_EQ(ask(broker, "DELETE /v1/topics/a/b").status, 404U);
  EXPECT_EQ(ask(broker, "PATCH /v1/topics/a/b", kJson, "{}").status, 404U);
  const Reply back = ask(broker, "POST /v1/events/a/b?id=i", "", "1");
  EXPECT_EQ(back.status, 201U);
  EXPECT_EQ(back.header("Weir-Offset"), "1");
}

TEST(HttpTopics, ThatAreThereAreOnlyCreatedWithTheVerySameSettings) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "PUT /v1/topics/t", kNew, R"({"dedup":"off"})").status, 201U);
  EXPECT_EQ(ask(broker, "PUT /v1/topics/t", kNew, R"({"dedup":"off"})").status, 200U);
  const Reply other = ask(broker, "PUT /v1/topics/t", kNew);
  EXPECT_EQ(other.status, 409U);
  EXPECT_THAT(other.body, HasSubstr("urn:weir:problem:conflict"));
  EXPECT_EQ(ask(broker, "PUT /v1/topics/t", kJson, "{}").status, 200U) << "without If-None-Match they are replaced";
  EXPECT_EQ(ask(broker, "PUT /v1/topics/t", "If-None-Match: \"e7-1\"\r\n").status, 400U);
}

TEST(HttpTopics, WithoutDedupStoreAgainAndTakeNoClaims) {
  const TestBroker broker;
  EXPECT_EQ(ask(broker, "PUT /v1/topics/t", kJson, R"({"dedup":"off"})").status, 201U);
  EXPECT_EQ(ask(broker, "POST /v1/events/t?id=i", "", "1").status, 201U);
  EXPECT_EQ(ask(broker, "POST /v1/events/t?id=i", "", "1").status, 201U);
  EXPECT_EQ(ask(broker, "PUT /v1/ids/t?id=k").status, 409U);
}

TEST(HttpTopics, ThatRememberForeverSaySoAndKnowIdsWhoseEventsAreGone) {
  const TestBroker broker;
  const Reply created = ask(broker, "PUT /v1/topics/t", kJson, R"({"dedup":"forever","retention":{"count":1}})");
  EXPECT_EQ(created.status, 201U) << created.body;
  EXPECT_THAT(created.body,
              HasSubstr(R"("settings":{"retention":{"age":null,"bytes":null,"count":1},"dedup":"forever"})"));
  const Reply shown = ask(broker, "GET /v1/topics/t");
  EXPECT_THAT(shown.body, HasSubstr(R"("count":1},"dedup":"forever"}})")) << "in force too";
  const Reply first = ask(broker, "POST /v1/events/t?id=i", "", "1");
  EXPECT_EQ(first.status, 201U);
  EXPECT_EQ(ask(broker, "PUT /v1/ids/t?id=k").status, 201U);
  EXPECT_EQ(ask(broker, "POST /v1/events/t?id=j", "", "2").status, 201U);
  ASSERT_TRUE(loses_events_before(broker, "t", "1"));
  const Reply again = ask(broker, "POST /v1/events/t?id=i", "", "1");
  EXPECT_EQ(again.status, 200U);
  EXPECT_THAT(again.body, HasSubstr(R"("offset":0,"position":1)"));
  const Reply other = ask(broker, "POST /v1/events/t?id=i", "", "other");
  EXPECT_EQ(other.status, 422U);
  EXPECT_THAT(other.body, HasSubstr(R"("offset":0)"));
  EXPECT_THAT(ask(broker, "GET /v1/ids/t?id=i").body, HasSubstr(R"("state":"published")"));
  EXPECT_THAT(ask(broker, "GET /v1/ids/t?id=k").body, HasSubstr(R"("state":"claimed")"));
  EXPECT_EQ(ask(broker, "PUT /v1/ids/t?id=i").status, 200U) << "published before";
  EXPECT_THAT(ask(broker, "GET /metrics").body, HasSubstr("weir_forever_ids 3\n"));
  EXPECT_EQ(ask(broker, "PATCH /v1/topics/t", kJson, R"({"dedup":"retained"})").status, 200U);
  EXPECT_EQ(ask(broker, "GET /v1/ids/t?id=i").status, 404U);
  EXPECT_EQ(ask(broker, "PATCH /v1/topics/t", kJson, R"({"dedup":"forever"})").status, 200U);
  EXPECT_EQ(ask(broker, "POST /v1/events/t?id=i", "", "1").status, 201U);
}

TEST(HttpTopics, WhatHasNoPlaceIsRefusedByName) {
  const TestBroker broker;
  const auto refused = [&broker](std::string_view body) {
    const Reply reply = ask(broker, "PUT /v1/topics/t", kJson, body);
    EXPECT_EQ(reply.status, 400U) << body << reply.body;
    return reply.body;
  };
  EXPECT_THAT(refused(R"({"retain":{}})"), HasSubstr("'retain'"));
  EXPECT_THAT(refused(R"({"retention":{"days":7}})"), HasSubstr("'retention.days'"));
  EXPECT_THAT(refused(R"({"retention":{"age":7}})"), HasSubstr("retention.age"));
  EXPECT_THAT(refused(R"({"retention":{"age":"7 d"}})"), HasSubstr("retention.age"));
  EXPECT_THAT(refused(R"({"retention":{"age":true}})"), HasSubstr("retention.age"));
  EXPECT_THAT(refused(R"({"retention":{"bytes":1}})"), HasSubstr("retention.bytes"));
  EXPECT_THAT(refused(R"({"retention":{"count":0}})"), HasSubstr("retention.count"));
  EXPECT_THAT(refused(R"({"retention":{"count":-1}})"), HasSubstr("retention.count"));
  EXPECT_THAT(refused(R"({"retention":"7d"})"), HasSubstr("retention must be"));
  EXPECT_THAT(refused(R"({"retention":{"age":"forever"}})"), HasSubstr("retention.age"));
  EXPECT_THAT(refused(R"({"dedup":"5"})"), HasSubstr("must be retained, off, forever, or a duration"));
  EXPECT_THAT(refused(R"({"dedup":"5s","dedup":"6s"})"), HasSubstr("JSON"));
  EXPECT_THAT(refused("[]"), HasSubstr("JSON object"));
  EXPECT_EQ(ask(broker, "PUT /v1/topics/$sys/a", kJson, "{}").status, 400U);
  EXPECT_EQ(ask(broker, "PUT /v1/topics/a?x=1", kJson, "{}").status, 400U);
  EXPECT_EQ(ask(broker, "DELETE /v1/topics/t", kJson, "{}").status, 400U);
  EXPECT_EQ(ask(broker, "POST /v1/topics/t", kJson, "{}").status, 405U);
  EXPECT_EQ(ask(broker, "GET /v1/topics").body, "{\"topics\":[]}\n") << "nothing came of it";
}

TEST(TopicSettings, ShownSettingsAreSettingsThatArePut) {
  const auto body = R"({"retention":{"age":"90m","bytes":"off","count":null},"dedup":"off"})";
  const auto settings = parse_settings(body, {});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings_json(*settings), body);
  EXPECT_EQ(parse_settings(settings_json(*settings), {}).value(), *settings);
  const auto forever = parse_settings(R"({"dedup":"forever"})", {});
  ASSERT_TRUE(forever);
  EXPECT_EQ(forever->dedup_ms.kind, wire::Setting::Kind::forever);
  EXPECT_EQ(parse_settings(settings_json(*forever), {}).value(), *forever);
}

}  // namespace
}  // namespace weir::broker::http
