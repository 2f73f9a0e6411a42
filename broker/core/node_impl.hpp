// The parts of a Node and how they are joined. Internal to broker/core; runs on the core strand.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/core/applier.hpp"
#include "broker/core/bootstrap.hpp"
#include "broker/core/checkpoints.hpp"
#include "broker/core/coalescer.hpp"
#include "broker/core/configuration.hpp"
#include "broker/core/decoded_entry.hpp"
#include "broker/core/digest.hpp"
#include "broker/core/digest_reports.hpp"
#include "broker/core/forwarder.hpp"
#include "broker/core/log_reader.hpp"
#include "broker/core/log_rewriting.hpp"
#include "broker/core/log_time.hpp"
#include "broker/core/membership.hpp"
#include "broker/core/node.hpp"
#include "broker/core/peer_history.hpp"
#include "broker/core/read_barriers.hpp"
#include "broker/core/replica.hpp"
#include "broker/core/state_machine.hpp"
#include "broker/core/waiters.hpp"

namespace weir::broker {

class Node::Impl {
 public:
  Impl(NodeConfig config, storage::Identity identity, raft::Recovered recovered, Disk& disk, PeerNetwork& network,
       Clock& clock, Founding founding, NodeEvents events);

  // --- life (node_life.cpp)
  void start();
  void tick();
  void settle_due();
  void drain(std::uint32_t timeout_ms, std::move_only_function<void()> done);
  void stop_damaged(const std::string& why) { fail({.code = storage::Errc::damaged, .text = why}); }

  // --- peers (node_peers.cpp)
  [[nodiscard]] wire::Hello hello() const;
  [[nodiscard]] std::expected<void, std::string> judge(const wire::Hello& hello);
  void peer_up(const wire::Hello& peer);
  void peer_down(raft::NodeId peer);
  void peer_message(raft::NodeId peer, const PeerLife& life, wire::PeerMessage message);

  // --- writing (node_writes.cpp)
  void publish(raft::Bytes request, std::uint32_t timeout_ms, OutcomeDone done);
  void claim(wire::Claim claim, std::uint32_t timeout_ms, OutcomeDone done);
  void change_topic(wire::TopicChange change, std::uint32_t timeout_ms, OutcomeDone done);

  // --- groups (node_groups.cpp)
  void change_group(wire::GroupChange change, std::uint32_t timeout_ms, OutcomeDone done);
  [[nodiscard]] std::optional<GroupInfo> group(std::string_view name) const;
  [[nodiscard]] std::vector<GroupInfo> groups() const;

  // --- reading (node_reads.cpp)
  [[nodiscard]] std::expected<ReadStart, StartError> start_read(const Selector& selector, const From& from) const;
  void read(const Selector& selector, ReadState from, ReadLimits limits,
            std::move_only_function<void(std::expected<ReadBatch, ReadError>)> done);
  WaiterId wait(Selector selector, raft::Position after, std::move_only_function<void()> wake);
  void cancel(WaiterId waiter) { waiters_.cancel(waiter); }
  void wait_applied(raft::Position position, std::uint32_t timeout_ms, std::move_only_function<void(bool)> done);
  void barrier(std::uint32_t timeout_ms, std::move_only_function<void(bool)> done);
  void find_id(wire::Claim id, LogReader::IdDone done);
  [[nodiscard]] std::vector<TopicInfo> topics() const;
  [[nodiscard]] std::optional<TopicInfo> topic(std::string_view name) const;
  void log_outline(raft::Index from, std::uint32_t limit,
                   std::move_only_function<void(std::expected<LogOutline, ReadError>)> done);

  // --- copying (node_backup.cpp)
  [[nodiscard]] std::expected<wire::BackupHead, std::string> backup_head() const;
  void read_backup_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max, Disk::SnapshotDone done);
  void read_backup_entries(raft::Index first, raft::Index last, std::size_t bytes_max, Disk::ReadDone done);

  // --- members (node_membership.cpp)
  void change_members(const MemberChange& change, std::uint32_t timeout_ms, ChangeDone done);
  [[nodiscard]] std::expected<void, ChangeRefusal> transfer_leadership(const std::string& to);

  [[nodiscard]] std::expected<void, ChangeRefusal> set_service(Service service);

  // --- what replicas hold (node_digest.cpp)
  void verify(std::uint32_t timeout_ms, VerifyDone done);

  // --- watching (node_status.cpp)
  [[nodiscard]] NodeStatus status() const;
  [[nodiscard]] Counters counters() const;

 private:
  struct AppliedWait {
    raft::Position position;
    std::uint64_t deadline_us = 0;
    std::move_only_function<void(bool)> done;
  };
  struct Drain {
    std::uint64_t deadline_us = 0;
    bool handed_over = false;
    std::move_only_function<void()> done;
  };

  struct PendingChange {
    raft::Index index;
    raft::Term term;
    std::uint64_t deadline_us = 0;
    ChangeDone done;
  };

  struct Verification {
    raft::Index target;
    raft::Position position;  ///< as of target, once that is applied here
    std::uint64_t deadline_us = 0;
    VerifyDone done;
  };
  /// Of a peer that came with an older copy of its data folder.
  struct SetBack {
    std::uint64_t incarnation = 0;
    std::string why;
  };

