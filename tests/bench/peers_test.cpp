// What other brokers answer, cut at every byte, and what they are told. No broker runs here: bench/compare/run starts
// them.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "bench/compare/http2.hpp"
#include "bench/compare/peer_protocols.hpp"
#include "bench/compare/process_use.hpp"
#include "tests/bench/take_cut.hpp"

namespace weir::bench::compare {
namespace {

using Make = std::function<std::unique_ptr<PublishProtocol>()>;

const std::vector<BenchEvent> kEvent = {{"r-1", "0000000000000001"}};
const client::Endpoint kServer{"127.0.0.1", 2379};

Make nats() {
  return [] { return make_nats("bench", "cafe"); };
}

/// With ids: the script has been loaded.
Make redis(Ids ids) {
  return [ids] {
    auto protocol = make_redis("bench", ids);
    EXPECT_EQ(protocol->open(ids == Ids::none ? "+PONG\r\n" : "$3\r\nsha\r\n"), ids == Ids::none ? 7U : 9U);
    return protocol;
  };
}

Make etcd(Ids ids) {
  return [ids] { return make_etcd(kServer, "bench/", ids); };
}

/// Publishes rids 0 to 2; then as test::take_cut.
std::vector<Answer> take_cut(const Make& make, const std::string& bytes) {
  return test::take_cut(
      [&make] {
        auto protocol = make();
        std::string out;
        for (std::uint64_t rid = 0; rid < 3; ++rid) protocol->append(out, rid, kEvent);
        return protocol;
      },
      bytes);
}

/// What `answers` say, in order: "0 stored, 1 duplicate, 2 why".
std::string said(const std::vector<Answer>& answers) {
  std::string text;
  for (const Answer& answer : answers) {
    const std::string what = !answer.problem.empty() ? answer.problem : answer.stored == 1 ? "stored" : "duplicate";
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", answer.rid, what);
    EXPECT_EQ(answer.stored + answer.duplicates, answer.problem.empty() ? 1U : 0U);
  }
  return text;
}

std::string nats_message(std::uint64_t rid, std::string_view body) {
  return fmt::format("MSG _INBOX.cafe.{} 1 {}\r\n{}\r\n", rid, body.size(), body);
}

TEST(BenchNats, AnEventIsOnePublishWithItsIdInTheHead) {
  std::string out;
  const auto protocol = nats()();
  protocol->append(out, 7, kEvent);
  EXPECT_EQ(out,
            "HPUB bench _INBOX.cafe.7 30 46\r\n"
            "NATS/1.0\r\nNats-Msg-Id: r-1\r\n\r\n0000000000000001\r\n");
  out.clear();
  const std::vector<BenchEvent> without_id = {{"", "0000000000000001"}};
  protocol->append(out, 8, without_id);
  EXPECT_EQ(out, "PUB bench _INBOX.cafe.8 16\r\n0000000000000001\r\n");
}

TEST(BenchNats, UnderstandsAnswersCutAnywhere) {
  const std::string bytes =
      "+OK\r\nPING\r\n" + nats_message(2, R"({"stream":"BENCH", "seq":8})") +
      nats_message(0, R"({"stream":"BENCH", "seq":8,"duplicate": true})") +
      nats_message(1, R"({"error":{"code":503,"description":"no leader"},"stream":"BENCH","seq":0})");
  EXPECT_EQ(said(take_cut(nats(), bytes)), "2 stored, 0 duplicate, 1 no leader");
}

TEST(BenchNats, NobodyThereIsAProblem) {
  EXPECT_EQ(said(take_cut(nats(), "HMSG _INBOX.cafe.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n")), "1 no responders");
}

TEST(BenchNats, AnswersAPingAndRefusesWhatItDoesNotKnow) {
  std::vector<Answer> answers;
  std::string reply;
  EXPECT_EQ(nats()()->take("PING\r\n", answers, reply), 6U);
  EXPECT_EQ(reply, "PONG\r\n");
  for (const std::string_view bad :
       {"-ERR 'Slow'\r\n", "MSG _INBOX.other.1 1 0\r\n\r\n", "MSG _INBOX.cafe.1 1 x\r\n"}) {
    EXPECT_FALSE(nats()()->take(bad, answers, reply)) << bad;
  }
}

TEST(BenchNats, IsOpenWhenThePongHasCome) {
  const std::string bytes = "INFO {\"server_id\":\"n0\"}\r\nPONG\r\n";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_EQ(nats()()->open(bytes.substr(0, cut)), cut < bytes.size() ? 0U : bytes.size()) << cut;
  }
  EXPECT_FALSE(nats()()->open("INFO {}\r\n-ERR 'Authorization Violation'\r\n"));
}

TEST(BenchRedis, AnEventIsOneCommand) {
  std::string out;
  redis(Ids::none)()->append(out, 0, kEvent);
  EXPECT_EQ(out, "*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\ne\r\n$16\r\n0000000000000001\r\n");
  out.clear();
  redis(Ids::every_event)()->append(out, 0, kEvent);
  EXPECT_EQ(out,
            "*7\r\n$7\r\nEVALSHA\r\n$3\r\nsha\r\n$1\r\n2\r\n$3\r\nr-1\r\n$5\r\nbench\r\n"
            "$16\r\n0000000000000001\r\n$3\r\n120\r\n");
}

TEST(BenchRedis, UnderstandsAnswersCutAnywhereInTheOrderOfTheCommands) {
  EXPECT_EQ(said(take_cut(redis(Ids::every_event), "$3\r\n1-0\r\n$-1\r\n-MISCONF no disk\r\n")),
            "0 stored, 1 duplicate, 2 MISCONF");
}

TEST(BenchRedis, RefusesWhatIsNoAnswer) {
  std::vector<Answer> answers;
  std::string reply;
  for (const std::string_view bad : {"\r\n", "$x\r\n", ":1\r\n", "+OK\r\n"}) {  // the last: nothing was asked
    EXPECT_FALSE(redis(Ids::none)()->take(bad, answers, reply)) << bad;
  }
}

std::string http2_frame(FrameType type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string out;
  append_frame_head(out, type, flags, stream, payload.size());
  return out.append(payload);
}

std::string grpc_message(std::string_view message) {
  std::string out(1, '\0');
  append_u32(out, static_cast<std::uint32_t>(message.size()));
  return out.append(message);
}

/// A header that is skipped (field 1), then whether the transaction succeeded (field 2).
std::string transaction_answer(std::string_view succeeded) {
  std::string out;
  append_field(out, 1, "0123456789");
  return out.append(succeeded);
}

TEST(BenchEtcd, UnderstandsAnswersCutAnywhere) {
  const std::string yes = grpc_message(transaction_answer("\x10\x01"));
  const std::string no = grpc_message(transaction_answer(""));
  const std::string bytes = http2_frame(FrameType::settings, 0, 0, "") +
                            http2_frame(FrameType::headers, kEndHeaders, 5, "h") +
                            http2_frame(FrameType::data, 0, 5, yes.substr(0, 3)) +
                            http2_frame(FrameType::data, 0, 1, no) + http2_frame(FrameType::data, 0, 5, yes.substr(3)) +
                            http2_frame(FrameType::headers, kEndHeaders | kEndStream, 5, "t") +
                            http2_frame(FrameType::headers, kEndHeaders | kEndStream, 1, "t") +
                            http2_frame(FrameType::headers, kEndHeaders | kEndStream, 3, "an error");
  EXPECT_EQ(said(take_cut(etcd(Ids::every_event), bytes)), "2 stored, 0 duplicate, 1 the call failed");
}

TEST(BenchEtcd, WithoutIdsAnAnswerIsEnough) {
  const std::string bytes = http2_frame(FrameType::data, 0, 3, grpc_message(transaction_answer(""))) +
                            http2_frame(FrameType::headers, kEndStream, 3, "t");
  EXPECT_EQ(said(take_cut(etcd(Ids::none), bytes)), "1 stored");
}

TEST(BenchEtcd, AnswersSettingsAndPings) {
  std::vector<Answer> answers;
  std::string reply;
  const std::string in = http2_frame(FrameType::settings, 0, 0, "") + http2_frame(FrameType::settings, kAck, 0, "") +
                         http2_frame(FrameType::ping, 0, 0, "12345678");
  EXPECT_EQ(etcd(Ids::none)()->take(in, answers, reply), in.size());
  EXPECT_EQ(reply, http2_frame(FrameType::settings, kAck, 0, "") + http2_frame(FrameType::ping, kAck, 0, "12345678"));
  EXPECT_FALSE(etcd(Ids::none)()->take(http2_frame(FrameType::goaway, 0, 0, "12345678"), answers, reply));
}

/// Bytes of data in whole frames of `out`, the preface left out.
std::size_t data_bytes(std::string_view out) {
  if (out.starts_with(kPreface)) out.remove_prefix(kPreface.size());
  std::size_t bytes = 0;
  while (const auto frame = front_frame(out)) {
    if (frame->is(FrameType::data)) bytes += frame->payload.size();
    out.remove_prefix(frame->size);
  }
  EXPECT_TRUE(out.empty());
  return bytes;
}

TEST(BenchEtcd, DataWaitsForTheServersWindow) {
  const auto protocol = etcd(Ids::none)();
  std::string out;
  const std::vector<BenchEvent> event = {{"", std::string(1000, 'x')}};
  std::size_t one = 0;
  for (std::uint64_t rid = 0; rid < 100; ++rid) {
    protocol->append(out, rid, event);
    if (rid == 0) one = data_bytes(out);
  }
  const std::size_t before = static_cast<std::size_t>(kFirstWindow) / one;
  ASSERT_LT(before, 100U);
  EXPECT_EQ(data_bytes(out), before * one);
  std::string grant;
  append_window_update(grant, 0, 1'000'000);
  std::vector<Answer> answers;
  std::string reply;
  EXPECT_EQ(protocol->take(grant, answers, reply), grant.size());
  EXPECT_EQ(data_bytes(reply), (100 - before) * one);
}

Make rabbitmq() {
  return [] { return make_rabbitmq("bench"); };
}

/// A frame of channel 1 with a method: class, number, and what follows.
std::string amqp_method(std::string_view method, std::string_view arguments) {
  std::string out("\x01\x00\x01", 3);
  append_u32(out, static_cast<std::uint32_t>(method.size() + arguments.size()));
  return out.append(method).append(arguments).append("\xce");
}

constexpr std::string_view kAckMethod("\x00\x3c\x00\x50", 4);
constexpr std::string_view kNackMethod("\x00\x3c\x00\x78", 4);
constexpr std::string_view kReturnMethod("\x00\x3c\x00\x32", 4);
constexpr std::string_view kChannelCloseMethod("\x00\x14\x00\x28", 4);
constexpr std::string_view kSelectOkMethod("\x00\x55\x00\x0b", 4);
const std::string kHeartbeat("\x08\x00\x00\x00\x00\x00\x00\xce", 8);

std::string confirm_of(std::string_view method, std::uint8_t number, bool multiple) {
  return amqp_method(method, std::string(7, '\0') + static_cast<char>(number) + (multiple ? '\x01' : '\0'));
}

TEST(BenchRabbit, AnEventIsAMethodAHeaderAndABody) {
  std::string out;
  rabbitmq()()->append(out, 7, kEvent);
  std::string header("\x02\x00\x01\x00\x00\x00\x0f", 7);
  header.append("\x00\x3c\x00\x00", 4).append(7, '\0').append("\x10\x10\x00\x02\xce", 5);
  const std::string body = std::string("\x03\x00\x01\x00\x00\x00\x10", 7) + "0000000000000001\xce";
  const auto publish = amqp_method({"\x00\x3c\x00\x28", 4}, {"\x00\x00\x00\x05"
                                                             "bench\x01",
                                                             10});
  EXPECT_EQ(out, publish + header + body);
}

TEST(BenchRabbit, DeclaresADurableQuorumQueueOfThreeBeforeConfirmsAreAskedFor) {
  const std::string opening = rabbitmq()()->opening();
  std::string table = "\x0cx-queue-typeS";
  table.append("\x00\x00\x00\x06quorum\x1bx-quorum-initial-group-sizeI", 39).append("\x00\x00\x00\x03", 4);
  std::string arguments(
      "\x00\x00\x05"
      "bench\x02",
      9);
  append_u32(arguments, static_cast<std::uint32_t>(table.size()));
  const std::string end = amqp_method({"\x00\x32\x00\x0a", 4}, arguments + table) +
                          amqp_method({"\x00\x55\x00\x0a", 4}, std::string_view("\x00", 1));
  EXPECT_TRUE(opening.starts_with(std::string_view("AMQP\x00\x00\x09\x01", 8)));
  EXPECT_TRUE(opening.ends_with(end));
}

TEST(BenchRabbit, UnderstandsConfirmsCutAnywhereOutOfOrderAndSeveralAtOnce) {
  const std::string bytes = confirm_of(kAckMethod, 2, false) + kHeartbeat + confirm_of(kAckMethod, 3, true);
  EXPECT_EQ(said(take_cut(rabbitmq(), bytes)), "1 stored, 0 stored, 2 stored");
  EXPECT_EQ(said(take_cut(rabbitmq(), confirm_of(kAckMethod, 1, false) + confirm_of(kNackMethod, 3, true))),
            "0 stored, 1 nack, 2 nack");
}

TEST(BenchRabbit, RefusesWhatItCannotRelyOn) {
  const std::string reason("\x01\x94\x09NOT_FOUND", 12);
  std::string without_end = confirm_of(kAckMethod, 1, false);
  without_end.back() = '\0';
  for (const std::string& bad :
       {confirm_of(kAckMethod, 2, false), confirm_of(kAckMethod, 0, true), amqp_method(kAckMethod, "short"),
        amqp_method(kReturnMethod, reason), amqp_method(kSelectOkMethod, ""), without_end,
        std::string("AMQP\x00\x00\x09\x01", 8), std::string("\x01\x00\x01\xff\xff\xff\xff", 7)}) {
    const auto protocol = rabbitmq()();
    std::string out;
    protocol->append(out, 0, kEvent);
    std::vector<Answer> answers;
    EXPECT_FALSE(protocol->take(bad, answers, out)) << testing::PrintToString(bad);
  }
}

TEST(BenchRabbit, IsOpenWhenConfirmsAreOn) {
  const std::string bytes = amqp_method({"\x00\x32\x00\x0b", 4}, "declared") + amqp_method(kSelectOkMethod, "");
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_EQ(rabbitmq()()->open(bytes.substr(0, cut)), cut < bytes.size() ? 0U : bytes.size()) << cut;
  }
  const auto refused = rabbitmq()()->open(amqp_method(kChannelCloseMethod, {"\x01\x96\x06REFUSE", 9}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), "406 REFUSE");
}

TEST(BenchProtocolBuffers, NumbersAreFoundAndBrokenMessagesRefused) {
  std::string message;
  append_field(message, 1, std::string(300, 'x'));
  message.append("\x10\xac\x02", 3);
  EXPECT_EQ(number_field(message, 2), 300U);
  EXPECT_EQ(number_field(message, 3), 0U);
  for (std::size_t cut = 1; cut < message.size(); ++cut) {
    const auto found = number_field(std::string_view(message).substr(0, cut), 2);
    const bool at_a_field = cut == message.size() - 3;
    EXPECT_EQ(found.has_value(), at_a_field) << cut;
  }
}

TEST(BenchProcessUse, TheNameOfAProcessMayHoldAnything) {
  const std::string_view stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 8 0";
  EXPECT_EQ(cpu_seconds(stat, 100), 1.27);
  EXPECT_FALSE(cpu_seconds("12 (a) S 1 2 3", 100));
  EXPECT_FALSE(cpu_seconds("", 100));
}

TEST(BenchProcessUse, AProcessThatIsGoneIsUnknown) {
  const auto samples = sample_processes({::getpid(), -1});
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_TRUE(samples[0]);
  EXPECT_FALSE(samples[1]);
}

}  // namespace
}  // namespace weir::bench::compare
