// What goes wrong in the first phase of a run, drawn from the seed: crashes, torn and stalled and failing writes,
// partitions, pauses, clocks that jump, lost disks. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/sim/dice.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

class Faults {
 public:
  Faults(World& world, Dice dice);

  void start() { schedule(); }
  /// What Figure 8 is made of: a leader that is gone before it has brought anything to a majority.
  void elected(SimNode& node);
  /// Ends the first phase: every node runs, every way is open, every flush returns; nothing goes wrong from now on.
  void heal();

 private:
  void schedule();
  void strike();
  void strike_machine(SimNode& node, std::size_t kind);
  void crash(SimNode& node);
  /// Not now, but in the middle of the next write.
  void crash_in_write(SimNode& node);
  /// Nor now, but in the middle of a checkpoint that is saved or a snapshot that is received or installed.
  void crash_in_snapshot(SimNode& node);
  /// SIGTERM: hands leadership over, answers what is pending, ends.
  void drain(SimNode& node);
  void start_again(SimNode& node, std::uint64_t delay_us);
  void crash_all();
  void crash_leader();
  void partition();
  void isolate(std::size_t node);
  /// With what it has appended and could not bring to a majority.
  void isolate_leader();
  void bridge();
  void cut_one_way();
  void jump_clock();
  void wipe();
  [[nodiscard]] bool may_wipe(const SimNode& node) const;
  [[nodiscard]] SimNode* leader() const;
  [[nodiscard]] SimNode& some_node() { return *world_.nodes[dice_.below(world_.nodes.size())]; }
  void cut_both(std::size_t a, std::size_t b);

  World& world_;
  Dice dice_;
  std::uint32_t pause_max_ms_;         ///< between two faults; some runs are all trouble, some have quiet spells
  std::uint32_t short_reigns_of_ten_;  ///< so many of ten leaders do not last
  bool healed_ = false;
};

}  // namespace weir::sim