  void backup_cut_off(const storage::Error& error);
  /// Of this life of the log; empty while the node is forming, or has only come to entries of an earlier life, before
  /// it was restored or recovered.
  [[nodiscard]] std::string epoch() const;
  [[nodiscard]] OwnIdentity own_identity() const;
  /// CONFIG names this node in this life.
  [[nodiscard]] bool is_member() const;
  void follow_configuration(raft::Index index);
  void members_changed();
  /// Running, or waiting if CONFIG does not name this node in this life.
  void enter_membership();
  void answer_change();
  void tend_members();
  [[nodiscard]] std::optional<wire::ConfigEntry> with_own_address() const;
  /// The latest hello of a node that is, or would like to be, connected; null if none was heard.
  [[nodiscard]] const wire::Hello* heard(raft::NodeId node) const;
  /// Members that showed up without the data that CONFIG names, or with an older copy of it.
  [[nodiscard]] std::set<raft::NodeId> members_without_data() const;
  /// A drained leader looks for somebody to take over.
  void tend_service();
  void tend_space();
  /// Leader: proposes that what has outlived its retention goes.
  void tend_retention();
  void read_configurations(std::size_t number, std::optional<wire::ConfigEntry> latest);
  void take_configuration(const raft::Entry& entry, std::optional<wire::ConfigEntry>& latest);
  void found(wire::ConfigEntry config, std::string cluster_id);
  void founded(const wire::ConfigEntry& config, const std::string& cluster_id,
               std::expected<void, storage::Error> result);
  void tell_founded();
  void join(wire::ConfigEntry config, raft::Recovered recovered);
  [[nodiscard]] raft::Config raft_config() const;
  [[nodiscard]] Replica::Hooks replica_hooks();
  [[nodiscard]] Applier::Hooks applier_hooks();
  [[nodiscard]] Checkpoints::Hooks checkpoint_hooks();
  [[nodiscard]] std::function<void(const storage::Error&)> reader_failed();
  [[nodiscard]] LogRewriting::Hooks rewriting_hooks();

  // --- checkpoints and snapshots (node_snapshots.cpp)
  void load_checkpoints();
  [[nodiscard]] std::expected<void, std::string> begin_behind(const Checkpoints::Loaded& loaded);
  void restore(Checkpoints::Loaded loaded);
  void on_installing(const raft::Snapshot& snapshot);
  void on_installed();
  void take_over(Checkpoints::Loaded loaded);
  void trim_log();
  void dropped(const std::expected<void, storage::Error>& result);
  /// Entries up to here may have become hollow, or are dropped: Raft offers them no more.
  [[nodiscard]] raft::Index not_offered() const;
  void tend_rewriting();

  // --- what replicas hold (node_digest.cpp)
  void stamp(raft::Message& message) const;
  void hear_report(const raft::Message& message);
  void digest_applied(const DecodedEntry& entry, const Applied& applied);
  void take_verdict(const wire::DigestEntry& reports, const wire::ConfigEntry& config);
  /// Leader: has reports compared, if there are any to compare.
  void tend_digests();
  [[nodiscard]] std::vector<wire::Report> reports_as_of(raft::Index index) const;
  [[nodiscard]] bool is_heard(raft::NodeId node) const;
  /// Why writes are refused; empty while the replicas are not in dispute.
  [[nodiscard]] std::string dispute_text() const;
  [[nodiscard]] std::optional<raft::Index> index_to_compare() const;
  [[nodiscard]] bool has_heard_all(raft::Index index) const;
  void propose_comparison(raft::Index index);
  void answer_verify();
  [[nodiscard]] Verified verified() const;
  void abandon_verify(const std::string& why);

  void enter(Phase phase, std::string why);
  /// It stops. Of `damaged` the shell hears beforehand.
  void fail(const storage::Error& error);
  void fail(const std::string& why);
  void tick_bootstrap();
  void tick_found();
  void ask_barriers();
  void tick_drain();
  /// Does all duties: Raft's outputs, then a new entry if writes wait, until nothing is left to do.
  void settle();
  /// What clients want of the log may wait until those who are ready with them have been heard.
  void settle_soon();

  void on_event(const raft::Event& event);
  void on_role(const raft::RoleChanged& changed);
  void on_applied(const DecodedEntry& entry, Applied& applied);
  void on_settled();

  void on_raft_message(raft::NodeId peer, const PeerLife& life, raft::Message message);
  void on_found(raft::NodeId peer, const wire::Found& found);
  void on_forward(raft::NodeId peer, wire::Forward forward);
  [[nodiscard]] const wire::Member* member(raft::NodeId node) const;
  [[nodiscard]] bool is_current(raft::NodeId peer) const;
  /// The peer that is connected is in this cluster, if perhaps by entries that are not here yet.
  [[nodiscard]] bool shares_cluster(raft::NodeId peer) const;
  /// The peer has shown itself as a member of another cluster.
  [[nodiscard]] bool is_foreign(raft::NodeId peer) const;
  void reach(const std::string& name, const std::string& address);
  void help_found(const wire::Hello& peer);
  void remember_stranger(const wire::Hello& hello);
  [[nodiscard]] std::expected<void, std::string> judge_copy(const wire::Hello& hello);
  /// The data folder of this member is an older copy of the one that it had.
  [[nodiscard]] const SetBack* set_back(const wire::Member& member) const;

