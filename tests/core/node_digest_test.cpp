// FAULTS 44. Replicas prove that they agree: reports, DIGEST entries, what every node makes of them, and a comparison
// at once when it is asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kEvery = 4;
constexpr std::uint64_t kOther = 0xbad;

[[nodiscard]] Request one(const std::string& id) {
  return {.events = {{.id = id}}};
}

/// What whoever applies this log comes to as of `index`.
[[nodiscard]] std::uint64_t truth(const std::vector<raft::Entry>& log, raft::Index index) {
  Applying machine;
  for (std::uint64_t i = 0; i < index.value; ++i) {
    machine.apply(log.at(i));
  }
  return machine.digest.value();
}

[[nodiscard]] std::vector<wire::DigestEntry> comparisons(const std::vector<raft::Entry>& log) {
  std::vector<wire::DigestEntry> found;
  for (const auto& entry : log) {
    if (entry.command == raft::Command::digest) {
      found.push_back(wire::decode_digest(entry.data).value());
    }
  }
  return found;
}

/// The first of three, leading, with a log that reaches a mark.
class NodeDigest : public testing::Test {
 protected:
  NodeDigest() {
    three.adapt = [](NodeConfig& config) { config.digest_every_entries = kEvery; };
    three.restart();
    three.join();
    three.lead();
    while (three.node->status().applied_index < kMark) {
      three.publish(one(std::to_string(three.outcomes.size())));
      three.settle();
    }
  }
  void let_report(const std::string& peer, std::uint64_t digest) {
    three.reports[peer] = {.index = kMark, .digest = digest};
  }
  void live(int ticks = 100) {
    for (int i = 0; i < ticks; ++i) {
      three.tick();
      three.settle();
    }
  }
  [[nodiscard]] std::uint64_t right() const { return truth(three.disk.log, kMark); }
  [[nodiscard]] MemberStatus member(std::size_t place) const { return three.node->status().members.at(place); }
  void change(MemberAction action, const std::string& node) {
    bool done = false;
    three.node->change_members({.action = action, .node = node, .raft_address = {}, .http_address = {}}, 1'000,
                               [&](auto result) { done = result.has_value(); });
    live(10);
    EXPECT_TRUE(done) << node;
  }

  static constexpr raft::Index kMark{kEvery};
  NodeFixture three;
};

TEST_F(NodeDigest, ReportsThatAgreeAreComparedOnce) {
  let_report("n2", right());
  let_report("n3", right());
  live();
  const auto found = comparisons(three.disk.log);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found.front().index, kMark);
  EXPECT_THAT(found.front().reports, SizeIs(3));
  const NodeStatus status = three.node->status();
  EXPECT_EQ(status.phase, Phase::running);
  EXPECT_EQ(status.compared_index, kMark);
  EXPECT_EQ(three.node->counters().digests_compared, 1U);
  EXPECT_EQ(three.node->counters().digests_differing, 0U);
  three.publish(one("after"));
  live(1);
  EXPECT_THAT(three.outcomes.back(), HasSubstr("@"));
}

TEST_F(NodeDigest, AVoterThatIsHeardIsWaitedForAndOneThatIsNotIsNot) {
  let_report("n2", right());
  live(50);
  EXPECT_THAT(comparisons(three.disk.log), IsEmpty()) << "n3 answers, and may yet report";
  three.obedient = {"n2"};
  live(100);
  ASSERT_THAT(comparisons(three.disk.log), SizeIs(1));
  EXPECT_THAT(comparisons(three.disk.log).front().reports, SizeIs(2));
}

TEST_F(NodeDigest, AVoterThatNeverReportsIsWaitedForTwoSeconds) {
  let_report("n2", right());
  live(150);
  EXPECT_THAT(comparisons(three.disk.log), IsEmpty());
  live(80);
  EXPECT_THAT(comparisons(three.disk.log), SizeIs(1));
}

