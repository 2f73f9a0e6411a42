#include "broker/clock.hpp"

#include <chrono>

namespace weir::broker {

std::uint64_t SystemClock::wall_ms() const {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
  return ms > 0 ? static_cast<std::uint64_t>(ms) : 0;
}

std::uint64_t SystemClock::steady_us() const {
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(since_boot).count());
}

}  // namespace weir::broker
