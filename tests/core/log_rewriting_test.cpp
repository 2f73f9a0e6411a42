// Files of the log that are rewritten (docs/decisions/0023; FAULTS 56): what may go, when, and that nobody decides
// otherwise for it.
#include "broker/core/log_rewriting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <random>

#include "broker/core/log_reader.hpp"
#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using raft::Index;
using storage::RewriteAnswer;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

raft::Entry retain_entry(const std::map<std::string, std::uint64_t>& floors, std::uint64_t time_ms,
                         std::uint64_t claims_before = 0) {
  wire::RetainEntry retain{.time_ms = time_ms, .floors = {}, .claims_before = Index{claims_before}};
  for (const auto& [topic, first] : floors) {
    retain.floors.push_back({topic, raft::Offset{first}});
  }
  raft::Entry entry{.index = {},
                    .term = raft::Term{1},
                    .command = raft::Command::retain,
                    .checksum = 0,
                    .data = wire::encode(retain)};
  entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
  return entry;
}

std::vector<std::string> texts_of(const Applied& applied) {
  std::vector<std::string> texts;
  for (const auto& outcome : applied.outcomes) {
    texts.push_back(text_of(outcome));
  }
  return texts;
}

/// A log in files of sixteen entries, large enough that what is kept decides.
class Rewriting {
 public:
  static constexpr std::uint64_t kEntriesInFile = 16;

  /// Files as far as `last`, and what they would be worth.
  void file_up_to(Index last) {
    disk.files.clear();
    for (std::uint64_t first = 1; first + kEntriesInFile <= last.value + 1; first += kEntriesInFile) {
      disk.files.push_back(
          {.first = Index{first}, .end = Index{first + kEntriesInFile}, .bytes = 1'000'000, .bytes_hollow = 100});
    }
  }
  /// Until nothing is left to do. How many files were asked for.
  std::size_t run(const Floors& floors, Index sendable, RewriteAnswer answer = RewriteAnswer::ready) {
    const auto shared = std::make_shared<const Floors>(floors);
    std::size_t files = 0;
    for (int step = 0; step < 200; ++step) {
      rewriting.go_on(shared, sendable);
      while (!disk.rewrites.empty()) {
        ++files;
        disk.finish_rewrite_step(answer);
      }
      while (!disk.finishes.empty()) {
        disk.put_in_place();
      }
    }
    return files;
  }
  [[nodiscard]] bool is_hollow(std::uint64_t index) const {
    return disk.log[index - 1].command == raft::Command::hollow;
  }
  Applied apply(const raft::Entry& entry) {
    Applied applied = node.apply(entry);
    disk.log.push_back(node.log.back());
    return applied;
  }
  Applied publish(const Request& request) { return apply(publish_entry(1, {request})); }

  Applying node;
  FakeDisk disk;
  Index offered_behind{raft::kNumberLimit};
  std::vector<std::string> failures;
  std::vector<std::string> notices;
  LogRewriting rewriting{node.state,
                         disk,
                         {.withdraw = [this](Index last) { return last <= offered_behind; },
                          .failed = [this](const storage::Error& error) { failures.push_back(error.text); },
                          .notice = [this](const std::string& text) { notices.push_back(text); }}};
};

TEST(LogRewriting, WhatIsRetainedStaysAndTheRestGoes) {
  Rewriting log;
  log.publish({.events = {{.topic = "long"}}});                                                      // 1
  log.publish({.events = {{.topic = "short"}}});                                                     // 2
  log.publish({.events = {{.topic = "long"}, {.topic = "short"}}});                                  // 3
  log.publish({.events = {{.topic = "short", .id = "x"}}});                                          // 4
  log.publish({.events = {{.topic = "short", .id = "x"}}});                                          // 5: a duplicate
  log.publish({.events = {{.topic = "short"}}, .key = "gone"});                                      // 6
  log.publish({.events = {{.topic = "short", .id = "x"}}, .key = "stored nothing"});                 // 7
  log.apply(claims_entry(1, {{"long", "", "claimed"}}));                                             // 8
  log.apply(noop_entry(1));                                                                          // 9
  log.apply(group_entry({{.group = "g", .action = wire::GroupAction::put, .patterns = {"long"}}}));  // 10
  log.publish({.events = {{.topic = "short"}}});                                                     // 11
  log.apply(retain_entry({{"short", 4}}, 1'000));                                                    // 12
  for (int i = 13; i <= 16; ++i) {
    log.publish({.events = {{.topic = "short"}}});
  }
  log.file_up_to(Index{16});
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}), 1U);
  std::vector<std::uint64_t> hollow;
  for (std::uint64_t index = 1; index <= 16; ++index) {
    if (log.is_hollow(index)) {
      hollow.push_back(index);
    }
  }
  EXPECT_THAT(hollow, ElementsAre(2, 4, 5, 6, 10, 12)) << "short is kept from 11 on";
  EXPECT_THAT(log.failures, IsEmpty());
  EXPECT_THAT(log.notices, ElementsAre(HasSubstr("entries 1 to 16 of the log were rewritten")));
  EXPECT_EQ(log.rewriting.files(), 1U);
  EXPECT_GT(log.rewriting.bytes_given_back(), 0U);
  for (const std::uint64_t index : hollow) {
    EXPECT_FALSE(log.node.state.retains(Index{index})) << index;
  }
  EXPECT_TRUE(log.node.state.retains(Index{3}));
  EXPECT_TRUE(log.node.state.retains(Index{8})) << "a claim";
}

