#include "tests/sim/workload/look_ups.hpp"

#include <utility>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {

void LookUps::start() {
  world_.timeline.after(dice_.between(5, 150) * kMillisecond, [this] {
    SimNode& node = *world_.nodes[dice_.below(world_.nodes.size())];
    if (node.running()) {
      node.later(dice_.between(0, 500), [this, &node] { ask(node); });
    }
    start();
  });
}

void LookUps::ask(SimNode& node) {
  const auto question = world_.checkers->clients.ask(maker_.some_id());
  const std::uint64_t committed_before = world_.checkers->model.events().size();
  node.node().barrier(dice_.between(50, 2'000), [this, &node, question, committed_before](bool confirmed) {
    if (!confirmed) {
      return;
    }
    world_.checkers->clients.linear_read(node, committed_before);
    node.node().find_id(question.id, [this, question](auto found) {
      if (found) {
        world_.history.note("look-up", found->has_value() ? 1 : 0);
        world_.checkers->clients.looked_up(question, *found);
      }
    });
  });
}

}  // namespace weir::sim
