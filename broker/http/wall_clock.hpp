// The time of day, for `from=1h` and bounded replays only: log time, not this clock, rules what is stored (DESIGN §4).
#pragma once

#include <chrono>
#include <cstdint>

namespace weir::broker::http {

[[nodiscard]] inline std::uint64_t wall_clock_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

}  // namespace weir::broker::http
