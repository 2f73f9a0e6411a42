// TOPIC entries: settings, windows for ids, topics that go and come back (docs/decisions/0016).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <optional>

#include "broker/core/retention.hpp"
#include "raft/random.hpp"
#include "tests/core/samples.hpp"
#include "wire/hash.hpp"

namespace weir::broker::test {
namespace {

using Kind = wire::Setting::Kind;

constexpr wire::Setting kOff{.kind = Kind::off, .value = 0};
constexpr wire::Setting kKeep{.kind = Kind::keep, .value = 0};
wire::Setting value(std::uint64_t number) {
  return {.kind = Kind::value, .value = number};
}

wire::TopicChange put(wire::TopicSettings settings, const std::string& topic = "t") {
  return {.topic = topic, .action = wire::TopicAction::put, .settings = settings};
}
wire::TopicChange create(wire::TopicSettings settings) {
  return {.topic = "t", .action = wire::TopicAction::create, .settings = settings};
}
const wire::TopicChange kRemove{.topic = "t", .action = wire::TopicAction::remove, .settings = {}};

wire::TopicSettings dedup(wire::Setting setting) {
  return {.age_ms = {}, .bytes = {}, .count = {}, .dedup_ms = setting};
}

std::string outcome(const Applied& applied) {
  return text_of(applied.outcomes.at(0));
}

class Topics : public testing::Test {
 protected:
  std::string store(const std::string& id, std::uint64_t time_ms = 1'000, const std::string& topic = "t") {
    return outcome(log.publish({{.events = {{.topic = topic, .id = id}}}}, time_ms));
  }
  std::string change(const wire::TopicChange& change, std::uint64_t time_ms = 1'000) {
    return outcome(log.change(change, time_ms));
  }
  [[nodiscard]] std::optional<wire::Claimed> find(const std::string& id) const {
    return log.state.find_id({.topic = "t", .source = {}, .id = id},
                             [this](raft::Index index) { return decoded(log.log[index.value - 1]); });
  }
  Applying log;
};

TEST_F(Topics, AreCreatedOnceAndChangedBySetting) {
  const wire::TopicSettings some{.age_ms = value(5'000), .bytes = {}, .count = kOff, .dedup_ms = {}};
  EXPECT_EQ(change(create(some)), "created 0-0");
  EXPECT_EQ(change(create(some)), "unchanged 0-0") << "a retry does not fail because its first try succeeded";
  EXPECT_EQ(change(create({})), "conflict(0)");
  store("a");
  EXPECT_EQ(change({.topic = "t",
                    .action = wire::TopicAction::change,
                    .settings = {.age_ms = kKeep, .bytes = value(64), .count = kKeep, .dedup_ms = kKeep}}),
            "changed 0-1");
  const wire::TopicSettings both{.age_ms = value(5'000), .bytes = value(64), .count = kOff, .dedup_ms = {}};
  EXPECT_EQ(log.state.settings(raft::TopicId{0}), both);
  EXPECT_EQ(change(put({})), "changed 0-1");
  EXPECT_EQ(log.state.settings(raft::TopicId{0}), wire::TopicSettings{}) << "put names all of them";
}

TEST_F(Topics, ThatDoNotExistAreNeitherChangedNorRemoved) {
  EXPECT_EQ(change(kRemove), "no_topic(0)");
  EXPECT_EQ(change({.topic = "t", .action = wire::TopicAction::change, .settings = {}}), "no_topic(0)");
  EXPECT_EQ(log.state.topic_count(), 0U);
}

TEST_F(Topics, ThatAreRemovedLoseEventsAndIdsAtOnceAndGoOnCounting) {
  store("a");
  store("b");
  log.claim({{.topic = "t", .source = {}, .id = "k"}});
  EXPECT_EQ(change(kRemove), "removed 2-2");
  EXPECT_FALSE(find("a"));
  EXPECT_FALSE(find("k"));
  EXPECT_FALSE(log.state.live_topic("t"));
  EXPECT_EQ(log.state.live_topic_count(), 0U);
  EXPECT_EQ(log.state.removed_to(), raft::Position{2}) << "readers from before are told of a gap";
  EXPECT_EQ(change(kRemove), "no_topic(0)");
  EXPECT_EQ(store("a"), "2@3") << "offsets are never used again, ids are";
  EXPECT_TRUE(log.state.live_topic("t"));
  EXPECT_EQ(outcome(log.claim({{.topic = "t", .source = {}, .id = "k"}})), "claimed_now");
}

TEST_F(Topics, ThatComeBackHaveNoneOfTheirOldSettings) {
  change(put(dedup(kOff)));
  change(kRemove);
  store("a");
  EXPECT_EQ(store("a"), "0@1d");
  EXPECT_EQ(log.state.settings(raft::TopicId{0}), wire::TopicSettings{});
}

TEST_F(Topics, WithoutDedupStoreAnIdAsOftenAsItComes) {
  change(put(dedup(kOff)));
  EXPECT_EQ(store("a"), "0@1");
  EXPECT_EQ(store("a"), "1@2");
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a"}, {.id = "a"}}}})), "2@3 3@4");
  EXPECT_EQ(store("a", 1'000, "u"), "0@5");
  EXPECT_EQ(store("a", 1'000, "u"), "0@5d") << "other topics are none of it";
  EXPECT_FALSE(find("a"));
  EXPECT_EQ(outcome(log.claim({{.topic = "t", .source = {}, .id = "k"}})), "conflict(0)");
  change(put({}));
  EXPECT_EQ(store("a"), "4@6") << "what was not remembered is not found";
  EXPECT_EQ(store("a"), "4@6d");
}

TEST_F(Topics, Fault063TheLastMomentIsInsideTheWindowTheNextIsOutside) {
  change(put(dedup(value(500))), 1'000);
  EXPECT_EQ(store("a", 1'000), "0@1");
  EXPECT_EQ(store("a", 1'500), "0@1d");
  EXPECT_EQ(store("a", 1'501), "1@2");
  EXPECT_EQ(store("a", 2'001), "1@2d") << "from the last time it was stored";
  EXPECT_EQ(store("b", 2'001), "2@3");
  EXPECT_EQ(store("a", 2'002), "3@4");
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a", .body = "other"}}}}, 2'502)), "id_reuse(0)");
  EXPECT_EQ(outcome(log.publish({{.events = {{.id = "a", .body = "other"}}}}, 2'503)), "4@5");
}

TEST_F(Topics, Fault063ClaimsLeaveTheWindowLikeIds) {
  change(put(dedup(value(500))), 1'000);
  const wire::Claim claim{.topic = "t", .source = {}, .id = "k"};
  log.claim({claim}, 1'000);
  EXPECT_EQ(store("k", 1'500), "id_claimed(0)");
  EXPECT_EQ(outcome(log.claim({claim}, 1'501)), "claimed_now");
}

TEST_F(Topics, WhatLiesBeforeTheWindowIsNotLookedUp) {
  change(put(dedup(value(10))));
  for (std::uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(store("a", 2'000 + i * 20), std::to_string(i) + "@" + std::to_string(i + 1));
  }
  const auto next = decoded(publish_entry(log.log.size() + 1, {{.events = {{.id = "a"}}}}, 2'985));
  EXPECT_EQ(log.state.lookups(*next).entries, std::vector{raft::Index{51}});
}

TEST_F(Topics, LimitsOfTheirOwnTakeTheBrokersPlace) {
  change(put({.age_ms = {}, .bytes = {}, .count = value(1), .dedup_ms = {}}));
  change(put({.age_ms = kOff, .bytes = {}, .count = kOff, .dedup_ms = {}}, "u"));
  change(put({.age_ms = value(5'000), .bytes = {}, .count = kOff, .dedup_ms = {}}, "v"));
  for (const auto* topic : {"t", "u", "v", "w"}) {
    for (int i = 0; i < 4; ++i) {
      store("", 1'000, topic);
    }
  }
  const auto floors = [this](const RetentionLimits& limits, std::uint64_t now_ms) {
    std::map<std::string, std::uint64_t> found;
    if (const auto due = retention_due(limits, log.state, now_ms)) {
      for (const auto& floor : due->floors) {
        found[floor.topic] = floor.first_offset.value;
      }
    }
    return found;
  };
  using Floors = std::map<std::string, std::uint64_t>;
  EXPECT_EQ(floors({.count = 2}, 1'000), (Floors{{"t", 3}, {"w", 2}}));
  EXPECT_EQ(floors({}, 6'000), (Floors{{"t", 3}}));
  EXPECT_EQ(floors({}, 6'001), (Floors{{"t", 3}, {"v", 4}}));
  EXPECT_EQ(floors({.age_ms = 1'000}, 2'001), (Floors{{"t", 4}, {"w", 4}}));
}

TEST_F(Topics, SettingsAreInTheDigest) {
  Applying other;
  const auto both = [&](const raft::Entry& entry) {
    log.apply(entry);
    other.apply(entry);
  };
  both(topic_entry({put(dedup(value(5)))}));
  EXPECT_EQ(log.digest.value(), other.digest.value());
  const std::uint64_t before = log.state.settings_digest();
  EXPECT_NE(before, 0U);
  log.change(put(dedup(value(6))));
  EXPECT_NE(log.state.settings_digest(), before);
  log.change(put(dedup(value(5))));
  EXPECT_EQ(log.state.settings_digest(), before);
  log.change(put({}));
  EXPECT_EQ(log.state.settings_digest(), 0U);
}

/// A list of everything that was stored or claimed, and what is remembered of it.
class Model {
 public:
  /// What publishing answers.
  std::string publish(const std::string& topic, const std::string& id, std::uint64_t now_ms) {
    Topic& published = topics_[topic];
    if (const auto* found = find(published, id, now_ms)) {
      return found->is_claim ? "id_claimed(0)"
                             : std::to_string(found->offset) + "@" + std::to_string(found->position) + "d";
    }
    const Stored stored{.id = id, .time_ms = now_ms, .offset = published.next++, .position = ++last_position_};
    if (published.window.kind != Kind::off) {
      published.stored.push_back(stored);
    }
    return std::to_string(stored.offset) + "@" + std::to_string(stored.position);
  }
  std::string claim(const std::string& topic, const std::string& id, std::uint64_t now_ms) {
    Topic& claimed = topics_[topic];
    if (claimed.window.kind == Kind::off) {
      return "conflict(0)";
    }
    if (const auto* found = find(claimed, id, now_ms)) {
      return found->is_claim
                 ? "claimed_before"
                 : "published_before " + std::to_string(found->offset) + "@" + std::to_string(found->position);
    }
    claimed.stored.push_back({.id = id, .time_ms = now_ms, .is_claim = true});
    return "claimed_now";
  }
  void set_window(const std::string& topic, wire::Setting window) { topics_[topic].window = window; }
  void remove(const std::string& topic) {
    topics_[topic].stored.clear();
    topics_[topic].window = {};
  }

 private:
  struct Stored {
    std::string id;
    std::uint64_t time_ms = 0;
    std::uint64_t offset = 0;
    std::uint64_t position = 0;
    bool is_claim = false;
  };
  struct Topic {
    std::vector<Stored> stored;
    wire::Setting window;
    std::uint64_t next = 0;
  };
  static const Stored* find(const Topic& topic, const std::string& id, std::uint64_t now_ms) {
    for (const auto& stored : topic.stored) {
      const bool is_inside = topic.window.kind == Kind::unset ||
                             (topic.window.kind == Kind::value && stored.time_ms + topic.window.value >= now_ms);
      if (stored.id == id && is_inside) {
        return &stored;
      }
    }
    return nullptr;
  }
  std::map<std::string, Topic> topics_;
  std::uint64_t last_position_ = 0;
};

/// Saved and restored: nothing is lost on the way.
void restart(Applying& log, std::vector<std::string>& deltas) {
  deltas.push_back(log.state.take_delta());
  StateMachine restored;
  ASSERT_TRUE(restored.restore(log.state.save()));
  for (const auto& delta : deltas) {
    ASSERT_TRUE(restored.add_delta(delta));
  }
  ASSERT_TRUE(restored.finish_restore());
  ASSERT_EQ(restored.save(), log.state.save());
  ASSERT_EQ(restored.settings_digest(), log.state.settings_digest());
  ASSERT_EQ(restored.live_topic_count(), log.state.live_topic_count());
  log.state = std::move(restored);
}

TEST(TopicIds, Fault063AreThoseThatASimpleModelRemembersAcrossRestarts) {
  const std::uint64_t seed = seed_or(17);
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed));
  raft::Random random(seed);
  Applying log;
  Model model;
  std::vector<std::string> deltas;
  std::uint64_t now_ms = 1'000;
  std::map<std::string, int> met;
  for (int round = 0; round < 6'000; ++round) {
    const std::string topic = random.between(0, 1) == 0 ? "t" : "u";
    const std::string id = "id " + std::to_string(random.between(0, 5));
    now_ms += random.between(0, 3) * random.between(0, 3);
    const auto draw = random.between(0, 99);
    std::string expected;
    std::string got;
    if (draw < 2 && log.state.live_topic(topic)) {
      const wire::Setting window = draw == 0 ? wire::Setting{} : value(random.between(1, 30));
      log.change(put(dedup(random.between(0, 4) == 0 ? kOff : window), topic), now_ms);
      model.set_window(topic, log.state.settings(*log.state.topic_id(topic)).dedup_ms);
    } else if (draw == 2 && log.state.live_topic(topic)) {
      got = outcome(log.change({.topic = topic, .action = wire::TopicAction::remove, .settings = {}}, now_ms));
      model.remove(topic);
    } else if (draw < 10) {
      expected = model.claim(topic, id, now_ms);
      got = outcome(log.claim({{.topic = topic, .source = {}, .id = id}}, now_ms));
    } else {
      expected = model.publish(topic, id, now_ms);
      got = outcome(log.publish({{.events = {{.topic = topic, .id = id}}}}, now_ms));
    }
    if (!expected.empty()) {
      ASSERT_EQ(got, expected) << "round " << round << " at " << now_ms;
    }
    ++met[got.substr(0, got.find_first_of(" @(")) + (got.ends_with('d') ? "d" : "")];
    if (random.between(0, 99) == 0) {
      restart(log, deltas);
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
  for (const auto* kind : {"removed", "conflict", "id_claimed", "claimed_now", "claimed_before", "published_before"}) {
    EXPECT_GT(met[kind] + met[std::string(kind) + "d"], 0) << kind;
  }
}

std::string with_version(std::string saved, char version) {
  saved[12] = version;
  const std::array parts{std::string_view(saved).substr(8)};
  const std::uint64_t checksum = wire::checksum_of(parts);
  std::memcpy(saved.data(), &checksum, sizeof checksum);
  return saved;
}

/// `saved` of a log with one topic, as version `version` wrote it.
std::string as_version(std::string saved, char version) {
  constexpr std::size_t kForever = 16;  // the count of ids that outlive their events and their digest
  constexpr std::size_t kGroups = 12;   // the last lease and their count
  EXPECT_EQ(saved[12], 4);
  EXPECT_EQ(saved.substr(saved.size() - kForever), std::string(kForever, '\0')) << "no such ids";
  saved.resize(saved.size() - kForever);
  if (version == 3) {
    return with_version(std::move(saved), version);
  }
  EXPECT_EQ(saved.substr(saved.size() - kGroups), std::string(kGroups, '\0')) << "no groups";
  saved.resize(saved.size() - kGroups);
  if (version == 1) {
    EXPECT_EQ(saved.back(), 0) << "what follows the topic: nothing is set";
    saved.pop_back();
  }
  return with_version(std::move(saved), version);
}

TEST(SavedTopics, Fault040AStateOfAnEarlierVersionIsRestoredWithoutWhatItDoesNotHave) {
  Applying log;
  log.publish({{.events = {{.id = "a"}}}});
  for (const char version : {'\1', '\2', '\3'}) {
    StateMachine old;
    const auto restored = old.restore(as_version(log.state.save(), version));
    ASSERT_TRUE(restored) << restored.error();
    EXPECT_EQ(old.save(), log.state.save()) << static_cast<int>(version);
  }
}

}  // namespace
}  // namespace weir::broker::test
