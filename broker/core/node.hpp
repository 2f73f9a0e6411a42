// The core of a broker: Raft, the log's meaning, publishing and reading, without sockets, threads or files.
// Runs on the core strand: every method is called there and every callback runs there, later or from inside the call.
// Outlives its callbacks' users: the app stops sessions first, then the node.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/group_info.hpp"
#include "broker/core/membership.hpp"
#include "broker/core/ports.hpp"
#include "broker/core/reading.hpp"
#include "broker/core/retention.hpp"
#include "broker/core/status.hpp"
#include "raft/raft.hpp"
#include "storage/log_store.hpp"
#include "wire/backup_stream.hpp"
#include "wire/outcome.hpp"
#include "wire/peer_message.hpp"

namespace weir::broker {

/// Who brings a member back that lost its disk (docs/decisions/0010).
enum class Readmission : std::uint8_t {
  automatic = 1,  ///< the leader, as soon as it shows up empty
  by_hand = 2,    ///< an operator: removes it, then adds it
};

struct NodeConfig {
  std::string name;
  /// Names of all members this node was started with, its own among them, sorted.
  std::vector<std::string> members;
  std::string raft_address;  ///< as others reach it (advertised)
  std::string http_address;
  std::uint64_t boot_nonce = 0;  ///< random per start
  std::uint64_t seed = 0;        ///< for election timeouts, and for the cluster's id and epoch if this node founds it
  std::uint32_t tick_ms = 10;
  std::uint32_t heartbeat_ms = 50;
  std::uint32_t election_timeout_min_ms = 150;
  std::uint32_t election_timeout_max_ms = 300;
  std::uint32_t disk_stall_timeout_ms = 1000;
  /// Proposals accepted here and not answered yet (FAULTS, default limits); beyond: 503 overloaded.
  std::size_t pending_bytes_max = std::size_t{64} << 20U;
  std::size_t pending_requests_max = 65'536;
  /// Recently used log entries kept decoded for readers.
  std::size_t entry_cache_bytes = std::size_t{32} << 20U;
  /// A checkpoint is taken when so many bytes of entries were applied since the last, or when what is to be added to it
  /// has come to so many: a start applies no more than this again.
  std::size_t checkpoint_bytes = std::size_t{64} << 20U;
  std::size_t checkpoint_delta_bytes = std::size_t{16} << 20U;
  /// Of the table of ids: beyond, all but the newest go to the disk, and 3 bytes for each stay in memory.
  std::size_t dedup_memory_bytes = std::size_t{256} << 20U;
  /// Followers get so many entries behind the newest checkpoint as entries; one further behind gets a snapshot.
  std::uint64_t log_entries_kept = UINT64_MAX;
  /// What one message brings of a snapshot at the most: other messages to that follower wait no longer than it takes.
  std::size_t snapshot_piece_bytes = std::size_t{1} << 20U;
  /// Replicas compare what they hold at every so many entries (DESIGN §9). The same on all members, or they leave
  /// their marks at different places and compare nothing.
  std::uint64_t digest_every_entries = 1'024;
  bool topics_auto_create = true;
  RetentionLimits retention;
  Readmission readmission = Readmission::automatic;
};

/// What the app learns as it happens, for its log. Callbacks are optional and must not call back into the node.
struct NodeEvents {
  std::function<void(const raft::Event&)> raft;
  /// What this node has, on disk or in memory, is not what it should be, and is of no use any more; it stops, and says
  /// so next.
  std::function<void(const std::string&)> damaged = {};
  /// The phase changed; the text says why.
  std::function<void(Phase, const std::string&)> phase;
  /// A line worth logging about a peer (wiped, other members, ...).
  std::function<void(const std::string&)> notice;
  /// A write was taken and waits: call Node::settle() soon, but not from here. Writes that come until then share its
  /// entry, and its flush. Not set: every write is handed over at once.
  std::function<void()> unsettled = {};
};

using WaiterId = std::uint64_t;

class Node {
 public:
  /// `found` is what Disk's store offers for bootstrap: makes the empty store a member's (storage::LogStore::found).
  using Founding = std::function<void(std::string cluster_id, raft::Entry config, Disk::WriteDone done)>;

  Node(NodeConfig config, storage::Identity identity, raft::Recovered recovered, Disk& disk, PeerNetwork& network,
       Clock& clock, Founding founding, NodeEvents events);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Reads what the log held when the store was opened; then the node takes part. Call once, before anything else.
  void start();
  /// Every tick_ms.
  void tick();
  /// After NodeEvents::unsettled; any other time does no harm.
  void settle();
  /// Refuses new writes, hands leadership over, answers what is pending; `done` when nothing is pending, at the latest
  /// after timeout_ms.
  void drain(std::uint32_t timeout_ms, std::move_only_function<void()> done);
  /// What is on this node's disk is not what was written: it stops (NodeEvents::damaged).
  void stop_damaged(const std::string& why);

