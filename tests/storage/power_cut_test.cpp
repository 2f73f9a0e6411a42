// The power goes at every possible moment (FAULTS 3, 46, 51): un-synced writes are lost, whole, in part or not at all,
// names too. Every image opens, has everything that was acknowledged, and nothing that was never written.
#include <gtest/gtest.h>

#include "tests/storage/disk_recorder.hpp"
#include "tests/storage/rewrites.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;

/// Images for each durability; the environment asks for more: WEIR_POWER_CUTS=20000.
std::size_t images_wanted() {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  constexpr std::size_t kImages = 60;  // each is a whole folder, walked several times
#else
  constexpr std::size_t kImages = 250;
#endif
  const char* given = std::getenv("WEIR_POWER_CUTS");
  return given != nullptr ? std::stoull(given) : kImages;
}

/// One acknowledged call and what the store was before and after it. Logs from index 1 on, whatever was dropped.
struct Step {
  std::vector<raft::Entry> before;
  raft::HardState state_before;
  LogWrite write;
  std::vector<raft::Entry> entries;
  raft::HardState state_after;
  Index first_before{1};
  Index first_after{1};
  std::vector<Index> checkpoints_before;
  std::vector<Index> checkpoints_after;
  std::optional<std::vector<raft::Entry>> installed;  ///< the log that a snapshot brought in place of `before`
  std::optional<std::vector<raft::Entry>> rewritten;  ///< the log with what is left of a file of it
};

/// A leader of its own, and the snapshot it sends.
struct Leader {
  std::vector<raft::Entry> log;  ///< up to the snapshot's index
  std::vector<raft::SnapshotPiece> pieces;
};

/// What a run is made of.
enum class Mix : std::uint8_t {
  usual = 1,     ///< mostly what Raft writes
  rewrites = 2,  ///< every other step a file is written anew
};

struct Kind {
  Durability durability;
  std::uint64_t segment_bytes;  ///< small: every call rolls; larger: truncations happen inside of a file, too
  Mix mix = Mix::usual;
};

