// A Node and files of its log that are rewritten (docs/decisions/0023; FAULTS 44, 56): by which floors, what followers
// are still sent, and what becomes of a hole where there should be none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using raft::Index;
using storage::RewriteAnswer;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// A leader with one topic that keeps everything and one that keeps its last event; a checkpoint follows each entry.
class NodeRewriting : public testing::Test {
 protected:
  NodeRewriting() {
    three.adapt = [](NodeConfig& config) {
      config.checkpoint_bytes = 1;
      config.entry_cache_bytes = 1;
    };
    // Entries 1 to 16; of which less than a quarter stays once retention has come.
    three.disk.files = {{.first = Index{1}, .end = Index{17}, .bytes = 16'000, .bytes_hollow = 100}};
    three.restart();
    three.join();
    three.obedient = {"n2"};
    three.lead();
    wire::TopicChange change{.topic = "short", .action = wire::TopicAction::create, .settings = {}};
    change.settings.count = {.kind = wire::Setting::Kind::value, .value = 1};
    three.node->change_topic(change, 1'000, [](const wire::Outcome&) {});
    go_on();
    store("long", "stays");
    for (int i = 0; i < 20; ++i) {
      store("short", "s" + std::to_string(i));
    }
  }
  void go_on() {
    three.settle();
    while (!three.disk.saves.empty()) {
      three.disk.finish_save();
    }
  }
  std::string store(const std::string& topic, const std::string& id) {
    const auto place = three.publish({.events = {{.topic = topic, .id = id, .body = std::string(1'000, 'x')}}});
    go_on();
    return three.outcomes[place];
  }
  /// Until the disk is asked to write a file anew; false if that does not come.
  bool is_asked() {
    for (int i = 0; i < 250 && three.disk.rewrites.empty(); ++i) {
      three.tick();
      go_on();
    }
    return !three.disk.rewrites.empty();
  }
  /// Entries 1 to 16, once retention has come.
  void rewrite() {
    ASSERT_TRUE(is_asked());
    three.disk.finish_rewrite_step(RewriteAnswer::more);
    ASSERT_TRUE(is_asked());
    three.disk.finish_rewrite_step(RewriteAnswer::ready);
    ASSERT_THAT(three.disk.finishes, SizeIs(1));
    three.disk.put_in_place();
  }
  /// n3 is there and needs the entries from 2 on.
  void ask_for_the_beginning() {
    for (int i = 0; i < 20 && three.disk.snapshot_reads.empty(); ++i) {
      three.tick();
      three.receive("n3", three.node->status().term,
                    raft::AppendEntriesReply{.answer = raft::AppendAnswer::conflict,
                                             .match_index = {},
                                             .conflict_term = {},
                                             .conflict_index = Index{2},
                                             .read_context = {}});
      go_on();
    }
  }
  [[nodiscard]] Index index_of(const std::string& id) const {
    for (const raft::Entry& entry : three.disk.log) {
      const auto subject = decoded(entry);
      if (subject->publish() != nullptr && subject->publish()->id(0) == id) {
        return entry.index;
      }
    }
    return {};
  }
  void make_hollow(Index index) {
    raft::Entry& entry = three.disk.log[index.value - 1];
    entry = {.index = index, .term = entry.term, .command = raft::Command::hollow, .checksum = 0, .data = {}};
  }

  NodeFixture three;
};

TEST_F(NodeRewriting, AFileIsRewrittenAndCounted) {
  const Index stays = index_of("stays");
  ASSERT_LT(stays, Index{17});
  rewrite();
  EXPECT_EQ(three.node->counters().files_rewritten, 1U);
  EXPECT_GT(three.node->counters().rewritten_bytes, 0U);
  EXPECT_THAT(three.notices, Contains(HasSubstr("entries 1 to 16 of the log were rewritten")));
  EXPECT_EQ(three.disk.log[0].command, raft::Command::config);
  EXPECT_EQ(three.disk.log[stays.value - 1].command, raft::Command::publish);
  EXPECT_EQ(three.disk.log[15].command, raft::Command::hollow);
  EXPECT_EQ(store("long", "stays"), "0@1d");
  EXPECT_EQ(store("short", "s0"), "20@22") << "stored anew";
  EXPECT_THAT(three.damages, IsEmpty());
}

TEST_F(NodeRewriting, OnlyByTheFloorsOfTheSnapshotThatCanBeSent) {
  three.disk.sendable = three.disk.kept.front().index;
  EXPECT_FALSE(is_asked()) << "it ends before the file does";
  EXPECT_EQ(three.node->topic("short")->first_offset, raft::Offset{19}) << "retention has come";
  three.disk.sendable = Index{17};
  EXPECT_FALSE(is_asked()) << "by its floors all of the file is retained";
  three.disk.sendable.reset();
  EXPECT_TRUE(is_asked());
}

TEST_F(NodeRewriting, AFollowerThatNeedsTheseEntriesGetsASnapshot) {
  rewrite();
  ask_for_the_beginning();
  EXPECT_THAT(three.disk.snapshot_reads, SizeIs(1));
}

TEST_F(NodeRewriting, AStartOffersNoEntryThatMayBeHollow) {
  rewrite();
  three.restart();
  three.join();
  three.lead();
  ask_for_the_beginning();
  EXPECT_THAT(three.disk.snapshot_reads, SizeIs(1));
  EXPECT_EQ(store("long", "stays"), "0@1d");
}

TEST_F(NodeRewriting, FAULTS44_AHoleWhereSomethingIsRetainedIsDamage) {
  make_hollow(index_of("stays"));
  EXPECT_EQ(store("long", "stays"), "outcome_unknown(0)");
  EXPECT_EQ(three.node->status().phase, Phase::failed);
  EXPECT_THAT(three.damages, Contains(HasSubstr("is hollow, although something of it is retained")));
}

TEST_F(NodeRewriting, FAULTS44_AHoleThatAReaderMeetsIsDamageToo) {
  make_hollow(index_of("stays"));
  std::optional<ReadError> error;
  three.node->read(selector_of({"long"}), {}, {}, [&error](const std::expected<ReadBatch, ReadError>& batch) {
    if (!batch) {
      error = batch.error();
    }
  });
  three.disk.finish_all();
  EXPECT_EQ(error, ReadError::damaged);
  EXPECT_EQ(three.node->status().phase, Phase::failed);
}

TEST_F(NodeRewriting, FAULTS44_AHollowEntryIsNeverApplied) {
  three.disk.kept.erase(three.disk.kept.begin() + 3, three.disk.kept.end());
  make_hollow(Index{three.disk.log.size()});
  three.restart();
  three.join();
  three.obedient = {"n2", "n3"};
  three.lead();
  EXPECT_EQ(three.node->status().phase, Phase::failed);
}

}  // namespace
}  // namespace weir::broker::test
