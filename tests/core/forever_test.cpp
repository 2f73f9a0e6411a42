// Topics whose dedup is forever: ids outlive their events (docs/decisions/0022).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/random.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

using Kind = wire::Setting::Kind;
using testing::HasSubstr;
using testing::IsEmpty;

wire::TopicChange set_dedup(const std::string& topic, Kind kind) {
  return {.topic = topic,
          .action = wire::TopicAction::put,
          .settings = {.age_ms = {}, .bytes = {}, .count = {}, .dedup_ms = {.kind = kind, .value = 0}}};
}
wire::TopicChange forever(const std::string& topic = "t") {
  return set_dedup(topic, Kind::forever);
}
wire::TopicChange retained(const std::string& topic = "t") {
  return set_dedup(topic, Kind::unset);
}
wire::TopicChange removed(const std::string& topic = "t") {
  return {.topic = topic, .action = wire::TopicAction::remove, .settings = {}};
}

std::string outcome(const Applied& applied) {
  return text_of(applied.outcomes.at(0));
}

class Forever : public testing::Test {
 protected:
  std::string store(const std::string& id, const std::string& body = "body", const std::string& source = {}) {
    return outcome(log.publish({{.events = {{.id = id, .body = body, .source = source}}}}));
  }
  std::string claim(const std::string& id) { return outcome(log.claim({{.topic = "t", .source = {}, .id = id}})); }
  /// Everything that is there goes, claims too.
  void retain_nothing() {
    const auto topic = log.state.topic_id("t");
    log.apply(retain_entry({{"t", log.state.events().next_offset(*topic)}}, log.log.size() + 1));
  }
  [[nodiscard]] std::optional<wire::Claimed> find(const std::string& id) const {
    return log.state.find_id({.topic = "t", .source = {}, .id = id},
                             [this](raft::Index index) { return decoded(log.log[index.value - 1]); });
  }
  Applying log;
};

TEST_F(Forever, AnIdOutlivesItsEvent) {
  log.change(forever());
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a"}, {.id = "b"}}}}, 4'000)), "0@1 1@2");
  retain_nothing();
  ASSERT_EQ(log.state.first_offset(raft::TopicId{0}), raft::Offset{2}) << "no event is left";
  const Applied again = log.publish({{.events = {{.id = "b"}}}}, 9'000);
  EXPECT_EQ(outcome(again), "1@2d");
  EXPECT_EQ(std::get<wire::Published>(again.outcomes.at(0)).results.at(0).time_ms, 4'000U) << "the original's";
  const Applied other = log.publish({{.events = {{.id = "b", .body = "other"}}}});
  EXPECT_EQ(outcome(other), "id_reuse(0)");
  EXPECT_EQ(std::get<wire::Refused>(other.outcomes.at(0)).offset, raft::Offset{1});
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "b", .key = "k"}}}})), "id_reuse(0)") << "a key is content";
  EXPECT_EQ(claim("a"), "published_before 0@1");
  ASSERT_TRUE(find("a"));
  EXPECT_EQ(text_of(*find("a")), "published_before 0@1");
  EXPECT_EQ(find("a")->original.time_ms, 4'000U);
  EXPECT_EQ(store("c"), "2@3");
}

TEST_F(Forever, ARowAnswersWithoutALookUp) {
  log.change(forever());
  store("a");
  EXPECT_THAT(log.state.lookups(*decoded(publish_entry(9, {{.events = {{.id = "a"}}}}))).entries, IsEmpty());
  EXPECT_THAT(log.state.candidates({.topic = "t", .source = {}, .id = "a"}, {}).entries, IsEmpty());
}

