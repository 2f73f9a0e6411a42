// Claims and commits drawn at random, against a model that knows nothing of ranges: who holds each position, and
// whether it is finished. No event is handed to two holders of valid leases; what is committed never goes back; each
// event is committed once, by a lease that was valid.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "raft/random.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

constexpr std::uint64_t kLeaseMs = 40;

class GroupModel {
 public:
  void add_event() { places_.emplace_back(); }
  [[nodiscard]] std::uint64_t last() const { return places_.size(); }
  [[nodiscard]] std::uint64_t committed() const { return committed_; }

  /// The range (from, to] was given to `lease`: nobody else may have it.
  void give(std::uint64_t lease, std::uint64_t from, std::uint64_t to, std::uint64_t now_ms) {
    EXPECT_EQ(from, next_free(now_ms)) << "the oldest that is free comes first";
    for (std::uint64_t p = from + 1; p <= to; ++p) {
      Place& place = places_.at(p - 1);
      EXPECT_FALSE(place.finished) << "position " << p;
      EXPECT_TRUE(place.lease == 0 || expires_.at(place.lease) < now_ms) << "position " << p << " is held";
      place.lease = lease;
    }
    handed_out_ = std::max(handed_out_, to);
    expires_[lease] = now_ms + kLeaseMs;
  }

  enum class With : std::uint8_t { nothing_new = 1, new_events = 2 };
  std::string commit(std::uint64_t lease, std::uint64_t to, std::uint64_t now_ms, With with) {
    const std::string expected = lease == 0 ? plain(to, now_ms) : leased(lease, to, now_ms, with);
    while (committed_ < last() && places_[committed_].finished) {
      ++committed_;
    }
    return expected;
  }

  void seek(std::uint64_t to) {
    for (std::uint64_t p = 1; p <= last(); ++p) {
      places_[p - 1] = {.lease = 0, .finished = p <= to};
    }
    committed_ = to;
    handed_out_ = to;
    remembered_.clear();
  }

 private:
  struct Place {
    std::uint64_t lease = 0;
    bool finished = false;
  };

  [[nodiscard]] std::uint64_t next_free(std::uint64_t now_ms) const {
    for (std::uint64_t p = committed_ + 1; p <= handed_out_; ++p) {
      const Place& place = places_[p - 1];
      if (!place.finished && (place.lease == 0 || expires_.at(place.lease) < now_ms)) {
        return p - 1;
      }
    }
    return std::max(handed_out_, committed_);
  }

  std::string plain(std::uint64_t to, std::uint64_t now_ms) {
    if (to <= committed_) {
      return "committed";
    }
    if (to > last()) {
      return "malformed";
    }
    const bool held = std::ranges::any_of(places_, [&](const Place& place) {
      return !place.finished && place.lease != 0 && expires_.at(place.lease) >= now_ms;
    });
    if (held) {
      return "conflict";
    }
    for (std::uint64_t p = 1; p <= to; ++p) {
      places_[p - 1].finished = true;
    }
    return "committed";
  }

  std::string leased(std::uint64_t lease, std::uint64_t to, std::uint64_t now_ms, With with) {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    for (std::uint64_t p = 1; p <= last(); ++p) {
      if (places_[p - 1].lease == lease && !places_[p - 1].finished) {
        first = first == 0 ? p : first;
        end = p;
      }
    }
    if (first == 0) {
      const auto known = std::ranges::find(remembered_, lease, &std::pair<std::uint64_t, std::uint64_t>::first);
      const bool repeated = known != remembered_.end() && to <= known->second;
      return repeated && with == With::nothing_new ? "committed" : "lease_lost";
    }
    if (to < first && with == With::new_events) {
      return "lease_lost";
    }
    if (expires_.at(lease) < now_ms) {
      return "lease_lost";
    }
    if (to > end) {
      return "malformed";
    }
    for (std::uint64_t p = first; p <= to; ++p) {
      places_[p - 1].finished = true;
    }
    if (to == end) {
      remembered_.emplace_back(lease, to);
      if (remembered_.size() > kCommitsRememberedMax) {
        remembered_.pop_front();
      }
    }
    return "committed";
  }

  std::vector<Place> places_;
  std::map<std::uint64_t, std::uint64_t> expires_;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> remembered_;
  std::uint64_t committed_ = 0;
  std::uint64_t handed_out_ = 0;
};

class GroupsAtRandom : public testing::Test {
 protected:
  GroupsAtRandom() : seed_(seed_or(19)), random_(seed_) {
    log_.change({.group = "g", .action = wire::GroupAction::put, .patterns = {"t"}}, now_ms_);
  }

  const Group& group() { return *log_.state.groups().find("g"); }
  static std::string kind_of(const Applied& applied) {
    const std::string text = text_of(applied.outcomes.at(0));
    return text.substr(0, text.find_first_of(" ("));
  }

