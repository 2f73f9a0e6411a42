// One broker of a simulated cluster: the production Node over a simulated disk, network and clock, which can crash,
// start again, be paused and lose its disk. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "broker/core/node.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/sim_clock.hpp"
#include "tests/sim/sim_disk_thread.hpp"
#include "tests/sim/sim_log_store.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

/// Small, so that there is always something to compare.
inline constexpr std::uint64_t kDigestEvery = 16;

class SimNode {
 public:
  /// `peers`: the names it is started with, its own among them.
  SimNode(World& world, std::size_t place, std::string name, std::vector<std::string> peers, Dice dice);

  // --- the process
  void start();
  /// Kill -9 or a power cut: the write under way is torn.
  void crash();
  [[nodiscard]] bool running() const { return node_ != nullptr; }
  /// SIGSTOP, and SIGCONT after `us`: what would happen meanwhile happens then.
  void pause(std::uint64_t us);
  void resume();
  [[nodiscard]] bool paused() const { return paused_; }
  /// Counts starts: a callback of an earlier life is none of this one's.
  [[nodiscard]] std::uint64_t boot() const { return boot_; }

  // --- the machine
  /// Everything on the disk is gone. Requires that the process is not running.
  void wipe();
  /// It has lost its disk, and is no member since.
  [[nodiscard]] bool wiped() const { return !lost_.empty() && is_empty(); }
  [[nodiscard]] bool knows_of_loss() const { return image_->identity().lost_data; }
  [[nodiscard]] bool is_empty() const { return image_->identity().cluster_id.empty(); }
  /// The disk of this incarnation, be it lost: what was durable there was. Null if there was none.
  [[nodiscard]] const SimDisk* disk_of(std::uint64_t incarnation) const;
  [[nodiscard]] std::uint64_t incarnation() const { return image_->identity().incarnation; }
  [[nodiscard]] SimClock& clock() { return clock_; }
  [[nodiscard]] SimDiskThread& disk() { return *disk_; }
  [[nodiscard]] const SimDisk& image() const { return *image_; }
  void set_entries_in_use(std::uint64_t count) { image_->set_entries_in_use(count); }
  /// The disk is that of an earlier day, or another's work. Requires that the process is not running.
  void put_back(const SimDisk& image);

  // --- who it is
  [[nodiscard]] std::size_t place() const { return place_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] raft::NodeId id() const { return id_; }
  [[nodiscard]] const std::vector<std::string>& peers() const { return peers_; }
  /// From its next start on.
  void set_peers(std::vector<std::string> peers);

  /// What /readyz says, as far as clients look at it: a member that has heard of a leader lately.
  [[nodiscard]] bool ready() const;
  /// Requires running(). Calls into it go through later(), so that the checkers look at what they did.
  [[nodiscard]] broker::Node& node() { return *node_; }
  /// Runs on the node's core strand after `delay_us`, unless this life of it is over by then.
  void later(std::uint64_t delay_us, Timeline::Task task);

 private:
  void beware_of(const std::string& text);
  void run(Timeline::Task task);
  void tick();
  [[nodiscard]] broker::NodeConfig config();
  [[nodiscard]] broker::NodeEvents events();
  [[nodiscard]] SimDiskThread::Hooks disk_hooks();

  World& world_;
  std::size_t place_;
  std::string name_;
  raft::NodeId id_;
  std::vector<std::string> peers_;  ///< sorted
  Dice dice_;
  SimClock clock_;
  SimPort port_;
  std::unique_ptr<SimDisk> image_;
  std::unique_ptr<SimLogStore> store_;
  std::unique_ptr<SimDiskThread> disk_;
  std::unique_ptr<broker::Node> node_;
  std::uint64_t boot_ = 0;
  std::vector<std::unique_ptr<SimDisk>> lost_;  ///< what it had on disks that are gone, oldest first
  bool paused_ = false;
  std::uint64_t pause_number_ = 0;
  std::deque<Timeline::Task> backlog_;  ///< what came while it was paused
};

}  // namespace weir::sim
