// The real store when the process is killed or the power goes, again and again (FAULTS 3, 46, 51, 76).
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <array>

#include "storage/page_file.hpp"
#include "tests/storage/flush_hook.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

using raft::Index;

// What a child was told: entries up to `last` are acknowledged; those of its own term begin at `first`.
struct Acked {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

// Most are small, some need a chunk of many pages.
std::size_t size_of(std::uint64_t index) {
  return index % 7 == 0 ? 300'000 : index * 37 % 4000;
}

std::vector<raft::Entry> batch_from(std::uint64_t first, std::uint64_t term) {
  std::vector<raft::Entry> batch;
  for (std::uint64_t index = first; index <= first + first % 5; ++index)
    batch.push_back(entry(index, term, size_of(index)));
  return batch;
}

// Truncates a little, then appends batches of different sizes until it is killed, and tells each acknowledged index.
[[noreturn]] void write_until_killed(const std::string& data, std::uint64_t term, int pipe) {
  auto store = open_lmdb(data);
  if (!store) _exit(2);
  const std::uint64_t last = (*store)->recovered().last_index.value;
  Acked acked{last - std::min<std::uint64_t>(last, 3) + 1, 0};
  LogWrite write{hard_state(term, term % 3), Index{acked.first}, {}};
  for (std::uint64_t next = acked.first;;) {
    const auto batch = batch_from(next, term);
    write.entries = batch;
    if (!append_one(**store, write)) _exit(3);
    next += batch.size();
    write = {};
    acked.last = next - 1;
    if (::write(pipe, &acked, sizeof acked) != static_cast<ssize_t>(sizeof acked)) _exit(4);
  }
}

// Kills the child after so many acknowledgements and a bit. The last one it sent.
Acked kill_after(const std::string& data, std::uint64_t term, std::uint64_t acks) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    write_until_killed(data, term, ends[1]);
  }
  close(ends[1]);
  Acked acked;
  for (std::uint64_t ack = 0; ack < acks; ++ack)
    EXPECT_EQ(read(ends[0], &acked, sizeof acked), static_cast<ssize_t>(sizeof acked));
  kill(child, SIGKILL);
  while (read(ends[0], &acked, sizeof acked) > 0) {
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << status;
  return acked;
}

TEST(LmdbCrash, FAULTS76_NothingAcknowledgedIsLostByKills) {
  const TempFolder folder;
  const std::string data = folder / "data";
  std::mt19937_64 random(test_seed());
  std::vector<std::uint64_t> term_of{0};  // by index, as acknowledged
  for (std::uint64_t term = 1; term <= 20; ++term) {
    const Acked acked = kill_after(data, term, 1 + random() % 8);
    term_of.resize(acked.first);
    term_of.resize(acked.last + 1, term);

    const auto store = must_open(data);
    ASSERT_NE(store, nullptr);
    const auto log = read_all(*store);
    ASSERT_GE(log.size(), acked.last) << "term " << term;
    for (const auto& found : log) {
      const std::uint64_t index = found.index.value;
      const std::uint64_t expected = index <= acked.last ? term_of[index] : term;
      ASSERT_EQ(found, entry(index, expected, size_of(index)));
    }
    EXPECT_EQ(store->recovered().hard_state, hard_state(term, term % 3));
    term_of.resize(log.size() + 1, term);
  }
}

struct Files {
  std::string segment;
  std::string state;
};

Files files_of(const std::string& data) {
  return {read_file(segment_file(data)), read_file(state_file(data))};
}

// What a power cut may leave of writes that were not flushed: any of their sectors, in any order.
std::string torn(const std::string& before, const std::string& after, std::mt19937_64& random) {
  constexpr std::size_t kSector = 512;
  std::string result = before;
  result.resize(std::max(before.size(), after.size()));
  for (std::size_t at = 0; at < after.size(); at += kSector)
    if (random() % 2 == 0) result.replace(at, kSector, after, at, kSector);
  return result;
}

