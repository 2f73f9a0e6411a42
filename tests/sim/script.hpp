// A simulated cluster that a test drives by hand: nothing goes wrong but what the test does. The checkers look on. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/sim_node.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

/// "stored 0", "duplicate 0" (the offset), "unknown", "refused"; empty while there is no answer.
using Answer = std::shared_ptr<std::string>;

class Script {
 public:
  using Adapt = std::function<void(broker::NodeConfig&)>;

  /// `adapt` has the last word on how the nodes are configured. Members that lose their disk are left to the test.
  explicit Script(std::size_t founder_count = 3, Adapt adapt = nullptr, std::size_t spare_count = 0);

  void run_for(std::uint64_t us);
  /// False if it did not come true within `us`.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition, std::uint64_t us = 10 * kSecond);
  [[nodiscard]] SimNode& node(std::size_t place) { return *world.nodes[place]; }
  /// The leader that a majority can reach; waits for one.
  [[nodiscard]] SimNode& leader();
  [[nodiscard]] SimNode& follower();
  [[nodiscard]] SimNode& other_follower();

  Answer publish(SimNode& at, const std::string& id, const std::string& body, std::uint32_t timeout_ms = 1'000);
  /// As publish, and waits for the answer.
  std::string ask(SimNode& at, const std::string& id, const std::string& body, std::uint32_t timeout_ms = 1'000);
  /// Bodies of all events after `cursor`, which goes on behind them; read on this node.
  std::vector<std::string> read(SimNode& at, raft::Position& cursor);
  std::vector<std::string> read(SimNode& at);

  /// "done", or why not.
  std::string change(SimNode& at, broker::MemberAction action, const SimNode& node);
  /// By the configuration in force as far as it is committed; unset for one that is no member.
  [[nodiscard]] std::optional<wire::MemberKind> kind_of(const SimNode& node) const;
  [[nodiscard]] bool becomes(const SimNode& node, std::optional<wire::MemberKind> kind,
                             std::uint64_t us = 10 * kSecond);

  void isolate(const SimNode& node);
  void crash_and_start(SimNode& node);
  /// Everything that runs is even, and no checker objects.
  [[nodiscard]] std::string converge();

  World world;
};

}  // namespace weir::sim
