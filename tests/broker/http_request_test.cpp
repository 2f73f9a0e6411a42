// What a request asks for, before any of it is done (FAULTS 68, 94, 105, 115).
#include <gtest/gtest.h>

#include <string>

#include "broker/http/access.hpp"
#include "broker/http/media_type.hpp"
#include "broker/http/query.hpp"
#include "broker/http/read_query.hpp"
#include "broker/http/router.hpp"
#include "broker/http/time_text.hpp"
#include "broker/http/websocket.hpp"

namespace weir::broker::http {
namespace {

constexpr std::uint64_t kNow = 1'800'000'000'000;

Request request_to(Method method, std::string path, std::string query = {}) {
  Request request;
  request.method = method;
  request.method_text = "GET";
  request.path = std::move(path);
  request.query = std::move(query);
  request.fields.push_back({"host", "localhost:7400"});
  return request;
}

std::string routed(Method method, std::string path) {
  const auto match = find_route(request_to(method, std::move(path)));
  if (!match) return std::to_string(match.error().status);
  return std::string(to_string(match->route)) + (match->name.empty() ? "" : " " + match->name);
}

TEST(Router, KnowsItsRoutes) {
  EXPECT_EQ(routed(Method::post, "/v1/events/a/b"), "publish a/b");
  EXPECT_EQ(routed(Method::get, "/v1/events/a/%2A%2A"), "read a/**");
  EXPECT_EQ(routed(Method::get, "/v1/events"), "read");
  EXPECT_EQ(routed(Method::head, "/v1/events/a"), "head a");
  EXPECT_EQ(routed(Method::put, "/v1/ids/a"), "id_claim a");
  EXPECT_EQ(routed(Method::get, "/v1/topics"), "topics");
  EXPECT_EQ(routed(Method::get, "/v1/topics/a/b"), "topic a/b");
  EXPECT_EQ(routed(Method::put, "/v1/topics/a/b"), "topic_put a/b");
  EXPECT_EQ(routed(Method::patch, "/v1/topics/a"), "topic_change a");
  EXPECT_EQ(routed(Method::delete_, "/v1/topics/a"), "topic_remove a");
  EXPECT_EQ(routed(Method::get, "/v1/groups"), "groups");
  EXPECT_EQ(routed(Method::get, "/v1/groups/g"), "group g");
  EXPECT_EQ(routed(Method::get, "/v1/groups/claim"), "group claim");
  EXPECT_EQ(routed(Method::post, "/v1/groups/g/claim"), "group_claim g");
  EXPECT_EQ(routed(Method::post, "/v1/groups/a%2Fb/commit"), "group_commit a/b");
  EXPECT_EQ(routed(Method::post, "/v1/batch"), "batch");
  EXPECT_EQ(routed(Method::get, "/ui/"), "console");
  EXPECT_EQ(routed(Method::get, "/ui/style.css"), "console style.css");
  EXPECT_EQ(routed(Method::get, "/"), "root");
}

TEST(Router, NamesWhatIsWrong) {
  EXPECT_EQ(routed(Method::get, "/v1/events/a/"), "400");
  EXPECT_EQ(routed(Method::get, "/v1/events/"), "400");
  EXPECT_EQ(routed(Method::get, "/v2"), "404");
  EXPECT_EQ(routed(Method::post, "/v1/backup"), "405");
  EXPECT_EQ(routed(Method::get, "/v1/groups/g/claim"), "405");
  EXPECT_EQ(routed(Method::post, "/v1/groups/g"), "405");
  EXPECT_EQ(routed(Method::post, "/v1/groups/claim"), "405");
  EXPECT_EQ(routed(Method::delete_, "/v1/topics"), "405");
  EXPECT_EQ(routed(Method::other, "/v1/events/a"), "405");
  const auto slash = find_route(request_to(Method::get, "/v1/events/a/b//"));
  EXPECT_TRUE(slash.error().detail.contains("/v1/events/a/b")) << slash.error().detail;
  const auto method = find_route(request_to(Method::delete_, "/v1/ids/a"));
  EXPECT_EQ(method.error().headers.front().second, "GET, PUT");
  const auto topic = find_route(request_to(Method::post, "/v1/topics/a"));
  EXPECT_EQ(topic.error().headers.front().second, "GET, HEAD, PUT, PATCH, DELETE");
}

TEST(Router, Fault105TricksAroundTheRouteAreNoRoute) {
  for (const char* path : {"/./healthz", "//healthz", "/healthz/..", "/HEALTHZ", "/%68ealthz", "/healthz;a",
                           "/v1//topics", "/v1/%65vents/a"}) {
    const std::string result = routed(Method::get, path);
    EXPECT_TRUE(result == "404" || result == "400") << path << ": " << result;
  }
}

TEST(Router, Fault94DecodesExactlyOnce) {
  EXPECT_EQ(routed(Method::get, "/v1/events/%252e"), "read %2e");
  EXPECT_EQ(routed(Method::get, "/v1/events/%2e%2e"), "read ..");
  EXPECT_EQ(routed(Method::get, "/v1/events/%zz"), "400");
  EXPECT_EQ(routed(Method::get, "/v1/events/a%2"), "400");
}

TEST(Query, IsStrict) {
  const auto query = Query::parse("a=1&b=x%2By+z&c", {"a", "b", "c"});
  ASSERT_TRUE(query) << query.error();
  EXPECT_EQ(query->get("a"), "1");
  EXPECT_EQ(query->get("b"), "x+y+z") << "'+' is a wildcard, not a space";
  EXPECT_EQ(query->get("c"), "");
  EXPECT_FALSE(query->get("d"));
  EXPECT_FALSE(Query::parse("d=1", {"a"}));
  EXPECT_FALSE(Query::parse("a=1&a=2", {"a"}));
  EXPECT_TRUE(Query::parse("a=1&a=2", {"a"}, "a"));
  EXPECT_FALSE(Query::parse("a=%f", {"a"}));
}

TEST(Query, DurationsHaveAUnit) {
  EXPECT_EQ(parse_duration_ms("250ms"), 250U);
  EXPECT_EQ(parse_duration_ms("2s"), 2000U);
  EXPECT_EQ(parse_duration_ms("1h"), 3'600'000U);
  EXPECT_EQ(parse_duration_ms("0s"), 0U);
  for (const char* text : {"", "5", "s", "-1s", "1.5s", "1w", "9007199254740991d", "1 s"}) {
    EXPECT_FALSE(parse_duration_ms(text)) << text;
  }
}

TEST(Time, IsRfc3339InUtc) {
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(1'795'215'001'123), "2026-11-20T22:50:01.123Z");
  EXPECT_EQ(parse_time("2026-11-20T22:50:01.123Z"), 1'795'215'001'123U);
  EXPECT_EQ(parse_time("2026-11-20T23:50:01.123999+01:00"), 1'795'215'001'123U);
  EXPECT_EQ(parse_time("2026-11-20T22:50:01.1Z"), 1'795'215'001'100U);
  for (const char* text :
       {"", "2026-11-20", "2026-11-20T22:50:01", "2026-13-20T22:50:01Z", "2026-02-30T00:00:00Z", "2026-11-20T24:00:00Z",
        "2026-11-20T22:50:01.Z", "1969-12-31T23:59:59Z", "2026-11-20T22:50:01Zx"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(MediaType, DecidesHowAPayloadIsShown) {
  EXPECT_EQ(payload_kind("application/json"), PayloadKind::json);
  EXPECT_EQ(payload_kind("Application/Vnd.X+JSON; charset=utf-8"), PayloadKind::json);
  EXPECT_EQ(payload_kind("text/plain;charset=utf-8"), PayloadKind::text);
  EXPECT_EQ(payload_kind("application/xml"), PayloadKind::binary);
  EXPECT_EQ(payload_kind("nonsense"), PayloadKind::binary);
  EXPECT_TRUE(is_untyped(""));
  EXPECT_TRUE(is_untyped("application/x-www-form-urlencoded; charset=UTF-8"));
  EXPECT_EQ(body_kind("application/x-ndjson"), BodyKind::ndjson);
  EXPECT_FALSE(media_type("a b/c"));
  EXPECT_FALSE(media_type("a/" + std::string(300, 'b')));
}

TEST(MediaType, TheBestAcceptedFormatWins) {
  EXPECT_EQ(negotiate(""), Format::ndjson);
  EXPECT_EQ(negotiate("*/*"), Format::ndjson);
  EXPECT_EQ(negotiate("application/json"), Format::json);
  EXPECT_EQ(negotiate("text/event-stream"), Format::sse);
  EXPECT_EQ(negotiate("text/plain;q=0.5, application/json;q=0.9"), Format::json);
  EXPECT_EQ(negotiate("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Format::ndjson);
  EXPECT_FALSE(negotiate("image/png"));
  EXPECT_FALSE(negotiate("application/json;q=0"));
}

std::expected<void, std::string> access(std::string host, std::string origin, AccessRules rules = {}) {
  Request request;
  request.fields.push_back({"host", std::move(host)});
  if (!origin.empty()) request.fields.push_back({"origin", std::move(origin)});
  return check_access(request, rules);
}

TEST(Access, Fault115LoopbackBrokersAnswerLoopbackNamesOnly) {
  for (const char* host : {"localhost", "LOCALHOST:7400", "127.0.0.1:7400", "127.1.2.3", "[::1]:7400", "a.localhost"}) {
    EXPECT_TRUE(access(host, "")) << host;
  }
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "127.0.0.1.", "localhost.evil.example", "10.0.0.1",
                           "[::2]", "evil.example:7400", "127.evil"}) {
    EXPECT_FALSE(access(host, "")) << host;
  }
  EXPECT_TRUE(access("broker.example:7400", "", {.origins = {}, .loopback_only = false}));
}

TEST(Access, Fault115PagesOfOtherSitesAreRefused) {
  EXPECT_TRUE(access("localhost:7400", "http://localhost:7400"));
  EXPECT_FALSE(access("localhost:7400", "http://localhost:7401"));
  EXPECT_FALSE(access("localhost:7400", "http://evil.example"));
  EXPECT_FALSE(access("localhost:7400", "null"));
  EXPECT_FALSE(access("evil.example", "http://evil.example"));
  EXPECT_TRUE(access("localhost:7400", "http://localhost:7401", {.origins = {"http://localhost:7401"}}));
}

TEST(Upgrade, Fault96KeysAndVersionsAreChecked) {
  Request request = request_to(Method::get, "/v1/ws");
  request.fields.push_back({"connection", "keep-alive, Upgrade"});
  request.fields.push_back({"upgrade", "websocket"});
  request.fields.push_back({"sec-websocket-version", "13"});
  request.fields.push_back({"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="});
  ASSERT_TRUE(wants_websocket(request));
  EXPECT_EQ(check_upgrade(request), Subprotocol::unnamed);
  request.fields.push_back({"sec-websocket-protocol", "x, weir.json.v1"});
  EXPECT_EQ(check_upgrade(request), Subprotocol::json);
  request.fields.back().value = "mqtt";
  EXPECT_EQ(check_upgrade(request).error().status, 400U);
  request.fields.pop_back();
  for (const char* key : {"", "short", "AAAA", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZXh4eA=="}) {
    request.fields.back().value = key;
    EXPECT_FALSE(check_upgrade(request)) << key;
  }
  request.fields[3].value = "8";
  EXPECT_EQ(check_upgrade(request).error().status, 426U);
}

std::string from_kind(std::string_view text) {
  const auto from = parse_from(text, kNow);
  if (!from) return "400";
  if (const auto* offset = std::get_if<FromOffset>(&*from)) return "offset " + std::to_string(offset->offset.value);
  if (const auto* last = std::get_if<FromLast>(&*from)) return "last " + std::to_string(last->count);
  if (const auto* time = std::get_if<FromTime>(&*from)) return "time " + std::to_string(time->time_ms);
  if (const auto* cursor = std::get_if<FromCursor>(&*from)) {
    return "after " + cursor->epoch + ' ' + std::to_string(cursor->position.value);
  }
  if (const auto* group = std::get_if<FromGroup>(&*from)) return "group " + group->name;
  return std::holds_alternative<FromLatest>(*from) ? "latest" : "earliest";
}

TEST(ReadQuery, Fault68FromHasOneMeaningPerForm) {
  EXPECT_EQ(from_kind("earliest"), "earliest");
  EXPECT_EQ(from_kind("latest"), "latest");
  EXPECT_EQ(from_kind("0"), "offset 0");
  EXPECT_EQ(from_kind("9007199254740991"), "offset 9007199254740991");
  EXPECT_EQ(from_kind("-10"), "last 10");
  EXPECT_EQ(from_kind("1h"), "time " + std::to_string(kNow - 3'600'000));
  EXPECT_EQ(from_kind("2026-11-20T08:00:00Z"), "time 1795161600000");
  EXPECT_EQ(from_kind("after:e7.90213"), "after e7 90213");
  EXPECT_EQ(from_kind("group:billing"), "group billing");
  for (const char* text : {"", "-", "--1", "9007199254740992", "9223372036854775808", "-9007199254740992", "1.5", "0x1",
                           "01", "after:", "after:7", "group:", "group:a/b", "group:..", "next", "1 "}) {
    EXPECT_EQ(from_kind(text), "400") << text;
  }
}

unsigned read_status(std::string query, std::string accept = {}, std::string name = "a") {
  Request request = request_to(Method::get, "/v1/events/a", std::move(query));
  if (!accept.empty()) request.fields.push_back({"accept", std::move(accept)});
  const auto plan = parse_read(request, name, {}, kNow);
  return plan ? 200 : plan.error().status;
}

TEST(ReadQuery, RefusesWhatMakesNoSense) {
  EXPECT_EQ(read_status(""), 200U);
  EXPECT_EQ(read_status("form=1"), 400U);
  EXPECT_EQ(read_status("limit=0"), 400U);
  EXPECT_EQ(read_status("wait=5"), 400U);
  EXPECT_EQ(read_status("follow=yes"), 400U);
  EXPECT_EQ(read_status("consistency=eventual"), 400U);
  EXPECT_EQ(read_status("data=hex"), 400U);
  EXPECT_EQ(read_status("topic=b"), 400U) << "named twice";
  EXPECT_EQ(read_status("", {}, ""), 400U) << "no topic";
  EXPECT_EQ(read_status("topic=a&topic=b/**", {}, ""), 200U);
  EXPECT_EQ(read_status("topic=a&topic=b&from=3", {}, ""), 400U) << "offsets count in one topic";
  EXPECT_EQ(read_status("from=3", {}, "a/**"), 400U);
  EXPECT_EQ(read_status("follow=1", "application/json"), 400U);
  EXPECT_EQ(read_status("", "application/octet-stream"), 400U);
  EXPECT_EQ(read_status("limit=1", "application/octet-stream"), 200U);
  EXPECT_EQ(read_status("", "image/png"), 406U);
  EXPECT_EQ(read_status("", {}, "a/../b"), 400U);
  EXPECT_EQ(read_status("", {}, "a\r\nX: y"), 400U);
}

TEST(ReadQuery, ModesAndDefaultsAreThoseOfTheContract) {
  const auto plan = [](std::string query, std::string accept, std::string name) {
    Request request = request_to(Method::get, "/v1/events/a", std::move(query));
    request.fields.push_back({"accept", std::move(accept)});
    return parse_read(request, name, {}, kNow).value();
  };
  const ReadPlan pull = plan("", "*/*", "a");
  EXPECT_EQ(pull.mode, Mode::pull);
  EXPECT_TRUE(std::holds_alternative<FromEarliest>(pull.from));
  EXPECT_EQ(pull.cursor, ShowCursor::no);
  EXPECT_EQ(plan("", "*/*", "a/*").cursor, ShowCursor::yes);
  EXPECT_EQ(plan("wait=5s", "*/*", "a").mode, Mode::long_poll);
  const ReadPlan follow = plan("follow=1", "*/*", "a");
  EXPECT_EQ(follow.mode, Mode::stream);
  EXPECT_TRUE(std::holds_alternative<FromLatest>(follow.from));
  EXPECT_EQ(follow.cursor, ShowCursor::yes);
  EXPECT_EQ(plan("", "text/event-stream", "a").mode, Mode::stream);
}

TEST(ReadQuery, LastEventIdWinsOverTheUrl) {
  Request request = request_to(Method::get, "/v1/events/a", "from=earliest");
  request.fields.push_back({"last-event-id", "e7.5"});
  const auto plan = parse_read(request, "a", {}, kNow);
  ASSERT_TRUE(plan);
  EXPECT_EQ(std::get<FromCursor>(plan->from).position.value, 5U);
  request.fields.back().value = "5";
  EXPECT_FALSE(parse_read(request, "a", {}, kNow));
}

}  // namespace
}  // namespace weir::broker::http