  void submit(WriteJob job);
  void give_back(WriteJob job);
  [[nodiscard]] std::optional<wire::Refused> admit(std::size_t bytes) const;
  void accept(WriteRequest request, Origin origin, std::uint32_t timeout_ms, OutcomeDone done);
  [[nodiscard]] std::size_t pending() const;
  /// Leader: topics are not created by publishing, and this is one that would.
  [[nodiscard]] std::optional<wire::Refused> refuse_unknown_topic(const WriteJob& job) const;
  [[nodiscard]] Repeatable repeatable(const WriteRequest& request) const;

  [[nodiscard]] GroupInfo describe(std::string name, const Group& group) const;

  void answer_applied_waits();
  [[nodiscard]] LogOutline outline(const std::vector<raft::Entry>& entries) const;
  [[nodiscard]] EntryOutline outline(const raft::Entry& entry) const;
  void outline_events(const DecodedEntry& entry, EntryOutline& outline) const;
  [[nodiscard]] MemberStatus member_status(const wire::Member& member) const;
  [[nodiscard]] std::string name_of(raft::NodeId node) const;
  [[nodiscard]] std::uint64_t deadline(std::uint32_t timeout_ms) const {
    return clock_.steady_us() + std::uint64_t{timeout_ms} * 1000;
  }

  NodeConfig config_;
  storage::Identity identity_;
  /// What the log held when this life began; said in every Hello.
  raft::Term started_term_;
  raft::Index started_index_;
  raft::Recovered recovered_;
  Disk& disk_;
  PeerNetwork& network_;
  Clock& clock_;
  Founding founding_;
  NodeEvents events_;
  raft::NodeId self_;
  Phase phase_ = Phase::forming;
  std::string why_ = "starting";

  LogTime log_time_;
  EntryCache cache_;
  StateMachine state_;
  Digest digest_;
  Checkpoints checkpoints_;
  LogReader reader_;
  LogRewriting rewriting_;
  Waiters waiters_;
  Forwarder forwarder_;
  ReadBarriers barriers_;
  Bootstrap bootstrap_;
  bool founding_now_ = false;
  bool installing_ = false;  ///< a snapshot: until its state is in force the log on disk may be another
  bool dropping_ = false;    ///< the front of the log is being taken off the disk

  /// From here on: only once this node is a member.
  std::optional<wire::ConfigEntry> cluster_;
  std::optional<wire::ConfigEntry> founding_config_;  ///< of the log's first entry, which may be gone from it
  raft::Bytes founding_data_;                         ///< founding_config_, encoded
  raft::Bytes admission_data_;  ///< the CONFIG by which this node was let in when it was empty; of this life only
  std::optional<Checkpoints::Loaded> loaded_;  ///< until join() puts it into place
  /// By index: the latest in the log, and those before it that may come back.
  std::map<raft::Index, wire::ConfigEntry> configs_;
  std::optional<PendingChange> pending_change_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<Coalescer> coalescer_;

  HeardReports heard_reports_;             ///< on the leader
  raft::Index digest_proposed_;            ///< the latest DIGEST entry of this leader; no new one before it is applied
  std::uint64_t uncompared_since_us_ = 0;  ///< a mark waits for reports since then; 0 = none
  std::map<raft::NodeId, std::string> damaged_;  ///< by the latest comparison, and what it said
  std::optional<Verification> verification_;
  PeerHistory history_;
  std::map<raft::NodeId, SetBack> set_back_;
  std::map<std::string, std::string> addresses_;  ///< by name: what the network was told
  bool drained_ = false;                          ///< by an operator
  storage::DiskSpace seen_space_ = storage::DiskSpace::enough;
  Peers peers_;  ///< the latest hello of each peer that is connected
  /// Nodes of this cluster that are no members, and were sent away for it: they can be added. At most kStrangersMax.
  Peers strangers_;
  std::set<raft::NodeId> to_be_founded_;  ///< empty members that CONFIG names: they get Found until they speak Raft
  std::list<AppliedWait> applied_waits_;
  std::optional<Drain> drain_;
  std::vector<raft::TopicId> advanced_;  ///< topics with new events since readers were last woken
  std::uint64_t leader_heard_us_ = 0;
  std::uint64_t ticks_ = 0;
  raft::Index retain_proposed_;  ///< the latest RETAIN entry of this leader; nothing new before it is applied
  std::size_t pending_bytes_ = 0;
  bool settling_ = false;
  bool unsettled_ = false;      ///< settle() was called from within itself: once more
  bool settle_is_due_ = false;  ///< NodeEvents::unsettled was told
  Counters counters_;
  /// Lives as long as this object; callbacks that may come later hold it weakly.
  std::shared_ptr<Impl*> alive_;
};

}  // namespace weir::broker