class PowerCut : public testing::TestWithParam<Kind> {
 protected:
  static LmdbLogStore::Options options(const std::string& folder) {
    return {.folder = folder,
            .node_name = "n1",
            .segment_bytes = GetParam().segment_bytes,
            .durability = GetParam().durability,
            .prepare_bytes_per_s = 0};
  }

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  // The next call, as Raft could make it: nothing that was dropped is truncated.
  Step next_step(const std::vector<raft::Entry>& log, const raft::HardState& state, Index first) {
    Step step{log, state, {}, {}, state, first, first, {}, {}, {}, {}};
    std::uint64_t from = log.size() + 1;
    if (below(3) == 0) {
      const std::uint64_t reach = below(4) == 0 ? 30 : 5;
      const std::uint64_t floor = std::max<std::uint64_t>(first.value, log.size() > reach ? log.size() - reach : 1);
      if (floor < from) from -= below(from - floor + 1);
    }
    const bool new_term = from <= log.size() || below(4) == 0 || state.current_term == raft::Term{};
    if (new_term) step.state_after = hard_state(state.current_term.value + 1, below(4));
    const std::size_t size = below(12) == 0 ? 150'000 : below(3) == 0 ? below(20'000) : below(900);
    const std::uint64_t count = below(6);
    if (count > 0) step.entries = entries(from, from + count - 1, step.state_after.current_term.value, size);
    if (new_term) step.write.hard_state = step.state_after;
    step.write.truncate_from = Index{from};
    return step;
  }

  // A log of its own up to an index of its own, whose front it may have dropped.
  Leader make_leader(std::uint64_t last, std::uint64_t term) {
    const TempFolder folder(Medium::memory);
    auto leader_options = options(folder / "leader");
    leader_options.segment_bytes = LmdbLogStore::kSegmentBytesMin;
    auto store = *LmdbLogStore::open(leader_options);
    Leader leader;
    for (std::uint64_t next = 1; next <= last + 8; ++next) {
      const auto more = entries(next, next, term, 60'000);
      EXPECT_TRUE(append_one(*store, {hard_state(term), std::nullopt, more}).has_value());
      if (next <= last) leader.log.push_back(more.front());
      if (next == last / 2 || next == last) {
        EXPECT_TRUE(store->save(checkpoint_at(next, term)).has_value());
      }
    }
    EXPECT_EQ(store->snapshot_index(), Index{last});
    if (below(2) == 0) {
      EXPECT_TRUE(store->drop_before(Index{last / 2 + 1}).has_value());
    }
    leader.pieces = pieces_of(*store, 50'000);
    return leader;
  }

  void save_next(LmdbLogStore& store, Step& step) {
    const std::uint64_t newest = step.checkpoints_before.empty() ? 0 : step.checkpoints_before.back().value;
    const std::uint64_t index = newest + 1 + below(step.before.size() - newest);
    ASSERT_TRUE(store.save(checkpoint_at(index, step.before[index - 1].term.value)).has_value());
    step.checkpoints_after.push_back(Index{index});
  }

  void install_next(LmdbLogStore& store, Step& step) {
    const std::uint64_t term = step.state_before.current_term.value + 1;
    const Leader leader = make_leader(step.before.size() + 3 + below(5), term);
    const raft::Snapshot snapshot = leader.pieces.front().snapshot;
    for (const auto& piece : leader.pieces) {
      const auto answer = store.receive(piece);
      ASSERT_TRUE(answer.has_value()) << answer.error().text;
      ASSERT_EQ(*answer, &piece == &leader.pieces.back() ? PieceAnswer::whole : PieceAnswer::more);
    }
    step.state_after = hard_state(term, 2);
    step.entries = entries(snapshot.index.value + 1, snapshot.index.value + below(3), term);
    step.installed = leader.log;
    step.write.hard_state = step.state_after;
    step.write.truncate_from = snapshot.index.next();
    LogWrite write{.hard_state = step.state_after, .truncate_from = {}, .entries = step.entries};
    write.install = snapshot;
    const auto done = append_one(store, write);
    ASSERT_TRUE(done.has_value()) << done.error().text;
    step.checkpoints_after = store.checkpoints();
    ++installs_;
  }

  // One file of those that can be, of which some entries stay.
  void rewrite_next(LmdbLogStore& store, Step& step) {
    const std::uint64_t salt = below(1'000);
    const KeepEntry keep = [salt](Index index, raft::Command) { return (index.value + salt) % 11 == 0; };
    for (const LogFile& file : store.log_files()) {
      if (write_anew(store, file, keep, 1 + below(200'000)) != RewriteAnswer::ready) continue;
      const auto given_back = store.finish_rewrite();
      ASSERT_TRUE(given_back.has_value()) << given_back.error().text;
      step.rewritten = step.before;
      hollow_out(*step.rewritten, file, keep);
      ++rewrites_;
      return;
    }
  }

  static void expect_checkpoints(const LmdbLogStore& store, const std::vector<raft::Entry>& log,
                                 const std::string& what) {
    for (const Index index : store.checkpoints()) {
      const auto read = store.checkpoint(index);
      ASSERT_TRUE(read.has_value()) << what << ": " << read.error().text;
      const Checkpoint as_saved = checkpoint_at(index.value, log[index.value - 1].term.value);
      ASSERT_TRUE(read->term == as_saved.term && read->config == as_saved.config && read->state == as_saved.state &&
                  read->delta == as_saved.delta)
          << what;
    }
  }

  // Of older ones it is left open when they go.
  static std::vector<Index> needed(std::vector<Index> checkpoints, Index first) {
    while (checkpoints.size() > 1 && checkpoints.front() < first) checkpoints.erase(checkpoints.begin());
    return checkpoints;
  }

  // What a store may hold if the power went while `step` was under way (or just after it).
  static void expect_explained(const LmdbLogStore& store, const Step& step, const std::string& what) {
    const Index first = store.first_index();
    ASSERT_TRUE(first == step.first_before || first == step.first_after) << what;
    const auto kept = store.checkpoints();
    const bool as_before = needed(kept, first) == needed(step.checkpoints_before, first);
    const bool as_after = needed(kept, first) == needed(step.checkpoints_after, first);
    const bool is_installed = step.installed && as_after;
    ASSERT_TRUE(as_before || as_after) << what;
    ASSERT_NO_FATAL_FAILURE(expect_checkpoints(store, is_installed ? *step.installed : step.before, what));
    if (is_installed) {
      ASSERT_EQ(first, step.first_after) << what;
      ASSERT_EQ(store.recovered().hard_state, step.state_after) << what;
    }
    const auto log = *store.read(first, Index{raft::kNumberLimit}, ~std::size_t{0});
    const std::uint64_t last = first.value + log.size() - 1;
    ASSERT_EQ(store.recovered().last_index, Index{last}) << what;
    const auto tail_of = [&](const std::vector<raft::Entry>& whole) {
      return std::vector(whole.begin() + static_cast<std::ptrdiff_t>(std::min(first.value - 1, whole.size())),
                         whole.end());
    };
    const raft::HardState state = store.recovered().hard_state;
    ASSERT_TRUE(state == step.state_before || state == step.state_after) << what;
    if (!is_installed && log == tail_of(step.before)) return;
    if (step.rewritten && log == tail_of(*step.rewritten)) return;
    // Else a part of the step: truncated, and the first of its entries. Never without its term.
    ASSERT_EQ(state, step.state_after) << what;
    ASSERT_EQ(is_installed, step.installed.has_value()) << what;
    std::vector<raft::Entry> part = step.installed.value_or(step.before);
    part.resize(step.write.truncate_from->value - 1);
    for (const auto& entry : step.entries)
      if (part.size() < last) part.push_back(entry);
    ASSERT_EQ(log.size(), tail_of(part).size()) << what;
    ASSERT_TRUE(log == tail_of(part)) << what;
  }

  // An image opens, is explained, and goes on. A cut while it opens changes nothing of that.
  void check_image(const PowerCuts& cuts, const Step& step, const std::string& what) {
    const TempFolder folder(Medium::memory);
    const std::string data = folder / "data";
    make_image(cuts, data);
    const auto files = segment_files(data);
    const bool cut_again = below(4) == 0;
    std::optional<DiskRecorder> recorder;
    if (cut_again) recorder.emplace(data);
    std::optional<PowerCuts> second;
    if (cut_again) second.emplace(*recorder);
    {
      auto store = LmdbLogStore::open(options(data));
      ASSERT_TRUE(store.has_value()) << what << ": " << store.error().text;
      ASSERT_NO_FATAL_FAILURE(expect_explained(**store, step, what));
      // A file that opening made holds chunks whose commit was undone.
      restored_ += std::ranges::find(files, (*store)->segment_paths().back()) == files.end() ? 1 : 0;
      if (!cut_again && below(8) == 0) {
        ASSERT_NO_FATAL_FAILURE(go_on(**store, what));
      }
    }
    if (!cut_again) return;
    const auto ops = recorder->stop();
    recorder.reset();
    const std::size_t at = below(ops.size() + 1);
    for (std::size_t op = 0; op < at; ++op) second->pass(ops[op]);
    const TempFolder again(Medium::memory);
    make_image(*second, again / "data");
    const auto store = LmdbLogStore::open(options(again / "data"));
    ASSERT_TRUE(store.has_value()) << what << ", cut again at " << at << ": " << store.error().text;
    expect_explained(**store, step, what + ", cut again at " + std::to_string(at));
  }

  void make_image(const PowerCuts& cuts, const std::string& data) {
    std::filesystem::create_directories(data);
    cuts.cut(data, random_);
    ++images_;
  }

  static void go_on(LmdbLogStore& store, const std::string& what) {
    const Index next = store.recovered().last_index.next();
    const std::uint64_t term = store.recovered().hard_state.current_term.value + 1;
    const auto more = entries(next.value, next.value + 2, term, 500);
    ASSERT_TRUE(append_one(store, {hard_state(term), std::nullopt, more}).has_value()) << what;
    ASSERT_EQ(*store.read(next, Index{raft::kNumberLimit}, ~std::size_t{0}), more) << what;
  }

  // Grows by files of some entries, most of which are written anew later, one of them before each further step.
  void make_rewriting_step(LmdbLogStore& store, Step& step, std::uint64_t number) {
    const Index last{step.before.size()};
    const Index covered = step.checkpoints_before.empty() ? Index{} : step.checkpoints_before.back();
    if (number % 2 == 1) {
      ASSERT_NO_FATAL_FAILURE(rewrite_next(store, step));
    } else if (number % 40 == 38) {
      ASSERT_TRUE(store.drop_before(Index{step.before.size() / 2}).has_value());
      step.checkpoints_after = store.checkpoints();
    } else if (number % 6 == 4 && covered < last) {
      ASSERT_NO_FATAL_FAILURE(save_next(store, step));
    } else {
      ASSERT_NO_FATAL_FAILURE(grow(store, step));
    }
  }

  void grow(LmdbLogStore& store, Step& step) {
    step.state_after = hard_state(std::max<std::uint64_t>(step.state_before.current_term.value, 1) + below(2));
    const std::uint64_t from = step.before.size() + 1;
    step.entries = entries(from, from + 2 + below(3), step.state_after.current_term.value, 20'000 + below(30'000));
    step.write.truncate_from = Index{from};
    step.write.hard_state = step.state_after;
    LogWrite write{.hard_state = step.state_after, .truncate_from = {}, .entries = step.entries};
    const auto done = append_one(store, write);
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }

  // Mostly what Raft writes; now and then a checkpoint, the front that goes, a snapshot that takes the place of all.
  void make_step(LmdbLogStore& store, Step& step, std::uint64_t number) {
    constexpr std::uint64_t kLongEnough = 20;
    const bool other = step.before.size() > kLongEnough;
    if (other && number >= next_install_) {
      next_install_ = number + 35;
      ASSERT_NO_FATAL_FAILURE(install_next(store, step));
    } else if (other && number % 6 == 4) {
      ASSERT_NO_FATAL_FAILURE(rewrite_next(store, step));
    } else if (other && number % 10 == 9) {
      ASSERT_TRUE(store.drop_before(Index{step.before.size() - 5}).has_value());
      step.checkpoints_after = store.checkpoints();
    } else if (other && number % 5 == 3 &&
               (step.checkpoints_before.empty() || step.checkpoints_before.back() < Index{step.before.size()})) {
      ASSERT_NO_FATAL_FAILURE(save_next(store, step));
    } else {
      const Index floor = std::max(step.first_before,
                                   step.checkpoints_before.empty() ? Index{1} : step.checkpoints_before.back().next());
      Step written = next_step(step.before, step.state_before, floor);
      step.write = written.write;
      step.entries = std::move(written.entries);
      step.state_after = written.state_after;
      LogWrite write = step.write;
      write.entries = step.entries;
      const auto done = append_one(store, write);
      ASSERT_TRUE(done.has_value()) << done.error().text;
    }
  }

  std::vector<Step> run_steps(LmdbLogStore& store, DiskRecorder& recorder) {
    constexpr std::uint64_t kSteps = 120;
    std::vector<Step> steps;
    Step next;
    for (std::uint64_t number = 0; number < kSteps; ++number) {
      next.write.truncate_from = Index{next.before.size() + 1};
      GetParam().mix == Mix::usual ? make_step(store, next, number) : make_rewriting_step(store, next, number);
      if (testing::Test::HasFatalFailure()) return steps;
      next.first_after = store.first_index();
      steps.push_back(next);
      recorder.mark(number);
      next.before = next.installed.value_or(next.rewritten.value_or(next.before));
      next.before.resize(next.write.truncate_from->value - 1);
      next.before.insert(next.before.end(), next.entries.begin(), next.entries.end());
      next.state_before = next.state_after;
      next.first_before = next.first_after;
      next.checkpoints_before = next.checkpoints_after;
      next.installed.reset();
      next.rewritten.reset();
      next.entries.clear();
      next.write.hard_state.reset();
    }
    next.write.truncate_from = Index{next.before.size() + 1};
    steps.push_back(std::move(next));
    return steps;
  }

  std::mt19937_64 random_{test_seed()};
  std::size_t images_ = 0;
  std::size_t restored_ = 0;
  std::size_t installs_ = 0;
  std::size_t rewrites_ = 0;
  std::uint64_t next_install_ = 35;  ///< or as soon as the log is long enough
};

TEST_P(PowerCut, FAULTS27_FAULTS46_NothingAcknowledgedIsLostAtAnyMoment) {
  const TempFolder folder(Medium::memory);
  const std::string data = folder / "data";
  auto store = *LmdbLogStore::open(options(data));
  DiskRecorder recorder(data);
  PowerCuts cuts(recorder);
  const std::vector<Step> steps = run_steps(*store, recorder);
  ASSERT_FALSE(HasFatalFailure());
  store.reset();
  const auto ops = recorder.stop();

  std::uint64_t under_way = 0;
  const double per_op = static_cast<double>(images_wanted()) / static_cast<double>(ops.size());
  double due = 0;
  for (std::size_t at = 0; at < ops.size(); ++at) {
    cuts.pass(ops[at]);
    if (ops[at].kind == DiskOp::Kind::mark) under_way = ops[at].offset + 1;
    for (due += per_op; due >= 1; due -= 1) {
      const std::string what = "after " + std::to_string(at + 1) + " of " + std::to_string(ops.size()) + ", step " +
                               std::to_string(under_way);
      ASSERT_NO_FATAL_FAILURE(check_image(cuts, steps[under_way], what));
    }
  }
  std::cout << images_ << " images, the scan needed in " << restored_ << ", " << ops.size() << " operations, "
            << steps.size() << " steps, " << installs_ << " installs, " << rewrites_ << " files rewritten\n";
  EXPECT_GE(images_ + 2, images_wanted());
  if (GetParam().mix == Mix::rewrites) {
    EXPECT_GE(rewrites_, 10U);
    return;
  }
  EXPECT_GE(installs_, 2U);
  EXPECT_GT(restored_, GetParam().durability == Durability::one_flush ? images_ / 20 : 0);
}

constexpr std::uint64_t kSmall = LmdbLogStore::kSegmentBytesMin;
constexpr std::uint64_t kMedium = std::uint64_t{1} << 19U;
constexpr std::uint64_t kLarge = std::uint64_t{3} << 20U;
INSTANTIATE_TEST_SUITE_P(Kinds, PowerCut,
                         testing::Values(Kind{Durability::two_flushes, kSmall}, Kind{Durability::two_flushes, kLarge},
                                         Kind{Durability::one_flush, kSmall}, Kind{Durability::one_flush, kLarge},
                                         Kind{Durability::two_flushes, kMedium, Mix::rewrites},
                                         Kind{Durability::one_flush, kMedium, Mix::rewrites}),
                         [](const auto& info) {
                           const bool one_flush = info.param.durability == Durability::one_flush;
                           if (info.param.mix == Mix::rewrites)
                             return std::string(one_flush ? "OneFlush" : "TwoFlushes") + "FilesRewritten";
                           return std::string(one_flush ? "OneFlush" : "TwoFlushes") +
                                  (info.param.segment_bytes == kSmall ? "SmallFiles" : "LargeFiles");
                         });

}  // namespace
}  // namespace weir::storage
