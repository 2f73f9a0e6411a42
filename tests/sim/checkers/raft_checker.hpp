// Figure 3 of the paper, looked at after every event, from outside: by what Raft gives its disks, what is on them, and
// what the nodes say of themselves. Majorities are those of the configuration in force: the latest in the log of the
// one who elects or commits, its voters each in the life of its disk that CONFIG names. One thread.
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
#include "tests/sim/checkers/configs.hpp"
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
  /// The voters that committed an entry, and those of them whose disk holds it, or did until it was lost.
  struct Share {
    std::size_t disks = 0;
    std::size_t voters = 0;
    [[nodiscard]] bool is_majority() const { return disks * 2 > voters; }
  };
  [[nodiscard]] Share share_of(raft::Index index) const;
  /// The configuration in force as far as it is committed; null before there is one.
  [[nodiscard]] ConfigPtr config() const { return config_; }
  [[nodiscard]] const raft::Entry& committed(raft::Index index) const { return committed_[index.value - 1].entry; }
  /// Voters of this configuration whose disk is not the one that it names.
  [[nodiscard]] std::size_t lost_voters(const wire::ConfigEntry& config) const;
  /// Every configuration that is, or may come to be, in force keeps a quorum of disks if this node loses its own.
  [[nodiscard]] bool may_lose(const SimNode& node) const;
  /// Some configuration that is, or may come to be, in force names this node.
  [[nodiscard]] bool is_named(const SimNode& node) const;

 private:
  /// A node as seen from outside.
  struct View {
    /// What Raft has given the disk, durable or not, from index 1 on: what lies before the disk's first entry, and what
    /// a snapshot brings, is committed and so known.
    std::vector<raft::Entry> log;
    Configs configs;                                     ///< of log
    std::vector<raft::Index> new_configs;                ///< given to the disk in this event
    std::optional<raft::ConfigurationAdopted> in_force;  ///< as Raft said last, in this life
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
    ConfigPtr config;        ///< whose majority did
  };
  struct Seen {
    raft::Term term;
    raft::Term prev_term;
    raft::Command command = raft::Command::noop;
    std::uint64_t checksum = 0;
  };

  void forget_unkept(const SimNode& node);
  void reset_log(View& view, std::vector<raft::Entry> log);
  void append(const SimNode& node, View& view, const raft::Entry& entry);
  void truncate(const SimNode& node, View& view, raft::Index from);
  [[nodiscard]] std::vector<raft::Entry> whole_log(const SimDisk& image) const;
  void install(const SimNode& node, View& view, const raft::Snapshot& snapshot);
  void check_image(const SimNode& node, View& view);
  void match_log(const SimNode& node, const std::vector<raft::Entry>& log, raft::Index index);
  void became_leader(const SimNode& node, raft::Term term);
  void commit(const SimNode& node, const View& view, raft::Index index, raft::Term commit_term);
  void check_hard_state(const SimNode& node, const raft::HardState& was, const raft::HardState& is);
  void check_leader(const SimNode& node, const View& view, const broker::NodeStatus& status);
  void check_indexes(const SimNode& node, const View& view, const broker::NodeStatus& status);

  // --- members (raft_checker_members.cpp)
  void check_change(const SimNode& node, const View& view, const broker::NodeStatus& status, raft::Index index);
  void check_standing(const SimNode& node, const View& view, const broker::NodeStatus& status);
  void check_in_force(const SimNode& node, const View& view);
  void check_votes(const SimNode& node, const View& view, raft::Term term);
  void check_majority(const SimNode& node, raft::Index index);
  void count_change(const wire::ConfigEntry& before, const wire::ConfigEntry& after);
  [[nodiscard]] std::vector<ConfigPtr> possible_configs() const;
  [[nodiscard]] const SimNode* node_of(raft::NodeId id) const;

  World& world_;
  Verdict& verdict_;
  std::function<void(const raft::Entry&)> on_committed_;
  std::map<std::size_t, View> views_;
  std::vector<std::vector<Seen>> seen_;  ///< by index: every entry that was ever given to a disk
  std::vector<Committed> committed_;
  ConfigPtr config_;                                                     ///< the latest in committed_
  std::set<raft::Term> campaigned_;                                      ///< some member was a candidate in them
  std::map<raft::Term, std::pair<std::size_t, std::uint64_t>> leaders_;  ///< node and its boot
};

}  // namespace weir::sim
