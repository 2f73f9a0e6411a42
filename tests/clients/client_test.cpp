#include "clients/cpp/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/clients/fake_broker.hpp"

namespace weir::client {
namespace {

using std::chrono::milliseconds;
using test::FakeAnswer;
using test::FakeBroker;
using test::FakeRequest;
using ::testing::HasSubstr;
using Then = FakeAnswer::Then;

constexpr auto kStored =
    R"({"topic":"orders/new","offset":42,"position":90213,"cursor":"e7.90213","id":"o-1001","time":"2026-11-20T22:50:01.123Z","duplicate":false})";
constexpr auto kDuplicate =
    R"({"topic":"orders/new","offset":42,"position":90213,"cursor":"e7.90213","id":"o-1001","time":"2026-11-20T22:50:01.123Z","duplicate":true})";
constexpr auto kNoLeader =
    R"({"type":"urn:weir:problem:no-leader","title":"No leader at the moment","status":503,"detail":"2 of 3 members unreachable","retry_after_ms":1,"safe_to_retry":true})";
constexpr auto kUnknown =
    R"({"type":"urn:weir:problem:outcome-unknown","title":"Outcome unknown","status":504,"detail":"leader lost"})";

ClientOptions options(std::vector<Endpoint> servers) {
  ClientOptions out;
  out.servers = std::move(servers);
  out.deadline = milliseconds(5'000);
  return out;
}

ClientOptions impatient(std::vector<Endpoint> servers) {
  auto out = options(std::move(servers));
  out.deadline = milliseconds(200);
  return out;
}

OutgoingEvent with_id() {
  return {.data = "hi", .id = "o-1001"};
}
OutgoingEvent without_id() {
  return {.data = "hi"};
}

TEST(Publish, StoredEventIsReported) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = kStored}; });
  Client client(options({broker.endpoint()}));
  const auto published = client.publish("orders/new", with_id());
  ASSERT_TRUE(published) << published.error().text;
  EXPECT_EQ(published->topic, "orders/new");
  EXPECT_EQ(published->offset, 42U);
  EXPECT_EQ(published->position, 90213U);
  EXPECT_EQ(published->cursor, "e7.90213");
  EXPECT_FALSE(published->duplicate);
}

TEST(Publish, DuplicateCarriesTheOriginalsOffsetAndTime) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 200, .body = kDuplicate}; });
  Client client(options({broker.endpoint()}));
  const auto published = client.publish("orders/new", with_id());
  ASSERT_TRUE(published) << published.error().text;
  EXPECT_TRUE(published->duplicate);
  EXPECT_EQ(published->time, "2026-11-20T22:50:01.123Z");
}

TEST(Publish, IdAndKeyOfAnyBytesTravelInTheUrl) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = kStored}; });
  Client client(options({broker.endpoint()}));
  auto event = with_id();
  event.id = "a b&c/\n\xC3\xA9";
  event.key = "k=1";
  ASSERT_TRUE(client.publish("orders/new", event));
  ASSERT_EQ(broker.requests().size(), 1U);
  EXPECT_EQ(broker.requests()[0].target, "/v1/events/orders/new?id=a%20b%26c%2F%0A%C3%A9&key=k%3D1");
  EXPECT_EQ(broker.requests()[0].content_type, "");
}

TEST(Publish, HeaderThatWouldForgeAnotherIsNotSent) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = kStored}; });
  Client client(options({broker.endpoint()}));
  auto event = with_id();
  event.headers = {{"Colour", "red\r\nHost: evil"}};
  const auto published = client.publish("orders/new", event);
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, errc::bad_argument);
  EXPECT_TRUE(broker.requests().empty());
}

TEST(Publish, RefusalIsAProblem) {
  FakeBroker broker([](const FakeRequest&) {
    return FakeAnswer{
        .status = 422,
        .body =
            R"({"type":"urn:weir:problem:id-reuse","title":"Id used before","status":422,"detail":"other content","offset":7})"};
  });
  Client client(options({broker.endpoint()}));
  const auto published = client.publish("orders/new", with_id());
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, errc::refused);
  ASSERT_TRUE(published.error().problem);
  EXPECT_EQ(published.error().problem->name(), "id-reuse");
  EXPECT_EQ(published.error().problem->offset, 7U);
  EXPECT_EQ(published.error().text, "orders/new: Id used before: other content");
}

TEST(Publish, NobodyThereIsUnreachable) {
  Client client(impatient({test::nobody()}));
  const auto published = client.publish("orders/new", with_id());
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, errc::unreachable);
}

TEST(Publish, LostAnswerWithoutIdIsUnknownAndNeverRepeated) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.then = Then::say_nothing_and_close}; });
  Client client(options({broker.endpoint()}));
  const auto published = client.publish("orders/new", without_id());
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, errc::outcome_unknown);
  EXPECT_EQ(broker.requests().size(), 1U);
}

TEST(Publish, LostAnswerWithIdIsRepeatedExactly) {
  std::atomic<int> calls = 0;
  FakeBroker broker([&](const FakeRequest&) {
    return ++calls == 1 ? FakeAnswer{.then = Then::say_nothing_and_close}
                        : FakeAnswer{.status = 200, .body = kDuplicate};
  });
  Client client(options({broker.endpoint()}));
  const auto published = client.publish("orders/new", with_id());
  ASSERT_TRUE(published) << published.error().text;
  EXPECT_TRUE(published->duplicate);
  ASSERT_EQ(broker.requests().size(), 2U);
  EXPECT_EQ(broker.requests()[0].target, broker.requests()[1].target);
  EXPECT_EQ(broker.requests()[0].body, broker.requests()[1].body);
}

