#include "broker/core/state_machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/random.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;

std::vector<std::string> texts(const Applied& applied) {
  std::vector<std::string> texts;
  for (const auto& outcome : applied.outcomes) {
    texts.push_back(text_of(outcome));
  }
  return texts;
}

const wire::Claim kClaimOfA{.topic = "t", .source = {}, .id = "a"};

TEST(StateMachine, GivesOffsetsPerTopicAndPositionsOverAllWithoutHoles) {
  Applying log;
  EXPECT_THAT(texts(log.publish({{.events = {{.topic = "t"}, {.topic = "u"}, {.topic = "t"}}}})),
              ElementsAre("0@1 0@2 1@3"));
  EXPECT_THAT(texts(log.publish({{.events = {{.topic = "u"}}}, {.events = {{.topic = "t"}}}})),
              ElementsAre("1@4", "2@5"));
  EXPECT_EQ(log.state.last_position(), raft::Position{5});
}

TEST(StateMachine, AnswersADuplicateWithTheOriginalsPlaceAndTime) {
  Applying log;
  log.publish({{.events = {{.topic = "u"}, {.id = "a"}}}}, 5'000);
  const auto applied = log.publish({{.events = {{.id = "a"}}}}, 9'000);
  EXPECT_THAT(texts(applied), ElementsAre("0@2d"));
  EXPECT_EQ(std::get<wire::Published>(applied.outcomes[0]).results[0].time_ms, 5'000U);
  EXPECT_EQ(applied.duplicates, 1U);
  EXPECT_EQ(log.state.last_position(), raft::Position{2});
}

TEST(StateMachine, Fault060OneIdTwiceInOneEntryIsOneEvent) {
  Applying log;
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a"}}}, {.events = {{.id = "a"}}}})), ElementsAre("0@1", "0@1d"));
}

TEST(StateMachine, OneIdTwiceInABatchMakesTheSecondADuplicate) {
  Applying log;
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a"}, {.id = "b"}, {.id = "a"}}}})), ElementsAre("0@1 1@2 0@1d"));
  EXPECT_THAT(texts(log.publish({{.events = {{}}}})), ElementsAre("2@3"));
}

TEST(StateMachine, Fault061OtherContentUnderAnIdIsRefusedAndNothingIsStored) {
  Applying log;
  log.publish({{.events = {{.topic = "u"}}}, {.events = {{.id = "x"}}}, {.events = {{.id = "a"}}}});
  const auto applied = log.publish({{.events = {{.id = "fresh"}, {.id = "a", .body = "other"}}}});
  EXPECT_THAT(texts(applied), ElementsAre("id_reuse(1)"));
  EXPECT_EQ(std::get<wire::Refused>(applied.outcomes[0]).offset, raft::Offset{1});
  EXPECT_EQ(log.state.last_position(), raft::Position{3});
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "fresh"}}}})), ElementsAre("2@4")) << "the batch left no id behind";
}

TEST(StateMachine, TheKeyBelongsToTheContent) {
  Applying log;
  log.publish({{.events = {{.id = "a", .key = "k"}}}});
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a", .key = "other"}}}})), ElementsAre("id_reuse(0)"));
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a", .key = "k"}}}})), ElementsAre("0@1d"));
}

TEST(StateMachine, OneIdTwiceInABatchWithOtherContentRefusesTheBatch) {
  Applying log;
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a"}, {.id = "a", .body = "other"}}}})),
              ElementsAre("id_reuse(1)"));
  EXPECT_EQ(log.state.last_position(), raft::Position{0});
}

TEST(StateMachine, TopicAndSourceBelongToTheIdentity) {
  Applying log;
  log.publish({{.events = {{.id = "a"}}}});
  EXPECT_THAT(texts(log.publish({{.events = {{.topic = "u", .id = "a"}}}, {.events = {{.id = "a", .source = "s"}}}})),
              ElementsAre("0@2", "1@3"));
}

