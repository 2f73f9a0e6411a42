// XXH3-64 over bytes that do not lie together. A pure function: no thread rule.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace weir::wire {

/// The same value as over the parts laid end to end.
[[nodiscard]] std::uint64_t checksum_of(std::span<const std::string_view> parts);

}  // namespace weir::wire
