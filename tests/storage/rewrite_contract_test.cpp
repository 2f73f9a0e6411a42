// What every LogStore must do when files of its log are rewritten (docs/decisions/0023; FAULTS 56): the same cases against
// the real one and the simulator's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/log_store_backends.hpp"
#include "tests/storage/rewrites.hpp"

namespace weir::storage {
namespace {

using raft::Index;

/// A store of a member, and another one's to send snapshots to.
template <class Backend>
class RewriteContract : public LogStoreContract<Backend> {
 protected:
  static constexpr std::uint64_t kCovered = 80;
  static constexpr std::uint64_t kLast = 100;

  /// Entries up to kLast, in terms of ten entries each; a checkpoint covers those up to kCovered.
  RewriteContract() {
    EXPECT_TRUE(this->store_->found("c-7hq2", founding()).has_value());
    log_ = {founding()};
    grow_to(kLast);
    EXPECT_TRUE(this->store_->save(checkpoint_at(kCovered, log_[kCovered - 1].term.value)).has_value());
    EXPECT_EQ(this->store_->snapshot_index(), Index{kCovered});
  }
  void grow_to(std::uint64_t last) {
    for (std::uint64_t next = log_.size() + 1; next <= last; ++next) {
      const std::uint64_t term = next / 10 + 1;
      const auto more = entries(next, next, term, next == 33 ? 0 : 40'000);
      this->must_append({hard_state(term), std::nullopt, more});
      log_ = joined(log_, more);
    }
  }
  std::uint64_t bytes() {
    std::uint64_t sum = 0;
    for (const LogFile& file : this->store_->log_files()) sum += file.bytes;
    return sum;
  }
  /// All files that can be: their number. log_ follows.
  std::size_t rewrite_all(const KeepEntry& keep) {
    std::size_t count = 0;
    for (const LogFile& file : this->store_->log_files()) {
      if (!rewrite_file(*this->store_, file, keep)) continue;
      hollow_out(log_, file, keep);
      ++count;
    }
    return count;
  }

  Backend follower_backend_;
  std::vector<raft::Entry> log_;
};

using FileBackends = testing::Types<LmdbFilesBackend, SimBackend>;
TYPED_TEST_SUITE(RewriteContract, FileBackends, BackendNames);

Index last_hollow(const std::vector<raft::Entry>& log) {
  Index last;
  for (const raft::Entry& entry : log)
    if (entry.command == raft::Command::hollow) last = entry.index;
  return last;
}

KeepEntry keep_none() {
  return [](Index /*index*/, raft::Command command) { return command == raft::Command::config; };
}
KeepEntry keep_each(std::uint64_t step) {
  return [step](Index index, raft::Command command) {
    return command == raft::Command::config || index.value % step == 0;
  };
}

TYPED_TEST(RewriteContract, WhatIsKeptStaysByteForByteAndAllElseIsHollow) {
  const std::uint64_t before = this->bytes();
  const auto recovered_before = [this] {
    this->reopen();
    return this->store_->recovered();
  }();
  ASSERT_EQ(this->store_->hollow_to(), Index{});
  const std::size_t count = this->rewrite_all(keep_each(16));
  ASSERT_GE(count, 2U);
  EXPECT_LT(this->bytes(), before / 2);
  EXPECT_GT(this->store_->hollow_to(), Index{40});
  EXPECT_LE(this->store_->hollow_to(), this->store_->snapshot_index());
  const Index hollow_to = this->store_->hollow_to();
  this->expect_log(this->log_);
  EXPECT_EQ(this->store_->hollow_to(), hollow_to);
  EXPECT_EQ(this->store_->first_index(), Index{1});
  EXPECT_EQ(this->store_->recovered().config_entries, recovered_before.config_entries);
  EXPECT_EQ(this->store_->recovered().prev_term, recovered_before.prev_term);
  EXPECT_EQ(this->must_read(1, 1).front(), founding());
  EXPECT_EQ(this->must_read(16, 16).front(), entry(16, 2, 40'000));
  EXPECT_EQ(this->must_read(17, 17).front().command, raft::Command::hollow);
}

TYPED_TEST(RewriteContract, AFileOfWhichAQuarterStaysIsLeftAsItIs) {
  EXPECT_EQ(this->rewrite_all(keep_each(2)), 0U);
  EXPECT_EQ(this->rewrite_all([](Index, raft::Command) { return true; }), 0U);
  EXPECT_EQ(this->store_->hollow_to(), Index{});
  this->expect_log(this->log_);
}

TYPED_TEST(RewriteContract, WhatNoSnapshotCoversIsLeftAsItIs) {
  this->rewrite_all(keep_none());
  for (std::uint64_t index = this->store_->hollow_to().value + 1; index <= this->kLast; ++index)
    EXPECT_EQ(this->must_read(index, index).front(), this->log_[index - 1]);
  // Not even if somebody asks for it.
  for (const std::uint64_t first : {std::uint64_t{81}, this->kLast, this->kLast + 50}) {
    const auto answer = this->store_->rewrite(Index{first}, keep_none(), ~std::size_t{0});
    ASSERT_TRUE(answer.has_value()) << answer.error().text;
    EXPECT_EQ(*answer, RewriteAnswer::refused) << first;
  }
  EXPECT_LE(this->store_->hollow_to(), Index{this->kCovered});
}

TYPED_TEST(RewriteContract, TheLogGoesOnBehindIt) {
  ASSERT_GE(this->rewrite_all(keep_none()), 2U);
  this->grow_to(this->kLast + 10);
  this->expect_log(this->log_);
  // All that no checkpoint covers is cut off.
  const auto other = entries(this->kCovered + 1, this->kCovered + 3, 50, 500);
  this->must_append({hard_state(50), Index{this->kCovered + 1}, other});
  this->log_.resize(this->kCovered);
  this->log_ = joined(this->log_, other);
  this->expect_log(this->log_);
}

TYPED_TEST(RewriteContract, WhatIsKeptMayBecomeLess) {
  ASSERT_GE(this->rewrite_all(keep_each(8)), 2U);
  const std::uint64_t before = this->bytes();
  ASSERT_GE(this->rewrite_all(keep_none()), 2U);
  EXPECT_LT(this->bytes(), before);
  this->expect_log(this->log_);
  EXPECT_EQ(this->rewrite_all(keep_none()), 0U);
  this->expect_log(this->log_);
}

TYPED_TEST(RewriteContract, ASnapshotOfItIsReceivedWhole) {
  ASSERT_GE(this->rewrite_all(keep_each(16)), 2U);
  auto follower = *this->follower_backend_.open();
  ASSERT_TRUE(follower->found("c-7hq2", founding()).has_value());
  const auto pieces = pieces_of(*this->store_, 100'000);
  ASSERT_FALSE(pieces.empty());
  for (const auto& piece : pieces) {
    const auto answer = follower->receive(piece);
    ASSERT_TRUE(answer.has_value()) << answer.error().text;
    ASSERT_EQ(*answer, &piece == &pieces.back() ? PieceAnswer::whole : PieceAnswer::more);
  }
  LogWrite write{.hard_state = hard_state(20), .truncate_from = {}, .entries = {}};
  write.install = pieces.front().snapshot;
  ASSERT_TRUE(append_one(*follower, write).has_value());
  const auto tail = entries(this->kCovered + 1, this->kCovered + 4, 20, 300);
  ASSERT_TRUE(append_entries(*follower, tail).has_value());
  auto expected = this->log_;
  expected.resize(this->kCovered);
  expected = joined(expected, tail);
  EXPECT_EQ(read_all(*follower), expected);
  EXPECT_GE(follower->hollow_to(), last_hollow(expected));
  EXPECT_LE(follower->hollow_to(), Index{this->kCovered});
  follower.reset();
  follower = *this->follower_backend_.open();
  EXPECT_EQ(read_all(*follower), expected);
  EXPECT_GE(follower->hollow_to(), last_hollow(expected));
  EXPECT_LE(follower->hollow_to(), Index{this->kCovered});
}

TYPED_TEST(RewriteContract, ASnapshotThatIsBeingSentIsNotDisturbed) {
  const auto first = this->store_->read_snapshot(0, 0, 100'000);
  ASSERT_TRUE(first.has_value());
  ASSERT_GE(this->rewrite_all(keep_none()), 2U);
  auto follower = *this->follower_backend_.open();
  ASSERT_TRUE(follower->found("c-7hq2", founding()).has_value());
  std::uint64_t offset = 0;
  while (offset < first->snapshot.size) {
    const auto piece = this->store_->read_snapshot(first->snapshot.number, offset, 100'000);
    ASSERT_TRUE(piece.has_value()) << piece.error().text;
    ASSERT_EQ(piece->snapshot, first->snapshot);
    const auto answer = follower->receive({.snapshot = piece->snapshot, .offset = offset, .data = piece->data});
    ASSERT_TRUE(answer.has_value()) << answer.error().text;
    offset += piece->data.size();
    ASSERT_EQ(*answer, offset == first->snapshot.size ? PieceAnswer::whole : PieceAnswer::more);
  }
  // Whoever begins now gets another.
  const auto next = this->store_->read_snapshot(0, 0, 100'000);
  ASSERT_TRUE(next.has_value());
  EXPECT_NE(next->snapshot.number, first->snapshot.number);
  EXPECT_LT(next->snapshot.size, first->snapshot.size);
}

TYPED_TEST(RewriteContract, AFileThatWasDroppedMeanwhileIsNotPutBack) {
  const LogFile file = this->store_->log_files().front();
  ASSERT_EQ(write_anew(*this->store_, file, keep_none()), RewriteAnswer::ready);
  ASSERT_TRUE(this->store_->drop_before(Index{this->kCovered + 1}).has_value());
  const Index first = this->store_->first_index();
  ASSERT_GE(first, file.end);
  const auto given_back = this->store_->finish_rewrite();
  ASSERT_TRUE(given_back.has_value()) << given_back.error().text;
  EXPECT_EQ(*given_back, 0U);
  EXPECT_EQ(this->store_->first_index(), first);
  EXPECT_EQ(this->store_->hollow_to(), Index{});
  this->reopen();
  EXPECT_EQ(this->store_->first_index(), first);
  EXPECT_EQ(this->must_read(first.value, this->kLast),
            std::vector(this->log_.begin() + static_cast<std::ptrdiff_t>(first.value - 1), this->log_.end()));
}

TYPED_TEST(RewriteContract, OneThatIsGivenUpLeavesNothing) {
  const auto files = this->store_->log_files();
  ASSERT_GE(files.size(), 2U);
  const auto begun = this->store_->rewrite(files[0].first, keep_none(), 1);
  ASSERT_TRUE(begun.has_value());
  EXPECT_EQ(*begun, RewriteAnswer::more);
  ASSERT_TRUE(rewrite_file(*this->store_, files[1], keep_none()));
  hollow_out(this->log_, files[1], keep_none());
  // Begun anew, with what is kept now.
  ASSERT_TRUE(rewrite_file(*this->store_, files[0], keep_each(16)));
  hollow_out(this->log_, files[0], keep_each(16));
  ASSERT_EQ(write_anew(*this->store_, files[2], keep_none()), RewriteAnswer::ready);
  this->expect_log(this->log_);
}

TYPED_TEST(RewriteContract, ManyHollowEntriesAreReadInParts) {
  ASSERT_GE(this->rewrite_all(keep_none()), 2U);
  const std::uint64_t first = this->store_->log_files().front().end.value - 3;
  EXPECT_EQ(this->must_read(first, this->kLast, 1).size(), 1U);
  EXPECT_EQ(this->must_read(first, this->kLast, kHollowBytes + 1).size(), 2U);
}

}  // namespace
}  // namespace weir::storage
