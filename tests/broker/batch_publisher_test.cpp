// The C++ client's fast way in, against a real broker's HTTP port.
#include "clients/cpp/batch_publisher.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "tests/broker/http_fixture.hpp"

namespace weir::broker::http {
namespace {

using client::BatchOutcome;
using client::BatchPublisher;
using client::errc;
using std::chrono::milliseconds;

constexpr milliseconds kBound{10'000};

client::ClientOptions options_for(const std::vector<std::uint16_t>& ports) {
  client::ClientOptions options;
  for (const std::uint16_t port : ports) options.servers.push_back({"127.0.0.1", port});
  options.learning = client::Learning::off;
  return options;
}

std::vector<client::OutgoingEvent> events(int first, int count) {
  std::vector<client::OutgoingEvent> made;
  for (int n = first; n < first + count; ++n) {
    made.push_back({.data = "body " + std::to_string(n), .id = "o-" + std::to_string(n)});
  }
  return made;
}

std::map<std::uint64_t, client::Result<client::BatchPublished>> all_outcomes(BatchPublisher& publisher) {
  std::map<std::uint64_t, client::Result<client::BatchPublished>> outcomes;
  while (auto outcome = publisher.next(kBound)) outcomes.emplace(outcome->number, std::move(outcome->published));
  return outcomes;
}

TEST(BatchPublisher, ManyBatchesEachComeBackOnce) {
  const TestBroker broker;
  BatchPublisher publisher(options_for({broker.port()}));
  for (int n = 0; n < 100; ++n)
    ASSERT_EQ(publisher.publish("orders", events(n * 10, 10)).value(), static_cast<std::uint64_t>(n) + 1);
  EXPECT_EQ(publisher.under_way(), 100U);
  const auto outcomes = all_outcomes(publisher);
  ASSERT_EQ(outcomes.size(), 100U);
  for (const auto& [number, published] : outcomes) {
    ASSERT_TRUE(published) << published.error().text;
    EXPECT_EQ(published->stored, 10U);
    EXPECT_EQ(published->results[9].id, "o-" + std::to_string((number * 10) - 1));
  }
  EXPECT_EQ(publisher.under_way(), 0U);
  EXPECT_TRUE(ask(broker, "HEAD /v1/events/orders").head.contains("Weir-Next: 1000"));
}

TEST(BatchPublisher, SaysWhatWasStoredBefore) {
  const TestBroker broker;
  BatchPublisher publisher(options_for({broker.port()}));
  ASSERT_TRUE(publisher.publish("orders", events(0, 3)));
  ASSERT_TRUE(publisher.next(kBound));
  ASSERT_TRUE(publisher.publish("orders", events(1, 4)));
  const auto outcome = publisher.next(kBound);
  ASSERT_TRUE(outcome && outcome->published);
  EXPECT_EQ(outcome->published->duplicates, 2U);
  EXPECT_EQ(outcome->published->stored, 2U);
  EXPECT_EQ(outcome->published->results[0].offset, 1U);
  EXPECT_TRUE(outcome->published->results[0].duplicate);
  EXPECT_EQ(outcome->published->results[3].offset, 4U);
}

TEST(BatchPublisher, RefusalsNameTheirBatch) {
  const TestBroker broker;
  BatchPublisher publisher(options_for({broker.port()}));
  EXPECT_EQ(publisher.publish("orders", {}).error().code, errc::bad_argument);
  const auto bad = publisher.publish("no//topic", events(0, 1));
  const auto good = publisher.publish("orders", events(0, 1));
  ASSERT_TRUE(bad && good);
  const auto outcomes = all_outcomes(publisher);
  EXPECT_EQ(outcomes.at(*bad).error().code, errc::refused);
  EXPECT_TRUE(outcomes.at(*good));
}

TEST(BatchPublisher, GoesToTheNextMemberAndRepeatsOnlyWhatIsSafe) {
  const TestBroker second;
  auto first = std::make_unique<TestBroker>();
  BatchPublisher publisher(options_for({first->port(), second.port()}));
  ASSERT_TRUE(publisher.publish("orders", events(0, 2)));
  ASSERT_TRUE(publisher.next(kBound)->published);
  first->on_core([&first] { first->disk().hold(); });
  const auto with_ids = publisher.publish("orders", events(2, 2));
  const std::vector<client::OutgoingEvent> plain = {{.data = "without an id"}};
  const auto without = publisher.publish("orders", plain);
  ASSERT_TRUE(with_ids && without);
  first->stop({}, 1);
  const auto outcomes = all_outcomes(publisher);
  ASSERT_TRUE(outcomes.at(*with_ids)) << outcomes.at(*with_ids).error().text;
  EXPECT_EQ(outcomes.at(*without).error().code, errc::outcome_unknown);
  EXPECT_TRUE(ask(second, "HEAD /v1/events/orders").head.contains("Weir-Next: 2"));
}

// One that may have been stored by a broker that is gone is never said to be stored nowhere.
TEST(BatchPublisher, AnUnknownOutcomeStaysUnknown) {
  const TestBroker second({}, Start::forming);  // answers 503: it has no leader
  auto first = std::make_unique<TestBroker>();
  auto options = options_for({first->port(), second.port()});
  options.deadline = milliseconds(1000);
  BatchPublisher publisher(options);
  ASSERT_TRUE(publisher.publish("orders", events(0, 1)));
  ASSERT_TRUE(publisher.next(kBound)->published);
  first->on_core([&first] { first->disk().hold(); });
  ASSERT_TRUE(publisher.publish("orders", events(1, 1)));
  first->stop({}, 1);
  const auto outcome = publisher.next(kBound);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->published.error().code, errc::outcome_unknown) << outcome->published.error().text;
}

TEST(BatchPublisher, NobodyThereIsUnreachable) {
  std::uint16_t port = 0;
  {
    const TestBroker gone;
    port = gone.port();
  }
  auto options = options_for({port});
  options.deadline = milliseconds(200);
  BatchPublisher publisher(options);
  ASSERT_TRUE(publisher.publish("orders", events(0, 1)));
  const auto outcome = publisher.next(kBound);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->published.error().code, errc::unreachable);
}

}  // namespace
}  // namespace weir::broker::http
