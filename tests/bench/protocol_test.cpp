// What the bench says and understands, without a broker. Every reader of bytes is cut at every byte.
#include "bench/protocol.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "bench/http_text.hpp"
#include "bench/node_use.hpp"
#include "tests/bench/take_cut.hpp"

namespace weir::bench {
namespace {

const client::Endpoint kServer{"127.0.0.1", 7400};

std::shared_ptr<Topics> topics(const char* name, std::size_t count = 1) {
  return std::make_shared<Topics>(name, count);
}

/// A server's frame.
std::string frame(std::string_view text, char first = '\x81') {
  std::string out(1, first);
  if (text.size() < 126) {
    out += static_cast<char>(text.size());
  } else {
    out += '\x7e';
    out += static_cast<char>(text.size() >> 8U);
    out += static_cast<char>(text.size() & 0xffU);
  }
  return out.append(text);
}

std::string chunk(std::string_view text) {
  return fmt::format("{:x}\r\n{}\r\n", text.size(), text);
}

std::string http_answer(std::string_view status, std::string_view body) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body);
}

/// Publishes `events` as rid 7; then as test::take_cut.
std::vector<Answer> take_cut(Protocol kind, std::span<const BenchEvent> events, const std::string& bytes) {
  return test::take_cut(
      [kind, events] {
        auto protocol = make_publish_protocol(kind, kServer, topics("t"));
        std::string out;
        protocol->append(out, 7, events);
        return protocol;
      },
      bytes);
}

const std::vector<BenchEvent> kEvent = {{"r-1", "0000000000000001"}};

TEST(BenchHttp, OneEventIsOneRequest) {
  const auto protocol = make_publish_protocol(Protocol::http, kServer, topics("a/b"));
  std::string out;
  protocol->append(out, 0, kEvent);
  EXPECT_EQ(out,
            "POST /v1/events/a/b?id=r-1 HTTP/1.1\r\nHost: 127.0.0.1:7400\r\nContent-Type: text/plain\r\n"
            "Content-Length: 16\r\n\r\n0000000000000001");
}

// Whichever connection sends it.
TEST(BenchHttp, RequestsGoToTheTopicsInTurn) {
  const auto two = topics("t", 2);
  std::string out;
  const auto first = make_publish_protocol(Protocol::http, kServer, two);
  const auto second = make_publish_protocol(Protocol::ndjson, kServer, two);
  first->append(out, 0, kEvent);
  second->append(out, 0, kEvent);
  EXPECT_EQ(out.find("POST /v1/events/t/0?id="), 0U) << out;
  EXPECT_NE(out.find("POST /v1/events/t/1 "), std::string::npos) << out;
  EXPECT_EQ(two->next(), "t/0");
}

TEST(BenchHttp, UnderstandsAnswersCutAnywhere) {
  const auto stored = take_cut(Protocol::http, kEvent, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}");
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].rid, 7U);
  EXPECT_EQ(stored[0].stored, 1U);
  const auto duplicate = take_cut(Protocol::http, kEvent, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
  ASSERT_EQ(duplicate.size(), 1U);
  EXPECT_EQ(duplicate[0].duplicates, 1U);
  const auto refused =
      take_cut(Protocol::http, kEvent, http_answer("503 No", R"({"type":"urn:weir:problem:no-leader"})"));
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].problem, "no-leader");
}

TEST(BenchHttp, ABatchIsLinesAndItsAnswerTheirSums) {
  const auto protocol = make_publish_protocol(Protocol::ndjson, kServer, topics("t"));
  std::string out;
  const std::vector<BenchEvent> two = {{"r-1", "x"}, {"", "y"}};
  protocol->append(out, 0, two);
  EXPECT_TRUE(out.ends_with("\r\n\r\n{\"id\":\"r-1\",\"data\":\"x\"}\n{\"data\":\"y\"}\n")) << out;
  const std::string body = R"({"topic":"t","results":[{"offset":0}],"stored":90,"duplicates":10,"cursor":"e.1"})";
  const auto answers = take_cut(Protocol::ndjson, two, http_answer("201 Created", body));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].stored, 90U);
  EXPECT_EQ(answers[0].duplicates, 10U);
}

TEST(BenchHttp, AnAnswerThatNobodyAskedForIsAnError) {
  const auto protocol = make_publish_protocol(Protocol::http, kServer, topics("t"));
  std::vector<Answer> answers;
  std::string reply;
  EXPECT_FALSE(protocol->take("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", answers, reply));
  EXPECT_FALSE(protocol->take("SMTP 1", answers, reply).value_or(0));
}

TEST(BenchWebSocket, UnderstandsAnswersCutAnywhere) {
  const std::string bytes =
      frame(R"({"op":"ack","rid":7,"offset":4,"position":5,"cursor":"e.5","duplicate":false})") +
      frame("are you there?", '\x89') +
      frame(R"({"op":"ack","rid":8,"offset":4,"position":5,"cursor":"e.5","duplicate":true})") +
      frame(R"({"op":"error","rid":9,"problem":{"type":"urn:weir:problem:overloaded","title":"Overloaded"}})");
  const auto answers = take_cut(Protocol::ws, kEvent, bytes);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[0].rid, 7U);
  EXPECT_EQ(answers[0].stored, 1U);
  EXPECT_EQ(answers[1].duplicates, 1U);
  EXPECT_EQ(answers[2].problem, "overloaded");
}

