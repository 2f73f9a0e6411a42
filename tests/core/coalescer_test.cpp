#include "broker/core/coalescer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/fakes.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

/// A leader alone: what is durable is committed. Entries are not applied; the tests say how that ended.
class Coalescing : public testing::Test {
 protected:
  Coalescing() {
    while (!replica.leads()) {
      replica.tick();
      replica.settle();
    }
    settle();
    disk.log.clear();
  }

  static raft::Config config() {
    raft::Config config;
    config.id = raft::NodeId{1};
    return config;
  }
  /// Of the only voter.
  static raft::Recovered empty_log() {
    raft::Recovered recovered;
    const raft::Configuration alone{.voters = {raft::NodeId{1}}, .learners = {}};
    recovered.configurations = {{.index = {}, .configuration = std::make_shared<raft::Configuration>(alone)}};
    return recovered;
  }
  Replica::Hooks hooks() {
    return {.committed = [](raft::Index) {},
            .read_confirmed = [](const raft::ReadState&) {},
            .event = [](const raft::Event&) {},
            .woken = [] {},
            .failed = [](const storage::Error&) {},
            .may_send = [](const raft::Message&) { return true; },
            .stamp = [](raft::Message&) {},
            .before_install = {},
            .installing = {},
            .installed = {},
            .notice = {}};
  }
  void submit(const Request& request, std::uint64_t timeout_ms = 1'000) {
    const std::size_t place = outcomes.size();
    outcomes.emplace_back();
    coalescer.submit(job_of(request, clock.steady + timeout_ms * 1'000,
                            [this, place](const wire::Outcome& outcome) { outcomes[place] += text_of(outcome); }));
  }
  bool flush() {
    const bool proposed = coalescer.flush();
    replica.settle();
    return proposed;
  }
  void settle() {
    replica.settle();
    disk.finish_all();
    replica.settle();
  }
  /// The entry at the end of the disk's log is applied with these results.
  void applied(std::vector<wire::Outcome> results, std::uint64_t term = 0) {
    raft::Entry entry = disk.log.back();
    entry.term = term == 0 ? entry.term : raft::Term{term};
    coalescer.applied(*decoded(entry), results);
  }
  static wire::Outcome stored(std::uint64_t position) {
    return wire::Published{.results = {{.offset = {}, .position = raft::Position{position}, .time_ms = 1}}};
  }