  // --- peers (broker/peer_links)
  /// What this node says in a handshake.
  [[nodiscard]] wire::Hello hello() const;
  /// Judges a peer's Hello (or Welcome's hello): protocol, cluster id, name, incarnation against CONFIG. The error is
  /// the refusal that is sent and logged. Remembers who came with an older copy of its data than it had shown.
  [[nodiscard]] std::expected<void, std::string> judge(const wire::Hello& hello);
  /// A connection to (dialled by us) or from `peer` is through its handshake / is gone.
  void peer_up(const wire::Hello& peer);
  void peer_down(raft::NodeId peer);
  /// From a connection whose handshake named `peer` in this life.
  void peer_message(raft::NodeId peer, PeerLife life, wire::PeerMessage message);

  // --- writing (on any node; forwarded to the leader if need be)
  using OutcomeDone = std::move_only_function<void(wire::Outcome)>;
  /// `request`: a finished PublishBuilder's bytes with one request. Answered within timeout_ms.
  void publish(raft::Bytes request, std::uint32_t timeout_ms, OutcomeDone done);
  void claim(wire::Claim claim, std::uint32_t timeout_ms, OutcomeDone done);
  /// Creates a topic, changes its settings or removes it (docs/decisions/0016).
  void change_topic(wire::TopicChange change, std::uint32_t timeout_ms, OutcomeDone done);
  /// Makes, sets or removes a group, claims for it or commits (docs/decisions/0019). A claim is of a range that was
  /// read before: refused as moved_on if that is not what group() would name by now.
  void change_group(wire::GroupChange change, std::uint32_t timeout_ms, OutcomeDone done);

  // --- reading (this node's applied prefix)
  [[nodiscard]] std::expected<ReadStart, StartError> start_read(const Selector& selector, const From& from) const;
  void read(const Selector& selector, ReadState from, ReadLimits limits,
            std::move_only_function<void(std::expected<ReadBatch, ReadError>)> done);
  /// Runs `wake` once, when an event that matches is applied at a position > after. If there is one already: at once,
  /// and the id is 0.
  WaiterId wait(Selector selector, raft::Position after, std::move_only_function<void()> wake);
  void cancel(WaiterId waiter);
  /// Runs `done(true)` when applied position >= position, `done(false)` after timeout_ms.
  void wait_applied(raft::Position position, std::uint32_t timeout_ms, std::move_only_function<void(bool)> done);
  /// Linear barrier (ReadIndex): `done(true)` when everything committed before the call is applied here; false: no
  /// leader confirmed it within timeout_ms.
  void barrier(std::uint32_t timeout_ms, std::move_only_function<void(bool)> done);
  /// Where this id was stored, in this node's applied prefix (call after barrier()): result, nullopt if it was not.
  void find_id(wire::Claim id,
               std::move_only_function<void(std::expected<std::optional<wire::Claimed>, ReadError>)> done);

  // --- copying (node_backup.cpp). First the snapshot's first piece, then the head: what it names then has the
  // snapshot.
  /// What was applied here until now. The error says why there is nothing to copy.
  [[nodiscard]] std::expected<wire::BackupHead, std::string> backup_head() const;
  /// As Disk::read_snapshot; `gone` if it is of another snapshot than the one that was begun.
  void read_backup_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max, Disk::SnapshotDone done);
  /// As Disk::read, but at least one entry.
  void read_backup_entries(raft::Index first, raft::Index last, std::size_t bytes_max, Disk::ReadDone done);

  // --- members (on the leader; else refused as not_leader)
  void change_members(const MemberChange& change, std::uint32_t timeout_ms, ChangeDone done);
  /// Asks the leader to hand over to the member of that name; empty: to whoever has most of the log. It happens, or is
  /// given up, within an election timeout.
  [[nodiscard]] std::expected<void, ChangeRefusal> transfer_leadership(const std::string& to);

  /// Asks all members what they hold as of one index, now; at the latest after timeout_ms with those that answered.
  void verify(std::uint32_t timeout_ms, VerifyDone done);
  /// For maintenance, until it is put back into service or starts again: this node takes no writes and leads only while
  /// nobody else can. It votes and serves reads as before.
  [[nodiscard]] std::expected<void, ChangeRefusal> set_service(Service service);

  // --- watching
  [[nodiscard]] NodeStatus status() const;
  [[nodiscard]] Counters counters() const;
  [[nodiscard]] std::vector<TopicInfo> topics() const;
  [[nodiscard]] std::optional<TopicInfo> topic(std::string_view name) const;
  [[nodiscard]] std::optional<GroupInfo> group(std::string_view name) const;
  [[nodiscard]] std::vector<GroupInfo> groups() const;
  /// At most `limit` (<= 1000) entries from `from` on; from 0 = the last `limit`.
  void log_outline(raft::Index from, std::uint32_t limit,
                   std::move_only_function<void(std::expected<LogOutline, ReadError>)> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::broker