TEST_F(Forever, ClaimsAreRememberedForGoodToo) {
  log.change(forever());
  EXPECT_EQ(outcome(log.claim({{.topic = "t", .source = {}, .id = "k"}}, 4'000)), "claimed_now");
  store("a");
  retain_nothing();
  EXPECT_EQ(claim("k"), "claimed_before");
  EXPECT_EQ(find("k")->original.time_ms, 4'000U);
  EXPECT_EQ(store("k"), "id_claimed(0)");
}

TEST_F(Forever, AnIdIsBoundToItsSource) {
  log.change(forever());
  EXPECT_EQ(store("a", "body", "one"), "0@1");
  EXPECT_EQ(store("a", "body", "two"), "1@2");
  retain_nothing();
  EXPECT_EQ(store("a", "body", "two"), "1@2d");
  EXPECT_EQ(store("a"), "2@3");
}

TEST_F(Forever, IdsFromBeforeAreKnownAsLongAsTheirEvents) {
  store("a");
  claim("k");
  log.change(forever());
  EXPECT_EQ(store("a"), "0@1d");
  EXPECT_EQ(store("k"), "id_claimed(0)");
  retain_nothing();
  EXPECT_EQ(store("a"), "1@2") << "it had no row: it was stored before there were any";
  EXPECT_EQ(store("k"), "2@3");
  retain_nothing();
  EXPECT_EQ(store("a"), "1@2d");
  EXPECT_EQ(store("k"), "2@3d");
}

TEST_F(Forever, RowsGoWhenTheSettingDoes) {
  log.change(forever());
  store("a");
  claim("k");
  log.change(retained());
  EXPECT_EQ(log.state.forever_ids().size(), 0U);
  EXPECT_EQ(log.state.forever_ids().bytes(), 0U);
  EXPECT_EQ(store("a"), "0@1d") << "its event is there";
  EXPECT_EQ(claim("k"), "claimed_before");
  log.change(forever());
  EXPECT_EQ(store("a"), "0@1d");
  retain_nothing();
  EXPECT_EQ(store("a"), "1@2") << "what was remembered in between does not come back";
  EXPECT_EQ(claim("k"), "claimed_now");
  log.change(forever());
  EXPECT_EQ(log.state.forever_ids().size(), 2U) << "the same setting once more changes nothing";
}

TEST_F(Forever, RowsGoWithTheirTopic) {
  log.change(forever());
  store("a");
  claim("k");
  log.change(removed());
  EXPECT_EQ(log.state.forever_ids().size(), 0U);
  EXPECT_FALSE(find("a"));
  log.change(forever());
  EXPECT_EQ(store("a"), "1@2") << "offsets go on";
  EXPECT_EQ(claim("k"), "claimed_now");
}

TEST_F(Forever, OneIdTwiceInARequestAndInAnEntry) {
  log.change(forever());
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a"}, {.id = "a"}}}})), "0@1 0@1d");
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "b"}, {.id = "b", .body = "other"}}}})), "id_reuse(1)");
  const Applied two = log.publish({{.events = {{.id = "c"}}}, {.events = {{.id = "c"}}}});
  EXPECT_EQ(text_of(two.outcomes.at(0)) + ", " + text_of(two.outcomes.at(1)), "1@2, 1@2d");
  retain_nothing();
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a"}, {.id = "d"}, {.id = "c"}, {.id = "d"}}}})),
            "0@1d 2@3 1@2d 2@3d");
}

TEST_F(Forever, ABatchWhoseKeyIsForgottenIsKnownByItsIds) {
  log.change(forever());
  const Request batch{.events = {{.id = "a"}, {.id = "b"}}, .key = "key"};
  EXPECT_EQ(outcome(log.publish({batch})), "0@1 1@2");
  EXPECT_EQ(outcome(log.publish({batch})), "0@1d 1@2d");
  retain_nothing();
  EXPECT_EQ(outcome(log.publish({batch})), "0@1d 1@2d");
}

TEST_F(Forever, OtherTopicsAreNoneOfIt) {
  log.change(forever());
  const Request one{.events = {{.topic = "u", .id = "a"}}};
  EXPECT_EQ(outcome(log.publish({one})), "0@1");
  log.apply(retain_entry({{"u", raft::Offset{1}}}));
  EXPECT_EQ(outcome(log.publish({one})), "1@2");
  EXPECT_EQ(log.state.forever_ids().size(), 0U);
}

