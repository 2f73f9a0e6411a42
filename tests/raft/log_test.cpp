#include "raft/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/random.hpp"
#include "tests/raft/cluster.hpp"

namespace weir::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Log log_with(const std::vector<std::uint64_t>& terms) {
  Log log({}, Index{1}, Index{0});
  for (const Entry& each : log_of(terms)) {
    log.append(each);
  }
  return log;
}

void write(Log& log) {
  (void)log.take_writes();
}

void persist_all(Log& log) {
  write(log);
  log.persisted(log.last_term(), log.last_index());
}

TEST(Log, AnswersTermsForWhatIsOnlyOnDisk) {
  const Log log({{Term{1}, Index{10}}, {Term{4}, Index{13}}}, Index{10}, Index{15});
  EXPECT_EQ(log.term_at(Index{9}), Term{0});
  EXPECT_EQ(log.term_at(Index{10}), Term{1});
  EXPECT_EQ(log.term_at(Index{12}), Term{1});
  EXPECT_EQ(log.term_at(Index{13}), Term{4});
  EXPECT_EQ(log.term_at(Index{16}), Term{0});
  EXPECT_EQ(log.last_term(), Term{4});
  EXPECT_EQ(log.durable_index(), Index{15});
  EXPECT_EQ(log.tail_first(), Index{16});
  EXPECT_THAT(log.entries(Index{12}, Index{15}, 1000), IsEmpty());
}

TEST(Log, FitsWhereIndexAndTermAgree) {
  const Log log = log_with({1, 1, 2});
  EXPECT_TRUE(log.fits(Index{0}, Term{0}));
  EXPECT_TRUE(log.fits(Index{2}, Term{1}));
  EXPECT_FALSE(log.fits(Index{2}, Term{2}));
  EXPECT_FALSE(log.fits(Index{4}, Term{2}));
}

TEST(Log, FindsRunsOfTerms) {
  const Log log = log_with({1, 1, 3, 3, 5});
  EXPECT_EQ(log.run_first(Index{4}), Index{3});
  EXPECT_EQ(log.run_first(Index{2}), Index{1});
  EXPECT_EQ(log.last_index_of(Term{1}), Index{2});
  EXPECT_EQ(log.last_index_of(Term{3}), Index{4});
  EXPECT_EQ(log.last_index_of(Term{5}), Index{5});
  EXPECT_EQ(log.last_index_of(Term{4}), Index{0});
}

TEST(Log, GivesEachEntryToTheDiskOnce) {
  Log log = log_with({1, 1});
  EXPECT_TRUE(log.has_writes());
  EXPECT_THAT(log.take_writes().append, ElementsAre(entry(1, 1), entry(2, 1)));
  EXPECT_FALSE(log.has_writes());
  log.append(entry(3, 1));
  EXPECT_THAT(log.take_writes().append, ElementsAre(entry(3, 1)));
}

TEST(Log, TruncationReachesTheDiskBeforeWhatReplacesIt) {
  Log log = log_with({1, 1, 1});
  persist_all(log);
  log.truncate_from(Index{2});
  EXPECT_EQ(log.durable_index(), Index{1});
  log.append(entry(2, 2));
  const Log::Writes writes = log.take_writes();
  EXPECT_EQ(writes.truncate_from, Index{2});
  EXPECT_THAT(writes.append, ElementsAre(entry(2, 2)));
}

TEST(Log, WhatTheDiskNeverGotNeedsNoTruncation) {
  Log log = log_with({1});
  persist_all(log);
  log.append(entry(2, 1));
  log.truncate_from(Index{2});
  log.append(entry(2, 2));
  EXPECT_FALSE(log.take_writes().truncate_from);
}

TEST(Log, TruncatesBelowWhatIsInMemory) {
  Log log({{Term{1}, Index{1}}}, Index{1}, Index{9});
  log.truncate_from(Index{4});
  log.append(entry(4, 2));
  EXPECT_EQ(log.last_index(), Index{4});
  EXPECT_EQ(log.durable_index(), Index{3});
  EXPECT_EQ(log.tail_first(), Index{4});
}

TEST(LogDurability, ALaterReportCoversEarlierWrites) {
  Log log = log_with({1});
  write(log);
  log.append(entry(2, 1));
  write(log);
  log.persisted(Term{1}, Index{2});
  EXPECT_EQ(log.durable_index(), Index{2});
  log.persisted(Term{1}, Index{1});
  EXPECT_EQ(log.durable_index(), Index{2});
}

TEST(LogDurability, AReportOfEntriesThatAreGoneIsIgnored) {
  Log log = log_with({1, 1, 1});
  write(log);
  log.truncate_from(Index{2});
  log.append(entry(2, 2));
  log.persisted(Term{1}, Index{3});
  EXPECT_EQ(log.durable_index(), Index{0});
  write(log);
  log.persisted(Term{2}, Index{2});
  EXPECT_EQ(log.durable_index(), Index{2});
}

