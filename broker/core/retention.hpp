// How long events are kept, and what has outlived that: the leader's proposal, which every node then applies alike.
// Pure functions: no thread rule.
#pragma once

#include <cstdint>
#include <optional>

#include "broker/core/state_machine.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

/// Of every topic that has no settings of its own; 0 = without bound. The strictest decides. A bound is kept within
/// about a second, and to a whole log entry: what is removed is removed with everything of its topic in the same entry.
struct RetentionLimits {
  std::uint64_t age_ms = 0;  ///< by log time
  std::uint64_t bytes = 0;   ///< of bodies
  std::uint64_t count = 0;   ///< events
  [[nodiscard]] bool none() const { return age_ms == 0 && bytes == 0 && count == 0; }
};

/// What holds for a topic with these settings where `limits` are the broker's.
[[nodiscard]] RetentionLimits limits_of(const RetentionLimits& limits, const wire::TopicSettings& settings);

/// What is to be removed as of log time `now_ms`; nothing if all is within its limits. At most wire::kFloorsMax topics:
/// ask again once the entry is applied. Claims go by the broker's age alone: with no age limit they stay.
[[nodiscard]] std::optional<wire::RetainEntry> retention_due(const RetentionLimits& limits, const StateMachine& state,
                                                             std::uint64_t now_ms);

}  // namespace weir::broker
