// A cluster in one process: real Rafts, simulated disks and a simulated network, nothing happening unless it is asked
// for. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/raft.hpp"

namespace weir::raft::test {

/// What survives a power cut: entries by place, log[0] being `first_index`.
struct Disk {
  HardState hard_state;
  std::vector<Entry> log;
  /// In force before the first CONFIG entry.
  Configuration founders = {};

  [[nodiscard]] Recovered recover() const;
  /// snapshot.index 0 = none; else it covers what was applied, `state`, and the log begins right behind it.
  Snapshot snapshot = {};
  std::vector<Entry> state = {};

  [[nodiscard]] Index first_index() const { return snapshot.index.next(); }
  [[nodiscard]] Index last_index() const { return snapshot.index + log.size(); }
  [[nodiscard]] const Entry& at(Index index) const { return log.at(index - first_index()); }
  [[nodiscard]] Term term_at(Index index) const;
};

/// A turn's writes and the messages that wait for them. Turns become durable strictly in order.
struct Turn {
  std::optional<HardState> hard_state;
  std::optional<Snapshot> install;
  std::optional<Index> truncate_from;
  std::vector<Entry> append;
  std::vector<Message> then_send;

  [[nodiscard]] bool writes() const { return hard_state || install || truncate_from || !append.empty(); }
};

struct Member {
  Config config;
  Disk disk;
  std::unique_ptr<Raft> raft;           ///< null while it is down
  std::deque<Turn> turns;               ///< given to the disk, not durable yet
  std::vector<CatchUpRequest> reading;  ///< old entries the leader asked for
  std::vector<SnapshotRequest> reading_snapshot;
  std::string received;        ///< of a snapshot, so far
  std::vector<Entry> applied;  ///< from index 1 on, since the last start or as a snapshot had it
  bool disk_is_held = false;   ///< writes stay under way until flush()
  bool reads_are_held = false;
};

/// Who wants to know: the transcripts write it down, the checker looks at it.
struct Watcher {
  std::function<void(NodeId, const Event&)> on_event = [](NodeId, const Event&) {};
  std::function<void(NodeId, const Output&)> on_output = [](NodeId, const Output&) {};
  std::function<void(NodeId, const Turn&)> on_durable = [](NodeId, const Turn&) {};
  std::function<void(NodeId, const Entry&)> on_apply = [](NodeId, const Entry&) {};
  std::function<void(const Message&)> on_send = [](const Message&) {};
  /// `arrives`: whether there is a way, and somebody at its end.
  std::function<void(const Message&, bool arrives)> on_deliver = [](const Message&, bool) {};
};

class Cluster {
 public:
  /// Nodes 1..size, all down; the first `founders` of them are members. `base` gives their times and bounds.
  explicit Cluster(std::size_t size, Config base = {}, std::size_t founders = SIZE_MAX);

  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] std::vector<NodeId> ids() const;
  [[nodiscard]] Member& member(std::uint64_t id) { return members_.at(id - 1); }
  [[nodiscard]] const Member& member(std::uint64_t id) const { return members_.at(id - 1); }
  [[nodiscard]] Raft& raft(std::uint64_t id) { return *member(id).raft; }
  [[nodiscard]] bool is_up(std::uint64_t id) const { return member(id).raft != nullptr; }
  Watcher watcher;

  // --- life
  void start(std::uint64_t id);
  void start_all();
  /// Power cut. Of the writes under way the first `turns_kept` made it, though nobody was told.
  void crash(std::uint64_t id, std::size_t turns_kept = 0);

  // --- inputs; each is followed by the node's turn
  void tick(std::uint64_t id);
  std::expected<Index, ProposeError> propose(std::uint64_t id, const std::string& data);
  std::expected<Index, ChangeError> change(std::uint64_t id, const Configuration& configuration);
  void step(Message message);
  /// Anything else: call `input` on the node, then do its duties.
  void act(std::uint64_t id, const std::function<void(Raft&)>& input);

  // --- disk
  /// The oldest turns under way become durable, at most `count` of them.
  void flush(std::uint64_t id, std::size_t count = SIZE_MAX);
  void serve_reads(std::uint64_t id);
  /// What was applied becomes a snapshot, and the log up to there goes. Needs something applied since the last one.
  void take_snapshot(std::uint64_t id);

  // --- network: messages in the order in which they were sent
  [[nodiscard]] std::deque<Message>& network() { return network_; }
  void cut(std::uint64_t from, std::uint64_t to) { cut_.insert({from, to}); }
  void isolate(std::uint64_t id);
  void split(const std::vector<std::vector<std::uint64_t>>& sides);
  void heal() { cut_.clear(); }
  /// The message at this place arrives, or is lost on a cut way.
  void deliver(std::size_t place = 0);
  /// Up to `count` messages for this node arrive in one turn.
  void deliver_together(std::uint64_t id, std::size_t count);
  /// Until nothing is on its way.
  void settle();
  /// All members tick together, and all messages arrive within a tick.
  void run(std::size_t ticks);

  // --- questions
  /// The member that leads the highest term; nobody if there is none.
  [[nodiscard]] NodeId leader() const;
  /// Ticks until somebody leads whose NOOP is committed, or `ticks_max` have passed.
  NodeId elect(std::size_t ticks_max = 1000);

 private:
  [[nodiscard]] Message take_message(std::size_t place);
  [[nodiscard]] bool arrives(const Message& message) const;
  void take_turn(std::uint64_t id);
  void make_durable(Member& member, std::uint64_t id);
  void apply(Member& member, NodeId id, Index commit_to);
  void receive_pieces(std::uint64_t id, const std::vector<SnapshotPiece>& pieces);
  void send(std::vector<Message> messages);

  std::vector<Member> members_;
  std::deque<Message> network_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> cut_;
  std::map<std::uint64_t, std::vector<Entry>> snapshots_;  ///< what each snapshot number holds
};

/// Voters 1..size.
[[nodiscard]] Configuration voters_up_to(std::size_t size);
/// A change as a shell would propose it; its data is the configuration in words.
[[nodiscard]] Proposal change_to(const Configuration& configuration);
/// The same as an entry without a place.
[[nodiscard]] Entry change_entry(const Configuration& configuration);
/// An entry as it would be in a log: data "x<index>" unless given.
[[nodiscard]] Entry entry(std::uint64_t index, std::uint64_t term, std::string data = {});
/// Entries from index 1 on with these terms.
[[nodiscard]] std::vector<Entry> log_of(const std::vector<std::uint64_t>& terms);

}  // namespace weir::raft::test