// Three leaders in a row had 2@1, 2@2 and 2@1 again. The report of the first write must not be taken for the third: the
// disk is about to have 2@2, and a crash then would leave that.
TEST(LogDurability, TheSameEntryWrittenTwiceIsDurableAtTheSecondReport) {
  Log log = log_with({1, 1});
  write(log);
  log.truncate_from(Index{2});
  log.append(entry(2, 2));
  write(log);
  log.truncate_from(Index{2});
  log.append(entry(2, 1));
  write(log);
  log.persisted(Term{1}, Index{2});
  EXPECT_EQ(log.durable_index(), Index{0});
  log.persisted(Term{2}, Index{2});
  EXPECT_EQ(log.durable_index(), Index{0});
  log.persisted(Term{1}, Index{2});
  EXPECT_EQ(log.durable_index(), Index{2});
}

TEST(LogTail, EndsAtTheByteBoundButHasAtLeastOne) {
  const Log log = log_with({1, 1, 1});
  EXPECT_THAT(log.entries(Index{1}, Index{3}, 1), ElementsAre(entry(1, 1)));
  EXPECT_THAT(log.entries(Index{2}, Index{3}, 2 * size_of(entry(1, 1))), ElementsAre(entry(2, 1), entry(3, 1)));
  EXPECT_THAT(log.entries(Index{3}, Index{9}, 1000), ElementsAre(entry(3, 1)));
}

TEST(LogTail, ForgetsOnlyWhatIsDurableAndApplied) {
  Log log = log_with({1, 1, 1});
  write(log);
  log.release(Index{3}, 0);
  EXPECT_EQ(log.tail_first(), Index{1}) << "not durable";
  log.persisted(Term{1}, Index{3});
  log.release(Index{2}, 0);
  EXPECT_EQ(log.tail_first(), Index{3}) << "not applied";
  EXPECT_EQ(log.term_at(Index{1}), Term{1});
  log.release(Index{3}, 1000);
  EXPECT_EQ(log.tail_first(), Index{3}) << "within the bound";
}

// Against a log that keeps everything in one vector and a disk that is one more.
TEST(Log, AgreesWithASimpleModelUnderRandomChanges) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Log log({}, Index{1}, Index{0});
    std::vector<Entry> model;
    std::vector<Entry> disk;
    std::deque<Log::Writes> under_way;
    std::uint64_t term = 1;
    for (int i = 0; i < 300; ++i) {
      switch (random.next() % 4) {
        case 0: {
          term += random.next() % 3 == 0 ? 1 : 0;
          model.push_back(entry(model.size() + 1, std::max(term, model.empty() ? 1 : model.back().term.value)));
          log.append(model.back());
          break;
        }
        case 1: {
          if (model.empty()) {
            break;
          }
          // As a follower does it: something else comes in the place of what went, now and then an old entry again.
          const std::uint64_t from = model.size() - random.next() % std::min<std::size_t>(model.size(), 4);
          const std::uint64_t least = from < 2 ? 1 : model[from - 2].term.value;
          const std::uint64_t cut = model[from - 1].term.value;
          model.resize(from - 1);
          log.truncate_from(Index{from});
          model.push_back(entry(from, cut > least && random.next() % 2 == 0 ? cut - 1 : cut + 1));
          log.append(model.back());
          break;
        }
        case 2: {
          Log::Writes writes = log.take_writes();
          if (!writes.append.empty()) {
            under_way.push_back(std::move(writes));
          }
          break;
        }
        default: {
          if (under_way.empty()) {
            break;
          }
          const Log::Writes writes = std::move(under_way.front());
          under_way.pop_front();
          if (writes.truncate_from) {
            disk.resize(writes.truncate_from->value - 1);
          }
          disk.insert(disk.end(), writes.append.begin(), writes.append.end());
          log.persisted(disk.back().term, disk.back().index);
          break;
        }
      }
      ASSERT_EQ(log.last_index(), Index{model.size()});
      ASSERT_EQ(log.entries(Index{1}, log.last_index(), SIZE_MAX), model);
      for (const Entry& each : model) {
        ASSERT_EQ(log.term_at(each.index), each.term);
      }
      // Durable means: on the disk as it is in memory, and in no write that is still under way.
      ASSERT_LE(log.durable_index(), Index{disk.size()});
      for (std::size_t at = 0; at < log.durable_index().value; ++at) {
        ASSERT_EQ(disk[at], model[at]);
      }
    }
  }
}

}  // namespace
}  // namespace weir::raft::test