TEST(StateMachine, ARefusedRequestLeavesTheOthersOfItsEntry) {
  Applying log;
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a"}}},
                                 {.events = {{.id = "b"}, {.id = "a", .body = "other"}}},
                                 {.events = {{.id = "b"}}},
                                 {.events = {{}}}})),
              ElementsAre("0@1", "id_reuse(1)", "1@2", "2@3"));
  const auto row = log.state.events().find(raft::Index{1});
  ASSERT_TRUE(row);
  EXPECT_THAT(row->skipped, ElementsAre(1, 2));
}

TEST(StateMachine, AnEntryThatStoresNothingLeavesNoRow) {
  Applying log;
  log.publish({{.events = {{.id = "a"}}}});
  const auto applied = log.publish({{.events = {{.id = "a"}}}});
  EXPECT_TRUE(applied.topics.empty());
  EXPECT_FALSE(log.state.events().find(raft::Index{2}));
}

// --- expectations

TEST(StateMachine, ChecksAnExpectationAgainstTheTopicsNextOffset) {
  Applying log;
  EXPECT_THAT(texts(log.publish({{.events = {{}}, .expectations = {{"t", 0}}}})), ElementsAre("0@1"));
  const auto applied = log.publish({{.events = {{}}, .expectations = {{"t", 0}}}});
  EXPECT_THAT(texts(applied), ElementsAre("expectation_failed(0)"));
  EXPECT_EQ(std::get<wire::Refused>(applied.outcomes[0]).offset, raft::Offset{1});
}

TEST(StateMachine, ChecksExpectationsBehindEarlierRequestsOfTheSameEntry) {
  Applying log;
  EXPECT_THAT(texts(log.publish({{.events = {{}}, .expectations = {{"t", 0}}},
                                 {.events = {{}}, .expectations = {{"t", 0}}},
                                 {.events = {{}}, .expectations = {{"t", 1}, {"new", 0}}}})),
              ElementsAre("0@1", "expectation_failed(0)", "1@2"));
}

TEST(StateMachine, RecognisesARepeatBeforeItsExpectation) {
  Applying log;
  const Request request{.events = {{.id = "a"}}, .expectations = {{"t", 0}}};
  EXPECT_THAT(texts(log.publish({request})), ElementsAre("0@1"));
  EXPECT_THAT(texts(log.publish({request})), ElementsAre("0@1d"));
}

TEST(StateMachine, ChecksTheExpectationOfABatchThatIsOnlyPartlyARepeat) {
  Applying log;
  log.publish({{.events = {{.id = "a"}}}});
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a"}, {.id = "b"}}, .expectations = {{"t", 0}}}})),
              ElementsAre("expectation_failed(0)"));
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a"}, {.id = "b"}}, .expectations = {{"t", 1}}}})),
              ElementsAre("0@1d 1@2"));
}

TEST(StateMachine, ChecksIdsBeforeExpectations) {
  Applying log;
  log.publish({{.events = {{.id = "a"}}}});
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "a", .body = "other"}}, .expectations = {{"t", 9}}}})),
              ElementsAre("id_reuse(0)"));
}

// --- claims

TEST(StateMachine, ClaimsAnIdOnce) {
  Applying log;
  EXPECT_THAT(texts(log.claim({kClaimOfA, kClaimOfA}, 7)), ElementsAre("claimed_now", "claimed_before"));
  EXPECT_THAT(texts(log.claim({kClaimOfA}, 9)), ElementsAre("claimed_before"));
}

TEST(StateMachine, RefusesToPublishAClaimedId) {
  Applying log;
  log.claim({kClaimOfA});
  EXPECT_THAT(texts(log.publish({{.events = {{.id = "fresh"}, {.id = "a"}}}})), ElementsAre("id_claimed(1)"));
  EXPECT_EQ(log.state.last_position(), raft::Position{0});
}

TEST(StateMachine, AnswersTheClaimOfAPublishedIdWithItsEvent) {
  Applying log;
  log.publish({{.events = {{}, {.id = "a"}}}});
  EXPECT_THAT(texts(log.claim({kClaimOfA})), ElementsAre("published_before 1@2"));
}