TEST(LogRewriting, GoesByTheFloorsThatItIsGivenAndNotByThoseOfToday) {
  Rewriting log;
  for (int i = 1; i <= 16; ++i) {
    log.publish({.events = {{.topic = i == 1 ? "long" : "short", .body = std::string(50'000, 'x')}}});
  }
  const Floors before = log.node.state.floors();
  log.apply(retain_entry({{"short", 15}}, 1'000));
  log.file_up_to(Index{16});
  EXPECT_EQ(log.run(before, Index{16}), 0U) << "all of it was retained";
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}), 1U);
  EXPECT_FALSE(log.is_hollow(1));
  EXPECT_TRUE(log.is_hollow(2));
}

TEST(LogRewriting, AFileThatIsNeededAsItIsOrIsAboutToBeDroppedIsNotAskedFor) {
  Rewriting log;
  for (int i = 1; i <= 64; ++i) {
    log.publish({.events = {{.topic = i == 20 ? "long" : "short"}}});
  }
  log.apply(retain_entry({{"short", 63}}, 1'000));
  log.file_up_to(Index{64});
  ASSERT_EQ(log.node.state.first_index(), Index{20});
  EXPECT_EQ(log.run(log.node.state.floors(), Index{47}), 1U);
  EXPECT_FALSE(log.is_hollow(16)) << "goes with its file";
  EXPECT_FALSE(log.is_hollow(17)) << "its row is not known any more";
  EXPECT_TRUE(log.is_hollow(21));
  EXPECT_FALSE(log.is_hollow(20));
  EXPECT_TRUE(log.is_hollow(32));
  EXPECT_FALSE(log.is_hollow(33)) << "no snapshot covers its file";
  EXPECT_GT(log.run(log.node.state.floors(), Index{48}), 0U) << "now one does";
  EXPECT_TRUE(log.is_hollow(33));
}

TEST(LogRewriting, AFileThatWasNotWorthItIsAskedForAgainOnlyWhenMuchHasGone) {
  Rewriting log;
  for (int i = 1; i <= 32; ++i) {
    log.publish({.events = {{.topic = i % 4 == 0 ? "long" : "short", .body = std::string(1'000, 'x')}}});
  }
  log.apply(retain_entry({{"short", 24}}, 1'000));
  log.file_up_to(Index{16});
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}, RewriteAnswer::refused), 1U) << "long has four there";
  log.apply(retain_entry({{"long", 1}}, 1'000));
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}, RewriteAnswer::refused), 0U);
  log.apply(retain_entry({{"long", 3}}, 1'000));
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}), 1U);
}

TEST(LogRewriting, AFileThatWasRefusedForItsClaimsIsAskedForWhenTheyAreGone) {
  Rewriting log;
  log.publish({.events = {{.topic = "long"}}});
  for (int i = 2; i <= 16; ++i) {
    log.apply(claims_entry(1, {{"short", "", "id-" + std::to_string(i)}}));
  }
  log.file_up_to(Index{16});
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}, RewriteAnswer::refused), 1U);
  log.apply(retain_entry({}, 1'000, 10));
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}, RewriteAnswer::refused), 0U);
  log.apply(retain_entry({}, 1'000, 17));
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}), 1U);
  EXPECT_TRUE(log.is_hollow(16));
  EXPECT_FALSE(log.is_hollow(1));
}

TEST(LogRewriting, AnErrorIsTriedAgainAndDamageIsDamage) {
  Rewriting log;
  for (int i = 1; i <= 16; ++i) {
    log.publish({.events = {{.topic = i == 1 ? "long" : "short"}}});
  }
  log.apply(retain_entry({{"short", 15}}, 1'000));
  log.file_up_to(Index{16});
  auto floors = std::make_shared<const Floors>(log.node.state.floors());
  log.rewriting.go_on(floors, Index{16});
  ASSERT_THAT(log.disk.rewrites, SizeIs(1));
  log.rewriting.go_on(floors, Index{16});
  EXPECT_THAT(log.disk.rewrites, SizeIs(1)) << "one at a time";
  log.disk.finish_rewrite_step(std::unexpected(storage::Error{storage::Errc::disk_full, "no room"}));
  EXPECT_THAT(log.notices, ElementsAre(HasSubstr("no room")));
  EXPECT_THAT(log.failures, IsEmpty());
  log.rewriting.go_on(floors, Index{17});
  ASSERT_THAT(log.disk.rewrites, SizeIs(1));
  log.disk.finish_rewrite_step(std::unexpected(storage::Error{storage::Errc::damaged, "rot"}));
  EXPECT_THAT(log.failures, ElementsAre("rot"));
}

TEST(LogRewriting, NothingIsPutInPlaceThatAFollowerMayStillBeSent) {
  Rewriting log;
  for (int i = 1; i <= 16; ++i) {
    log.publish({.events = {{.topic = i == 1 ? "long" : "short"}}});
  }
  log.apply(retain_entry({{"short", 15}}, 1'000));
  log.file_up_to(Index{16});
  log.offered_behind = Index{15};
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}), 1U);
  EXPECT_FALSE(log.is_hollow(2));
  log.offered_behind = Index{16};
  EXPECT_EQ(log.run(log.node.state.floors(), Index{16}), 0U) << "it was ready";
  EXPECT_TRUE(log.is_hollow(2));
}

TEST(LogRewriting, AnAnswerAboutALogThatWasReplacedIsOfNoUse) {
  Rewriting log;
  for (int i = 1; i <= 16; ++i) {
    log.publish({.events = {{.topic = i == 1 ? "long" : "short"}}});
  }
  log.apply(retain_entry({{"short", 15}}, 1'000));
  log.file_up_to(Index{16});
  log.rewriting.go_on(std::make_shared<const Floors>(log.node.state.floors()), Index{16});
  ASSERT_THAT(log.disk.rewrites, SizeIs(1));
  log.rewriting.begin_anew();
  log.disk.finish_rewrite_step(RewriteAnswer::ready);
  EXPECT_THAT(log.disk.finishes, IsEmpty());
}

// --- nobody decides otherwise

/// Of a node at one entry: what a checkpoint has of it.
struct Saved {
  Index index;
  std::string state;
  std::string digest;
  Floors floors;
};

/// A log with holes, and what its checkpoints hold.
class HoledNode {
 public:
  void apply(const raft::Entry& entry, std::uint64_t step) {
    ASSERT_EQ(texts_of(log_.apply(entry)), expected.back()) << "step " << step;
  }
  void save() {
    const auto& state = log_.node.state;
    deltas_.emplace_back(state.applied_index(), log_.node.state.take_delta());
    saved_.push_back({state.applied_index(), state.save(), log_.node.digest.save(), state.floors()});
  }
  /// By the floors of a checkpoint before the newest: of the one that a snapshot would be made of.
  std::size_t rewrite() {
    if (saved_.size() < 3) {
      return 0;
    }
    sent_ = saved_[saved_.size() - 2];
    log_.file_up_to(sent_->index);
    return log_.run(sent_->floors, sent_->index);
  }
  /// As a member that is sent the snapshot: the checkpoint's state, and a log that has holes. What follows it is
  /// applied again, with the same outcomes.
  void begin_with_the_snapshot(std::uint64_t step) {
    if (!sent_) {
      return;
    }
    Applying again;
    again.log.assign(log_.disk.log.begin(), log_.disk.log.begin() + static_cast<std::ptrdiff_t>(sent_->index.value));
    ASSERT_TRUE(again.state.restore(sent_->state).has_value());
    for (const auto& [index, delta] : deltas_) {
      if (index <= sent_->index) {
        ASSERT_TRUE(again.state.add_delta(delta).has_value());
      }
    }
    ASSERT_TRUE(again.state.finish_restore().has_value());
    ASSERT_TRUE(again.digest.restore(sent_->digest).has_value());
    for (const raft::Entry& entry : again.log) {
      if (entry.command == raft::Command::hollow) {
        ASSERT_FALSE(again.state.retains(entry.index)) << "step " << step << ", entry " << entry.index.value;
        ++hollow_seen;
      }
    }
    for (std::uint64_t at = sent_->index.value; at < log_.disk.log.size(); ++at) {
      ASSERT_EQ(texts_of(again.apply(log_.disk.log[at])), expected[at]) << "step " << step << ", entry " << at + 1;
    }
    ASSERT_EQ(again.digest.value(), log_.node.digest.value()) << "step " << step;
    ++receivers;
  }
  /// What a reader of everything gets from this log.
  [[nodiscard]] std::vector<std::string> read_all() {
    std::vector<std::string> found;
    std::vector<std::string> damages;
    EntryCache cache(1);
    LogReader reader(log_.node.state, cache, log_.disk,
                     [&damages](const storage::Error& error) { damages.push_back(error.text); });
    const Selector all = selector_of({"**"});
    ReadState next = reader.start(all, FromEarliest{}, "e1")->state;
    for (bool more = true; more;) {
      reader.read(all, next, {.events_max = 7}, [&](const std::expected<ReadBatch, ReadError>& batch) {
        more = batch && !batch->up_to_date;
        if (!batch) {
          return;
        }
        for (const auto& event : batch->events) {
          found.push_back(std::to_string(event.position.value) + ":" + std::to_string(event.offset.value) + ":" +
                          std::string(event.view().body));
        }
        next = batch->next;
      });
      log_.disk.finish_all();
    }
    EXPECT_THAT(damages, IsEmpty());
    return found;
  }
  [[nodiscard]] const Applying& node() const { return log_.node; }
  /// Apply looks at the holes too.
  void look_at_the_disk() { log_.node.log = log_.disk.log; }

  std::vector<std::vector<std::string>> expected;  ///< outcomes of each entry
  std::size_t receivers = 0;
  std::size_t hollow_seen = 0;

 private:
  Rewriting log_;
  std::vector<std::pair<Index, std::string>> deltas_;
  std::vector<Saved> saved_;
  std::optional<Saved> sent_;
};

raft::Entry random_entry(std::mt19937_64& random, const Applying& node, std::uint64_t time_ms) {
  const auto topic = [&random] { return "t" + std::to_string(random() % 3); };
  const auto id = [&random] { return "id-" + std::to_string(random() % 300); };
  const std::uint64_t kind = random() % 20;
  if (kind < 3) {
    // t2 lives long.
    std::map<std::string, std::uint64_t> floors;
    for (const char* name : {"t0", "t1", "t2"}) {
      const auto known = node.state.topic_id(name);
      const std::uint64_t end = known ? node.state.events().next_offset(*known).value : 0;
      const std::uint64_t left = name[1] == '2' ? 200 : random() % 40;
      if (end > left) {
        floors[name] = end - left;
      }
    }
    return retain_entry(floors, time_ms, random() % 2 == 0 ? random() % (node.log.size() + 1) : 0);
  }
  if (kind < 5) {
    return claims_entry(1, {{topic(), "", id()}}, time_ms);
  }
  std::vector<Request> requests(1 + random() % 2);
  const bool keyed = kind < 10;
  for (auto& request : requests) {
    for (std::uint64_t left = 1 + random() % 3; left > 0; --left) {
      const std::string event_id = random() % 4 == 0 ? "" : id();
      request.events.push_back(
          {.topic = random() % 12 == 0 ? "t2" : topic(), .id = event_id, .body = "of " + event_id});
    }
    if (keyed) {
      request.key = "key-" + std::to_string(random() % 60);
    }
  }
  if (!keyed && random() % 3 == 0) {
    requests[0].events.resize(1);
    requests.resize(1);
    requests[0].events[0].topic = "t2";
  }
  return publish_entry(1, requests, time_ms);
}

// One whose log has holes, restarted and copied again and again, beside one that keeps everything.
TEST(LogRewriting, OutcomesDigestsAndReadsAreThoseOfALogThatHasItAll) {
  const std::uint64_t seed = seed_or(std::random_device{}());
  std::cout << "WEIR_SEED=" << seed << '\n';
  std::mt19937_64 random(seed);
  Rewriting whole;
  HoledNode holed;
  std::uint64_t time_ms = 1'000;
  std::size_t files = 0;
  std::uint64_t duplicates = 0;
  for (std::uint64_t step = 0; step < 1'500; ++step) {
    time_ms += random() % 50;
    const raft::Entry entry = random_entry(random, whole.node, time_ms);
    const Applied applied = whole.apply(entry);
    duplicates += applied.duplicates;
    holed.expected.push_back(texts_of(applied));
    ASSERT_NO_FATAL_FAILURE(holed.apply(entry, step));
    if (step % 10 == 9) {
      holed.save();
    }
    if (step % 50 == 49) {
      files += holed.rewrite();
      holed.look_at_the_disk();
      ASSERT_NO_FATAL_FAILURE(holed.begin_with_the_snapshot(step));
    }
  }
  ASSERT_EQ(holed.node().digest.value(), whole.node.digest.value());
  std::cout << files << " files rewritten, " << holed.receivers << " receivers, " << holed.hollow_seen
            << " hollow entries, " << duplicates << " duplicates\n";
  EXPECT_GT(files, 20U);
  EXPECT_GT(holed.receivers, 20U);
  EXPECT_GT(duplicates, 100U);
  std::uint64_t kept = 0;
  for (const char* name : {"t0", "t1", "t2"}) {
    const auto info = whole.node.state.topic_info(*whole.node.state.topic_id(name));
    kept += info.next_offset - info.first_offset;
  }
  EXPECT_EQ(holed.read_all().size(), kept);
}

}  // namespace
}  // namespace weir::broker::test