  FakeDisk disk;
  FakeNetwork network;
  FakeClock clock;
  LogTime log_time;
  Replica replica{config(), empty_log(), {.disk_stall_timeout_ms = 1'000, .snapshot_piece_bytes = 1},
                  disk,     network,     clock,
                  log_time, hooks()};
  std::vector<WriteJob> given_back;
  std::vector<std::string> outcomes;
  Coalescer coalescer{replica, log_time, clock, [this](WriteJob job) { given_back.push_back(std::move(job)); }};
};

TEST_F(Coalescing, ALoneWriteWaitsForNobody) {
  submit({.events = {{}}});
  EXPECT_TRUE(flush());
  EXPECT_THAT(disk.writes, SizeIs(1));
}

TEST_F(Coalescing, GathersWhatArrivesWhileTheDiskIsAtWork) {
  submit({.events = {{}}});
  flush();
  submit({.events = {{}}});
  submit({.events = {{}, {}}});
  EXPECT_FALSE(flush());
  settle();
  EXPECT_TRUE(flush());
  settle();
  ASSERT_THAT(disk.log, SizeIs(2));
  const auto entry = decoded(disk.log[1]);
  EXPECT_EQ(entry->publish()->request_count(), 2U) << "requests keep their boundaries";
  EXPECT_EQ(entry->publish()->event_count(), 3U);
}

TEST_F(Coalescing, StampsLogTime) {
  submit({.events = {{}}});
  flush();
  settle();
  EXPECT_EQ(decoded(disk.log[0])->time_ms(), clock.wall);
}

TEST_F(Coalescing, StopsAtTheTargetSizeButTakesALargerRequestAlone) {
  const Request large{.events = {{.body = std::string(700'000, 'x')}}};
  const Request larger{.events = {{.body = std::string(1'000'000, 'x')}, {.body = std::string(1'000'000, 'y')}}};
  submit({.events = {{}}});
  flush();
  submit(large);
  submit(large);
  submit(larger);
  submit({.events = {{}}});
  for (int i = 0; i < 8; ++i) {
    settle();
    flush();
  }
  std::vector<std::uint32_t> counts;
  for (const auto& entry : disk.log) {
    counts.push_back(decoded(entry)->publish()->request_count());
  }
  EXPECT_THAT(counts, ElementsAre(1, 1, 1, 1, 1));
}

TEST_F(Coalescing, KeepsTheOrderOfClaimsAndPublishes) {
  submit({.events = {{}}});
  flush();
  submit({.events = {{}}});
  coalescer.submit(job_of(wire::Claim{.topic = "t", .source = {}, .id = "a"}, clock.steady + 1'000'000,
                          [](const wire::Outcome&) {}));
  submit({.events = {{}}});
  for (int i = 0; i < 6; ++i) {
    settle();
    flush();
  }
  std::vector<raft::Command> commands;
  for (const auto& entry : disk.log) {
    commands.push_back(entry.command);
  }
  using enum raft::Command;
  EXPECT_THAT(commands, ElementsAre(publish, publish, dedup, publish));
}

// An entry with more claims than a reader of the format takes would stop every node.
TEST_F(Coalescing, PutsNoMoreClaimsIntoAnEntryThanCanBeReadBack) {
  submit({.events = {{}}});
  flush();
  for (std::size_t i = 0; i <= wire::kBatchEventsMax; ++i) {
    coalescer.submit(job_of(wire::Claim{.topic = "t", .source = {}, .id = std::to_string(i)}, clock.steady + 1'000'000,
                            [](const wire::Outcome&) {}));
  }
  for (int i = 0; i < 6; ++i) {
    settle();
    flush();
  }
  std::size_t claims = 0;
  for (std::size_t i = 1; i < disk.log.size(); ++i) {
    const auto entry = decode(disk.log[i]);
    ASSERT_TRUE(entry) << entry.error();
    claims += (*entry)->dedup()->claims.size();
  }
  EXPECT_EQ(claims, wire::kBatchEventsMax + 1);
}

TEST_F(Coalescing, AnswersEachRequestWithItsOwnOutcome) {
  submit({.events = {{}}});
  flush();
  settle();
  applied({stored(1)});
  submit({.events = {{}}});
  submit({.events = {{}}});
  flush();
  settle();
  applied({stored(2), stored(3)});
  EXPECT_THAT(outcomes, ElementsAre("0@1", "0@2", "0@3"));
  EXPECT_EQ(coalescer.pending(), 0U);
}

TEST_F(Coalescing, GivesBackWhatAnotherLeadersEntryReplaced) {
  submit({.events = {{}}});
  flush();
  settle();
  applied({stored(1)}, 99);
  EXPECT_THAT(given_back, SizeIs(1));
  EXPECT_THAT(outcomes, ElementsAre(""));
}

TEST_F(Coalescing, GivesBackWhatWaitsWhenLeadershipIsLostAndKeepsWhatWasProposed) {
  submit({.events = {{}}});
  flush();
  submit({.events = {{}}});
  coalescer.leadership_lost();
  EXPECT_THAT(given_back, SizeIs(1));
  EXPECT_EQ(coalescer.pending(), 1U);
  settle();
  applied({stored(1)});
  EXPECT_EQ(outcomes[0], "0@1") << "its fate is known after all";
}

TEST_F(Coalescing, Fault065AtTheDeadlineProposedIsUnknownAndWaitingIsRefused) {
  submit({.events = {{}}}, 100);
  flush();
  submit({.events = {{}}}, 100);
  clock.pass_ms(100);
  coalescer.expire(clock.steady);
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)", "overloaded(0)"));
  settle();
  applied({stored(1)});
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)", "overloaded(0)")) << "answered once";
  EXPECT_EQ(coalescer.pending(), 0U);
}

TEST_F(Coalescing, HoldsNothingForRequestsThatWereAllAnswered) {
  submit({.events = {{}}}, 100);
  flush();
  clock.pass_ms(100);
  coalescer.expire(clock.steady);
  EXPECT_EQ(coalescer.pending(), 0U);
}

TEST_F(Coalescing, LetsACallbackSettleWhatExpires) {
  coalescer.submit(job_of({.events = {{}}}, clock.steady + 1'000, [this](const wire::Outcome& outcome) {
    outcomes.push_back(text_of(outcome));
    disk.finish_all();
    applied({stored(1), stored(2)});
  }));
  submit({.events = {{}}}, 1);
  flush();
  clock.pass_ms(1);
  coalescer.expire(clock.steady);
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)", "outcome_unknown(0)"));
}

TEST_F(Coalescing, AbandonedSaysWhatIsUnknown) {
  submit({.events = {{}}});
  flush();
  submit({.events = {{}}});
  coalescer.abandon("stopping");
  EXPECT_THAT(outcomes, ElementsAre("outcome_unknown(0)", "no_leader(0)"));
  EXPECT_EQ(coalescer.pending(), 0U);
}

}  // namespace
}  // namespace weir::broker::test
