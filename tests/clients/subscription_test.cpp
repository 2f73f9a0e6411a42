#include "clients/cpp/subscription.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "tests/clients/fake_broker.hpp"

namespace weir::client {
namespace {

using std::chrono::milliseconds;
using test::FakeAnswer;
using test::FakeBroker;
using test::FakeRequest;
using test::FakeSocket;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr milliseconds kBound{5'000};

FakeAnswer no_route(const FakeRequest&) {
  return {.status = 404, .body = "{}"};
}

std::string event_frame(std::uint64_t position, std::uint64_t offset) {
  return R"({"op":"event","sid":1,"cursor":"e7.)" + std::to_string(position) + R"(","topic":"demo/hello","offset":)" +
         std::to_string(offset) +
         R"(,"id":null,"time":"2026-11-20T22:50:01.123Z","content_type":"text/plain","data":"d)" +
         std::to_string(offset) + "\"}";
}

std::string subscribed(const std::string& cursor) {
  return R"({"op":"subscribed","sid":1,"cursor":")" + cursor + R"(","node":"n1"})";
}

/// The `sub` frames that brokers were sent.
class Asked {
 public:
  void add(const std::string& frame) {
    const std::lock_guard lock(mutex_);
    frames_.push_back(frame);
  }
  std::vector<std::string> frames() {
    const std::lock_guard lock(mutex_);
    return frames_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> frames_;
};

/// Sends what it is given after `sub`, then keeps the connection until the client leaves, or cuts it.
enum class Afterwards { stay, cut };
FakeBroker::OnSocket script(Asked& asked, std::vector<std::string> frames, Afterwards afterwards) {
  return [&asked, frames = std::move(frames), afterwards](FakeSocket& socket) {
    asked.add(socket.read());
    for (const auto& frame : frames) socket.send(frame);
    while (afterwards == Afterwards::stay && !socket.read().empty()) {
    }
  };
}

ClientOptions to(std::vector<Endpoint> servers) {
  ClientOptions options;
  options.servers = std::move(servers);
  return options;
}

SubscribeOptions pattern(std::string from = {}) {
  return {.pattern = "demo/**", .from = std::move(from)};
}

/// One word per notice, up to and including `last`.
std::vector<std::string> follow(Subscription& subscription, const std::string& last) {
  struct Words {
    std::string operator()(const ReceivedEvent& event) {
      return "event " + std::to_string(event.offset) + " " + event.data;
    }
    std::string operator()(const Lost&) { return "lost"; }
    std::string operator()(const Resumed& resumed) {
      return "resumed " + resumed.cursor + " " + (resumed.missed ? std::to_string(*resumed.missed) : "?");
    }
    std::string operator()(const CaughtUp&) { return "caught-up"; }
    std::string operator()(const Gap& gap) {
      return std::string(gap.source == Gap::Source::broker ? "gap " : "hole ") +
             (gap.missed ? std::to_string(*gap.missed) : "?");
    }
  };
  std::vector<std::string> words;
  while (words.empty() || words.back() != last) {
    const auto notice = subscription.next(kBound);
    if (!notice) {
      words.push_back("error " + notice.error().text);
      break;
    }
    if (!*notice) {
      words.emplace_back("nothing in time");
      break;
    }
    words.push_back(std::visit(Words{}, **notice));
  }
  return words;
}

TEST(Subscription, AsksForThePatternAndDeliversInOrder) {
  Asked asked;
  FakeBroker broker(no_route,
                    script(asked, {subscribed("e7.0"), event_frame(1, 0), event_frame(2, 1)}, Afterwards::stay));
  Subscription subscription(to({broker.endpoint()}), pattern("earliest"));
  EXPECT_THAT(follow(subscription, "event 1 d1"), ElementsAre("event 0 d0", "event 1 d1"));
  EXPECT_THAT(asked.frames(), ElementsAre(R"({"op":"sub","sid":1,"topic":"demo/**","from":"earliest","credit":1024})"));
  EXPECT_EQ(subscription.cursor(), "e7.2");
}

TEST(Subscription, ResumesOnALearnedMemberExactlyAfterItsCursor) {
  Asked first_asked;
  Asked second_asked;
  FakeBroker second(no_route, script(second_asked, {subscribed("e7.2"), event_frame(3, 2)}, Afterwards::stay));
  FakeBroker first(no_route,
                   script(first_asked, {subscribed("e7.0"), event_frame(1, 0), event_frame(2, 1)}, Afterwards::cut));
  first.set_members({first.endpoint(), second.endpoint()});
  Subscription subscription(to({first.endpoint()}), pattern("earliest"));
  EXPECT_THAT(follow(subscription, "event 2 d2"),
              ElementsAre("event 0 d0", "event 1 d1", "lost", "resumed e7.2 0", "event 2 d2"));
  ASSERT_EQ(second_asked.frames().size(), 1U);
  EXPECT_THAT(second_asked.frames()[0], HasSubstr(R"("from":"after:e7.2")"));
}

TEST(Subscription, ResumesFromTheSubscribedCursorWhenNothingHadArrived) {
  Asked first_asked;
  Asked second_asked;
  FakeBroker second(
      no_route,
      script(second_asked, {subscribed("e7.41"), R"({"op":"caught-up","sid":1,"cursor":"e7.41"})"}, Afterwards::stay));
  FakeBroker first(no_route, script(first_asked, {subscribed("e7.41")}, Afterwards::cut));
  first.set_members({second.endpoint()});
  Subscription subscription(to({first.endpoint()}), pattern());
  EXPECT_THAT(follow(subscription, "caught-up"), ElementsAre("lost", "resumed e7.41 0", "caught-up"));
  EXPECT_THAT(second_asked.frames()[0], HasSubstr(R"("from":"after:e7.41")"));
}

TEST(Subscription, GapAfterResumeIsCounted) {
  Asked asked;
  FakeBroker second(
      no_route,
      script(asked,
             {subscribed("e7.2"),
              R"({"op":"gap","sid":1,"first":12,"missing":{"topic":"demo/hello","from":2,"to":11},"cursor":"e7.30"})",
              event_frame(31, 12)},
             Afterwards::stay));
  FakeBroker first(no_route,
                   script(asked, {subscribed("e7.0"), event_frame(1, 0), event_frame(2, 1)}, Afterwards::cut));
  first.set_members({second.endpoint()});
  Subscription subscription(to({first.endpoint()}), pattern("earliest"));
  EXPECT_THAT(follow(subscription, "event 12 d12"),
              ElementsAre("event 0 d0", "event 1 d1", "lost", "resumed e7.2 10", "gap 10", "event 12 d12"));
}

TEST(Subscription, HoleThatNobodyAnnouncedIsSaid) {
  Asked asked;
  FakeBroker second(no_route, script(asked, {subscribed("e7.2"), event_frame(9, 4)}, Afterwards::stay));
  FakeBroker first(no_route,
                   script(asked, {subscribed("e7.0"), event_frame(1, 0), event_frame(2, 1)}, Afterwards::cut));
  first.set_members({second.endpoint()});
  Subscription subscription(to({first.endpoint()}), pattern("earliest"));
  EXPECT_THAT(follow(subscription, "event 4 d4"),
              ElementsAre("event 0 d0", "event 1 d1", "lost", "resumed e7.2 2", "hole 2", "event 4 d4"));
}

TEST(Subscription, EventSeenBeforeIsDroppedAndCounted) {
  Asked asked;
  FakeBroker second(
      no_route,
      script(asked, {subscribed("e7.1"), event_frame(1, 0), event_frame(2, 1), event_frame(3, 2)}, Afterwards::stay));
  FakeBroker first(no_route,
                   script(asked, {subscribed("e7.0"), event_frame(1, 0), event_frame(2, 1)}, Afterwards::cut));
  first.set_members({second.endpoint()});
  Subscription subscription(to({first.endpoint()}), pattern("earliest"));
  EXPECT_THAT(follow(subscription, "event 2 d2"),
              ElementsAre("event 0 d0", "event 1 d1", "lost", "resumed e7.2 0", "event 2 d2"));
  EXPECT_EQ(subscription.duplicates_dropped(), 2U);
}

TEST(Subscription, GoawayNamesWhereToGo) {
  Asked first_asked;
  Asked second_asked;
  FakeBroker second(no_route, script(second_asked, {subscribed("e7.1"), event_frame(2, 1)}, Afterwards::stay));
  FakeBroker first(no_route, script(first_asked,
                                    {subscribed("e7.0"), event_frame(1, 0),
                                     R"({"op":"goaway","to":")" + second.endpoint().text() + "\"}"},
                                    Afterwards::stay));
  Subscription subscription(to({first.endpoint()}), pattern("earliest"));
  EXPECT_THAT(follow(subscription, "event 1 d1"), ElementsAre("event 0 d0", "lost", "resumed e7.1 0", "event 1 d1"));
}

TEST(Subscription, AnotherEpochIsRefusedNotMisread) {
  Asked asked;
  FakeBroker broker(no_route,
                    script(asked,
                           {subscribed("e7.5"),
                            R"({"op":"event","sid":1,"cursor":"e8.6","topic":"t","offset":0,"id":null,"data":1})"},
                           Afterwards::stay));
  Subscription subscription(to({broker.endpoint()}), pattern());
  const auto words = follow(subscription, "never");
  ASSERT_EQ(words.size(), 1U);
  EXPECT_THAT(words[0], HasSubstr("the log was replaced"));
}

TEST(Subscription, RefusalOfTheBrokerEndsIt) {
  Asked asked;
  FakeBroker broker(
      no_route,
      script(
          asked,
          {R"({"op":"error","sid":1,"problem":{"type":"urn:weir:problem:epoch-changed","title":"Another log","status":410}})"},
          Afterwards::stay));
  Subscription subscription(to({broker.endpoint()}), pattern("after:e1.5"));
  const auto notice = subscription.next(kBound);
  ASSERT_FALSE(notice);
  EXPECT_EQ(notice.error().code, errc::refused);
  EXPECT_EQ(notice.error().text, "demo/**: Another log");
}

TEST(Subscription, CreditIsGivenBackAsEventsAreTaken) {
  std::mutex mutex;
  std::string credit;
  FakeBroker broker(no_route, [&](FakeSocket& socket) {
    socket.read();
    socket.send(subscribed("e7.0"));
    for (std::uint64_t n = 0; n < 512; ++n) socket.send(event_frame(n + 1, n));
    auto frame = socket.read();
    {
      const std::lock_guard lock(mutex);
      credit = frame;
    }
    socket.send(event_frame(513, 512));
    while (!socket.read().empty()) {
    }
  });
  Subscription subscription(to({broker.endpoint()}), pattern("earliest"));
  EXPECT_EQ(follow(subscription, "event 512 d512").size(), 513U);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(credit, R"({"op":"credit","sid":1,"n":512})");
}

TEST(Subscription, NobodyThereIsUnreachableInTime) {
  auto options = pattern();
  options.connect_for = milliseconds(150);
  Subscription subscription(to({test::nobody()}), options);
  const auto notice = subscription.next(kBound);
  ASSERT_FALSE(notice);
  EXPECT_EQ(notice.error().code, errc::unreachable);
}

TEST(Subscription, QuietBrokerMeansNothingYet) {
  Asked asked;
  FakeBroker broker(no_route, script(asked, {subscribed("e7.0")}, Afterwards::stay));
  Subscription subscription(to({broker.endpoint()}), pattern());
  const auto notice = subscription.next(milliseconds(50));
  ASSERT_TRUE(notice) << notice.error().text;
  EXPECT_FALSE(notice->has_value());
}

}  // namespace
}  // namespace weir::client
