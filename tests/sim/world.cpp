#include "tests/sim/world.hpp"

#include <string>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {

World::World(const Settings& run_settings, std::size_t founder_count, Dice dice, std::size_t spare_count)
    : settings(run_settings), history(timeline, settings.verbosity) {
  checkers = std::make_unique<Checkers>(*this);
  network = std::make_unique<SimNetwork>(*this, dice.split());
  const auto name_of = [](std::size_t place) { return "n" + std::to_string(place + 1); };
  std::vector<std::string> founders;
  for (std::size_t i = 0; i < founder_count; ++i) {
    founders.push_back(name_of(i));
  }
  for (std::size_t i = 0; i < founder_count + spare_count; ++i) {
    auto peers = founders;
    if (i >= founder_count) {
      // Who starts a node names as many of the others as he likes.
      peers.resize(1 + dice.below(founder_count));
      peers.push_back(name_of(i));
    }
    nodes.push_back(std::make_unique<SimNode>(*this, i, name_of(i), std::move(peers), dice.split()));
  }
}

World::~World() = default;

}  // namespace weir::sim
