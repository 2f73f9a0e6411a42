// Who runs the cluster: adds, promotes and removes members and moves leadership, by the calls that /v1/cluster makes,
// and tries again as one does. Knows better than to leave more voters without their disks than a quorum can do without.
// One thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/membership.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/workload/call.hpp"
#include "tests/sim/world.hpp"

namespace weir::sim {

class Operator {
 public:
  Operator(World& world, std::size_t founder_count, Dice dice);

  void start() { look_again(); }
  /// Somebody was elected: there are those who do not wait until a leader has settled in.
  void elected(SimNode& node);
  /// From now on changes nothing, but for what must be mended by hand.
  void heal() { healed_ = true; }
  /// Nothing is left to be done by hand.
  [[nodiscard]] bool idle() const { return !wish_ && !next_repair(); }

 private:
  struct Wish {
    broker::MemberChange change;
    bool transfer = false;       ///< leadership, to change.node; empty = to whoever is best
    std::uint32_t attempts = 0;  ///< that were refused
    std::uint32_t unheard = 0;   ///< of those, because the leader had not heard the node
  };
  using Answer = std::expected<raft::Index, broker::ChangeRefusal>;

  void look_again();
  void choose();
  [[nodiscard]] std::optional<Wish> draw(const std::vector<broker::MemberStatus>& members);
  [[nodiscard]] std::optional<Wish> next_repair() const;
  void attempt();
  void submit(SimNode& node);
  void transfer(SimNode& node);
  void answered(SimNode& node, std::uint64_t number, const Answer& answer);
  void check_done(const broker::MemberChange& change, raft::Index index);
  void refused(const broker::ChangeRefusal& refusal);
  /// Stops the node that is to be added, and starts it empty, with the members of today as its peers.
  void start_empty();
  [[nodiscard]] SimNode* leader();
  [[nodiscard]] SimNode* find(const std::string& name) const;
  [[nodiscard]] bool is_safe(const Wish& wish, const std::vector<broker::MemberStatus>& members) const;

  World& world_;
  Dice dice_;
  std::uint32_t pause_max_ms_;  ///< between two wishes; some runs have a quiet operator
  std::size_t voters_min_;
  std::size_t voters_max_;
  bool healed_ = false;
  std::optional<Wish> wish_;
  Call call_;  ///< the attempt
};

}  // namespace weir::sim
