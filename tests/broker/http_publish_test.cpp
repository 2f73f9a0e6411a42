// From requests to what is stored, and from there to what is shown (API §3, §4; FAULTS 61, 74, 94, 95, 114).
#include <gtest/gtest.h>

#include <string>

#include "broker/http/answers.hpp"
#include "broker/http/event_input.hpp"
#include "broker/http/event_json.hpp"
#include "broker/http/publish_request.hpp"
#include "tests/broker/http_events.hpp"

namespace weir::broker::http {
namespace {

using namespace std::string_literals;

struct Post {
  std::string topic = "orders/new";
  std::string query = {};
  std::vector<Field> fields = {};
  std::string body = {};
};

std::expected<PublishRequest, Problem> parse(const Post& post, const HttpLimits& limits = {}) {
  Request request;
  request.method = Method::post;
  request.query = post.query;
  request.fields = post.fields;
  request.body = post.body;
  return parse_publish(request, post.topic, "e7", limits);
}

unsigned status_of(const Post& post, const HttpLimits& limits = {}) {
  const auto parsed = parse(post, limits);
  return parsed ? 200 : parsed.error().status;
}

wire::PublishView view_of(const Post& post) {
  auto parsed = parse(post);
  EXPECT_TRUE(parsed) << parsed.error().detail;
  return wire::PublishView::verify(std::move(parsed->bytes)).value();
}

std::string line_of(const ReadEvent& event, DataForm form = DataForm::natural, ShowCursor cursor = ShowCursor::no) {
  std::string line;
  append_event_json(line, event, {"e7", form, cursor});
  return line;
}

TEST(Publish, TheIdComesFromTheFirstPlaceThatHasOne) {
  const std::vector<Field> all = {{"ce-id", "d"}, {"ce-source", "//s"}, {"idempotency-key", "\"c\""}, {"weir-id", "b"}};
  EXPECT_EQ(view_of({.query = "id=a", .fields = all}).id(0), "a");
  EXPECT_EQ(view_of({.fields = all}).id(0), "b");
  EXPECT_EQ(view_of({.fields = {all.begin(), all.begin() + 3}}).id(0), "c");
  const auto cloud = view_of({.fields = {all.begin(), all.begin() + 2}});
  EXPECT_EQ(cloud.id(0), "d");
  EXPECT_EQ(cloud.source(0), "//s");
  EXPECT_EQ(view_of({}).id(0), "");
}

TEST(Publish, IdempotencyKeysAreQuotedOrBare) {
  EXPECT_EQ(unquoted_key(R"("o-1001")"), "o-1001");
  EXPECT_EQ(unquoted_key("o-1001"), "o-1001");
  EXPECT_EQ(unquoted_key(R"("a\"b\\c")"), R"(a"b\c)");
  EXPECT_EQ(unquoted_key("\""), "\"");
  EXPECT_EQ(unquoted_key("\"\""), "");
}

TEST(Publish, Fault95IdsHaveOneTo256BytesOfUtf8) {
  EXPECT_EQ(status_of({.query = "id=" + std::string(256, 'a')}), 200U);
  EXPECT_EQ(status_of({.query = "id=" + std::string(257, 'a')}), 400U);
  EXPECT_EQ(status_of({.query = "id="}), 400U);
  EXPECT_EQ(status_of({.query = "id=%ff"}), 400U);
  EXPECT_EQ(status_of({.fields = {{"weir-id", std::string(std::size_t{1} << 20U, 'a')}}}), 400U);
}

TEST(Publish, Fault94TopicsFollowTheGrammar) {
  for (const std::string& topic :
       {""s, ".."s, "a/../b"s, "/"s, "a//b"s, "a\0b"s, "a\r\nb"s, "\xff"s, "a b"s, "*"s, "a/**"s, "$sys/x"s, "%2e"s,
        std::string(300, 'a'), std::string(65'536, 'a'), "\xc0\xae\xc0\xae"s}) {
    EXPECT_EQ(status_of({.topic = topic}), 400U) << topic.substr(0, 40);
  }
}

TEST(Publish, TheBytesDecideWhatAnUntypedBodyIs) {
  const std::vector<Field> curl = {{"content-type", "application/x-www-form-urlencoded"}};
  EXPECT_EQ(view_of({.fields = curl, .body = R"({"a":1})"}).event(0).content_type, "application/json");
  EXPECT_EQ(view_of({.fields = curl, .body = "hi there"}).event(0).content_type, "text/plain");
  EXPECT_EQ(view_of({.body = "\xff\xfe"}).event(0).content_type, "application/octet-stream");
  EXPECT_EQ(view_of({.body = ""}).event(0).content_type, "text/plain");
  EXPECT_EQ(view_of({.body = R"({"a":1,"a":2})"}).event(0).content_type, "text/plain") << "not JSON as taken here";
}

TEST(Publish, JsonIsCheckedAndKeptByteForByte) {
  const std::vector<Field> json = {{"content-type", "application/json"}};
  EXPECT_EQ(view_of({.fields = json, .body = "{ \"a\" : 1.0e2 }\n"}).event(0).body, "{ \"a\" : 1.0e2 }\n");
  EXPECT_EQ(status_of({.fields = json, .body = "{"}), 400U);
  EXPECT_EQ(status_of({.fields = {{"content-type", "application/vnd.x+json"}}, .body = "{"}), 400U);
  EXPECT_EQ(status_of({.fields = {{"content-type", "nonsense"}}, .body = "{}"}), 415U);
  EXPECT_EQ(status_of({.fields = {{"content-type", "application/cloudevents+json"}}, .body = "{}"}), 415U);
}

TEST(Publish, KeepsTheHeadersItPromises) {
  const auto view = view_of({.fields = {{"weir-h-trace", "1"},
                                        {"ce-specversion", "1.0"},
                                        {"ce-type", "t"},
                                        {"ce-partitionkey", "p%20q"},
                                        {"traceparent", "00-a-b-01"},
                                        {"user-agent", "x"}}});
  const wire::EventView event = view.event(0);
  EXPECT_EQ(event.headers, (std::vector<wire::Header>{{"trace", "1"}, {"ce-type", "t"}, {"traceparent", "00-a-b-01"}}));
  EXPECT_EQ(event.key, "p q");
  EXPECT_EQ(view_of({.query = "key=a", .fields = {{"weir-key", "b"}}}).event(0).key, "a");
}

TEST(Publish, ExpectationsNameTheNextOffset) {
  const auto next = [](const Post& post) { return view_of(post).request(0).expectations.at(0).next.value; };
  EXPECT_EQ(next({.query = "expect=42"}), 42U);
  EXPECT_EQ(next({.fields = {{"if-match", "\"e7-42\""}}}), 42U);
  EXPECT_EQ(next({.fields = {{"if-none-match", "*"}}}), 0U);
  EXPECT_EQ(status_of({.fields = {{"if-match", "\"e8-42\""}}}), 412U) << "of another life of the log";
  EXPECT_EQ(status_of({.fields = {{"if-match", "*"}}}), 400U);
  EXPECT_EQ(status_of({.fields = {{"if-none-match", "\"e7-42\""}}}), 400U);
  EXPECT_EQ(status_of({.query = "expect=-1"}), 400U);
  EXPECT_EQ(status_of({.query = "expect=1", .fields = {{"if-none-match", "*"}}}), 400U);
}

TEST(Publish, ParametersAreChecked) {
  EXPECT_EQ(parse({.query = "ack=none"})->ack, Ack::none);
  EXPECT_EQ(parse({.query = "timeout=250ms"})->timeout_ms, 250U);
  EXPECT_EQ(parse({.query = "timeout=1d"})->timeout_ms, kTimeoutMsMax);
  EXPECT_EQ(status_of({.query = "ack=1"}), 400U);
  EXPECT_EQ(status_of({.query = "timeout=5"}), 400U);
  EXPECT_EQ(status_of({.query = "idd=5"}), 400U);
}

const std::vector<Field> kNdjson = {{"content-type", "application/x-ndjson"}};

TEST(Batch, LinesAreWhatReadingPrints) {
  const auto view =
      view_of({.fields = kNdjson,
               .body = "{\"id\":\"a\",\"key\":\"k\",\"headers\":{\"X\":\"y\"},\"data\":{ \"n\" : 1 }}\r\n"
                       "\n"
                       "{\"data_base64\":\"aGk=\",\"offset\":7,\"position\":9,\"time\":\"t\",\"cursor\":\"e7.9\","
                       "\"topic\":\"other\",\"id\":null}\n"
                       "{\"control\":\"caught-up\",\"cursor\":\"e7.9\"}\n"
                       "{\"content_type\":\"text/plain\",\"data\":\"h\\u00e4\",\"source\":\"s\"}"});
  ASSERT_EQ(view.event_count(), 3U);
  EXPECT_EQ(view.event(0).body, "{ \"n\" : 1 }");
  EXPECT_EQ(view.event(0).headers, (std::vector<wire::Header>{{"x", "y"}}));
  EXPECT_EQ(view.event(1).body, "hi");
  EXPECT_EQ(view.event(1).topic, "orders/new");
  EXPECT_EQ(view.event(1).content_type, "application/octet-stream");
  EXPECT_EQ(view.event(2).body, "hä");
  EXPECT_EQ(view.event(2).source, "s");
}

TEST(Batch, ABadLineIsNamedByItsNumber) {
  const std::string good = "{\"data\":1}\n";
  for (const char* bad :
       {"{", "[]", "1", "{}", "{\"data\":1,\"data_base64\":\"\"}", "{\"id\":1,\"data\":1}", "{\"id\":\"\",\"data\":1}",
        "{\"dat\":1}", "{\"data_base64\":\"a\"}", "{\"content_type\":\"text/plain\",\"data\":1}",
        "{\"content_type\":\"x\",\"data\":1}", "{\"headers\":[],\"data\":1}",
        "{\"headers\":{\"a b\":\"c\"},\"data\":1}", "{\"headers\":{\"a\":\"c\\r\\nd\"},\"data\":1}",
        "{\"data\":1,\"data\":2}", "{\"content_type\":\"application/json\",\"data_base64\":\"ew==\"}"}) {
    const auto parsed = parse({.fields = kNdjson, .body = good + "\n" + bad + "\n" + good});
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().status, 400U) << bad;
    EXPECT_TRUE(parsed.error().detail.starts_with("line 3: ")) << parsed.error().detail;
    EXPECT_EQ(parsed.error().members.front(), (std::pair<std::string_view, std::string>("line", "3")));
  }
}

TEST(Batch, HasNoIdOfItsOwn) {
  const Post post{.query = {}, .fields = {kNdjson[0], {"idempotency-key", "k"}}, .body = "{\"data\":1}"};
  EXPECT_EQ(status_of(post), 400U);
  EXPECT_TRUE(parse(post).error().detail.contains("/v1/batch"));
  EXPECT_EQ(status_of({.fields = kNdjson, .body = "\n\n"}), 400U) << "no event";
}

TEST(Batch, Fault74IsBoundedInEventsAndBytes) {
  HttpLimits limits;
  limits.batch_events_max = 2;
  limits.event_bytes_max = 4;
  const std::string line = "{\"data\":1}\n";
  EXPECT_EQ(status_of({.fields = kNdjson, .body = line + line}, limits), 200U);
  EXPECT_EQ(status_of({.fields = kNdjson, .body = line + line + line}, limits), 413U);
  EXPECT_EQ(status_of({.fields = kNdjson, .body = "{\"data\":1234}"}, limits), 200U);
  EXPECT_EQ(status_of({.fields = kNdjson, .body = "{\"data\":12345}"}, limits), 400U);
}

TEST(EventJson, IsWhatTheContractShows) {
  wire::EventView event = json_event("orders/new", "{\"sku\":\"A1\",\r\n\"n\":1}");
  event.id = "o-0";
  EXPECT_EQ(line_of(read_event(event, 0, 17)),
            R"({"topic":"orders/new","offset":0,"position":17,"id":"o-0","time":"2026-11-20T22:50:01.123Z",)"
            R"("data":{"sku":"A1","n":1}})");
  event.id = "";
  event.source = "s";
  event.key = "k";
  event.headers = {{"trace", "1"}, {"ce-type", "t"}};
  event.content_type = "text/plain";
  event.body = "h\"i\n";
  EXPECT_EQ(line_of(read_event(event, 3, 20), DataForm::natural, ShowCursor::yes),
            R"({"topic":"orders/new","offset":3,"position":20,"cursor":"e7.20","id":null,)"
            R"("time":"2026-11-20T22:50:01.123Z","source":"s","key":"k","headers":{"trace":"1","ce-type":"t"},)"
            R"("content_type":"text/plain","data":"h\"i\n"})");
}

TEST(EventJson, EveryLineCanBePublishedAgainAsTheSameEvent) {
  const std::vector<std::pair<std::string_view, std::string>> payloads = {
      {"application/json", "{\"a\":[1,\"\\u00e4\"]}"},
      {"application/json", "\"text\""},
      {"application/vnd.x+json", "1"},
      {"text/plain", "hä\nho"},
      {"text/plain", "\xff"},
      {"application/octet-stream", std::string("\0\x01", 2)},
      {"application/xml", "<a/>"},
      {"text/html; charset=utf-8", ""}};
  for (const auto& [type, body] : payloads) {
    for (const DataForm form : {DataForm::natural, DataForm::base64}) {
      wire::EventView event = json_event("orders/new", body);
      event.content_type = type;
      event.id = "i\"d";
      event.source = "s";
      event.key = "k";
      event.headers = {{"trace", "a\tb"}};
      const std::string line = line_of(read_event(event, 0, 1), form, ShowCursor::yes);
      const auto view = view_of({.fields = kNdjson, .body = line});
      const wire::EventView copy = view.event(0);
      EXPECT_EQ(copy.body, event.body) << line;
      EXPECT_EQ(copy.content_type, event.content_type) << line;
      EXPECT_EQ(copy.id, event.id);
      EXPECT_EQ(copy.source, event.source);
      EXPECT_EQ(copy.key, event.key);
      EXPECT_EQ(copy.headers, event.headers);
    }
  }
}

wire::EventResult result(std::uint64_t offset, wire::Storing storing = wire::Storing::stored) {
  return {raft::Offset{offset}, raft::Position{offset + 100}, 1'795'215'001'123, storing};
}

TEST(Answers, StoredNowIs201AndStoredBeforeIs200) {
  const auto publish = parse({.query = "id=o-1001"}).value();
  const Response stored = publish_response(publish, wire::Published{{result(42)}}, "e7");
  EXPECT_EQ(stored.status, 201U);
  EXPECT_EQ(stored.body,
            "{\"topic\":\"orders/new\",\"offset\":42,\"position\":142,\"cursor\":\"e7.142\",\"id\":\"o-1001\","
            "\"time\":\"2026-11-20T22:50:01.123Z\",\"duplicate\":false}\n");
  EXPECT_EQ(stored.headers, "Weir-Offset: 42\r\nWeir-Durability: quorum-disk\r\n");
  const Response again = publish_response(publish, wire::Published{{result(42, wire::Storing::duplicate)}}, "e7");
  EXPECT_EQ(again.status, 200U);
  EXPECT_TRUE(again.headers.contains("Weir-Duplicate: true\r\n"));
  EXPECT_TRUE(again.body.contains("\"duplicate\":true"));
}

TEST(Answers, ABatchCountsWhatIsNew) {
  const auto publish = parse({.fields = kNdjson, .body = "{\"id\":\"a\",\"data\":1}\n{\"data\":2}"}).value();
  const auto duplicate = result(7, wire::Storing::duplicate);
  EXPECT_EQ(publish_response(publish, wire::Published{{duplicate, result(8)}}, "e7").body,
            "{\"topic\":\"orders/new\",\"results\":[{\"offset\":7,\"position\":107,\"id\":\"a\",\"duplicate\":true},"
            "{\"offset\":8,\"position\":108,\"id\":null,\"duplicate\":false}],\"stored\":1,\"duplicates\":1,"
            "\"cursor\":\"e7.108\"}\n");
  EXPECT_EQ(publish_response(publish, wire::Published{{duplicate, result(8)}}, "e7").status, 201U);
  EXPECT_EQ(publish_response(publish, wire::Published{{duplicate, duplicate}}, "e7").status, 200U);
}

TEST(Answers, RefusalsAreProblems) {
  using enum wire::RefusalKind;
  const auto publish = parse({.query = "id=a"}).value();
  const auto status = [&](wire::RefusalKind kind) {
    return publish_response(publish, wire::Refused{kind, 0, raft::Offset{5}, "why"}, "e7").status;
  };
  EXPECT_EQ(status(id_reuse), 422U);
  EXPECT_EQ(status(expectation_failed), 412U);
  EXPECT_EQ(status(id_claimed), 409U);
  EXPECT_EQ(status(no_topic), 404U);
  EXPECT_EQ(status(no_leader), 503U);
  EXPECT_EQ(status(overloaded), 503U);
  EXPECT_EQ(status(draining), 503U);
  EXPECT_EQ(status(disk_full), 507U);
  EXPECT_EQ(status(too_large), 413U);
  EXPECT_EQ(status(outcome_unknown), 504U);
  EXPECT_EQ(status(malformed), 400U);
}

TEST(Answers, Fault61AnIdUsedBeforeNamesTheOriginal) {
  const auto publish = parse({.fields = kNdjson, .body = "{\"data\":1}\n\n{\"id\":\"a\",\"data\":2}"}).value();
  const Response response =
      publish_response(publish, wire::Refused{wire::RefusalKind::id_reuse, 1, raft::Offset{5}, ""}, "e7");
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_TRUE(response.body.contains("\"offset\":5")) << response.body;
  EXPECT_TRUE(response.body.contains("\"line\":3")) << response.body;
}

TEST(Answers, Fault65UnknownIsSafeToRepeatOnlyWithIds) {
  const wire::Refused unknown{wire::RefusalKind::outcome_unknown, 0, raft::Offset{}, "the leader was lost"};
  EXPECT_TRUE(
      publish_response(parse({.query = "id=a"}).value(), unknown, "e7").body.contains("\"safe_to_retry\":true"));
  EXPECT_TRUE(publish_response(parse({}).value(), unknown, "e7").body.contains("\"safe_to_retry\":false"));
}

TEST(Problem, HasTheMembersOfTheContract) {
  const Response response = to_response(no_leader("2 of 3 members \"unreachable\"\r\n"));
  EXPECT_EQ(response.body,
            "{\"type\":\"urn:weir:problem:no-leader\",\"title\":\"No leader at the moment\",\"status\":503,"
            "\"detail\":\"2 of 3 members \\\"unreachable\\\"\\r\\n\",\"retry_after_ms\":500,\"safe_to_retry\":true}\n");
  EXPECT_EQ(response.headers, "Retry-After: 1\r\n");
}

TEST(Response, Fault94HeaderValuesCannotEndTheirLine) {
  Response response;
  response.add_header("X", "a\r\nSet-Cookie: b\0c\xff"s);
  EXPECT_EQ(response.headers, "X: a??Set-Cookie: b?c?\r\n");
}

TEST(Cluster, ShowsWhatThisNodeKnows) {
  NodeStatus status;
  status.phase = Phase::running;
  status.name = "n1";
  status.node = wire::node_id("n1");
  status.role = raft::Role::leader;
  status.term = raft::Term{3};
  status.leader = "n1";
  status.epoch = "e7";
  status.commit_index = status.applied_index = raft::Index{42};
  status.last_index = raft::Index{43};
  status.position = raft::Position{90213};
  status.members = {{.node = status.node,
                     .name = "n1",
                     .raft_address = "a:7401",
                     .http_address = "a:7400",
                     .match_index = raft::Index{43},
                     .healthy = std::nullopt,
                     .why = {}},
                    {.node = wire::node_id("n2"),
                     .name = "n2",
                     .raft_address = "b:7401",
                     .http_address = "b:7400",
                     .match_index = raft::Index{40},
                     .healthy = false,
                     .why = {}}};
  Counters counters;
  counters.disk_write_us_p99 = 250;
  EXPECT_EQ(cluster_json(status, counters),
            "{\"node\":\"n1\",\"role\":\"leader\",\"term\":3,\"leader\":\"n1\",\"epoch\":\"e7\",\"cluster_id\":null,"
            "\"phase\":\"running\",\"commit_index\":42,\"applied_index\":42,\"last_index\":43,\"position\":90213,"
            "\"compared_index\":0,"
            "\"members\":[{\"node\":\"n1\",\"role\":\"leader\",\"term\":3,\"last_index\":43,\"commit_index\":42,"
            "\"applied_index\":42,\"match_index\":43,\"healthy\":true,\"http\":\"a:7400\",\"raft\":\"a:7401\","
            "\"fsync_p99_us\":250},{\"node\":\"n2\",\"role\":\"follower\",\"term\":null,\"last_index\":null,"
            "\"commit_index\":null,\"applied_index\":null,\"match_index\":40,\"healthy\":false,\"http\":\"b:7400\","
            "\"raft\":\"b:7401\",\"fsync_p99_us\":null}]}\n");
  EXPECT_EQ(node_header(status), "n1; leader=n1; term=3");
  EXPECT_EQ(ready_response(status).status, 200U);
  status.leader.reset();
  EXPECT_EQ(ready_response(status).status, 503U);
  status.phase = Phase::forming;
  EXPECT_TRUE(ready_response(status).body.contains("urn:weir:problem:forming"));
}

}  // namespace
}  // namespace weir::broker::http
