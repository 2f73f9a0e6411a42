// The leader's side of writing: gathers what arrives while one append is on its way to disk, proposes it as one entry,
// and answers when that entry is applied (DESIGN §4). Runs on the core strand.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "broker/core/decoded_entry.hpp"
#include "broker/core/log_time.hpp"
#include "broker/core/ports.hpp"
#include "broker/core/replica.hpp"
#include "broker/core/state_machine.hpp"
#include "broker/core/write_job.hpp"

namespace weir::broker {

class Coalescer {
 public:
  /// `give_back`: writes that this node certainly did not append and that another leader may take.
  Coalescer(Replica& replica, LogTime& log_time, Clock& clock, std::function<void(WriteJob)> give_back);

  /// Takes a write; the caller has seen to the bounds.
  void submit(WriteJob job);
  /// Proposes what waits, if this node leads and its disk is idle. True: something was proposed.
  bool flush();
  /// An entry was applied: answers whoever waits for it.
  void applied(const DecodedEntry& entry, std::vector<wire::Outcome>& outcomes);
  /// A snapshot took the place of the entries up to `index`: what became of those proposed here is not known.
  void skipped(raft::Index index);
  /// This node does not lead any more: what was not proposed is given back; what was waits for its fate.
  void leadership_lost();
  /// Answers what is past its deadline: what was proposed is unknown then, the rest is refused.
  void expire(std::uint64_t now_us);
  /// The node stops: proposed writes are unknown, waiting ones refused.
  void abandon(const std::string& why);

  [[nodiscard]] std::size_t pending() const { return waiting_.size() + proposed_count_; }

 private:
  /// Two leaderships of this node may each have proposed at the same index, and either entry may be committed.
  using Place = std::pair<raft::Index, raft::Term>;

  /// The longest run of waiting writes of one kind that fits into one entry.
  std::vector<WriteJob> gather();
  raft::Proposal encode(const std::vector<WriteJob>& jobs);
  void end(std::vector<WriteJob> jobs, std::vector<wire::Outcome>* outcomes);
  /// Takes out proposed writes past their deadline, and with them entries that nobody waits for any more.
  std::vector<WriteJob> take_late(std::uint64_t now_us);

  Replica& replica_;
  LogTime& log_time_;
  Clock& clock_;
  std::function<void(WriteJob)> give_back_;
  std::deque<WriteJob> waiting_;
  /// In the order of the entry's requests; answered ones have no `done`, and not all of them are answered.
  std::map<Place, std::vector<WriteJob>> proposed_;
  std::size_t proposed_count_ = 0;  ///< of those without an answer
};

}  // namespace weir::broker
