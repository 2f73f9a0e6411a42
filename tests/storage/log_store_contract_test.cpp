// What every LogStore must do: the same cases against the real one and the simulator's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/storage/log_store_backends.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using raft::Term;
using raft::TermRun;
using testing::ElementsAre;
using testing::IsEmpty;

TYPED_TEST_SUITE(LogStoreContract, Backends, BackendNames);

std::vector<Index> indexes(const std::vector<raft::Entry>& entries) {
  std::vector<Index> result;
  for (const auto& entry : entries) result.push_back(entry.index);
  return result;
}

TYPED_TEST(LogStoreContract, ANewStoreIsEmptyAndHasAnIncarnation) {
  const auto incarnation = this->store_->identity().incarnation;
  EXPECT_NE(incarnation, 0U);
  EXPECT_EQ(this->store_->identity().node, "n1");
  EXPECT_EQ(this->store_->identity().cluster_id, "");
  EXPECT_EQ(this->store_->recovered().hard_state, raft::HardState{});
  EXPECT_EQ(this->store_->recovered().first_index, Index{1});
  this->expect_log({});
  EXPECT_EQ(this->store_->identity().incarnation, incarnation) << "a restart is not a new data folder";
}

TYPED_TEST(LogStoreContract, EntriesComeBackAsTheyWere) {
  std::vector<raft::Entry> log = entries(1, 3, 1);
  log.push_back(entry(4, 2, 0, raft::Command::noop));
  log.push_back(entry(5, 2, 7, raft::Command::config));
  log.push_back(entry(6, 4, 4096, static_cast<raft::Command>(200)));
  this->must_append({hard_state(4, 9), std::nullopt, log});
  this->expect_log(log);
  EXPECT_EQ(this->store_->recovered().hard_state, hard_state(4, 9));
  EXPECT_THAT(this->store_->recovered().term_runs,
              ElementsAre(TermRun{Term{1}, Index{1}}, TermRun{Term{2}, Index{4}}, TermRun{Term{4}, Index{6}}));
}

TYPED_TEST(LogStoreContract, AppendsContinueAfterRestarts) {
  std::vector<raft::Entry> log;
  for (std::uint64_t round = 1; round <= 5; ++round) {
    const auto more = entries(round * 2 - 1, round * 2, round, 100);
    this->must_append({hard_state(round), std::nullopt, more});
    log = joined(log, more);
    this->expect_log(log);
  }
}

TYPED_TEST(LogStoreContract, HardStateAloneSurvives) {
  this->must_append({hard_state(7, 3), std::nullopt, {}});
  this->reopen();
  EXPECT_EQ(this->store_->recovered().hard_state, hard_state(7, 3));
  this->must_append({hard_state(8), std::nullopt, {}});
  this->reopen();
  EXPECT_EQ(this->store_->recovered().hard_state, hard_state(8));
}

TYPED_TEST(LogStoreContract, ManyWritesOfOneCallAddUpInOrder) {
  const auto a = entries(1, 4, 1);
  const auto b = entries(3, 5, 2);
  const auto c = entries(5, 6, 3);
  const LogWrite writes[] = {{hard_state(1), std::nullopt, a},
                             {hard_state(2, 5), Index{3}, b},
                             {std::nullopt, std::nullopt, {}},
                             {hard_state(3, 4), Index{5}, c}};
  ASSERT_TRUE(this->store_->append(writes).has_value());
  this->expect_log(joined(joined(entries(1, 2, 1), entries(3, 4, 2)), c));
  EXPECT_EQ(this->store_->recovered().hard_state, hard_state(3, 4));
}

TYPED_TEST(LogStoreContract, TruncatesAtAChunkBoundary) {
  this->must_append({hard_state(1), std::nullopt, entries(1, 5, 1)});
  this->must_append({std::nullopt, std::nullopt, entries(6, 9, 1)});
  this->must_append({hard_state(2), Index{6}, entries(6, 7, 2)});
  this->expect_log(joined(entries(1, 5, 1), entries(6, 7, 2)));
}

TYPED_TEST(LogStoreContract, TruncatesInsideAChunkAndKeepsItsFront) {
  this->must_append({hard_state(1), std::nullopt, entries(1, 5, 1)});
  this->must_append({std::nullopt, std::nullopt, entries(6, 9, 1)});
  this->must_append({std::nullopt, std::nullopt, entries(10, 12, 1)});
  this->must_append({hard_state(2), Index{8}, entries(8, 8, 2)});
  this->expect_log(joined(entries(1, 7, 1), entries(8, 8, 2)));
  this->must_append({std::nullopt, std::nullopt, entries(9, 10, 2)});
  this->expect_log(joined(entries(1, 7, 1), entries(8, 10, 2)));
}

