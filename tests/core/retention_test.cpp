// What RETAIN entries take away, and what is left: offsets, ids, claims, readers' gaps; state that is saved and
// restored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "broker/core/log_reader.hpp"
#include "broker/core/retention.hpp"
#include "raft/random.hpp"
#include "tests/core/fakes.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string outcome(const Applied& applied) {
  return text_of(applied.outcomes.at(0));
}

std::optional<wire::Claimed> find(const Applying& log, const std::string& topic, const std::string& id) {
  return log.state.find_id({.topic = topic, .source = {}, .id = id},
                           [&log](raft::Index index) { return decoded(log.log[index.value - 1]); });
}

class Retention : public testing::Test {
 protected:
  /// One event with this id in topic t, in an entry of its own.
  std::string store(const std::string& id, const std::string& topic = "t") {
    return outcome(log.publish({{.events = {{.topic = topic, .id = id}}}}));
  }
  void retain(const std::string& topic, std::uint64_t first_offset) {
    log.apply(retain_entry({{topic, raft::Offset{first_offset}}}));
  }
  Applying log;
};

TEST_F(Retention, Fault063TheLastIdInsideIsADuplicateTheFirstOutsideIsNew) {
  for (const auto* id : {"a", "b", "c"}) {
    store(id);
  }
  retain("t", 1);
  EXPECT_EQ(store("b"), "1@2d");
  EXPECT_EQ(store("a"), "3@4");
  EXPECT_EQ(store("a"), "3@4d");
  EXPECT_FALSE(find(log, "t", "nothing"));
  EXPECT_EQ(find(log, "t", "a")->original.offset, raft::Offset{3});
}

TEST_F(Retention, FloorsNeverFallAndStopAtTheEnd) {
  store("a");
  store("b");
  retain("t", 1);
  retain("t", 0);
  EXPECT_EQ(log.state.topic_info(raft::TopicId{0}).first_offset, raft::Offset{1});
  retain("t", 77);
  retain("unknown", 3);
  EXPECT_EQ(log.state.topic_info(raft::TopicId{0}).first_offset, raft::Offset{2});
  EXPECT_EQ(store("c"), "2@3") << "offsets are never used again";
}

TEST_F(Retention, AFloorInTheMiddleOfAnEntryKeepsTheRestOfIt) {
  log.publish({{.events = {{.id = "a"}, {.id = "b"}, {.id = "c"}}}});
  retain("t", 2);
  EXPECT_EQ(log.state.first_index(), raft::Index{1});
  EXPECT_EQ(store("c"), "2@3d");
  EXPECT_EQ(store("b"), "3@4");
}

TEST_F(Retention, OtherContentUnderAForgottenIdIsStored) {
  store("a");
  retain("t", 1);
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a", .body = "other"}}}})), "1@2");
}

TEST_F(Retention, ClaimsAreForgottenWithTheirEntry) {
  const wire::Claim claim{.topic = "t", .source = {}, .id = "k"};
  log.claim({claim});
  log.apply(retain_entry({}, 1));
  EXPECT_EQ(outcome(log.claim({claim})), "claimed_before");
  log.apply(retain_entry({}, 2));
  EXPECT_EQ(outcome(log.claim({claim})), "claimed_now");
}

TEST_F(Retention, TheLogIsNeededFromTheOldestEventOrClaimThatIsKept) {
  store("a");
  log.claim({{.topic = "t", .source = {}, .id = "k"}});
  store("b", "u");
  store("c");
  retain("t", 1);
  EXPECT_EQ(log.state.first_index(), raft::Index{2}) << "the claim";
  log.apply(retain_entry({}, 3));
  EXPECT_EQ(log.state.first_index(), raft::Index{3}) << "b";
  log.apply(retain_entry({{"u", raft::Offset{1}}}));
  EXPECT_EQ(log.state.first_index(), raft::Index{4}) << "c";
  retain("t", 2);
  EXPECT_EQ(log.state.first_index(), raft::Index{9}) << "nothing";
  EXPECT_EQ(log.state.removed_to(), log.state.last_position());
}

