// GROUP entries: what a group hands out, who holds what, and what a commit is worth (docs/decisions/0019).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

using testing::HasSubstr;

std::string outcome(const Applied& applied) {
  return text_of(applied.outcomes.at(0));
}

class GroupsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int n = 0; n < 10; ++n) {
      log.publish({{.events = {{.body = std::to_string(n)}}}});
    }
  }
  std::string put(std::uint64_t time_ms = 1'000) {
    return outcome(log.change({.group = "g", .action = wire::GroupAction::put, .patterns = {"t"}}, time_ms));
  }
  std::string claim(std::uint64_t from, std::uint64_t to, std::uint64_t time_ms = 1'000) {
    return outcome(log.change({.group = "g",
                               .action = wire::GroupAction::claim,
                               .from = raft::Position{from},
                               .to = raft::Position{to},
                               .lease_ms = 100},
                              time_ms));
  }
  std::string commit(std::uint64_t lease, std::uint64_t to, std::uint64_t time_ms = 1'000) {
    return outcome(log.change(
        {.group = "g", .action = wire::GroupAction::commit, .to = raft::Position{to}, .lease = lease}, time_ms));
  }
  std::string seek(wire::GroupStart start, std::uint64_t to = 0) {
    return outcome(
        log.change({.group = "g", .action = wire::GroupAction::put, .start = start, .to = raft::Position{to}}));
  }
  std::string detail(const wire::GroupChange& change) {
    return std::get<wire::Refused>(log.change(change).outcomes.at(0)).detail;
  }
  const Group& group() { return *log.state.groups().find("g"); }
  Applying log;
};

TEST_F(GroupsTest, AreCreatedOnceAndKeepWhatIsNotNamed) {
  EXPECT_EQ(commit(0, 1), "no_group(0)");
  EXPECT_EQ(claim(0, 1), "no_group(0)");
  EXPECT_EQ(outcome(log.change({.group = "g", .action = wire::GroupAction::remove})), "no_group(0)");
  EXPECT_EQ(seek(wire::GroupStart::latest), "no_group(0)") << "a new group needs its patterns";
  EXPECT_EQ(put(), "created 0 g1");
  EXPECT_EQ(put(), "unchanged 0 g1");
  const wire::GroupChange create{.group = "g", .action = wire::GroupAction::create, .patterns = {"t"}};
  EXPECT_EQ(outcome(log.change(create)), "unchanged 0 g1") << "a retry does not fail because its first try succeeded";
  EXPECT_EQ(outcome(log.change({.group = "g", .action = wire::GroupAction::create, .patterns = {"u"}})), "conflict(0)");
  EXPECT_EQ(outcome(log.change({.group = "g", .action = wire::GroupAction::put, .patterns = {"t", "u/**"}})),
            "changed 0 g1");
  EXPECT_EQ(seek(wire::GroupStart::latest), "changed 10 g2");
  EXPECT_EQ(group().patterns, (std::vector<std::string>{"t", "u/**"}));
}

TEST_F(GroupsTest, HandOutRangesBehindEachOther) {
  put();
  EXPECT_EQ(claim(0, 3), "claimed 0 g2 L1");
  EXPECT_EQ(claim(0, 3), "moved_on(0)") << "another worker was faster";
  EXPECT_EQ(claim(3, 5), "claimed 0 g3 L2");
  EXPECT_EQ(claim(5, 11), "moved_on(0)") << "there are ten events";
  EXPECT_EQ(claim(5, 10), "claimed 0 g4 L3");
}

TEST_F(GroupsTest, HaveFinishedThePrefixThatIsFinished) {
  put();
  claim(0, 3);
  claim(3, 5);
  claim(5, 8);
  EXPECT_EQ(commit(2, 5), "committed 0 g4 L2") << "the first three are under way";
  EXPECT_EQ(commit(3, 8), "committed 0 g4 L3");
  EXPECT_EQ(group().ranges.size(), 2U) << "finished ranges that lie together are one";
  EXPECT_EQ(commit(1, 3), "committed 8 g4 L1");
  EXPECT_TRUE(group().ranges.empty());
}

