#include "broker/core/log_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "raft/random.hpp"
#include "tests/core/fakes.hpp"
#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Reading : public testing::Test {
 protected:
  void publish(const std::vector<Request>& requests, std::uint64_t time_ms = 1'000) {
    log.publish(requests, time_ms);
    disk.log.push_back(log.log.back());
  }
  /// One event for each topic named, in one entry each.
  void publish_each(const std::vector<std::string>& topics) {
    for (const auto& topic : topics) {
      publish({{.events = {{.topic = topic}}}}, next_time_ms++);
    }
  }
  [[nodiscard]] ReadState start(const Selector& selector, const From& from) {
    const auto started = reader.start(selector, from, "e1");
    EXPECT_TRUE(started);
    return started->state;
  }
  ReadBatch read(const Selector& selector, ReadState from, ReadLimits limits = {}) {
    ReadBatch batch;
    bool done = false;
    reader.read(selector, from, limits, [&](std::expected<ReadBatch, ReadError> result) {
      done = true;
      ASSERT_TRUE(result);
      batch = *std::move(result);
    });
    disk.finish_all();
    EXPECT_TRUE(done);
    return batch;
  }
  std::vector<std::uint64_t> positions(const Selector& selector, const From& from, ReadLimits limits = {}) {
    std::vector<std::uint64_t> found;
    for (const auto& event : read(selector, start(selector, from), limits).events) {
      found.push_back(event.position.value);
    }
    return found;
  }

  Applying log;
  FakeDisk disk;
  EntryCache cache{1'000};
  std::vector<std::string> damages;
  LogReader reader{log.state, cache, disk, [this](const storage::Error& error) { damages.push_back(error.text); }};
  std::uint64_t next_time_ms = 1'000;
  const Selector a = selector_of({"a"});
  const Selector all = selector_of({"**"});
};

TEST_F(Reading, CountsWhatLiesBehindACursor) {
  publish_each({"a", "b", "a"});
  publish({{.events = {{.topic = "a"}, {.topic = "a"}}}});
  publish({{.events = {{.topic = "a"}, {.topic = "b"}, {.topic = "a"}, {.topic = "b"}}}});
  const std::vector<std::uint64_t> exact{6, 5, 5, 4, 3, 2, 1, 1, 0, 0};
  for (std::uint64_t position = 0; position < exact.size(); ++position) {
    const bool amid_topics = position == 6 || position == 7;
    EXPECT_EQ(reader.count_after(a, raft::Position{position}), exact[position] + (amid_topics ? 1 : 0)) << position;
  }
  EXPECT_EQ(reader.count_after(all, {}), 9U);
  EXPECT_EQ(reader.count_after(selector_of({"c"}), {}), 0U);
}

