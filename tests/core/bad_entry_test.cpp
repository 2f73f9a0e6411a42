// FAULTS 38: a committed entry that cannot be applied stops every member at the same place; none skips it.
#include <gtest/gtest.h>

#include "raft/describe.hpp"
#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

[[nodiscard]] raft::Entry entry_of(std::uint64_t index, raft::Command command, const std::string& data) {
  raft::Entry entry{.index = raft::Index{index},
                    .term = raft::Term{2},
                    .command = command,
                    .checksum = 0,
                    .data = raft::Bytes::copy_of(data)};
  entry.checksum = command == raft::Command::noop ? 0 : wire::entry_checksum(command, data);
  return entry;
}

/// A follower that is told to commit `bad` and a NOOP behind it.
NodeStatus after(const raft::Entry& bad) {
  NodeFixture three;
  three.join();
  three.follow(raft::Term{2}, 1, 1);
  three.receive("n2", raft::Term{2},
                raft::AppendEntries{.prev_log_index = raft::Index{2},
                                    .prev_log_term = raft::Term{2},
                                    .leader_commit = raft::Index{4},
                                    .entries = {bad, entry_of(4, raft::Command::noop, "")},
                                    .read_context = {}});
  three.disk.finish_all();
  three.tick(10);
  three.disk.finish_all();
  return three.node->status();
}

TEST(BadEntry, Fault038StopsTheNodeWhereItStandsAndIsNotSkipped) {
  raft::Entry rotten = entry_of(3, raft::Command::publish, "the bytes of another entry");
  ++rotten.checksum;
  for (const raft::Entry& bad :
       {entry_of(3, raft::Command::publish, "no FlatBuffer"), entry_of(3, raft::Command::publish, ""),
        entry_of(3, raft::Command::dedup, std::string(64, '\xff')), rotten}) {
    const NodeStatus once = after(bad);
    EXPECT_EQ(once.phase, Phase::failed) << raft::describe(bad);
    EXPECT_LT(once.applied_index, raft::Index{3}) << "nothing of it, and nothing behind it";
    EXPECT_NE(once.why.find("log entry 3"), std::string::npos) << once.why;
    EXPECT_EQ(after(bad).why, once.why) << "the same on every member";
  }
}

/// A CONFIG counts as soon as it is in the log, so it is read before it gets there.
TEST(BadEntry, Fault038AConfigurationThatCannotBeReadNeverEntersTheLog) {
  const NodeStatus once = after(entry_of(3, raft::Command::config, "x"));
  EXPECT_EQ(once.last_index, raft::Index{2});
  EXPECT_LT(once.commit_index, raft::Index{3});
  EXPECT_EQ(once.phase, Phase::failed) << "it would be refused for ever";
  EXPECT_NE(once.why.find("CONFIG entry that cannot be read here: entry 3"), std::string::npos) << once.why;
}

TEST(BadEntry, AConfigurationThatALeaderOfThePastSendsStopsNobody) {
  NodeFixture three;
  three.join();
  three.follow(raft::Term{3}, 1, 1);
  raft::Entry bad = entry_of(3, raft::Command::config, "x");
  three.receive("n3", raft::Term{2},
                raft::AppendEntries{.prev_log_index = raft::Index{2},
                                    .prev_log_term = raft::Term{2},
                                    .leader_commit = raft::Index{3},
                                    .entries = {bad},
                                    .read_context = {}});
  EXPECT_EQ(three.node->status().phase, Phase::running);
  EXPECT_EQ(three.node->counters().messages_refused, 1U);
}

}  // namespace
}  // namespace weir::broker::test
