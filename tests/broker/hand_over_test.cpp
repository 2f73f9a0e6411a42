// What stands between the net threads and the core: publishes that go over together, readers that share what they read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/gateway.hpp"
#include "broker/http/tail.hpp"
#include "tests/core/node_fixture.hpp"

namespace weir::broker {
namespace {

using test::NodeFixture;
using testing::ElementsAre;
using testing::IsEmpty;

/// A node that leads alone. One thread plays both parts; nothing runs but in run().
class HandOver : public testing::Test {
 protected:
  HandOver() {
    alone.unsettled = [this] { boost::asio::post(context, [this] { alone.node->settle(); }); };
    alone.restart();
    gateway = std::make_unique<Gateway>(context.get_executor(), *alone.node);
    alone.join();
    alone.lead();
    run();
  }
  void run() {
    std::size_t ran = 0;
    do {
      context.restart();
      ran = context.poll();
      alone.settle();
    } while (ran > 0);
  }
  void store(const std::string& id) {
    alone.publish({.events = {{.id = id}}});
    run();
  }

  boost::asio::io_context context{1};
  NodeFixture alone{{"n1"}};
  std::unique_ptr<Gateway> gateway;
};

class PublishLanes : public HandOver {
 protected:
  void publish(const std::string& id) {
    lane->publish(test::bytes_of({.events = {{.id = id}}}), 1'000,
                  [this](const wire::Outcome& outcome) { outcomes.push_back(test::text_of(outcome)); });
  }
  std::shared_ptr<PublishLane> lane = gateway->lane(context.get_executor());
  std::vector<std::string> outcomes;
};

TEST_F(PublishLanes, WhatIsReadyTogetherSharesAnEntry) {
  const auto last = alone.node->status().last_index;
  for (const char* id : {"a", "b", "c", "a"}) publish(id);
  EXPECT_THAT(outcomes, IsEmpty()) << "nothing is answered from within";
  run();
  EXPECT_EQ(alone.node->status().last_index, last.next());
  EXPECT_THAT(outcomes, ElementsAre("0@1", "1@2", "2@3", "0@1d"));
  publish("d");
  run();
  EXPECT_EQ(alone.node->status().last_index, last.next().next());
  EXPECT_THAT(outcomes.back(), "3@4");
}

TEST_F(PublishLanes, RefusalsComeBackTheSameWay) {
  alone.node->drain(1'000, [] {});
  publish("a");
  publish("b");
  run();
  EXPECT_THAT(outcomes, ElementsAre("draining(0)", "draining(0)"));
}

class Tails : public HandOver {
 protected:
  using Result = http::Tail::Result;
  /// The place in `results` that the answer comes to.
  std::size_t read(ReadState from, ReadLimits limits = {}) {
    results.emplace_back();
    tail->read(from, limits, [this, place = results.size() - 1](const Result& result) { results[place] = result; });
    return results.size() - 1;
  }
  [[nodiscard]] std::shared_ptr<const ReadBatch> batch(std::size_t place) const {
    return results[place] && *results[place] ? **results[place] : nullptr;
  }

  std::shared_ptr<http::Tail> tail = std::make_shared<http::Tail>(
      *gateway, context.get_executor(), std::make_shared<const Selector>(test::selector_of({"t"})));
  std::vector<std::optional<Result>> results;
};

TEST_F(Tails, ReadersAtOnePlaceShareARead) {
  store("a");
  store("b");
  const std::size_t first = read({});
  const std::size_t same = read({});
  ReadState behind_one;
  behind_one.after = raft::Position{1};
  const std::size_t elsewhere = read(behind_one);
  const std::size_t less = read({}, {.events_max = 1});
  EXPECT_FALSE(results[first]) << "never from within";
  run();
  ASSERT_NE(batch(first), nullptr);
  EXPECT_EQ(batch(first)->events.size(), 2U);
  EXPECT_EQ(batch(same), batch(first));
  ASSERT_NE(batch(elsewhere), nullptr);
  EXPECT_EQ(batch(elsewhere)->events.size(), 1U);
  ASSERT_NE(batch(less), nullptr);
  EXPECT_EQ(batch(less)->events.size(), 1U);
  store("c");
  const std::size_t later = read({});
  run();
  EXPECT_EQ(batch(later)->events.size(), 3U) << "a read that has ended answers nobody else";
}

TEST_F(Tails, AnEventWakesAllThatWaitOnceAndNobodyWhoHasGone) {
  int first = 0;
  int second = 0;
  int gone = 0;
  const auto waits = tail->wait(raft::Position{}, [&first] { ++first; });
  const auto also = tail->wait(raft::Position{}, [&second] { ++second; });
  {
    const auto leaves = tail->wait(raft::Position{}, [&gone] { ++gone; });
    run();
  }
  EXPECT_EQ(first + second, 0);
  for (const char* id : {"a", "b"}) {
    store(id);
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 1);
  }
  EXPECT_EQ(gone, 0);
}

TEST_F(Tails, OneThatIsWokenMayEndTheWaitOfAnother) {
  std::optional<http::Tail::Waiting> other;
  int woken = 0;
  const auto waits = tail->wait(raft::Position{}, [&] {
    ++woken;
    other.reset();
  });
  other.emplace(tail->wait(raft::Position{}, [&woken] { woken += 100; }));
  run();
  store("a");
  EXPECT_EQ(woken, 1);
}

TEST_F(Tails, AWatchThatOutlivesTheCoreHasNobodyToTell) {
  auto core = std::make_unique<boost::asio::io_context>(1);
  auto another = std::make_unique<Gateway>(core->get_executor(), *alone.node);
  std::optional<Gateway::Watch> watch(another->watch(std::make_shared<const Selector>(test::selector_of({"t"})),
                                                     raft::Position{}, context.get_executor(), [] {}));
  another.reset();
  core.reset();
  watch.reset();
}

TEST_F(Tails, OneThatIsBehindIsWokenThoughOthersWaitFurtherOn) {
  store("a");
  store("b");
  int behind = 0;
  int up_to_date = 0;
  const auto waits = tail->wait(raft::Position{2}, [&up_to_date] { ++up_to_date; });
  run();
  EXPECT_EQ(up_to_date, 0);
  const auto late = tail->wait(raft::Position{1}, [&behind] { ++behind; });
  run();
  EXPECT_EQ(behind, 1);
}

}  // namespace
}  // namespace weir::broker