TEST_F(GroupsTest, ALeaseIsCommittedInPartsToo) {
  put();
  claim(0, 6);
  EXPECT_EQ(commit(1, 2), "committed 2 g2 L1");
  EXPECT_EQ(commit(1, 2), "committed 2 g2 L1") << "again: it succeeds and changes nothing";
  EXPECT_EQ(commit(1, 1), "committed 2 g2 L1") << "never back";
  EXPECT_EQ(commit(1, 7), "malformed(0)") << "more than it holds";
  EXPECT_EQ(claim(6, 7), "claimed 2 g3 L2");
  EXPECT_EQ(commit(1, 6), "committed 6 g3 L1");
}

TEST_F(GroupsTest, ALeaseThatRanOutGivesItsRangeToTheNextClaim) {
  put();
  claim(0, 4, 1'000);
  claim(4, 6, 1'050);
  EXPECT_EQ(claim(0, 4, 1'100), "moved_on(0)") << "the last moment is inside";
  EXPECT_EQ(claim(0, 2, 1'101), "claimed 0 g4 L3") << "part of it";
  EXPECT_EQ(claim(2, 5, 1'101), "moved_on(0)") << "the rest ends where it ended";
  EXPECT_EQ(claim(2, 4, 1'101), "claimed 0 g5 L4");
  EXPECT_EQ(commit(1, 4, 1'101), "lease_lost(0)");
  EXPECT_EQ(commit(2, 6, 1'150), "committed 0 g5 L2");
  EXPECT_EQ(commit(3, 2, 1'150), "committed 2 g5 L3");
  EXPECT_EQ(commit(4, 4, 1'150), "committed 6 g5 L4");
}

TEST_F(GroupsTest, ALateCommitIsRefusedEvenIfNobodyTookOver) {
  put();
  claim(0, 4, 1'000);
  EXPECT_EQ(commit(1, 4, 1'101), "lease_lost(0)");
  EXPECT_EQ(group().committed, raft::Position{});
  EXPECT_EQ(claim(0, 4, 1'101), "claimed 0 g3 L2");
}

TEST_F(GroupsTest, TheSameCommitAgainSucceeds) {
  put();
  claim(0, 4);
  EXPECT_EQ(commit(1, 4), "committed 4 g2 L1");
  EXPECT_EQ(commit(1, 4, 60'000), "committed 4 g2 L1") << "also when the lease would have run out since";
  EXPECT_EQ(commit(1, 5), "lease_lost(0)") << "that it never held";
  EXPECT_EQ(commit(2, 4), "lease_lost(0)") << "a lease that was never given";
}

TEST_F(GroupsTest, WithoutALeaseTheCursorMovesWhileNobodyHoldsOne) {
  put();
  EXPECT_EQ(commit(0, 4), "committed 4 g1");
  EXPECT_EQ(commit(0, 2), "committed 4 g1") << "what is committed already succeeds and changes nothing";
  EXPECT_EQ(commit(0, 11), "malformed(0)") << "behind the end of the log";
  claim(4, 6, 1'000);
  claim(6, 8, 1'000);
  EXPECT_EQ(commit(0, 5, 1'000), "conflict(0)");
  EXPECT_EQ(commit(0, 4, 1'000), "committed 4 g3");
  commit(2, 8, 1'000);
  EXPECT_EQ(commit(0, 5, 1'101), "committed 5 g3") << "the other lease ran out";
  EXPECT_EQ(claim(5, 6, 1'101), "claimed 5 g4 L3") << "what is left of its range, not what is finished behind it";
  EXPECT_EQ(commit(3, 6, 1'101), "committed 8 g4 L3");
}

TEST_F(GroupsTest, ThatAreSetElsewhereLoseTheirLeases) {
  put();
  claim(0, 4);
  EXPECT_EQ(seek(wire::GroupStart::position, 2), "changed 2 g3");
  EXPECT_EQ(commit(1, 4), "lease_lost(0)");
  EXPECT_EQ(seek(wire::GroupStart::position, 11), "malformed(0)");
  EXPECT_EQ(seek(wire::GroupStart::earliest), "changed 0 g4");
  EXPECT_EQ(outcome(log.change(
                {.group = "g", .action = wire::GroupAction::put, .start = wire::GroupStart::time, .time_ms = 1'001})),
            "changed 10 g5");
}

TEST_F(GroupsTest, ThatAreRemovedTakeTheirLeasesAlong) {
  put();
  claim(0, 4);
  EXPECT_EQ(outcome(log.change({.group = "g", .action = wire::GroupAction::remove})), "removed 0 g2");
  EXPECT_EQ(log.state.groups().digest(), 0U);
  put();
  EXPECT_EQ(claim(0, 4), "claimed 0 g2 L2") << "a lease's number is never used again";
  EXPECT_EQ(commit(1, 4), "lease_lost(0)");
}

TEST_F(GroupsTest, AreBounded) {
  put();
  for (std::size_t i = 0; i < kGroupRangesMax; ++i) {
    log.publish({{.events = {{}}}});
  }
  for (std::uint64_t i = 0; i < kGroupRangesMax; ++i) {
    ASSERT_EQ(claim(i, i + 1).substr(0, 7), "claimed") << i;
  }
  EXPECT_EQ(claim(kGroupRangesMax, kGroupRangesMax + 1), "quota(0)");
  EXPECT_EQ(claim(0, 1, 2'000).substr(0, 7), "claimed") << "what ran out is handed out again";
  for (std::size_t i = 1; i < kGroupsMax; ++i) {
    const wire::GroupChange more{.group = "g" + std::to_string(i), .action = wire::GroupAction::put, .patterns = {"t"}};
    ASSERT_EQ(outcome(log.change(more)).substr(0, 7), "created") << i;
  }
  EXPECT_THAT(detail({.group = "one-more", .action = wire::GroupAction::put, .patterns = {"t"}}),
              HasSubstr("none is forgotten by itself"));
}

TEST_F(GroupsTest, ANewGroupIsNotToldOfWhatWasGoneBefore) {
  raft::Entry retain{.index = {},
                     .term = raft::Term{1},
                     .command = raft::Command::retain,
                     .checksum = 0,
                     .data = wire::encode(
                         wire::RetainEntry{.time_ms = 1'000, .floors = {{"t", raft::Offset{4}}}, .claims_before = {}})};
  retain.checksum = wire::entry_checksum(retain.command, retain.data.view());
  log.apply(retain);
  put();
  EXPECT_EQ(group().gap_told, raft::Position{4});
  seek(wire::GroupStart::position, 1);
  EXPECT_EQ(group().gap_told, raft::Position{}) << "who asks for them is";
}

TEST_F(GroupsTest, AreInTheDigest) {
  std::set<std::uint64_t> seen{log.state.groups().digest()};
  const auto is_new = [&] { return seen.insert(log.state.groups().digest()).second; };
  put();
  EXPECT_TRUE(is_new());
  claim(0, 4);
  EXPECT_TRUE(is_new());
  commit(1, 2);
  EXPECT_TRUE(is_new());
  commit(1, 4);
  EXPECT_TRUE(is_new());
  commit(1, 4);
  EXPECT_FALSE(is_new());
}

TEST_F(GroupsTest, Fault044ASavedStateThatMakesNoSenseIsRefused) {
  put();
  claim(0, 4);
  StateMachine whole;
  EXPECT_TRUE(whole.restore(log.state.save()));
  EXPECT_EQ(whole.groups().digest(), log.state.groups().digest());
  ImageWriter wrong;
  log.state.groups().save(wrong);
  std::string bytes = wrong.finish(kStateMagic);
  for (std::size_t size = 16; size + 1 < bytes.size(); ++size) {
    ImageWriter cut;
    cut.text(std::string_view(bytes).substr(16, size - 16));
    const std::string image = cut.finish(kStateMagic);
    auto reader = ImageReader::open(image, kStateMagic);
    ASSERT_TRUE(reader);
    Groups groups;
    EXPECT_FALSE(groups.restore(*reader) && reader->whole()) << size;
  }
}

}  // namespace
}  // namespace weir::broker::test