TEST(BenchWebSocket, PingsAreAnsweredAndTheEndIsNoticed) {
  const auto protocol = make_publish_protocol(Protocol::ws, kServer, topics("t"));
  std::vector<Answer> answers;
  std::string reply;
  ASSERT_TRUE(protocol->take(frame("hi", '\x89'), answers, reply));
  EXPECT_EQ(reply, std::string("\x8a\x82\0\0\0\0hi", 8));
  EXPECT_FALSE(protocol->take(frame("\x03\xe9", '\x88'), answers, reply));
  EXPECT_FALSE(protocol->take(std::string("\x01\x01x"), answers, reply)) << "a fragment";
}

TEST(BenchWebSocket, LongFramesSayTheirLength) {
  std::string out;
  append_frame(out, Opcode::binary, std::string(70'000, 'x'));
  ASSERT_EQ(out.size(), 70'000U + 14);
  EXPECT_EQ(out.substr(0, 10), std::string("\x82\xff\0\0\0\0\0\x01\x11\x70", 10));
}

/// All payloads, and how often it was caught up, of `bytes` in two pieces cut at each place in turn.
void expect_heard(Protocol kind, const std::string& bytes, const std::vector<std::string>& payloads) {
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const auto protocol = make_read_protocol(kind, kServer, "t", ReadFrom::earliest);
    std::vector<std::string> heard;
    int caught_up = 0;
    const Heard hear{.event = [&](std::string_view payload) { heard.emplace_back(payload); },
                     .caught_up = [&] { ++caught_up; }};
    std::string reply;
    const auto first = protocol->take(std::string_view(bytes).substr(0, cut), hear, reply);
    ASSERT_TRUE(first) << cut << ": " << first.error();
    const auto second = protocol->take(std::string_view(bytes).substr(*first), hear, reply);
    ASSERT_TRUE(second) << cut << ": " << second.error();
    ASSERT_EQ(heard, payloads) << cut;
    ASSERT_EQ(caught_up, 1) << cut;
  }
}

TEST(BenchReading, TakesChunkedLinesCutAnywhere) {
  expect_heard(Protocol::ndjson,
               chunk("{\"topic\":\"t\",\"offset\":0,\"id\":null,\"data\":\"a\"}\n") +
                   chunk("{\"topic\":\"t\",\"offset\":1,") + chunk("\"data\":\"b\"}\n") +
                   chunk("{\"control\":\"caught-up\",\"a\":") + chunk("1}\n") + chunk("\n"),
               {"a", "b"});
}

TEST(BenchReading, TakesFramesCutAnywhere) {
  expect_heard(Protocol::ws,
               frame(R"({"op":"subscribed","sid":1,"cursor":"e.0","node":"n1"})") +
                   frame(R"({"op":"event","sid":1,"topic":"t","offset":0,"data":"a"})") +
                   frame(R"({"op":"caught-up","sid":1})"),
               {"a"});
}

TEST(BenchReading, GivesCreditBack) {
  const auto protocol = make_read_protocol(Protocol::ws, kServer, "t", ReadFrom::latest);
  std::string bytes;
  for (int i = 0; i < 8192; ++i) bytes += frame(R"({"op":"event","sid":1,"data":"a"})");
  std::string reply;
  ASSERT_TRUE(protocol->take(bytes, {.event = [](std::string_view) {}, .caught_up = [] {}}, reply));
  EXPECT_TRUE(reply.ends_with(R"({"op":"credit","sid":1,"n":8192})")) << reply;
}

TEST(BenchNodes, CostsAreDifferencesOfCounters) {
  const std::string before =
      "# TYPE x counter\nprocess_cpu_seconds_total 1.500000\nweir_disk_writes_total 10\nweir_events_stored_total 100\n"
      "weir_entries_applied_total 7\n";
  const std::string after =
      "# TYPE x counter\nprocess_cpu_seconds_total 2.750000\nweir_disk_writes_total 30\nweir_events_stored_total 4100\n"
      "weir_entries_applied_total 9\n";
  const Targets targets{.nodes = {{"n1", kServer, true}, {"n2", kServer, false}}, .durability = "quorum-disk"};
  const auto uses = use_between(targets, {parse_metrics(before), parse_metrics(after)},
                                {parse_metrics(after), parse_metrics(before)});
  ASSERT_EQ(uses.size(), 2U);
  EXPECT_TRUE(uses[0].known);
  EXPECT_DOUBLE_EQ(uses[0].cpu_s, 1.25);
  EXPECT_EQ(uses[0].disk_writes, 20U);
  EXPECT_EQ(uses[0].events_stored, 4000U);
  EXPECT_FALSE(uses[1].known) << "counters that fell: it was started anew";
  EXPECT_EQ(parse_metrics("weir_disk_writes_total 10\n"), std::nullopt);
}

}  // namespace
}  // namespace weir::bench