TEST_F(Retention, MemoryOfWhatIsGoneIsFreed) {
  for (int i = 0; i < 3'000; ++i) {
    store("id " + std::to_string(i));
  }
  retain("t", 2'990);
  for (int i = 0; i < 1'100; ++i) {  // each entry clears a little
    store("later " + std::to_string(i));
  }
  EXPECT_EQ(log.state.events().row_count(), 1'110U);
  EXPECT_EQ(log.state.ids().size(), 1'110U);
}

// --- what the leader proposes

TEST_F(Retention, NothingIsDueWithinTheLimits) {
  store("a");
  EXPECT_FALSE(retention_due({}, log.state, 1'000'000));
  EXPECT_FALSE(retention_due({.age_ms = 1'000, .bytes = 4, .count = 1}, log.state, 2'000));
}

TEST_F(Retention, TheStrictestLimitDecides) {
  for (int i = 0; i < 10; ++i) {
    log.publish({{.events = {{.body = "1234"}}}}, 1'000U + 100U * static_cast<unsigned>(i));
  }
  const auto floor = [this](const RetentionLimits& limits, std::uint64_t now_ms) {
    const auto due = retention_due(limits, log.state, now_ms);
    return due ? due->floors.at(0).first_offset.value : 0;
  };
  EXPECT_EQ(floor({.count = 3}, 2'000), 7U);
  EXPECT_EQ(floor({.bytes = 8}, 2'000), 8U);
  EXPECT_EQ(floor({.age_ms = 500}, 2'000), 5U) << "of 1500 and later is left";
  EXPECT_EQ(floor({.age_ms = 500, .bytes = 8, .count = 3}, 2'000), 8U);
  EXPECT_EQ(floor({.age_ms = 1}, 900'000), 10U) << "all of it";
}

TEST_F(Retention, AClaimGoesByItsOwnAge) {
  log.publish({{.events = {{}}}}, 0);
  log.claim({{.topic = "t", .source = {}, .id = "young"}}, 100);
  log.publish({{.events = {{}}}}, 100);
  const auto due = retention_due({.age_ms = 50}, log.state, 120);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->claims_before, raft::Index{}) << "the claim is 20 ms old, whatever lies before it";
  const auto later = retention_due({.age_ms = 50}, log.state, 200);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->claims_before, raft::Index{3});
}

// --- readers

class RetainedReading : public Retention {
 protected:
  void keep() { disk.log = log.log; }
  ReadBatch read(const Selector& selector, ReadState from) {
    keep();
    std::optional<ReadBatch> batch;
    reader.read(selector, from, {}, [&](auto result) { batch = std::move(result).value(); });
    disk.finish_all();
    return *std::move(batch);
  }
  ReadState start(const Selector& selector, const From& from) { return reader.start(selector, from, "e1")->state; }
  static std::vector<std::uint64_t> positions(const ReadBatch& batch) {
    std::vector<std::uint64_t> found;
    for (const auto& event : batch.events) {
      found.push_back(event.position.value);
    }
    return found;
  }

  FakeDisk disk;
  EntryCache cache{1'000};
  std::vector<std::string> damages;
  LogReader reader{log.state, cache, disk, [this](const storage::Error& error) { damages.push_back(error.text); }};
  const Selector one = selector_of({"t"});
  const Selector all = selector_of({"**"});
};

TEST_F(RetainedReading, ACursorBeforeTheFloorIsToldWhatIsMissingOnce) {
  for (const auto* id : {"a", "b", "c", "d"}) {
    store(id);
  }
  retain("t", 3);
  for (const auto& selector : {one, all}) {
    const auto told = read(selector, start(selector, FromCursor{"e1", raft::Position{1}}));
    ASSERT_TRUE(told.removed.has_value());
    EXPECT_EQ(told.removed->from, raft::Position{2});
    EXPECT_EQ(told.removed->to, raft::Position{3});
    EXPECT_THAT(told.events, IsEmpty());
    const auto then = read(selector, told.next);
    EXPECT_FALSE(then.removed.has_value());
    EXPECT_THAT(positions(then), ElementsAre(4));
    EXPECT_TRUE(then.up_to_date);
  }
}

TEST_F(RetainedReading, ACursorAtTheFloorMissesNothing) {
  for (const auto* id : {"a", "b", "c"}) {
    store(id);
  }
  retain("t", 2);
  const auto batch = read(one, start(one, FromCursor{"e1", raft::Position{2}}));
  EXPECT_FALSE(batch.removed.has_value());
  EXPECT_THAT(positions(batch), ElementsAre(3));
}

TEST_F(RetainedReading, ACursorBehindTheLastOfItsTopicInAnEntryOfSeveralMissesNothing) {
  log.publish(
      {{.events = {{.topic = "t", .id = "a"}}}, {.events = {{.topic = "u", .id = "b"}, {.topic = "u", .id = "c"}}}});
  store("d");
  retain("t", 1);
  const auto batch = read(one, start(one, FromCursor{"e1", raft::Position{1}}));
  EXPECT_FALSE(batch.removed.has_value()) << "what follows in the entry is of another topic";
  EXPECT_THAT(positions(batch), ElementsAre(4));
}

TEST_F(RetainedReading, WhoAsksForTheEarliestTheLastOrATimeIsNotToldOfWhatIsGone) {
  for (const auto* id : {"a", "b", "c", "d"}) {
    store(id);
  }
  retain("t", 2);
  for (const From& from :
       {From{FromEarliest{}}, From{FromLast{10}}, From{FromTime{1}}, From{FromOffset{raft::Offset{2}}}}) {
    const auto batch = read(one, start(one, from));
    EXPECT_FALSE(batch.removed.has_value()) << from.index();
    EXPECT_THAT(positions(batch), ElementsAre(3, 4)) << from.index();
  }
  EXPECT_TRUE(read(one, start(one, FromOffset{raft::Offset{1}})).removed.has_value());
  EXPECT_THAT(positions(read(one, start(one, FromLast{1}))), ElementsAre(4));
}

TEST_F(RetainedReading, EventsOfOtherTopicsAmongThoseThatAreGoneAreStillRead) {
  store("a");
  store("b", "u");
  store("c");
  store("d");
  retain("t", 2);
  const auto told = read(all, start(all, FromCursor{"e1", raft::Position{0}}));
  ASSERT_TRUE(told.removed.has_value());
  EXPECT_EQ(told.removed->to, raft::Position{3});
  EXPECT_THAT(positions(read(all, told.next)), ElementsAre(2, 4));
  const Selector u = selector_of({"u"});
  EXPECT_THAT(positions(read(u, start(u, FromCursor{"e1", raft::Position{0}}))), ElementsAre(2));
}

TEST_F(RetainedReading, Fault056ARowThatRetentionTakesWhileItIsOnItsWayFromTheDiskIsNotDamage) {
  store("a");
  store("b");
  keep();
  cache = EntryCache{1};
  std::optional<ReadBatch> batch;
  reader.read(one, start(one, FromEarliest{}), {}, [&](auto result) { batch = std::move(result).value(); });
  ASSERT_FALSE(batch.has_value());
  retain("t", 1);
  disk.fail_read(storage::Errc::gone);
  disk.finish_all();
  ASSERT_TRUE(batch.has_value());
  EXPECT_THAT(damages, IsEmpty());
  EXPECT_TRUE(batch->removed.has_value()) << "what it had begun to read is missing";
}

// --- saving

TEST_F(Retention, AnImageThatIsCutOrChangedIsRefused) {
  log.publish({{.events = {{.id = "a"}, {.topic = "u", .id = "b"}, {.id = "a"}}}});
  log.claim({{.topic = "t", .source = {}, .id = "k"}});
  const std::string state = log.state.save();
  const std::string delta = log.state.take_delta();
  for (std::size_t size = 0; size < state.size(); ++size) {
    EXPECT_FALSE(StateMachine().restore(state.substr(0, size)));
  }
  for (std::size_t size = 0; size < delta.size(); ++size) {
    StateMachine other;
    ASSERT_TRUE(other.restore(state));
    EXPECT_FALSE(other.add_delta(delta.substr(0, size)));
  }
  for (std::size_t bit = 0; bit < state.size() * 8; ++bit) {
    std::string flipped = state;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(StateMachine().restore(flipped));
  }
}

TEST_F(Retention, AStateWithoutOneOfItsDeltasIsNotWhole) {
  store("a");
  const std::string first = log.state.take_delta();
  store("b");
  const std::string second = log.state.take_delta();
  StateMachine other;
  ASSERT_TRUE(other.restore(log.state.save()));
  ASSERT_TRUE(other.add_delta(first));
  EXPECT_FALSE(other.finish_restore());
  ASSERT_TRUE(other.add_delta(second));
  EXPECT_TRUE(other.finish_restore());
  StateMachine late;
  ASSERT_TRUE(late.restore(log.state.save()));
  ASSERT_TRUE(late.add_delta(second)) << "the front may be missing: retention drops deltas whole";
  EXPECT_FALSE(late.add_delta(first));
}

/// Draws entries of all kinds over few topics and ids, so that most things happen.
class Drawn {
 public:
  explicit Drawn(std::uint64_t seed) : random(seed) {}

  raft::Entry entry(const StateMachine& state) {
    switch (random.between(0, 9)) {
      case 0:
        return claims_entry(1, {{.topic = topic(), .source = {}, .id = id()}}, time_ms);
      case 1:
        return retain_entry({{topic(), raft::Offset{random.between(0, 40) + floor_}}},
                            random.between(0, 3) == 0 ? state.applied_index().value : 0);
      case 2:
        floor_ += random.between(0, 6);
        return noop_entry(1);
      default:
        return publish();
    }
  }

  raft::Random random;
  std::uint64_t time_ms = 1'000;

 private:
  std::string topic() { return "t" + std::to_string(random.between(0, 3)); }
  std::string id() { return "id" + std::to_string(random.between(0, 90)); }
  raft::Entry publish() {
    time_ms += random.between(0, 5);
    std::vector<Request> requests(random.between(1, 3));
    for (auto& request : requests) {
      for (std::uint32_t left = random.between(1, 4); left > 0; --left) {
        request.events.push_back({.topic = topic(), .id = random.between(0, 4) == 0 ? "" : id()});
      }
    }
    return publish_entry(1, requests, time_ms);
  }
  std::uint64_t floor_ = 0;
};

TEST(SavedState, Fault062GoesOnExactlyAsOneThatWasNeverSaved) {
  const std::uint64_t seed = seed_or(20'261);
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed));
  Drawn drawn(seed);
  Applying straight;
  Applying stopped;
  std::vector<std::string> deltas;
  int restores = 0;
  for (int round = 0; round < 4'000; ++round) {
    const raft::Entry entry = drawn.entry(straight.state);
    ASSERT_EQ(straight.apply(entry).outcomes, stopped.apply(entry).outcomes) << round;
    if (drawn.random.between(0, 15) != 0) {
      continue;
    }
    deltas.push_back(stopped.state.take_delta());
    if (drawn.random.between(0, 3) != 0) {
      continue;
    }
    StateMachine restored;
    ASSERT_TRUE(restored.restore(stopped.state.save()));
    for (const auto& delta : deltas) {
      const auto added = restored.add_delta(delta);
      ASSERT_TRUE(added) << added.error();
    }
    const auto whole = restored.finish_restore();
    ASSERT_TRUE(whole) << whole.error();
    stopped.state = std::move(restored);
    ASSERT_EQ(stopped.state.save(), straight.state.save());
    ++restores;
  }
  EXPECT_GT(restores, 20);
  EXPECT_GT(straight.state.first_index().value, 100U);
  EXPECT_LT(straight.state.events().row_count(), 2'000U);
}

/// What a list of all events ever stored says about an id: its last one, if it is still kept.
TEST(RetainedIds, Fault063AreExactlyThoseOfTheEventsThatAreKept) {
  const std::uint64_t seed = seed_or(7);
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed));
  Drawn drawn(seed);
  Applying log;
  std::map<std::pair<std::string, std::string>, raft::Offset> last;
  std::size_t forgotten = 0;
  for (int round = 0; round < 3'000; ++round) {
    const raft::Entry entry = drawn.entry(log.state);
    std::map<std::string, raft::Offset> floors;
    for (std::size_t i = 0; i < log.state.topic_count(); ++i) {
      const auto info = log.state.topic_info(raft::TopicId{i});
      floors[info.name] = info.first_offset;
    }
    const auto applied = log.apply(entry);
    const auto subject = decoded(log.log.back());
    const auto* events = subject->publish();
    for (std::uint32_t number = 0; events != nullptr && number < events->request_count(); ++number) {
      const auto* published = std::get_if<wire::Published>(&applied.outcomes[number]);
      const auto request = events->request(number);
      for (std::uint32_t i = 0; published != nullptr && i < request.event_count; ++i) {
        const auto event = events->event(request.first_event + i);
        if (event.id.empty()) {
          continue;
        }
        const std::pair key{std::string(event.topic), std::string(event.id)};
        const auto known = last.find(key);
        const bool kept = known != last.end() && known->second >= floors[key.first];
        const auto& result = published->results[i];
        ASSERT_EQ(result.storing == wire::Storing::duplicate, kept) << round;
        if (kept) {
          ASSERT_EQ(result.offset, known->second);
        } else {
          forgotten += known == last.end() ? 0U : 1U;
          last[key] = result.offset;
        }
      }
    }
  }
  EXPECT_GT(forgotten, 50U);
}

}  // namespace
}  // namespace weir::broker::test