TEST_F(Forever, WithoutRoomWhatIsNewIsRefusedWholeAndWhatIsKnownIsNot) {
  log.state = StateMachine(2 * ForeverIds::bytes_of({.source = {}, .id = "a"}));
  log.change(forever());
  EXPECT_EQ(store("a"), "0@1");
  const Applied both = log.publish({{.events = {{.id = "b"}, {.id = "c"}}}});
  EXPECT_EQ(outcome(both), "quota(0)");
  EXPECT_THAT(std::get<wire::Refused>(both.outcomes.at(0)).detail, HasSubstr("topic 't' remembers ids forever"));
  EXPECT_FALSE(find("b")) << "nothing of it was stored";
  EXPECT_EQ(store("b"), "1@2") << "there is room for one more";
  EXPECT_EQ(store("c"), "quota(0)");
  EXPECT_EQ(claim("c"), "quota(0)");
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a"}, {.id = "b"}}}})), "0@1d 1@2d");
  EXPECT_EQ(claim("a"), "published_before 0@1");
  EXPECT_EQ(store(""), "2@3") << "an event without an id takes no room";
  EXPECT_EQ(outcome(log.publish({{.events = {{.topic = "u", .id = "c"}}}})), "0@4") << "nor one of another topic";
  EXPECT_EQ(outcome(log.publish({{.events = {{.topic = "u", .id = "d"}, {.topic = "t", .id = "c"}}}})), "quota(0)");
  log.change(retained());
  EXPECT_EQ(store("c"), "3@5");
}

TEST_F(Forever, RoomIsAskedForAfterExpectations) {
  log.state = StateMachine(1);
  log.change(forever());
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a"}}, .expectations = {{"t", 7}}}})), "expectation_failed(0)");
}

/// A log's state, saved as checkpoints save it: deltas go when the log before them has gone and no id needs them.
class Saved {
 public:
  explicit Saved(Applying& log) : log_(log) {}

  /// A part of the ids that outlive their events goes into the delta once more.
  void restate(std::size_t bytes) {
    if (!walk_) {
      walk_.emplace();
      from_ = deltas_.empty() ? raft::Index{} : deltas_.back().up_to.next();
    }
    if (log_.state.restate_forever_ids(*walk_, bytes)) {
      walk_.reset();
      forever_from_ = from_;
    }
  }
  void save() {
    deltas_.push_back({.up_to = log_.state.applied_index(), .bytes = log_.state.take_delta()});
    const raft::Index needed = std::min(log_.state.first_index(), forever_from_);
    while (deltas_.front().up_to < needed) {
      deltas_.erase(deltas_.begin());
      ++dropped;
    }
  }
  [[nodiscard]] StateMachine restored() const {
    StateMachine restored;
    EXPECT_TRUE(restored.restore(log_.state.save()));
    for (const auto& delta : deltas_) {
      EXPECT_TRUE(restored.add_delta(delta.bytes));
    }
    const auto whole = restored.finish_restore();
    EXPECT_TRUE(whole) << whole.error();
    EXPECT_EQ(restored.save(), log_.state.save());
    EXPECT_EQ(restored.forever_ids().digest(), log_.state.forever_ids().digest());
    EXPECT_EQ(restored.forever_ids().bytes(), log_.state.forever_ids().bytes());
    EXPECT_EQ(restored.settings_digest(), log_.state.settings_digest());
    return restored;
  }
  void restart() {
    save();
    log_.state = restored();
    walk_.reset();
  }
  int dropped = 0;

 private:
  struct Delta {
    raft::Index up_to;
    std::string bytes;
  };
  Applying& log_;
  std::vector<Delta> deltas_;
  std::optional<ForeverIds::Walk> walk_;
  raft::Index from_;
  raft::Index forever_from_;
};

TEST_F(Forever, Fault027AStartKnowsThemThoughTheirDeltaIsGone) {
  Saved saved(log);
  log.change(forever());
  store("a");
  claim("k");
  saved.save();
  retain_nothing();
  saved.save();
  EXPECT_EQ(saved.dropped, 0) << "the delta that has them stays";
  saved.restate(SIZE_MAX);
  store("b");
  saved.restart();
  EXPECT_EQ(saved.dropped, 2);
  EXPECT_EQ(store("a"), "0@1d");
  EXPECT_EQ(store("k"), "id_claimed(0)");
  EXPECT_EQ(store("b"), "1@2d");
}

