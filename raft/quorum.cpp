#include "raft/quorum.hpp"

#include <algorithm>
#include <functional>

#include "raft/mutant.hpp"

namespace weir::raft {

Tally tally(std::size_t granted, std::size_t refused, std::size_t voters) {
  if (granted >= majority(voters)) {
    return Tally::won;
  }
  return voters - refused < majority(voters) ? Tally::lost : Tally::pending;
}

std::uint64_t reached_by_majority(std::vector<std::uint64_t> reached) {
  if (reached.empty()) {
    return 0;
  }
  // In descending order the k-th number is reached by k voters.
  const std::size_t enough =
      majority(reached.size()) - (is_mutated(Mutant::half_commits) && reached.size() > 1 ? 1 : 0);
  const auto kth = reached.begin() + static_cast<std::ptrdiff_t>(enough - 1);
  std::nth_element(reached.begin(), kth, reached.end(), std::greater<>());
  return *kth;
}

}  // namespace weir::raft