TEST(Publish, UnknownOutcomeOfTheBrokerIsUnknownWithoutId) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 504, .body = kUnknown}; });
  Client client(options({broker.endpoint()}));
  const auto published = client.publish("orders/new", without_id());
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, errc::outcome_unknown);
  ASSERT_TRUE(published.error().problem);
  EXPECT_EQ(published.error().problem->name(), "outcome-unknown");
  EXPECT_EQ(broker.requests().size(), 1U);
}

TEST(Publish, UnknownThenUnreachableStaysUnknown) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 504, .body = kUnknown}; });
  Client client(impatient({broker.endpoint()}));
  const auto published = client.publish("orders/new", with_id());
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, errc::outcome_unknown);
  EXPECT_GT(broker.requests().size(), 1U);
}

TEST(Publish, NoLeaderIsTriedAgainEvenWithoutId) {
  std::atomic<int> calls = 0;
  FakeBroker broker([&](const FakeRequest&) {
    return ++calls < 3 ? FakeAnswer{.status = 503, .body = kNoLeader, .headers = {{"Retry-After", "1"}}}
                       : FakeAnswer{.status = 201, .body = kStored};
  });
  Client client(options({broker.endpoint()}));
  const auto published = client.publish("orders/new", without_id());
  ASSERT_TRUE(published) << published.error().text;
  EXPECT_EQ(broker.requests().size(), 3U);
}

TEST(Publish, NoLeaderUntilTheDeadlineSaysWhy) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 503, .body = kNoLeader}; });
  auto settings = options({broker.endpoint()});
  settings.deadline = milliseconds(1'500);  // the first answer is to come within it on a slow machine, too
  Client client(settings);
  const auto published = client.publish("orders/new", without_id());
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, errc::unreachable);
  EXPECT_THAT(published.error().text, HasSubstr("2 of 3 members unreachable"));
}

TEST(Publish, HungMemberIsLeftAtItsTimeout) {
  std::atomic<bool> over = false;
  FakeBroker hung([&](const FakeRequest&) {
    over.wait(false);
    return FakeAnswer{.status = 200, .body = kStored};
  });
  FakeBroker other([](const FakeRequest&) { return FakeAnswer{.status = 200, .body = kDuplicate}; });
  auto settings = options({hung.endpoint(), other.endpoint()});
  settings.answer_timeout = milliseconds(100);
  Client client(settings);
  const auto published = client.publish("orders/new", with_id());
  over = true;
  over.notify_all();
  ASSERT_TRUE(published) << published.error().text;
  EXPECT_EQ(other.requests().size(), 1U);
}

TEST(Failover, GoesOnWithALearnedMember) {
  FakeBroker second([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = kStored}; });
  FakeBroker first([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = kStored}; });
  first.set_members({first.endpoint(), second.endpoint()});
  Client client(options({first.endpoint()}));
  ASSERT_TRUE(client.publish("orders/new", without_id()));
  first.stop();
  const auto published = client.publish("orders/new", without_id());
  ASSERT_TRUE(published) << published.error().text;
  EXPECT_EQ(first.requests().size(), 1U);
  EXPECT_EQ(second.requests().size(), 1U);
}

TEST(Failover, ServerThatClosedAnIdleConnectionIsAskedOnANewOne) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = kStored, .then = Then::close}; });
  Client client(options({broker.endpoint()}));
  ASSERT_TRUE(client.publish("orders/new", without_id()));
  ASSERT_TRUE(client.publish("orders/new", without_id()));
  EXPECT_EQ(broker.requests().size(), 2U);
}

TEST(Batch, LinesAndResultsBelongTogether) {
  FakeBroker broker([](const FakeRequest&) {
    return FakeAnswer{
        .status = 201,
        .body =
            R"({"topic":"t","results":[{"offset":5,"position":9,"id":"a","duplicate":false},{"offset":2,"position":3,"id":"b","duplicate":true}],"stored":1,"duplicates":1,"cursor":"e7.9"})"};
  });
  Client client(options({broker.endpoint()}));
  auto a = with_id();
  a.id = "a";
  auto b = with_id();
  b.id = "b";
  b.data = std::string("\xFF\r", 2);
  const auto batch = client.publish_batch("t", std::vector{a, b});
  ASSERT_TRUE(batch) << batch.error().text;
  EXPECT_EQ(batch->stored, 1U);
  EXPECT_EQ(batch->duplicates, 1U);
  EXPECT_EQ(batch->results[1].offset, 2U);
  ASSERT_EQ(broker.requests().size(), 1U);
  EXPECT_EQ(broker.requests()[0].content_type, "application/x-ndjson");
  EXPECT_EQ(broker.requests()[0].body,
            "{\"id\":\"a\",\"content_type\":\"text/plain\",\"data\":\"hi\"}\n"
            "{\"id\":\"b\",\"content_type\":\"application/octet-stream\",\"data_base64\":\"/w0=\"}\n");
}

TEST(Batch, OneLineWithoutIdMakesALostAnswerUnknown) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.then = Then::say_nothing_and_close}; });
  Client client(options({broker.endpoint()}));
  const auto batch = client.publish_batch("t", std::vector{with_id(), without_id()});
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code, errc::outcome_unknown);
  EXPECT_EQ(broker.requests().size(), 1U);
}

TEST(Batch, AnswerWithTooFewResultsIsNotTakenForSuccess) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = R"({"results":[]})"}; });
  Client client(options({broker.endpoint()}));
  const auto batch = client.publish_batch("t", std::vector{with_id()});
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code, errc::outcome_unknown);
}

}  // namespace
}  // namespace weir::client
