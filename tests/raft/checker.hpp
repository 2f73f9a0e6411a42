// The five promises of the paper's Figure 3, and those about the disk, looked at after each event of a cluster.
// One thread; outlived by the cluster it watches.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/raft/cluster.hpp"

namespace weir::raft::test {

class Checker {
 public:
  /// Takes over the cluster's watcher.
  explicit Checker(Cluster& cluster);

  /// A linear read is asked for now: its answer may not be older than what is committed now (FAULTS 16).
  void read_asked(const ReadContext& context) { reads_.emplace(context, highest_commit()); }

  /// What was broken; empty if nothing was.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] Index highest_commit() const { return Index{committed_.size()}; }
  [[nodiscard]] std::size_t elections_won() const { return leaders_.size(); }
  [[nodiscard]] std::size_t truncations() const { return truncations_; }
  [[nodiscard]] std::size_t installs() const { return installs_; }
  [[nodiscard]] std::size_t reads_answered() const { return reads_answered_; }

 private:
  struct Content {
    Term prev_term;
    Command command;
    std::string data;
    bool operator==(const Content&) const = default;
  };

  void on_event(NodeId id, const Event& event);
  void on_output(NodeId id, const Output& output);
  void on_send(const Message& message);
  void on_apply(NodeId id, const Entry& entry);
  void election_safety(NodeId id, Term term);
  void leader_completeness(NodeId id);
  void log_matching(Term prev_term, const std::vector<Entry>& entries);
  void committed(NodeId id);
  void expect(bool holds, const std::string& what);

  Cluster& cluster_;
  std::map<Term, NodeId> leaders_;
  std::map<std::pair<NodeId, Term>, NodeId> votes_;
  std::map<std::pair<Index, Term>, Content> entries_;  ///< every entry that was ever sent or on a disk
  std::vector<Term> committed_;                        ///< of index i + 1
  std::vector<Entry> applied_;                         ///< at index i + 1, by whoever was first
  std::map<NodeId, Index> commit_index_;               ///< of each member since its last start
  std::map<ReadContext, Index> reads_;                 ///< asked, not answered: what was committed then
  std::size_t truncations_ = 0;
  std::size_t installs_ = 0;
  std::size_t reads_answered_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace weir::raft::test
