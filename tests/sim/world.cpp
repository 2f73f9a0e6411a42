#include "tests/sim/world.hpp"

#include <string>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {

World::World(const Settings& run_settings, std::size_t node_count, Dice dice)
    : settings(run_settings), history(timeline, settings.verbosity) {
  checkers = std::make_unique<Checkers>(*this);
  network = std::make_unique<SimNetwork>(*this, dice.split());
  std::vector<std::string> members;
  for (std::size_t i = 0; i < node_count; ++i) {
    members.push_back("n" + std::to_string(i + 1));
  }
  for (std::size_t i = 0; i < node_count; ++i) {
    nodes.push_back(std::make_unique<SimNode>(*this, i, members, dice.split()));
  }
}

World::~World() = default;

}  // namespace weir::sim
