// Which mistake is built into the cluster under test, and how each is told on the command line and in the table.
// Values only, but for the one switch; one thread.
#pragma once

#include <span>
#include <string_view>

#include "raft/mutant.hpp"
#include "tests/sim/settings.hpp"

namespace weir::sim {

/// A row of the table: a mistake of the code (raft/mutant.hpp) or of what is around it (settings.hpp).
struct MutantRow {
  std::string_view name;
  raft::Mutant mutant = raft::Mutant::none;
  Mistake mistake = Mistake::none;
  std::string_view what;
};

[[nodiscard]] std::span<const MutantRow> mutant_rows();
/// From now on the code has this mistake.
void switch_on(raft::Mutant mutant);

}  // namespace weir::sim
