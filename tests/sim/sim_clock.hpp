// A node's clocks: a wall clock that drifts and jumps, a steady clock that only runs at its own rate. One thread.
#pragma once

#include <cstdint>

#include "broker/core/ports.hpp"
#include "tests/sim/timeline.hpp"

namespace weir::sim {

/// 2026-01-01 00:00:00 UTC.
inline constexpr std::uint64_t kWallStartMs = 1'767'225'600'000;

class SimClock final : public broker::Clock {
 public:
  explicit SimClock(const Timeline& timeline) : timeline_(timeline) {}

  [[nodiscard]] std::uint64_t wall_ms() const override {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(kWallStartMs + timeline_.now_us() / 1000) +
                                      wall_offset_ms_);
  }
  [[nodiscard]] std::uint64_t steady_us() const override {
    return kSecond + timeline_.now_us() * rate_per_mille_ / 1000;
  }

  void set_wall(std::int64_t offset_ms) { wall_offset_ms_ = offset_ms; }
  /// Only between two lives of a process: within one the steady clock must not step.
  void set_rate(std::uint32_t per_mille) { rate_per_mille_ = per_mille; }
  /// How long `steady_us` of this clock take in virtual time.
  [[nodiscard]] std::uint64_t duration_us(std::uint64_t steady_us) const { return steady_us * 1000 / rate_per_mille_; }

 private:
  const Timeline& timeline_;
  std::int64_t wall_offset_ms_ = 0;
  std::uint32_t rate_per_mille_ = 1000;
};

}  // namespace weir::sim