TEST(LmdbCrash, FAULTS46_FAULTS51_APowerCutBeforeAFlushLeavesWhatWasAcknowledged) {
  const TempFolder folder(Medium::memory);
  const std::string data = folder / "data";
  std::mt19937_64 random(test_seed());
  auto store = must_open(data);
  ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, entries(1, 3, 1)}).has_value());
  std::vector<raft::Entry> log = entries(1, 3, 1);
  for (std::uint64_t term = 2; term <= 12; ++term) {
    const Files before = files_of(data);
    std::vector<Files> cuts;
    const std::uint64_t from = log.size() + 1 - term % 3;
    const auto batch = entries(from, from + term % 4, term, term * 1500);
    {
      // At each flush, what was written since the last one is only in the kernel's memory.
      const FlushHook before_flush([&](int) {
        cuts.push_back(files_of(data));
        return 0;
      });
      ASSERT_TRUE(append_one(*store, {hard_state(term), Index{from}, batch}).has_value());
    }
    ASSERT_EQ(cuts.size(), 2U) << "one flush of data for the state, one for the log";
    for (int round = 0; round < 3; ++round) {
      const TempFolder copy(Medium::memory);
      std::filesystem::copy(data, copy / "data", std::filesystem::copy_options::recursive);
      // In the first flush only the state was under way, in the second the state was done.
      const bool state_done = round > 0;
      write_file(segment_file(copy / "data"), torn(before.segment, cuts[state_done].segment, random));
      write_file(state_file(copy / "data"), state_done ? cuts[1].state : torn(before.state, cuts[0].state, random));
      const auto survivor = must_open(copy / "data");
      ASSERT_NE(survivor, nullptr) << "term " << term;
      ASSERT_EQ(read_all(*survivor), log);
      ASSERT_EQ(survivor->recovered().hard_state, hard_state(state_done ? term : term - 1));
    }
    log.resize(from - 1);
    log.insert(log.end(), batch.begin(), batch.end());
  }
  EXPECT_EQ(read_all(*store), log);
}

// The walk before mapping must never take a healthy file for a damaged one, whatever LMDB did to it.
TEST(LmdbCrash, AHealthyFileIsNeverCalledDamaged) {
  const TempFolder folder(Medium::memory);
  const std::string data = folder / "data";
  std::mt19937_64 random(test_seed());
  auto store = must_open(data);
  ASSERT_TRUE(append_one(*store, {hard_state(1), std::nullopt, {}}).has_value());
  std::uint64_t last = 0;
  for (int step = 0; step < 600; ++step) {
    // Now and then nearly everything goes: whole levels of the tree collapse, long lists of free pages appear.
    const std::uint64_t gone = random() % 40 == 0 ? last : random() % (std::min<std::uint64_t>(last, 4) + 1);
    const std::uint64_t from = last + 1 - gone;
    const auto batch = entries(from, from + random() % 3, 1, random() % 9 == 0 ? 60'000 : random() % 1500);
    const bool nothing = random() % 10 == 0;
    ASSERT_TRUE(append_one(*store, {std::nullopt, Index{from}, nothing ? std::span<const raft::Entry>() : batch}));
    last = nothing ? from - 1 : from + batch.size() - 1;
    std::uint64_t rows = 0;
    const auto visited = visit_rows(segment_file(data), [&](std::string_view, std::string_view) {
      ++rows;
      return std::expected<void, Error>();
    });
    ASSERT_TRUE(visited.has_value()) << "step " << step << ": " << visited.error().text;
    ASSERT_EQ(rows > 1, last > 0);
  }
}

TEST(LmdbCrash, ATreeOfSeveralLevelsIsWalked) {
  const TempFolder folder(Medium::memory);
  const std::string path = folder / "table.mdb";
  auto env = *Env::open({path, std::uint64_t{1} << 30U, 4});
  auto fill = *WriteTxn::begin(env);
  constexpr std::uint64_t kRows = 100'000;
  for (std::uint64_t index = 0; index < kRows; ++index)
    ASSERT_TRUE(fill.put(segment_key(Index{index * 7919 % kRows}), std::to_string(index * 7919 % kRows)).has_value());
  ASSERT_TRUE(fill.commit().has_value());
  auto cut = *WriteTxn::begin(env);
  ASSERT_TRUE(cut.erase_from(segment_key(Index{60'000})).has_value());
  ASSERT_TRUE(cut.commit().has_value());
  std::uint64_t next = 0;
  const auto visited = visit_rows(path, [&](std::string_view key, std::string_view value) {
    EXPECT_EQ(index_of_key(key), Index{next});
    EXPECT_EQ(value, std::to_string(next));
    ++next;
    return std::expected<void, Error>();
  });
  EXPECT_TRUE(visited.has_value()) << visited.error().text;
  EXPECT_EQ(next, 60'000U);
}

}  // namespace
}  // namespace weir::storage
