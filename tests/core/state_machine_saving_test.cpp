// The state machine as bytes: what was put back decides like what was saved, and bytes that are not whole are refused.
#include <gtest/gtest.h>

#include "tests/core/samples.hpp"

namespace weir::broker::test {
namespace {

/// Applies so many entries to `machine`: topics, repeats, batches with duplicates in them, claims.
void apply_some(Applying& machine, std::uint64_t from, std::uint64_t count) {
  for (std::uint64_t i = from; i < from + count; ++i) {
    const std::string id = "id" + std::to_string(i);
    const std::string earlier = "id" + std::to_string(i / 2);
    machine.publish({{.events = {{.topic = "a", .id = id}, {.topic = "b" + std::to_string(i % 3), .body = id}}},
                     {.events = {{.topic = "a", .id = earlier}, {.topic = "a", .id = id + "x"}}}},
                    1'000 + i);
    machine.claim({{.topic = "c", .source = {}, .id = id}}, 1'000 + i);
  }
}

TEST(StateMachineSaving, WhatWasPutBackDecidesAsIfItHadAppliedEverything) {
  Applying whole;
  std::vector<std::string> deltas;
  for (std::uint64_t round = 0; round < 4; ++round) {
    apply_some(whole, round * 5, 5);
    deltas.push_back(whole.state.take_delta());
    EXPECT_EQ(whole.state.delta_bytes(), 0U);
  }
  Applying back;
  back.log = whole.log;
  ASSERT_TRUE(back.state.restore(whole.state.save()).has_value());
  for (const auto& delta : deltas) {
    ASSERT_TRUE(back.state.add_delta(delta).has_value());
  }
  EXPECT_EQ(back.state.delta_bytes(), 0U) << "what came from a delta is in one";
  EXPECT_EQ(back.state.applied_index(), whole.state.applied_index());
  EXPECT_EQ(back.state.time_ms(), whole.state.time_ms());
  apply_some(whole, 15, 20);
  apply_some(back, 15, 20);
  EXPECT_EQ(back.state.save(), whole.state.save());
  EXPECT_EQ(back.state.take_delta(), whole.state.take_delta());
}

TEST(StateMachineSaving, BytesThatAreCutAnywhereAreRefused) {
  Applying machine;
  apply_some(machine, 0, 3);
  const std::string state = machine.state.save();
  const std::string delta = machine.state.take_delta();
  for (std::size_t size = 0; size < state.size(); ++size) {
    StateMachine fresh;
    EXPECT_FALSE(fresh.restore(state.substr(0, size)).has_value()) << size;
  }
  for (std::size_t size = 0; size < delta.size(); ++size) {
    StateMachine fresh;
    ASSERT_TRUE(fresh.restore(state).has_value());
    EXPECT_FALSE(fresh.add_delta(delta.substr(0, size)).has_value()) << size;
  }
}

TEST(StateMachineSaving, ADeltaThatDoesNotFollowIsRefused) {
  Applying machine;
  apply_some(machine, 0, 2);
  const std::string first = machine.state.take_delta();
  apply_some(machine, 2, 2);
  const std::string second = machine.state.take_delta();
  StateMachine fresh;
  ASSERT_TRUE(fresh.restore(machine.state.save()).has_value());
  EXPECT_FALSE(fresh.add_delta(second).has_value()) << "one is missing before it";
  ASSERT_TRUE(fresh.add_delta(first).has_value());
  EXPECT_FALSE(fresh.add_delta(first).has_value()) << "twice";
  EXPECT_FALSE(fresh.check_restored().has_value()) << "one is missing behind it";
  ASSERT_TRUE(fresh.add_delta(second).has_value());
  EXPECT_TRUE(fresh.check_restored().has_value());
}

}  // namespace
}  // namespace weir::broker::test