TEST_F(Forever, AStateWithoutADeltaThatHasThemIsRefused) {
  log.change(forever());
  store("a");
  static_cast<void>(log.state.take_delta());
  retain_nothing();
  StateMachine restored;
  ASSERT_TRUE(restored.restore(log.state.save()));
  ASSERT_TRUE(restored.add_delta(log.state.take_delta()));
  const auto whole = restored.finish_restore();
  ASSERT_FALSE(whole);
  EXPECT_THAT(whole.error(), HasSubstr("ids that outlive their events are missing"));
}

TEST_F(Forever, OfAnEarlierTimeInADeltaDoNotCount) {
  Saved saved(log);
  log.change(forever());
  store("a");
  log.change(retained());
  log.change(forever());
  store("b");
  saved.restart();
  EXPECT_EQ(log.state.forever_ids().size(), 1U);
  log.change(retained());
  saved.restart();
  EXPECT_EQ(log.state.forever_ids().size(), 0U);
}

TEST_F(Forever, TheyAreInTheDigest) {
  Applying other;
  const auto both = [&](const raft::Entry& entry) {
    log.apply(entry);
    other.apply(entry);
  };
  both(topic_entry({forever()}));
  both(publish_entry(1, {{.events = {{.id = "a"}}}}));
  both(retain_entry({{"t", raft::Offset{1}}}));
  ASSERT_EQ(log.digest.value(), other.digest.value());
  // One of them has lost what it remembered, nobody knows how.
  StateMachine lost;
  ASSERT_TRUE(lost.restore(other.state.save()));
  other.state = std::move(lost);
  both(noop_entry(1));
  EXPECT_NE(log.digest.value(), other.digest.value());
}

/// Everything that was stored or claimed, and what is remembered of it.
class Model {
 public:
  std::string publish(const std::string& name, const std::string& id, const std::string& body) {
    Topic& topic = topics_[name];
    if (const Stored* found = find(topic, id)) {
      if (found->is_claim) {
        return "id_claimed(0)";
      }
      return found->body == body ? place(*found) + "d" : "id_reuse(0)";
    }
    topic.stored.push_back({.id = id,
                            .body = body,
                            .offset = topic.next++,
                            .position = ++last_position_,
                            .is_looked_for = topic.dedup != Kind::off,
                            .has_row = topic.dedup == Kind::forever});
    return place(topic.stored.back());
  }
  std::string claim(const std::string& name, const std::string& id) {
    Topic& topic = topics_[name];
    if (topic.dedup == Kind::off) {
      return "conflict(0)";
    }
    if (const Stored* found = find(topic, id)) {
      return found->is_claim ? "claimed_before" : "published_before " + place(*found);
    }
    topic.stored.push_back(
        {.id = id, .is_claim = true, .is_looked_for = true, .has_row = topic.dedup == Kind::forever});
    return "claimed_now";
  }
  void set_dedup(const std::string& name, Kind kind) {
    Topic& topic = topics_[name];
    if (kind != Kind::forever) {
      forget_rows(topic);
    }
    topic.dedup = kind;
  }
  void remove(const std::string& name) {
    retain_to(name, topics_[name].next);
    forget_claims(topics_[name]);
    set_dedup(name, Kind::unset);
  }
  void retain_to(const std::string& name, std::uint64_t offset) {
    for (Stored& stored : topics_[name].stored) {
      stored.is_looked_for = stored.is_looked_for && (stored.is_claim || stored.offset >= offset);
    }
  }
  void forget_claims() {
    for (auto& [name, topic] : topics_) {
      forget_claims(topic);
    }
  }
  [[nodiscard]] std::uint64_t next(const std::string& name) { return topics_[name].next; }
  [[nodiscard]] std::uint64_t row_count() const {
    std::uint64_t count = 0;
    for (const auto& [name, topic] : topics_) {
      count += static_cast<std::uint64_t>(std::ranges::count_if(topic.stored, &Stored::has_row));
    }
    return count;
  }

