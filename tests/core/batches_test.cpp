// BATCH entries: events, commits and a key, together or not at all (docs/decisions/0019).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

class Batches : public testing::Test {
 protected:
  void SetUp() override {
    log.publish({{.events = {{.body = "0"}, {.body = "1"}, {.body = "2"}, {.body = "3"}}}});
    log.change({.group = "g", .action = wire::GroupAction::put, .patterns = {"t"}});
    claim(0, 4);
  }
  void claim(std::uint64_t from, std::uint64_t to, std::uint64_t time_ms = 1'000) {
    log.change({.group = "g",
                .action = wire::GroupAction::claim,
                .from = raft::Position{from},
                .to = raft::Position{to},
                .lease_ms = 100},
               time_ms);
  }
  std::string store(const Request& request, std::uint64_t time_ms = 1'000) {
    return text_of(log.publish({request}, time_ms).outcomes.at(0));
  }
  static wire::GroupCommit commit(std::uint64_t to, std::uint64_t lease = 1) {
    return {.group = "g", .lease = lease, .position = raft::Position{to}};
  }
  raft::Position committed() { return log.state.groups().find("g")->committed; }
  void retain(const std::string& topic, std::uint64_t first) {
    raft::Entry entry{.index = {},
                      .term = raft::Term{1},
                      .command = raft::Command::retain,
                      .checksum = 0,
                      .data = wire::encode(wire::RetainEntry{
                          .time_ms = 1'000, .floors = {{topic, raft::Offset{first}}}, .claims_before = {}})};
    entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
    log.apply(std::move(entry));
  }
  Applying log;
};

TEST_F(Batches, StoreAndCommitTogether) {
  EXPECT_EQ(store({.events = {{.topic = "out", .id = "a"}}, .commits = {commit(4)}}), "0@5");
  EXPECT_EQ(committed(), raft::Position{4});
}

TEST_F(Batches, StoreNothingWhenTheLeaseIsLost) {
  EXPECT_EQ(store({.events = {{.topic = "out"}}, .commits = {commit(5)}}), "malformed(0)");
  EXPECT_EQ(store({.events = {{.topic = "out"}}, .commits = {commit(4)}}, 1'101), "lease_lost(0)");
  EXPECT_EQ(store({.events = {{.topic = "out"}}, .commits = {{.group = "h", .lease = 1, .position = {}}}}),
            "no_group(0)");
  EXPECT_EQ(log.state.last_position(), raft::Position{4});
  EXPECT_EQ(committed(), raft::Position{});
}

// DESIGN §4: request id, event ids, expectations, lease.
TEST_F(Batches, AreCheckedInOrder) {
  store({.events = {{.topic = "out", .id = "a"}}, .commits = {}, .key = "first"});
  const std::uint64_t late = 1'101;
  EXPECT_EQ(store({.events = {{.topic = "out", .id = "a", .body = "other"}},
                   .expectations = {{"out", 7}},
                   .commits = {commit(4)},
                   .key = "first"},
                  late),
            "id_reuse(1)")
      << "the key: it was another batch";
  EXPECT_EQ(store({.events = {{.topic = "out", .id = "a", .body = "other"}},
                   .expectations = {{"out", 7}},
                   .commits = {commit(4)}},
                  late),
            "id_reuse(0)")
      << "the event's id";
  EXPECT_EQ(
      store({.events = {{.topic = "out", .id = "b"}}, .expectations = {{"out", 7}}, .commits = {commit(4)}}, late),
      "expectation_failed(0)");
  EXPECT_EQ(
      store({.events = {{.topic = "out", .id = "b"}}, .expectations = {{"out", 1}}, .commits = {commit(4)}}, late),
      "lease_lost(0)");
}

TEST_F(Batches, Fault058RepeatedGetTheSameAnswerByTheirKey) {
  const Request request{.events = {{.topic = "out"}, {.topic = "more", .id = "x"}, {.topic = "out"}},
                        .expectations = {{"out", 0}},
                        .commits = {commit(4)},
                        .key = "k"};
  EXPECT_EQ(store(request), "0@5 0@6 1@7");
  EXPECT_EQ(store(request), "0@5d 0@6d 1@7d") << "events without ids, an expectation and a lease that hold no more";
  EXPECT_EQ(store(request, 99'000), "0@5d 0@6d 1@7d") << "also later";
  EXPECT_EQ(log.state.last_position(), raft::Position{7});
}

TEST_F(Batches, Fault060EqualOnesInOneEntryAreOne) {
  const Request request{.events = {{.topic = "out"}}, .commits = {commit(4)}, .key = "k"};
  const Applied applied = log.publish({request, request});
  EXPECT_EQ(text_of(applied.outcomes.at(0)), "0@5");
  EXPECT_EQ(text_of(applied.outcomes.at(1)), "0@5d");
  EXPECT_EQ(applied.stored, 1U);
  EXPECT_EQ(applied.duplicates, 1U);
}

TEST_F(Batches, Fault061OtherContentUnderTheSameKeyIsRefused) {
  store({.events = {{.topic = "out", .body = "a"}}, .key = "k"});
  EXPECT_EQ(store({.events = {{.topic = "out", .body = "b"}}, .key = "k"}), "id_reuse(1)");
  EXPECT_EQ(store({.events = {{.topic = "out", .body = "a"}}, .commits = {commit(4)}, .key = "k"}), "id_reuse(1)");
  EXPECT_EQ(store({.events = {{.topic = "out", .body = "a"}, {.topic = "out"}}, .key = "k"}), "id_reuse(2)");
  EXPECT_EQ(committed(), raft::Position{});
}

TEST_F(Batches, ThatWereRefusedAreDecidedAnew) {
  const Request request{.events = {{.topic = "out"}}, .expectations = {{"out", 1}}, .commits = {}, .key = "k"};
  EXPECT_EQ(store(request), "expectation_failed(0)");
  store({.events = {{.topic = "out"}}});
  EXPECT_EQ(store(request), "1@6");
}

TEST_F(Batches, KeysAreNotIdsOfEvents) {
  store({.events = {{.topic = "out", .id = "same"}}, .key = "same"});
  EXPECT_EQ(store({.events = {{.topic = "other", .id = "same"}}}), "0@6");
  EXPECT_FALSE(log.state.find_id({.topic = "out", .source = {}, .id = "k"}, nullptr));
}

TEST_F(Batches, Fault063AKeyIsKnownAsLongAsOneOfItsEventsIsKept) {
  const Request request{.events = {{.topic = "a"}, {.topic = "b"}}, .key = "k"};
  store(request);
  store({.events = {{.topic = "a"}, {.topic = "b"}}});
  retain("t", 4);
  retain("a", 1);
  EXPECT_EQ(store(request), "0@5d 0@6d") << "b's is kept";
  retain("b", 1);
  EXPECT_EQ(store(request), "2@9 2@10") << "stored anew, like an id whose event is gone";
}

TEST_F(Batches, ARepeatNamesNoPlaceForAnOriginalThatIsGone) {
  store({.events = {{.topic = "old", .id = "x"}}});
  const Request request{.events = {{.topic = "old", .id = "x"}, {.topic = "out"}}, .key = "k"};
  EXPECT_EQ(store(request), "0@5d 0@6");
  EXPECT_EQ(store(request), "0@5d 0@6d");
  retain("old", 1);
  EXPECT_EQ(store(request), "0@0d 0@6d");
}

TEST_F(Batches, AreKnownAgainByTheirIdsToo) {
  const Request request{.events = {{.topic = "out", .id = "a"}}, .expectations = {{"out", 0}}, .commits = {commit(4)}};
  EXPECT_EQ(store(request), "0@5");
  EXPECT_EQ(store(request, 99'000), "0@5d") << "the same commit again succeeds";
}

// Exactly once without any id: the lease itself tells.
TEST_F(Batches, WithNewEventsForALeaseThatIsCommittedAreRefused) {
  const Request request{.events = {{.topic = "out"}}, .commits = {commit(4)}};
  EXPECT_EQ(store(request), "0@5");
  EXPECT_EQ(store(request), "lease_lost(0)");
  EXPECT_EQ(log.state.last_position(), raft::Position{5});
}

TEST_F(Batches, ThatCommitInPartsAreRefusedWhenRepeatedWithNewEvents) {
  EXPECT_EQ(store({.events = {{.topic = "out"}}, .commits = {commit(2)}}), "0@5");
  EXPECT_EQ(store({.events = {{.topic = "out"}}, .commits = {commit(2)}}), "lease_lost(0)");
  EXPECT_EQ(store({.events = {{.topic = "out"}}, .commits = {commit(4)}}), "1@6");
}

TEST_F(Batches, SurviveARestart) {
  const Request request{.events = {{.topic = "out"}}, .commits = {commit(4)}, .key = "k"};
  store(request);
  StateMachine restored;
  ASSERT_TRUE(restored.restore(log.state.save()));
  ASSERT_TRUE(restored.add_delta(log.state.take_delta()));
  ASSERT_TRUE(restored.finish_restore());
  EXPECT_EQ(restored.save(), log.state.save());
  log.state = std::move(restored);
  EXPECT_EQ(store(request), "0@5d");
}

TEST(PublishEntries, DoNotActOnWhatBelongsToBatches) {
  Applying log;
  log.change({.group = "g", .action = wire::GroupAction::put, .patterns = {"t"}});
  log.publish({{.events = {{}}}});
  const Request batch{
      .events = {{}}, .commits = {{.group = "g", .lease = 0, .position = raft::Position{1}}}, .key = "k"};
  raft::Entry entry = publish_entry(1, {batch});
  entry.command = raft::Command::publish;
  entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
  EXPECT_EQ(text_of(log.apply(entry).outcomes.at(0)), "1@2");
  EXPECT_EQ(text_of(log.apply(entry).outcomes.at(0)), "2@3");
  EXPECT_EQ(log.state.groups().find("g")->committed, raft::Position{});
}

}  // namespace
}  // namespace weir::broker::test
