// Runs a transcript: a text file of comments ("# ..."), commands ("> ...") and what followed from each command (lines
// that begin with two spaces). Time is real time here: a tick is 5 ms, heartbeat and election times are the defaults.
//
//   cluster <n>[/<m>] [short-messages] [timeouts <id>=<ms>,<ms>,...]...
//                                                  n nodes, all down, the first m (or all) members; one entry per
//                                                  message; the first election timeouts that a member draws, * = any
//   log <id> <term>...                             what is on a member's disk before it starts
//   term <id> <term>                               its current_term, if higher than the last entry's
//   start [<id>]                                   boots all, or one
//   tick <ms>                                      time passes for all, messages stay under way
//   wait <ms> | watch <ms>                         time passes for all, messages arrive; watch shows them
//   campaign <id>                                  time passes for one until it starts an election
//   beat <id>                                      time passes for one leader until its next heartbeat
//   propose <id> <data>                            a SET entry
//   deliver [<from> <to> [<count>] | once]         all messages and the answers to them; only those now under way
//   drop <from> <to>                               loses what is under way
//   remember <from> <to> | repeat <from> <to>      keeps a copy of the last that arrived; sends it, or the last, again
//   cut <from> <to> | isolate <id> | split <id>... / <id>... | heal
//   crash <id>                                     power cut: writes under way are lost
//   hold-disk <id> | flush <id> | free-disk <id>   writes stay under way; become durable; are immediate again
//   stall <id> | unstall <id>                      the disk is known to hang, or to have come back
//   read <id> | transfer <id> [<to>]
//   snapshot <id>                                  what it has applied becomes a snapshot, the log up to there goes
//   change <id> <voter>... [/ <learner>...]        a CONFIG entry
//   logs                                           terms of all entries, [committed as far as the member knows]
//   describe <id>
//   quietly <command> | silently <command>         does not show messages; shows nothing
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/raft/checker.hpp"
#include "tests/raft/cluster.hpp"

namespace weir::raft::test {

class Story {
 public:
  /// Executes one command and returns the lines it led to.
  [[nodiscard]] std::vector<std::string> execute(const std::string& command);
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  using Words = std::istringstream;
  using Command = void (Story::*)(Words&);
  static const std::map<std::string, Command>& commands();

  void do_cluster(Words& words);
  void do_log(Words& words);
  void do_term(Words& words);
  void do_start(Words& words);
  void do_tick(Words& words);
  void do_wait(Words& words);
  void do_watch(Words& words);
  void do_campaign(Words& words);
  void do_beat(Words& words);
  void do_propose(Words& words);
  void do_deliver(Words& words);
  void do_drop(Words& words);
  void do_remember(Words& words);
  void do_repeat(Words& words);
  void do_cut(Words& words);
  void do_isolate(Words& words);
  void do_split(Words& words);
  void do_heal(Words& words);
  void do_crash(Words& words);
  void do_hold_disk(Words& words);
  void do_flush(Words& words);
  void do_free_disk(Words& words);
  void do_stall(Words& words);
  void do_unstall(Words& words);
  void do_read(Words& words);
  void do_transfer(Words& words);
  void do_change(Words& words);
  void do_snapshot(Words& words);
  void do_logs(Words& words);
  void do_describe(Words& words);
  void do_quietly(Words& words);
  void do_silently(Words& words);

  void say(const std::string& line) { lines_.push_back(line); }
  void watch();
  void say_applied(NodeId id, const Entry& entry);
  void say_durable(NodeId id, const Turn& turn);
  void pass_time(std::size_t ms, const std::function<void()>& tick);
  void deliver_where(const std::function<bool(const Message&)>& wanted, std::size_t count_max = SIZE_MAX);
  [[nodiscard]] std::string picture_of(const Member& member) const;

  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Checker> checker_;
  std::vector<std::string> violations_;
  std::vector<std::string> lines_;
  std::map<std::pair<NodeId, NodeId>, Message> last_arrived_;
  std::map<std::pair<NodeId, NodeId>, Message> remembered_;
  std::map<NodeId, Index> commit_index_;
  std::uint64_t now_ms_ = 0;
  std::uint64_t reads_ = 0;
  bool messages_shown_ = true;
};

}  // namespace weir::raft::test
