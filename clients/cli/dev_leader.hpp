#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "clients/cli/discovery.hpp"

namespace weir::cli {

struct Leadership {
  std::string node;  ///< empty: nobody says that it leads
  std::uint64_t term = 0;
  std::size_t answering = 0;  ///< nodes that answered at all
  std::string answers;        ///< what each said, or why it said nothing; for people, one line a node

  [[nodiscard]] bool known() const { return !node.empty(); }
};

/// Asks every node once, a fraction of a second at most each. A leader is who says so of itself; of several, the one
/// with the highest term.
[[nodiscard]] Leadership look_for_leader(const std::vector<DevNode>& nodes);

}  // namespace weir::cli
