// FAULTS 27, 28. What every LogStore must do with checkpoints and snapshots: the same cases against the real one and
// the simulator's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/log_store_backends.hpp"

namespace weir::storage {
namespace {

using raft::Index;
using raft::Term;
using testing::ElementsAre;
using testing::IsEmpty;

std::string content_of(const std::vector<raft::SnapshotPiece>& pieces) {
  std::string content;
  for (const auto& piece : pieces) content += piece.data.view();
  return content;
}

void expect_answer(LogStore& store, const raft::SnapshotPiece& piece, PieceAnswer expected) {
  const auto answer = store.receive(piece);
  ASSERT_TRUE(answer.has_value()) << answer.error().text;
  EXPECT_EQ(*answer, expected) << "at offset " << piece.offset << " of " << piece.snapshot.size;
}

void receive_all(LogStore& store, const std::vector<raft::SnapshotPiece>& pieces) {
  for (const auto& piece : pieces)
    expect_answer(store, piece, &piece == &pieces.back() ? PieceAnswer::whole : PieceAnswer::more);
}

raft::SnapshotPiece spoiled(raft::SnapshotPiece piece) {
  std::string data(piece.data.view());
  data[data.size() / 2] = static_cast<char>(data[data.size() / 2] ^ 4);
  piece.data = raft::Bytes::own(std::move(data));
  return piece;
}

/// A store of a member, and another one's to send snapshots to.
template <class Backend>
class CheckpointContract : public LogStoreContract<Backend> {
 protected:
  CheckpointContract() {
    EXPECT_TRUE(this->store_->found("c-7hq2", founding()).has_value());
    reopen_follower();
  }
  /// Entries up to `index`, in terms of ten entries each.
  void grow_to(std::uint64_t index) {
    for (std::uint64_t next = log_.size() + 1; next <= index; ++next) {
      const std::uint64_t term = next / 10 + 1;
      const auto more = next == 1 ? std::vector{founding()} : entries(next, next, term, 40'000);
      if (next > 1) this->must_append({hard_state(term), std::nullopt, more});
      log_ = joined(log_, more);
    }
  }
  void save(std::uint64_t index) {
    const auto saved = this->store_->save(checkpoint_at(index, log_[index - 1].term.value));
    ASSERT_TRUE(saved.has_value()) << saved.error().text;
  }
  void expect_checkpoint(LogStore& store, std::uint64_t index, std::uint64_t term) {
    const auto read = store.checkpoint(Index{index});
    ASSERT_TRUE(read.has_value()) << read.error().text;
    const Checkpoint expected = checkpoint_at(index, term);
    EXPECT_EQ(read->index, expected.index);
    EXPECT_EQ(read->term, expected.term);
    EXPECT_EQ(read->config, expected.config);
    EXPECT_EQ(read->delta, expected.delta);
    if (store.checkpoints().back() == Index{index}) {
      EXPECT_EQ(read->state, expected.state);
    }
  }
  void reopen_follower() {
    follower_.reset();
    auto opened = follower_backend_.open();
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    follower_ = *std::move(opened);
  }
  void found_follower() { ASSERT_TRUE(follower_->found("c-7hq2", founding()).has_value()); }
  /// Entries up to the snapshot's end as the sender has them, its checkpoints, and what was the follower's own.
  void expect_installed(const raft::Snapshot& snapshot, raft::HardState own, std::uint64_t incarnation) {
    EXPECT_EQ(follower_->identity().incarnation, incarnation);
    EXPECT_EQ(follower_->identity().cluster_id, "c-7hq2");
    ASSERT_FALSE(follower_->checkpoints().empty());
    EXPECT_EQ(follower_->checkpoints().back(), snapshot.index);
    for (const Index index : follower_->checkpoints())
      expect_checkpoint(*follower_, index.value, log_[index.value - 1].term.value);
    const std::uint64_t first = follower_->first_index().value;
    EXPECT_LE(first, snapshot.index.value + 1);
    const auto brought = follower_->read(Index{first}, snapshot.index, ~std::size_t{0});
    ASSERT_TRUE(brought.has_value()) << brought.error().text;
    EXPECT_EQ(*brought, std::vector(log_.begin() + static_cast<long>(first) - 1,
                                    log_.begin() + static_cast<long>(snapshot.index.value)));
    reopen_follower();
    EXPECT_EQ(follower_->recovered().hard_state, own);
  }

  std::vector<raft::Entry> log_;
  Backend follower_backend_;
  std::unique_ptr<LogStore> follower_;
};

using CheckpointBackends = testing::Types<LmdbChainBackend, SimBackend>;
TYPED_TEST_SUITE(CheckpointContract, CheckpointBackends, BackendNames);

TYPED_TEST(CheckpointContract, WhatWasSavedComesBack) {
  EXPECT_THAT(this->store_->checkpoints(), IsEmpty());
  this->grow_to(25);
  for (const std::uint64_t index : {3U, 12U, 25U}) this->save(index);
  for (int look = 0; look < 2; ++look) {
    EXPECT_THAT(this->store_->checkpoints(), ElementsAre(Index{3}, Index{12}, Index{25}));
    this->expect_checkpoint(*this->store_, 3, 1);
    this->expect_checkpoint(*this->store_, 12, 2);
    this->expect_checkpoint(*this->store_, 25, 3);
    const auto none = this->store_->checkpoint(Index{4});
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().code, Errc::gone);
    this->reopen();
  }
}

TYPED_TEST(CheckpointContract, ACheckpointGoesWithItsEntriesButNeverTheNewest) {
  this->grow_to(40);
  for (const std::uint64_t index : {8U, 20U, 30U}) this->save(index);
  for (const std::uint64_t index : {9U, 25U, 31U}) {
    ASSERT_TRUE(this->store_->drop_before(Index{index}).has_value());
    for (int look = 0; look < 2; ++look) {
      const Index first = this->store_->first_index();
      EXPECT_LE(first, Index{index});
      const auto kept = this->store_->checkpoints();
      ASSERT_FALSE(kept.empty());
      EXPECT_EQ(kept.back(), Index{30});
      for (const std::uint64_t each : {8U, 20U}) {
        if (Index{each} >= first) {
          EXPECT_THAT(kept, testing::Contains(Index{each})) << "its entries are still there";
        }
      }
      this->reopen();
      EXPECT_EQ(this->store_->recovered().first_index, first);
    }
  }
}

TYPED_TEST(CheckpointContract, WithoutACheckpointThereIsNoSnapshot) {
  this->grow_to(5);
  EXPECT_THAT(pieces_of(*this->store_, 100), IsEmpty());
}

TYPED_TEST(CheckpointContract, ASnapshotIsTheSameBytesHoweverItIsCut) {
  this->grow_to(35);
  this->save(10);
  this->save(21);
  const auto pieces = pieces_of(*this->store_, 30'000);
  ASSERT_GT(pieces.size(), 3U);
  EXPECT_EQ(content_of(pieces_of(*this->store_, 1 << 30)), content_of(pieces));
  EXPECT_EQ(content_of(pieces_of(*this->store_, 777)), content_of(pieces));
  // It can be gone on with while newer ones are saved; another number gets the newest, from its beginning.
  this->grow_to(50);
  this->save(45);
  const auto more = this->store_->read_snapshot(pieces[1].snapshot.number, pieces[1].offset, 30'000);
  ASSERT_TRUE(more.has_value());
  EXPECT_EQ(more->snapshot, pieces[1].snapshot);
  EXPECT_EQ(more->data, pieces[1].data);
  const auto unknown = this->store_->read_snapshot(12'345, 30'000, 30'000);
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->offset, 0U);
  EXPECT_GE(unknown->snapshot.index, pieces[1].snapshot.index);
}

TYPED_TEST(CheckpointContract, AnInstallTakesThePlaceOfEverythingButWhoItIsAndHowItVoted) {
  this->grow_to(45);
  this->save(10);
  this->save(31);
  const auto pieces = pieces_of(*this->store_, 20'000);
  ASSERT_FALSE(pieces.empty());
  const raft::Snapshot snapshot = pieces.front().snapshot;
  this->found_follower();
  const auto incarnation = this->follower_->identity().incarnation;
  const std::uint64_t term = this->log_.back().term.value + 3;
  ASSERT_TRUE(append_one(*this->follower_, {hard_state(term, 9), std::nullopt, entries(2, 40, 2, 10'000)}).has_value());
  receive_all(*this->follower_, pieces);
  const auto behind = entries(snapshot.index.value + 1, snapshot.index.value + 3, term);
  LogWrite write{.hard_state = std::nullopt, .truncate_from = std::nullopt, .entries = behind};
  write.install = snapshot;
  ASSERT_TRUE(append_one(*this->follower_, write).has_value());
  for (int look = 0; look < 2; ++look) {
    this->expect_installed(snapshot, hard_state(term, 9), incarnation);
    EXPECT_EQ(this->follower_->recovered().last_index, behind.back().index);
    const auto read = this->follower_->read(behind.front().index, Index{1'000}, ~std::size_t{0});
    ASSERT_TRUE(read.has_value()) << read.error().text;
    EXPECT_EQ(*read, behind);
  }
  ASSERT_TRUE(
      append_entries(*this->follower_, entries(snapshot.index.value + 4, snapshot.index.value + 5, term)).has_value());
}

// FAULTS 28: a snapshot that was received and not installed changes nothing.
TYPED_TEST(CheckpointContract, WhatIsReceivedDoesNotCountBeforeItIsInstalled) {
  this->grow_to(45);
  this->save(31);
  const auto pieces = pieces_of(*this->store_, 50'000);
  ASSERT_FALSE(pieces.empty());
  this->found_follower();
  ASSERT_TRUE(append_one(*this->follower_, {hard_state(2), std::nullopt, entries(2, 4, 2)}).has_value());
  receive_all(*this->follower_, pieces);
  for (int look = 0; look < 2; ++look) {
    EXPECT_EQ(read_all(*this->follower_), joined({founding()}, entries(2, 4, 2)));
    EXPECT_THAT(this->follower_->checkpoints(), IsEmpty());
    this->reopen_follower();
  }
  receive_all(*this->follower_, pieces);
}

TYPED_TEST(CheckpointContract, AFlippedBitInAnyPieceIsRefused) {
  this->grow_to(35);
  this->save(21);
  const auto pieces = pieces_of(*this->store_, 150'000);
  ASSERT_GT(pieces.size(), 2U);
  this->found_follower();
  for (std::size_t wrong = 0; wrong < pieces.size(); ++wrong) {
    std::optional<PieceAnswer> last;
    for (std::size_t i = 0; i < pieces.size() && last != PieceAnswer::refused; ++i) {
      const auto answer = this->follower_->receive(i == wrong ? spoiled(pieces[i]) : pieces[i]);
      ASSERT_TRUE(answer.has_value()) << answer.error().text;
      last = *answer;
    }
    EXPECT_EQ(last, PieceAnswer::refused) << "piece " << wrong;
  }
  receive_all(*this->follower_, pieces);
}

TYPED_TEST(CheckpointContract, APieceOutOfOrderIsRefusedAndAnotherSnapshotBeginsAnew) {
  this->grow_to(25);
  this->save(11);
  const auto old = pieces_of(*this->store_, 100'000);
  this->grow_to(65);
  this->save(51);
  const auto pieces = pieces_of(*this->store_, 100'000);
  ASSERT_GT(old.size(), 2U);
  ASSERT_GT(pieces.size(), 3U);
  this->found_follower();
  expect_answer(*this->follower_, pieces[0], PieceAnswer::more);
  expect_answer(*this->follower_, pieces[2], PieceAnswer::refused);
  expect_answer(*this->follower_, pieces[1], PieceAnswer::refused);
  expect_answer(*this->follower_, pieces[0], PieceAnswer::more);
  expect_answer(*this->follower_, old[0], PieceAnswer::more);
  expect_answer(*this->follower_, pieces[1], PieceAnswer::refused);
  receive_all(*this->follower_, pieces);
}

}  // namespace
}  // namespace weir::storage