TEST_F(Reading, Fault068FromEveryPlaceHasOneAnswer) {
  publish_each({"a", "b", "a", "a", "b"});
  EXPECT_THAT(positions(a, FromEarliest{}), ElementsAre(1, 3, 4));
  EXPECT_THAT(positions(a, FromLatest{}), IsEmpty());
  EXPECT_THAT(positions(a, FromOffset{raft::Offset{0}}), ElementsAre(1, 3, 4));
  EXPECT_THAT(positions(a, FromOffset{raft::Offset{2}}), ElementsAre(4));
  EXPECT_THAT(positions(a, FromOffset{raft::Offset{3}}), IsEmpty()) << "exactly the end: waits";
  EXPECT_THAT(positions(a, FromLast{0}), IsEmpty());
  EXPECT_THAT(positions(a, FromLast{2}), ElementsAre(3, 4));
  EXPECT_THAT(positions(a, FromLast{3}), ElementsAre(1, 3, 4));
  EXPECT_THAT(positions(a, FromLast{std::uint64_t{1} << 52U}), ElementsAre(1, 3, 4));
  EXPECT_THAT(positions(a, FromTime{1'002}), ElementsAre(3, 4));
  EXPECT_THAT(positions(a, FromTime{0}), ElementsAre(1, 3, 4));
  EXPECT_THAT(positions(all, FromCursor{"e1", raft::Position{3}}), ElementsAre(4, 5));
}

TEST_F(Reading, Fault068AFutureOffsetIsWaitedForAndNothingOlderIsGiven) {
  publish_each({"a", "a"});
  auto state = start(a, FromOffset{raft::Offset{4}});
  state = read(a, state).next;
  publish_each({"a", "a"});
  auto batch = read(a, state);
  EXPECT_THAT(batch.events, IsEmpty());
  publish_each({"a", "a"});
  batch = read(a, batch.next);
  ASSERT_EQ(batch.events.size(), 2U);
  EXPECT_EQ(batch.events[0].offset, raft::Offset{4});
  EXPECT_EQ(batch.events[1].offset, raft::Offset{5});
}

TEST_F(Reading, AFutureTimeIsWaitedForAndNothingOlderIsGiven) {
  publish_each({"a"});
  auto state = start(a, FromTime{5'000});
  publish({{.events = {{.topic = "a"}}}}, 4'999);
  publish({{.events = {{.topic = "a"}}}}, 5'000);
  EXPECT_EQ(read(a, state).events.size(), 1U);
}

TEST_F(Reading, OfATopicThatDoesNotExistYetStartsWithItsFirstEvent) {
  publish_each({"b"});
  const auto state = start(a, FromEarliest{});
  EXPECT_FALSE(reader.start(a, FromEarliest{}, "e1")->topic_exists);
  publish_each({"a"});
  EXPECT_EQ(read(a, state).events.size(), 1U);
}

TEST_F(Reading, TellsTheTopicsOffsetsAtTheStart) {
  publish_each({"a", "a", "b"});
  const auto started = reader.start(a, FromLatest{}, "e1");
  ASSERT_TRUE(started);
  EXPECT_TRUE(started->topic_exists);
  EXPECT_EQ(started->first_offset, raft::Offset{0});
  EXPECT_EQ(started->next_offset, raft::Offset{2});
  EXPECT_EQ(started->last_position, raft::Position{3});
}

TEST_F(Reading, ACursorOfAnotherLifeIsRefused) {
  EXPECT_EQ(reader.start(a, FromCursor{"e2", {}}, "e1").error(), StartError::epoch_changed);
}

TEST_F(Reading, Fault068ACursorBeyondWhatIsAppliedIsSaidToBe) {
  publish_each({"a", "a"});
  EXPECT_TRUE(reader.start(a, FromCursor{"e1", raft::Position{2}}, "e1"));
  EXPECT_EQ(reader.start(a, FromCursor{"e1", raft::Position{3}}, "e1").error(), StartError::beyond_log);
}

TEST_F(Reading, TheLastEventsOfAPatternMayBeginInTheMiddleOfAnEntry) {
  publish({{.events = {{.topic = "a/1"}, {.topic = "b"}, {.topic = "a/2"}, {.topic = "a/1"}}}});
  publish({{.events = {{.topic = "a/2"}, {.topic = "b"}}}});
  const auto pattern = selector_of({"a/*"});
  EXPECT_THAT(positions(pattern, FromLast{1}), ElementsAre(5));
  EXPECT_THAT(positions(pattern, FromLast{2}), ElementsAre(4, 5));
  EXPECT_THAT(positions(pattern, FromLast{3}), ElementsAre(3, 4, 5));
  EXPECT_THAT(positions(pattern, FromLast{9}), ElementsAre(1, 3, 4, 5));
}

TEST_F(Reading, GoesOnInTheMiddleOfAnEntryWhereALimitEndedTheLast) {
  publish({{.events = {{.topic = "a"}, {.topic = "b"}, {.topic = "a"}, {.topic = "b"}, {.topic = "a"}}}});
  ReadState state;
  std::vector<std::uint64_t> found;
  for (int i = 0; i < 3; ++i) {
    const auto batch = read(a, state, {.events_max = 1});
    ASSERT_EQ(batch.events.size(), 1U);
    EXPECT_EQ(batch.up_to_date, i == 2);
    found.push_back(batch.events[0].position.value);
    state = batch.next;
  }
  EXPECT_THAT(found, ElementsAre(1, 3, 5));
}

TEST_F(Reading, GivesAtLeastOneEventWhateverTheBytes) {
  publish({{.events = {{.topic = "a", .body = std::string(500, 'x')}, {.topic = "a", .body = "y"}}}});
  for (const std::size_t bytes_max : {0U, 1U, 500U}) {
    EXPECT_EQ(read(a, {}, {.bytes_max = bytes_max}).events.size(), 1U) << bytes_max;
  }
  EXPECT_EQ(read(a, {}, {.bytes_max = 501}).events.size(), 2U);
}

TEST_F(Reading, PassesOverWhatDoesNotMatch) {
  publish_each({"a", "b", "b"});
  const auto batch = read(a, {});
  EXPECT_EQ(batch.next.after, raft::Position{3});
  EXPECT_TRUE(batch.up_to_date);
}

// While an entry is on its way from the disk others are applied, perhaps of a topic that did not exist before.
TEST_F(Reading, Fault069MissesNoTopicThatAppearsWhileItReads) {
  publish_each({"a/1"});
  const auto pattern = selector_of({"a/*"});
  ReadBatch batch;
  reader.read(pattern, {}, {}, [&](std::expected<ReadBatch, ReadError> result) { batch = std::move(result).value(); });
  ASSERT_EQ(disk.reads.size(), 1U);
  publish_each({"a/2"});
  disk.finish_all();
  auto count = batch.events.size();
  count += read(pattern, batch.next).events.size();
  EXPECT_EQ(count, 2U);
}

TEST_F(Reading, SaysDamagedWhenTheDiskGivesNothingOrWrongBytes) {
  publish_each({"a"});
  std::optional<ReadError> error;
  const auto failed = [&](const std::expected<ReadBatch, ReadError>& result) { error = result.error(); };
  reader.read(a, {}, {}, failed);
  disk.fail_read();
  EXPECT_EQ(error, ReadError::damaged);
  disk.log[0].checksum ^= 1U;
  error.reset();
  reader.read(a, {}, {}, failed);
  disk.finish_read();
  EXPECT_EQ(error, ReadError::damaged);
  EXPECT_EQ(damages.size(), 2U);
}

TEST_F(Reading, AnswersStoppingWhenTheReaderIsGone) {
  publish_each({"a"});
  std::optional<ReadError> error;
  {
    LogReader shortlived(log.state, cache, disk, [](const storage::Error&) {});
    shortlived.read(a, {}, {}, [&](const std::expected<ReadBatch, ReadError>& result) { error = result.error(); });
  }
  disk.finish_all();
  EXPECT_EQ(error, ReadError::stopping);
}

// --- against a list

struct Listed {
  std::string topic;
  std::uint64_t offset = 0;
  std::uint64_t time_ms = 0;
  std::string body;
};

class ReadingModel : public Reading {
 protected:
  void publish_random() {
    std::vector<Request> requests(random.between(1, 3));
    for (auto& request : requests) {
      for (std::uint32_t i = random.between(1, 5); i > 0; --i) {
        const std::uint32_t drawn = random.between(0, 60);
        const std::string id = drawn > 40 ? "" : std::to_string(drawn);
        request.events.push_back({.topic = topics[random.between(0, 4)],
                                  .id = id,
                                  .body = id.empty() ? "n" + std::to_string(++last_body) : "b" + id});
      }
    }
    time_ms += random.between(0, 3);
    const auto position = log.state.last_position().value;
    const auto applied = log.publish(requests, time_ms);
    disk.log.push_back(log.log.back());
    list.resize(log.state.last_position().value);
    for (std::size_t r = 0; r < requests.size(); ++r) {
      const auto& published = std::get<wire::Published>(applied.outcomes[r]);
      for (std::size_t e = 0; e < requests[r].events.size(); ++e) {
        const auto& result = published.results[e];
        if (result.position.value > position) {
          list[result.position.value - 1] = {requests[r].events[e].topic, result.offset.value, time_ms,
                                             requests[r].events[e].body};
        }
      }
    }
  }
  /// Positions that `from` means, by looking at every event.
  std::vector<std::uint64_t> expected(const Selector& selector, const From& from) const {
    std::vector<std::uint64_t> found;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto* offset = std::get_if<FromOffset>(&from);
      const auto* time = std::get_if<FromTime>(&from);
      const auto* cursor = std::get_if<FromCursor>(&from);
      const bool in = selector.matches(list[i].topic) &&
                      (offset == nullptr || list[i].offset >= offset->offset.value) &&
                      (time == nullptr || list[i].time_ms >= time->time_ms) &&
                      (cursor == nullptr || i + 1 > cursor->position.value);
      if (in) {
        found.push_back(i + 1);
      }
    }
    if (const auto* last = std::get_if<FromLast>(&from); last != nullptr && found.size() > last->count) {
      found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(last->count));
    }
    return found;
  }
  From random_from(const Selector& selector) {
    switch (random.between(0, 4)) {
      case 0:
        return FromEarliest{};
      case 1:
        return selector.single_topic() ? From{FromOffset{raft::Offset{random.between(0, 120)}}} : From{FromEarliest{}};
      case 2:
        return FromLast{random.between(0, 150)};
      case 3:
        return FromTime{1'000 + random.between(0, 400)};
      default:
        return FromCursor{"e1", raft::Position{random.between(0, static_cast<std::uint32_t>(list.size()))}};
    }
  }

  const std::vector<std::string> topics{"a/1", "a/2", "b", "c/x/y", "c/x/z"};
  raft::Random random{seed_or(11)};
  std::vector<Listed> list;
  std::uint64_t time_ms = 1'000;
  std::uint64_t last_body = 0;
};

TEST_F(ReadingModel, GivesExactlyWhatAListOfAllEventsWould) {
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed_or(11)));
  const std::vector<Selector> selectors{selector_of({"**"}),       selector_of({"a/*"}),  selector_of({"b"}),
                                        selector_of({"a/1", "b"}), selector_of({"c/**"}), selector_of({"none"})};
  for (int round = 0; round < 400; ++round) {
    publish_random();
    const auto& selector = selectors[random.between(0, 5)];
    const From from = random_from(selector);
    const auto want = expected(selector, from);
    ReadState state = start(selector, from);
    std::vector<std::uint64_t> got;
    bool up_to_date = false;
    while (!up_to_date) {
      const auto batch =
          read(selector, state, {.events_max = random.between(1, 40), .bytes_max = random.between(1, 200)});
      for (const auto& event : batch.events) {
        const Listed& listed = list[event.position.value - 1];
        ASSERT_EQ(event.view().body, listed.body);
        ASSERT_EQ(event.offset.value, listed.offset);
        ASSERT_EQ(event.time_ms, listed.time_ms);
        got.push_back(event.position.value);
      }
      ASSERT_GE(batch.next.after, state.after);
      state = batch.next;
      up_to_date = batch.up_to_date;
    }
    ASSERT_EQ(got, want) << "round " << round << ", from of kind " << from.index();
  }
}

}  // namespace
}  // namespace weir::broker::test