TYPED_TEST(LogStoreContract, TruncatesWithoutAppending) {
  this->must_append({hard_state(1), std::nullopt, entries(1, 5, 1)});
  this->must_append({std::nullopt, std::nullopt, entries(6, 9, 1)});
  this->must_append({std::nullopt, Index{8}, {}});
  this->expect_log(entries(1, 7, 1));
  this->must_append({std::nullopt, Index{6}, {}});
  this->expect_log(entries(1, 5, 1));
  this->must_append({std::nullopt, Index{1}, {}});
  this->expect_log({});
  this->must_append({hard_state(3), std::nullopt, entries(1, 2, 3)});
  this->expect_log(entries(1, 2, 3));
}

TYPED_TEST(LogStoreContract, TruncatingBehindTheEndChangesNothing) {
  this->must_append({hard_state(1), Index{1}, entries(1, 5, 1)});
  this->must_append({std::nullopt, Index{6}, entries(6, 6, 1)});
  this->expect_log(entries(1, 6, 1));
}

TYPED_TEST(LogStoreContract, EntriesOfMoreThanOneChunkAreWhole) {
  const auto log = joined(entries(1, 40, 1, 100'000), entries(41, 50, 2, 300'000));
  this->must_append({hard_state(2), std::nullopt, log});
  this->expect_log(log);
  this->must_append({hard_state(3), Index{20}, entries(20, 30, 3, 200'000)});
  this->expect_log(joined(entries(1, 19, 1, 100'000), entries(20, 30, 3, 200'000)));
}

TYPED_TEST(LogStoreContract, TheLargestEntryFits) {
  const std::size_t largest = std::size_t{12} << 20U;
  const auto log = joined(entries(1, 1, 1, largest), entries(2, 2, 1, largest - 1));
  this->must_append({hard_state(1), std::nullopt, log});
  this->must_append({std::nullopt, std::nullopt, entries(3, 3, 1, largest)});
  this->expect_log(joined(log, entries(3, 3, 1, largest)));
}

TYPED_TEST(LogStoreContract, ReadStopsWhereItIsTold) {
  this->must_append({hard_state(1), std::nullopt, entries(1, 4, 1)});
  this->must_append({std::nullopt, std::nullopt, entries(5, 8, 1)});
  EXPECT_EQ(this->must_read(1, 8), entries(1, 8, 1));
  EXPECT_EQ(this->must_read(3, 6), entries(3, 6, 1));
  EXPECT_EQ(this->must_read(4, 4), entries(4, 4, 1));
  EXPECT_EQ(this->must_read(5, 100), entries(5, 8, 1));
  EXPECT_THAT(this->must_read(9, 12), IsEmpty());
  EXPECT_THAT(this->must_read(6, 5), IsEmpty());
}

TYPED_TEST(LogStoreContract, ReadStopsAfterTheEntryThatReachesBytesMax) {
  this->must_append({hard_state(1), std::nullopt, entries(1, 3, 1, 10)});
  this->must_append({std::nullopt, std::nullopt, entries(4, 6, 1, 10)});
  EXPECT_THAT(indexes(this->must_read(2, 6, 0)), ElementsAre(Index{2})) << "at least one";
  EXPECT_THAT(indexes(this->must_read(2, 6, 1)), ElementsAre(Index{2}));
  EXPECT_THAT(indexes(this->must_read(2, 6, 10)), ElementsAre(Index{2}));
  EXPECT_THAT(indexes(this->must_read(2, 6, 11)), ElementsAre(Index{2}, Index{3}));
  EXPECT_THAT(indexes(this->must_read(2, 6, 25)), ElementsAre(Index{2}, Index{3}, Index{4}));
  EXPECT_THAT(indexes(this->must_read(2, 6, 30)), ElementsAre(Index{2}, Index{3}, Index{4}));
}

TYPED_TEST(LogStoreContract, EntriesReadOutliveTheStore) {
  this->must_append({hard_state(1), std::nullopt, entries(1, 3, 1, 5000)});
  const auto log = this->must_read(1, 3);
  this->store_.reset();
  EXPECT_EQ(log, entries(1, 3, 1, 5000));
}

TYPED_TEST(LogStoreContract, DroppingKeepsEverythingFromTheIndexOn) {
  std::vector<raft::Entry> log;
  for (std::uint64_t term = 1; term <= 8; ++term) {
    const auto more = entries(log.size() + 1, log.size() + 3, term, 60'000);
    this->must_append({hard_state(term), std::nullopt, more});
    log = joined(log, more);
  }
  EXPECT_EQ(this->store_->first_index(), Index{1});
  ASSERT_TRUE(this->store_->drop_before(Index{1}).has_value());
  EXPECT_EQ(this->store_->first_index(), Index{1});
  for (const std::uint64_t index : {5U, 14U, 14U, 24U, 25U}) {
    ASSERT_TRUE(this->store_->drop_before(Index{index}).has_value());
    for (int look = 0; look < 2; ++look) {
      const Index first = this->store_->first_index();
      EXPECT_LE(first, Index{index});
      EXPECT_EQ(this->must_read(first.value, 30),
                std::vector(log.begin() + static_cast<long>(first.value) - 1, log.end()));
      if (first > Index{1}) {
        const auto gone = this->store_->read(first.prev(), Index{30}, 1000);
        ASSERT_FALSE(gone.has_value());
        EXPECT_EQ(gone.error().code, Errc::gone);
      }
      this->reopen();
      EXPECT_EQ(this->store_->recovered().first_index, first);
      EXPECT_EQ(this->store_->recovered().last_index, Index{24});
      const auto& runs = this->store_->recovered().term_runs;
      ASSERT_EQ(runs.empty(), first > Index{24});
      if (!runs.empty()) {
        EXPECT_EQ(runs.front(), (TermRun{Term{(first.value + 2) / 3}, first}));
      }
    }
  }
  this->must_append({hard_state(9), Index{25}, entries(25, 27, 9)});
  this->reopen();
  EXPECT_EQ(this->store_->recovered().last_index, Index{27});
  EXPECT_EQ(this->must_read(25, 27), entries(25, 27, 9));
}

TYPED_TEST(LogStoreContract, ALogCutBackToItsFirstEntryGoesOn) {
  for (std::uint64_t term = 1; term <= 4; ++term)
    this->must_append({hard_state(term), std::nullopt, entries(term * 2 - 1, term * 2, term, 200'000)});
  ASSERT_TRUE(this->store_->drop_before(Index{5}).has_value());
  const std::uint64_t first = this->store_->first_index().value;
  this->must_append({hard_state(5), Index{first}, {}});
  this->reopen();
  EXPECT_EQ(this->store_->recovered().first_index, Index{first});
  EXPECT_EQ(this->store_->recovered().last_index, Index{first - 1});
  EXPECT_TRUE(this->store_->recovered().term_runs.empty());
  this->must_append({hard_state(6), std::nullopt, entries(first, first + 1, 6)});
  this->reopen();
  EXPECT_EQ(this->must_read(first, first + 1), entries(first, first + 1, 6));
}

TYPED_TEST(LogStoreContract, FoundingMakesAMember) {
  const auto config = entry(1, 1, 200, raft::Command::config);
  const auto incarnation = this->store_->identity().incarnation;
  ASSERT_TRUE(this->store_->found("c-7hq2", config).has_value());
  for (int look = 0; look < 2; ++look) {
    EXPECT_EQ(this->store_->identity().cluster_id, "c-7hq2");
    EXPECT_EQ(this->store_->identity().incarnation, incarnation);
    EXPECT_EQ(this->store_->recovered().hard_state, hard_state(1));
    EXPECT_EQ(this->store_->recovered().last_index, Index{1});
    EXPECT_THAT(this->store_->recovered().term_runs, ElementsAre(TermRun{Term{1}, Index{1}}));
    EXPECT_THAT(this->store_->recovered().config_entries, ElementsAre(Index{1}));
    this->reopen();
  }
  this->must_append({hard_state(2, 1), std::nullopt, entries(2, 3, 2)});
  this->expect_log(joined({config}, entries(2, 3, 2)));
}

// FAULTS 34: the configurations before the latest are needed as long as that may be cut off.
TYPED_TEST(LogStoreContract, RecoveryNamesEveryConfigEntryThatWasNotCutOff) {
  const auto config = [](std::uint64_t index, std::uint64_t term) {
    return entry(index, term, 100, raft::Command::config);
  };
  ASSERT_TRUE(this->store_->found("c-7hq2", config(1, 1)).has_value());
  this->must_append(
      {hard_state(1), std::nullopt, std::vector<raft::Entry>{entry(2, 1), config(3, 1), entry(4, 1), config(5, 1)}});
  this->must_append({hard_state(2), Index{4}, std::vector<raft::Entry>{entry(4, 2), config(5, 2), config(6, 2)}});
  this->must_append({hard_state(3), Index{6}, std::vector<raft::Entry>{entry(6, 3)}});
  this->reopen();
  EXPECT_THAT(this->store_->recovered().config_entries, ElementsAre(Index{1}, Index{3}, Index{5}));
}

TYPED_TEST(LogStoreContract, FAULTS52_OnlyOneStoreHasTheFolder) {
  const auto second = this->backend_.open();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::in_use);
}

TYPED_TEST(LogStoreContract, TheFolderOfAnotherNodeIsRefused) {
  this->store_.reset();
  const auto other = this->backend_.open("n2");
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, Errc::mismatch);
}

template <class Backend>
using LogStoreContractDeathTest = LogStoreContract<Backend>;
TYPED_TEST_SUITE(LogStoreContractDeathTest, Backends, BackendNames);

TYPED_TEST(LogStoreContractDeathTest, WhatRaftMustNeverAskForStopsTheProcess) {
  this->must_append({hard_state(2, 5), std::nullopt, entries(1, 4, 2)});
  LogStore& store = *this->store_;
  EXPECT_DEATH(static_cast<void>(append_entries(store, entries(6, 6, 2))), "index") << "a gap";
  EXPECT_DEATH(static_cast<void>(append_entries(store, entries(4, 5, 2))), "index") << "an index that is taken";
  EXPECT_DEATH(static_cast<void>(append_one(store, {std::nullopt, Index{6}, {}})), "from") << "beyond the end";
  EXPECT_DEATH(static_cast<void>(append_entries(store, entries(5, 5, 3))), "term") << "a term not remembered";
  EXPECT_DEATH(static_cast<void>(append_entries(store, entries(5, 5, 1))), "term") << "a term that falls";
  EXPECT_DEATH(static_cast<void>(append_one(store, {hard_state(1), std::nullopt, {}})), "current_term");
  EXPECT_DEATH(static_cast<void>(append_one(store, {hard_state(2, 6), std::nullopt, {}})), "voted_for");
  EXPECT_DEATH(static_cast<void>(store.found("c", entry(1, 1, 1, raft::Command::config))), "cluster_id");
  EXPECT_DEATH(static_cast<void>(store.read(Index{0}, Index{1}, 1)), "first");
}

// Random appends, truncations and restarts against a vector.
TYPED_TEST(LogStoreContract, AgreesWithAModel) {
  std::mt19937_64 random(test_seed());
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  std::vector<raft::Entry> model;
  raft::HardState state;
  for (int step = 0; step < 150; ++step) {
    std::vector<std::vector<raft::Entry>> parts(1 + below(3));
    std::vector<LogWrite> writes;
    for (auto& part : parts) {
      LogWrite write;
      if (below(3) == 0) state = hard_state(state.current_term.value + 1, below(4));
      if (below(3) == 0 || state.current_term.value == 0) state.current_term = state.current_term.next();
      write.hard_state = state;
      if (below(3) == 0) {
        write.truncate_from = Index{model.size() + 1 - below(std::min<std::uint64_t>(model.size(), 12) + 1)};
        model.resize(write.truncate_from->value - 1);
      }
      const std::size_t size = below(8) == 0 ? 400'000 : below(3000);
      part = entries(model.size() + 1, model.size() + below(5), state.current_term.value, size);
      write.entries = part;
      model = joined(model, part);
      writes.push_back(write);
    }
    ASSERT_TRUE(this->store_->append(writes).has_value());
    if (below(10) == 0) this->expect_log(model);
  }
  this->expect_log(model);
}

// As above, and the front of the log goes as well.
TYPED_TEST(LogStoreContract, AgreesWithAModelThatForgets) {
  std::mt19937_64 random(test_seed());
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  std::vector<raft::Entry> model;
  std::uint64_t term = 0;
  for (int step = 0; step < 120; ++step) {
    // What may be dropped is committed: no truncation reaches into it.
    const std::uint64_t first = this->store_->first_index().value;
    const std::uint64_t cut = std::min<std::uint64_t>(model.size() - std::min(model.size(), first - 1), 6);
    model.resize(model.size() - below(cut + 1));
    const auto part = entries(model.size() + 1, model.size() + below(4), ++term, below(90'000));
    this->must_append({hard_state(term), Index{model.size() + 1}, part});
    model = joined(model, part);
    if (below(4) == 0) {
      ASSERT_TRUE(this->store_->drop_before(Index{first + below(model.size() + 2 - first)}).has_value());
    }
    if (below(6) == 0) this->reopen();
    const std::uint64_t now_first = this->store_->first_index().value;
    ASSERT_EQ(this->must_read(now_first, model.size()),
              std::vector(model.begin() + static_cast<long>(now_first) - 1, model.end()));
  }
}

}  // namespace
}  // namespace weir::storage
