// The arithmetic of majorities. Pure functions: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir::raft {

/// The fewest of `voters` of which any two sets share a member.
[[nodiscard]] constexpr std::size_t majority(std::size_t voters) {
  return voters / 2 + 1;
}

enum class Tally : std::uint8_t { pending = 1, won = 2, lost = 3 };

/// Where an election stands. Lost: the voters that have not answered can no longer make a majority.
[[nodiscard]] Tally tally(std::size_t granted, std::size_t refused, std::size_t voters);

/// The greatest number that a majority has reached, given one number per voter: of match indexes, the index stored on
/// a majority; of confirmed read rounds, the round a majority has answered. 0 if there are no voters.
[[nodiscard]] std::uint64_t reached_by_majority(std::vector<std::uint64_t> reached);

}  // namespace weir::raft