  void publish() {
    log_.publish({{.events = {{}}}}, now_ms_);
    model_.add_event();
  }

  /// Mostly what the group hands out next; at times anything.
  void claim() {
    const Group::Next next = group().next(now_ms_);
    const std::uint64_t end = next.to.value_or(log_.state.last_position()).value;
    std::uint64_t from = next.from.value;
    std::uint64_t to = std::min(end, from + random_.between(1, 4));
    const bool honest = random_.between(0, 4) > 0;
    if (!honest) {
      from = random_.between(0, static_cast<std::uint32_t>(model_.last()));
      to = from + random_.between(1, 4);
    }
    if (from >= to) {
      return;
    }
    const auto outcome = log_.change({.group = "g",
                                      .action = wire::GroupAction::claim,
                                      .from = raft::Position{from},
                                      .to = raft::Position{to},
                                      .lease_ms = kLeaseMs},
                                     now_ms_)
                             .outcomes.at(0);
    if (const auto* claimed = std::get_if<wire::GroupChanged>(&outcome)) {
      model_.give(claimed->lease, from, to, now_ms_);
      leases_.push_back({claimed->lease, to});
      ++met_["claimed"];
    } else {
      EXPECT_FALSE(honest) << text_of(outcome);
      ++met_["moved_on"];
    }
  }

  void commit() {
    std::uint64_t lease = 0;
    std::uint64_t to = random_.between(0, static_cast<std::uint32_t>(model_.last() + 1));
    if (!leases_.empty() && random_.between(0, 9) > 0) {
      const std::size_t back =
          random_.between(0, std::min<std::uint32_t>(7, static_cast<std::uint32_t>(leases_.size() - 1)));
      const auto& [number, end] = leases_[leases_.size() - 1 - back];
      lease = number;
      to = random_.between(0, 2) > 0 ? end : end + 1 - std::min<std::uint64_t>(end, random_.between(0, 3));
    }
    const bool with_event = random_.between(0, 1) == 0;
    const std::string expected =
        model_.commit(lease, to, now_ms_, with_event ? GroupModel::With::new_events : GroupModel::With::nothing_new);
    std::string got;
    if (with_event) {
      const wire::GroupCommit part{.group = "g", .lease = lease, .position = raft::Position{to}};
      const Applied applied = log_.publish({{.events = {{.topic = "out"}}, .commits = {part}}}, now_ms_);
      got = applied.stored == 1 ? "committed" : kind_of(applied);
      if (applied.stored == 1) {
        model_.add_event();
      }
    } else {
      got = kind_of(log_.change(
          {.group = "g", .action = wire::GroupAction::commit, .to = raft::Position{to}, .lease = lease}, now_ms_));
    }
    ASSERT_EQ(got, expected) << "lease " << lease << " up to " << to << " at " << now_ms_;
    ++met_[got];
  }

  void seek() {
    const std::uint64_t to = random_.between(0, static_cast<std::uint32_t>(model_.last()));
    log_.change(
        {.group = "g", .action = wire::GroupAction::put, .start = wire::GroupStart::position, .to = raft::Position{to}},
        now_ms_);
    model_.seek(to);
  }

  void restart() {
    deltas_.push_back(log_.state.take_delta());
    StateMachine restored;
    ASSERT_TRUE(restored.restore(log_.state.save()));
    for (const auto& delta : deltas_) {
      ASSERT_TRUE(restored.add_delta(delta));
    }
    ASSERT_TRUE(restored.finish_restore());
    ASSERT_EQ(restored.save(), log_.state.save());
    ASSERT_EQ(restored.groups().digest(), log_.state.groups().digest());
    log_.state = std::move(restored);
  }

  std::uint64_t seed_;
  raft::Random random_;
  Applying log_;
  GroupModel model_;
  std::vector<std::string> deltas_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> leases_;
  std::map<std::string, int> met_;
  std::uint64_t now_ms_ = 1'000;
};

TEST_F(GroupsAtRandom, Fault062AreWhatASimpleModelSaysAcrossRestarts) {
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed_));
  for (int round = 0; round < 4'000; ++round) {
    now_ms_ += random_.between(0, 9);
    const auto draw = random_.between(0, 99);
    if (draw < 25) {
      publish();
    } else if (draw < 55) {
      claim();
    } else if (draw < 98) {
      commit();
    } else if (draw == 98) {
      seek();
    } else {
      restart();
    }
    ASSERT_FALSE(testing::Test::HasFailure()) << "round " << round;
    ASSERT_EQ(group().committed.value, model_.committed()) << "round " << round;
  }
  for (const auto* kind : {"claimed", "moved_on", "committed", "lease_lost", "malformed", "conflict"}) {
    EXPECT_GT(met_[kind], 10) << kind;
  }
}

}  // namespace
}  // namespace weir::broker::test
