// Numbers that nobody draws twice: of nodes' incarnations, segments, epochs, and what seeds a node. Any thread.
#pragma once

#include <cstdint>

namespace weir::storage {

/// From the system's source of randomness. Never 0.
[[nodiscard]] std::uint64_t random_id();

}  // namespace weir::storage