TEST(StateMachine, FindsIdsWhereTheyAre) {
  Applying log;
  log.publish({{.events = {{.topic = "u"}, {.id = "a"}}}});
  log.claim({{.topic = "t", .source = {}, .id = "c"}});
  const auto find = [&log](const char* id) {
    const auto found = log.state.find_id({.topic = "t", .source = {}, .id = id},
                                         [&log](raft::Index index) { return decoded(log.log[index.value - 1]); });
    return found ? text_of(*found) : std::string("unknown");
  };
  EXPECT_EQ(find("a"), "published_before 0@2");
  EXPECT_EQ(find("c"), "claimed_before");
  EXPECT_EQ(find("b"), "unknown");
}

// --- time and determinism

TEST(StateMachine, LogTimeNeverFallsWhateverAnEntryCarries) {
  Applying log;
  log.publish({{.events = {{}}}}, 5'000);
  const auto applied = log.publish({{.events = {{}}}}, 3'000);
  EXPECT_EQ(std::get<wire::Published>(applied.outcomes[0]).results[0].time_ms, 5'000U);
  log.apply(noop_entry(1));
  EXPECT_EQ(log.state.time_ms(), 5'000U);
}

/// A random entry over few topics and ids, so that everything meets everything.
raft::Entry random_entry(raft::Random& random, std::uint64_t time_ms) {
  const auto id = [&random] { return random.between(0, 2) == 0 ? "" : "i" + std::to_string(random.between(0, 40)); };
  const auto topic = [&random] { return "t" + std::to_string(random.between(0, 3)); };
  if (random.between(0, 9) == 0) {
    return claims_entry(1, {{.topic = topic(), .source = {}, .id = "i" + std::to_string(random.between(0, 40))}},
                        time_ms);
  }
  std::vector<Request> requests(random.between(1, 4));
  for (auto& request : requests) {
    for (std::uint32_t i = random.between(1, 4); i > 0; --i) {
      const auto drawn = id();
      request.events.push_back(
          {.topic = topic(), .id = drawn, .body = random.between(0, 9) == 0 ? "other" : "body of " + drawn});
    }
    if (random.between(0, 5) == 0) {
      request.expectations.emplace_back(request.events[0].topic, random.between(0, 60));
    }
  }
  return publish_entry(1, requests, time_ms);
}

TEST(StateMachine, Fault062IsTheSameOnEveryNodeThatAppliedTheSameEntries) {
  const std::uint64_t seed = seed_or(3);
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed));
  raft::Random random(seed);
  Applying one;
  Applying other;
  std::uint64_t stored = 0;
  for (int i = 0; i < 1'500; ++i) {
    const auto entry = random_entry(random, random.between(1'000, 100'000));
    const auto by_one = one.apply(entry);
    ASSERT_EQ(by_one.outcomes, other.apply(entry).outcomes);
    // No holes: each position is given once, in order; a topic's offsets likewise.
    for (const auto& outcome : by_one.outcomes) {
      const auto* published = std::get_if<wire::Published>(&outcome);
      for (const auto& result : published == nullptr ? std::vector<wire::EventResult>{} : published->results) {
        if (result.storing == wire::Storing::stored) {
          ASSERT_EQ(result.position.value, ++stored);
        } else {
          ASSERT_LE(result.position.value, stored);
        }
      }
    }
  }
  EXPECT_EQ(one.state.last_position().value, stored);
  std::uint64_t sum = 0;
  for (std::uint64_t topic = 0; topic < one.state.topic_count(); ++topic) {
    const auto info = one.state.topic_info(raft::TopicId{topic});
    EXPECT_EQ(info.next_offset, other.state.topic_info(raft::TopicId{topic}).next_offset);
    sum += info.next_offset.value;
  }
  EXPECT_EQ(sum, stored);
}

}  // namespace
}  // namespace weir::broker::test