TEST_F(NodeDigest, Fault044AMemberThatDiffersIsNamed) {
  let_report("n2", right());
  let_report("n3", kOther);
  live();
  EXPECT_EQ(three.node->status().phase, Phase::running);
  EXPECT_EQ(member(2).healthy, false);
  EXPECT_THAT(member(2).why, HasSubstr("differs from the majority's at log entry 4"));
  EXPECT_EQ(member(1).healthy, true);
  EXPECT_EQ(three.node->counters().digests_differing, 1U);
  EXPECT_THAT(three.notices, testing::Contains(HasSubstr("'n3'")));
}

TEST_F(NodeDigest, Fault044ALeaderThatDiffersFromTheMajorityStops) {
  let_report("n2", kOther);
  let_report("n3", kOther);
  const auto open = three.publish(one("open"), 60'000);
  live();
  const NodeStatus status = three.node->status();
  EXPECT_EQ(status.phase, Phase::failed);
  EXPECT_THAT(status.why, HasSubstr("this node's data differs from the majority's at log entry 4"));
  EXPECT_THAT(status.why, HasSubstr("remove its data folder"));
  EXPECT_THAT(three.damages, testing::ElementsAre(status.why));
  EXPECT_NE(status.role, raft::Role::leader);
  EXPECT_NE(three.outcomes[open], "");
  three.network.sent.clear();
  three.publish(one("late"));
  EXPECT_EQ(three.outcomes.back(), "no_leader(0)");
  live();
  EXPECT_THAT(three.network.sent, IsEmpty()) << "no vote, no word";
}

TEST_F(NodeDigest, Fault044WithoutAMajorityNobodyTakesWritesUntilAnOperatorSaysWhoIsWrong) {
  let_report("n2", kOther);
  let_report("n3", kOther + 1);
  live();
  EXPECT_EQ(three.node->status().phase, Phase::running);
  EXPECT_THAT(three.node->status().writes_refused, HasSubstr("n2=0000000000000bad"));
  three.publish(one("refused"));
  EXPECT_EQ(three.outcomes.back(), "unfit(0)");
  change(MemberAction::remove, "n3");
  EXPECT_NE(three.node->status().writes_refused, "") << "one against one";
  change(MemberAction::remove, "n2");
  EXPECT_EQ(three.node->status().writes_refused, "");
  three.publish(one("taken"));
  live(2);
  EXPECT_THAT(three.outcomes.back(), HasSubstr("@"));
}

TEST_F(NodeDigest, ADisputeOutlastsAStartFromACheckpoint) {
  three.adapt = [](NodeConfig& config) {
    config.digest_every_entries = kEvery;
    config.checkpoint_bytes = 1;
  };
  let_report("n2", kOther);
  let_report("n3", kOther + 1);
  live();
  ASSERT_NE(three.node->status().writes_refused, "");
  three.reports.clear();
  const raft::Index disputed = three.disk.log.back().index;
  // A checkpoint is taken of the first entry applied, while those behind it are applied already.
  for (int start = 0; start < 50 && (three.disk.kept.empty() || three.disk.kept.back().index < disputed); ++start) {
    three.restart();
    three.join();
    three.lead();
    while (!three.disk.saves.empty()) {
      three.disk.finish_save();
    }
  }
  three.restart();
  three.join();
  ASSERT_GE(three.disk.kept.back().index, disputed);
  EXPECT_EQ(three.node->status().applied_index, three.disk.kept.back().index) << "nothing is applied again";
  EXPECT_NE(three.node->status().writes_refused, "");
  three.publish(one("refused"));
  EXPECT_EQ(three.outcomes.back(), "unfit(0)");
}

/// n1 follows n2, whose log holds this comparison of all as of n1's first mark.
class FollowerDigest : public testing::Test {
 protected:
  FollowerDigest() {
    three.adapt = [](NodeConfig& config) {
      config.digest_every_entries = kEvery;
      config.checkpoint_bytes = 1;
    };
    three.restart();
    three.join();
    for (std::uint64_t i = 2; i <= kEvery; ++i) {
      raft::Entry entry = publish_entry(i, {one(std::to_string(i))});
      entry.term = raft::Term{2};
      append(std::move(entry));
    }
  }
  void append(raft::Entry entry) {
    const raft::Index prev = entry.index.prev();
    three.receive("n2", raft::Term{2},
                  raft::AppendEntries{.prev_log_index = prev,
                                      .prev_log_term = raft::Term{prev.value == 1 ? 1U : 2U},
                                      .leader_commit = entry.index,
                                      .entries = {entry},
                                      .read_context = {}});
    three.disk.finish_all();
    three.tick();
    three.disk.finish_all();
  }
  void append_comparison(const std::map<std::string, std::uint64_t>& said) {
    wire::DigestEntry comparison{.time_ms = 5'000, .index = raft::Index{kEvery}, .reports = {}};
    for (const auto& [name, digest] : said) {
      comparison.reports.push_back({.node = id_of(name), .digest = digest});
    }
    std::ranges::sort(comparison.reports, {}, &wire::Report::node);
    raft::Entry entry{.index = raft::Index{kEvery + 1},
                      .term = raft::Term{2},
                      .command = raft::Command::digest,
                      .checksum = 0,
                      .data = wire::encode(comparison)};
    entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
    append(std::move(entry));
  }
  [[nodiscard]] std::uint64_t own() const { return truth(three.disk.log, raft::Index{kEvery}); }

  NodeFixture three;
};

TEST_F(FollowerDigest, ReportsItsMarkInReplies) {
  three.network.sent.clear();
  append(noop_entry(kEvery + 1, 2));
  std::optional<raft::StateReport> report;
  for (const auto& [to, message] : three.network.take<raft::Message>()) {
    if (std::holds_alternative<raft::AppendEntriesReply>(message.body)) {
      report = message.report;
    }
  }
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->index, raft::Index{kEvery});
  EXPECT_EQ(report->digest, own());
}

TEST_F(FollowerDigest, Fault044TheOddOneStopsAndSavesNothing) {
  while (!three.disk.saves.empty()) {
    three.disk.finish_save();
  }
  append_comparison({{"n1", own()}, {"n2", kOther}, {"n3", kOther}});
  EXPECT_EQ(three.node->status().phase, Phase::failed);
  EXPECT_THAT(three.disk.saves, IsEmpty()) << "a start would begin with what is wrong";
}

TEST_F(FollowerDigest, WhatItHoldsCountsNotWhatItSaidInAnEarlierLife) {
  append_comparison({{"n1", kOther}, {"n2", own()}, {"n3", own()}});
  EXPECT_EQ(three.node->status().phase, Phase::running) << "mended since, by a start";
  EXPECT_EQ(three.node->status().compared_index, raft::Index{kEvery});
}

TEST_F(FollowerDigest, OneWordOfThreeDecidesNothing) {
  append_comparison({{"n2", kOther}});
  EXPECT_EQ(three.node->status().phase, Phase::running);
  EXPECT_EQ(three.node->status().writes_refused, "");
}

// --- a comparison that is asked for

class NodeVerify : public NodeDigest {
 protected:
  void ask(std::uint32_t timeout_ms = 500) {
    asked_at = three.node->status().commit_index;
    three.node->verify(timeout_ms, [this](auto outcome) { result = std::move(outcome); });
  }
  void let_report_now(const std::string& peer, std::uint64_t digest) {
    three.reports[peer] = {.index = asked_at, .digest = digest};
  }
  [[nodiscard]] std::uint64_t right_now() const { return truth(three.disk.log, asked_at); }

  raft::Index asked_at;
  std::optional<std::expected<Verified, ChangeRefusal>> result;
};

TEST_F(NodeVerify, NamesThoseThatAgreeAsOfNow) {
  ask();
  EXPECT_FALSE(result.has_value()) << "nobody has reported as of this place yet";
  three.tick(6);
  const auto sent = three.network.take<raft::Message>();
  ASSERT_FALSE(sent.empty());
  for (const auto& [to, message] : sent) {
    EXPECT_EQ(message.report_wanted, asked_at);
  }
  let_report_now("n2", right_now());
  let_report_now("n3", right_now());
  live(6);
  ASSERT_TRUE(result && *result);
  EXPECT_THAT((*result)->agree, ElementsAre("n1", "n2", "n3"));
  EXPECT_THAT((*result)->differ, IsEmpty());
  EXPECT_THAT((*result)->unreachable, IsEmpty());
  EXPECT_EQ((*result)->index, asked_at);
  EXPECT_EQ((*result)->digest, right_now());
  EXPECT_EQ((*result)->position, three.node->status().position);
}

TEST_F(NodeVerify, TheOddOneIsNamedAndComparedForGood) {
  ask();
  let_report_now("n2", right_now());
  let_report_now("n3", kOther);
  live(6);
  ASSERT_TRUE(result && *result);
  EXPECT_THAT((*result)->agree, ElementsAre("n1", "n2"));
  EXPECT_THAT((*result)->differ, ElementsAre("n3"));
  live(40);
  ASSERT_THAT(comparisons(three.disk.log), SizeIs(1)) << "so that it stops";
  EXPECT_EQ(comparisons(three.disk.log).front().index, asked_at);
}

TEST_F(NodeVerify, ALeaderInTheMinorityIsTheOddOne) {
  ask();
  let_report_now("n2", kOther);
  let_report_now("n3", kOther);
  live(6);
  ASSERT_TRUE(result && *result);
  EXPECT_THAT((*result)->agree, ElementsAre("n2", "n3"));
  EXPECT_THAT((*result)->differ, ElementsAre("n1"));
  EXPECT_EQ((*result)->digest, kOther);
}

TEST_F(NodeVerify, WhoDoesNotReportInTimeIsNamed) {
  ask();
  let_report_now("n2", right_now());
  live(40);
  EXPECT_FALSE(result.has_value()) << "n3 is heard, and may yet report";
  live(20);
  ASSERT_TRUE(result && *result);
  EXPECT_THAT((*result)->unreachable, ElementsAre("n3"));
}

TEST_F(NodeVerify, WhoIsNotHeardIsNotWaitedFor) {
  three.obedient = {"n2"};
  live(100);
  ask(60'000);
  let_report_now("n2", right_now());
  live(6);
  ASSERT_TRUE(result && *result);
  EXPECT_THAT((*result)->agree, ElementsAre("n1", "n2"));
  EXPECT_THAT((*result)->unreachable, ElementsAre("n3"));
}

TEST_F(NodeVerify, WhoHasDiedSinceItReportedDoesNotAgree) {
  let_report("n2", right());
  let_report("n3", right());
  live();  // and the comparison is behind them
  ask();
  let_report_now("n2", right_now());
  let_report_now("n3", right_now());
  live(6);
  ASSERT_TRUE(result && *result);
  result.reset();
  const raft::Index first_asked_at = asked_at;
  three.obedient = {"n2"};
  live(100);
  ask();
  ASSERT_EQ(asked_at, first_asked_at) << "or it would be asked for something that nobody has reported";
  live(6);
  ASSERT_TRUE(result && *result);
  EXPECT_THAT((*result)->agree, ElementsAre("n1", "n2"));
  EXPECT_THAT((*result)->unreachable, ElementsAre("n3"));
}

TEST_F(NodeVerify, OnlyALeaderCanAndOnlyOneAtATime) {
  ask(60'000);
  std::optional<ChangeRefusalKind> second;
  three.node->verify(100, [&](const auto& outcome) { second = outcome.error().kind; });
  EXPECT_EQ(second, ChangeRefusalKind::busy);
  three.obedient = {};
  live(100);
  ASSERT_TRUE(result.has_value()) << "leadership is lost";
  EXPECT_EQ(result->error().kind, ChangeRefusalKind::busy);
  three.node->verify(100, [&](const auto& outcome) { second = outcome.error().kind; });
  EXPECT_EQ(second, ChangeRefusalKind::not_leader);
}

}  // namespace
}  // namespace weir::broker::test
