// The clocks of the machine. Thread-safe.
#pragma once

#include "broker/core/ports.hpp"

namespace weir::broker {

class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t wall_ms() const override;
  [[nodiscard]] std::uint64_t steady_us() const override;
};

}  // namespace weir::broker