 private:
  struct Stored {
    std::string id;
    std::string body{};
    std::uint64_t offset = 0;
    std::uint64_t position = 0;
    bool is_claim = false;
    bool is_looked_for = false;  ///< its event, or claim, is kept, and dedup was not off when it was stored
    bool has_row = false;
  };
  struct Topic {
    std::vector<Stored> stored;
    Kind dedup = Kind::unset;
    std::uint64_t next = 0;
  };
  static std::string place(const Stored& stored) {
    return std::to_string(stored.offset) + "@" + std::to_string(stored.position);
  }
  static const Stored* find(const Topic& topic, const std::string& id) {
    const auto found = std::ranges::find_if(topic.stored, [&](const Stored& stored) {
      return stored.id == id && topic.dedup != Kind::off && (stored.has_row || stored.is_looked_for);
    });
    return found == topic.stored.end() ? nullptr : &*found;
  }
  static void forget_rows(Topic& topic) {
    for (Stored& stored : topic.stored) {
      stored.has_row = false;
    }
  }
  static void forget_claims(Topic& topic) {
    for (Stored& stored : topic.stored) {
      stored.is_looked_for = stored.is_looked_for && !stored.is_claim;
    }
  }
  std::map<std::string, Topic> topics_;
  std::uint64_t last_position_ = 0;
};

class ForeverModel : public testing::Test {
 protected:
  void change_something(std::uint64_t draw, const std::string& topic) {
    if (draw < 3) {
      constexpr std::array kKinds{Kind::forever, Kind::forever, Kind::unset, Kind::off};
      const Kind kind = kKinds.at(random.between(0, 3));
      log.change(set_dedup(topic, kind));
      model.set_dedup(topic, kind);
    } else if (draw == 3 && log.state.live_topic(topic)) {
      log.change(removed(topic));
      model.remove(topic);
    } else if (draw < 12) {
      const std::uint64_t to = model.next(topic) - std::min<std::uint64_t>(model.next(topic), random.between(0, 4));
      const bool claims_too = random.between(0, 2) == 0;
      log.apply(retain_entry({{topic, raft::Offset{to}}}, claims_too ? log.log.size() + 1 : 0));
      model.retain_to(topic, to);
      if (claims_too) {
        model.forget_claims();
      }
    }
  }

  raft::Random random{seed_or(23)};
  Applying log;
  Model model;
  Saved saved{log};
};

TEST_F(ForeverModel, Fault062RemembersWhatItShouldAcrossRestartsAndDroppedDeltas) {
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed_or(23)));
  std::map<std::string, int> met;
  for (int round = 0; round < 8'000; ++round) {
    const std::string topic = random.between(0, 1) == 0 ? "t" : "u";
    const std::string id = "id " + std::to_string(random.between(0, 60));
    const std::string body = random.between(0, 9) == 0 ? "other" : "body";
    const std::uint64_t draw = random.between(0, 99);
    std::string expected;
    std::string got;
    if (draw < 12) {
      change_something(draw, topic);
    } else if (draw < 20) {
      expected = model.claim(topic, id);
      got = outcome(log.claim({{.topic = topic, .source = {}, .id = id}}));
    } else {
      expected = model.publish(topic, id, body);
      got = outcome(log.publish({{.events = {{.topic = topic, .id = id, .body = body}}}}));
    }
    ASSERT_EQ(got, expected) << "round " << round;
    ASSERT_EQ(log.state.forever_ids().size(), model.row_count()) << "round " << round;
    ++met[got.substr(0, got.find_first_of(" @(")) + (got.ends_with('d') ? "d" : "")];
    if (random.between(0, 9) == 0) {
      saved.restate(random.between(1, 1'000));
    }
    if (random.between(0, 49) == 0) {
      saved.save();
    }
    if (random.between(0, 99) == 0) {
      saved.restart();
      ASSERT_FALSE(HasFailure()) << "round " << round;
    }
  }
  for (const auto* kind : {"conflict", "id_reuse", "id_claimed", "claimed_now", "claimed_before", "published_before"}) {
    EXPECT_GT(met[kind] + met[std::string(kind) + "d"], 0) << kind;
  }
  EXPECT_GT(saved.dropped, 10);
}

}  // namespace
}  // namespace weir::broker::test
