// Figure 3 of the paper, looked at after every event, from outside: by what Raft gives its disks, what is on them, and
// what the nodes say of themselves. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "broker/core/ports.hpp"
#include "broker/core/status.hpp"
#include "raft/entry.hpp"
#include "raft/output.hpp"
#include "tests/sim/checkers/verdict.hpp"

namespace weir::sim {

class SimDisk;
class SimNode;
struct World;

class RaftChecker {
 public:
  /// `committed`: each committed entry, in order, once.
  RaftChecker(World& world, Verdict& verdict, std::function<void(const raft::Entry&)> committed);

  void started(SimNode& node);
  void given(const SimNode& node, const broker::DiskWrite& write);
  void durable(const SimNode& node);
  void raft_event(const SimNode& node, const raft::Event& event);
  void after(SimNode& node);
  /// The node has done the work of a tick.
  void ticked(SimNode& node);

  /// Its current_term after its latest event.
  [[nodiscard]] raft::Term term_of(const SimNode& node) const;
  [[nodiscard]] std::size_t committed_count() const { return committed_.size(); }
  /// Members whose disk, in the life that CONFIG names, holds the committed entry at `index`, or did until it was lost.
  [[nodiscard]] std::size_t disks_with(raft::Index index) const;

 private:
  /// A node as seen from outside.
  struct View {
    /// What Raft has given the disk, durable or not, from index 1 on: what lies before the disk's first entry, and what
    /// a snapshot brings, is committed and so known.
    std::vector<raft::Entry> log;
    std::optional<raft::Index> installing;  ///< the snapshot of this entry was given to the disk, and is not on it yet
    raft::Index commit_index;
    raft::Index applied_index;
    raft::Term term;
    raft::Role role = raft::Role::follower;
    bool truncated = false;        ///< in this event
    std::uint32_t past_ticks = 0;  ///< for so many ticks it leads while there was a leader of a later term
    raft::Index first_index{1};    ///< of the disk
    raft::HardState durable;
    raft::HardState given;  ///< to the disk
  };
  struct Committed {
    raft::Entry entry;
    raft::Term commit_term;  ///< of the leader that committed it
  };
  struct Seen {
    raft::Term term;
    raft::Term prev_term;
    raft::Command command = raft::Command::noop;
    std::uint64_t checksum = 0;
  };

  void forget_unkept(const SimNode& node);
  [[nodiscard]] std::vector<raft::Entry> whole_log(const SimDisk& image) const;
  void install(const SimNode& node, View& view, const raft::Snapshot& snapshot);
  void check_image(const SimNode& node, View& view);
  void match_log(const SimNode& node, const std::vector<raft::Entry>& log, raft::Index index);
  void became_leader(const SimNode& node, raft::Term term);
  void commit(const SimNode& node, const View& view, raft::Index index, raft::Term commit_term);
  void check_hard_state(const SimNode& node, const raft::HardState& was, const raft::HardState& is);
  void check_leader(const SimNode& node, const View& view, const broker::NodeStatus& status);
  void check_indexes(const SimNode& node, const View& view, const broker::NodeStatus& status);

  World& world_;
  Verdict& verdict_;
  std::function<void(const raft::Entry&)> on_committed_;
  std::map<std::size_t, View> views_;
  std::vector<std::vector<Seen>> seen_;  ///< by index: every entry that was ever given to a disk
  std::vector<Committed> committed_;
  std::set<raft::Term> campaigned_;                                      ///< some member was a candidate in them
  std::map<raft::Term, std::pair<std::size_t, std::uint64_t>> leaders_;  ///< node and its boot
};

}  // namespace weir::sim
