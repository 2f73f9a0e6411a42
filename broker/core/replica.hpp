// Raft with its disk and its peers: carries out what raft::Output asks for, in the order it asks for it (DESIGN §3).
// Runs on the core strand. The disk and the network outlive it; callbacks of a destroyed replica do nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/log_time.hpp"
#include "broker/core/ports.hpp"
#include "raft/raft.hpp"

namespace weir::broker {

class Replica {
 public:
  struct Hooks {
    /// Entries up to this index may be applied.
    std::function<void(raft::Index)> committed;
    std::function<void(const raft::ReadState&)> read_confirmed;
    std::function<void(const raft::Event&)> event;
    /// Work of the disk came back: the node may have something new to do.
    std::function<void()> woken;
    /// A write or flush failed. The replica has stopped: no input has an effect any more.
    std::function<void(const storage::Error&)> failed;
    /// May this message leave (a request: to the incarnation that CONFIG names)?
    std::function<bool(const raft::Message&)> may_send;
    /// What the node itself has to say in it, just before it leaves.
    std::function<void(raft::Message&)> stamp;
    /// Runs it as soon as no checkpoint is being saved or read: an install must not meet one.
    std::function<void(std::move_only_function<void()>)> before_install;
    /// The snapshot is taking the place of the log: nothing is applied until the state is that of the snapshot.
    std::function<void(const raft::Snapshot&)> installing;
    /// It is durable: the store's checkpoints are those of the snapshot.
    std::function<void()> installed;
    std::function<void(const std::string&)> notice;
  };

  struct Limits {
    std::uint32_t disk_stall_timeout_ms = 0;
    std::size_t snapshot_piece_bytes = 0;
  };

  Replica(raft::Config config, raft::Recovered recovered, Limits limits, Disk& disk, PeerNetwork& network, Clock& clock,
          LogTime& log_time, Hooks hooks);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Inputs; call settle() after one or several.
  /// Requires that its CONFIG entries are decoded (decode_configurations).
  void step(raft::Message message);
  void tick();
  [[nodiscard]] std::expected<raft::Index, raft::ProposeError> propose(std::vector<raft::Proposal> proposals);
  void read_index(raft::ReadContext context) { raft_.read_index(context); }
  void applied(raft::Index index) { raft_.applied(index); }
  /// The store holds a checkpoint of `index` or later: followers that need entries up to there get a snapshot. Put off
  /// while one is installed here, or on its way to a follower that would have to begin anew.
  void compact(raft::Index index);
  void transfer_leadership(raft::NodeId to = raft::kNobody) { raft_.transfer_leadership(to); }
  [[nodiscard]] std::expected<raft::Index, raft::ChangeError> change_membership(raft::Proposal proposal);

  /// Does the duties of all pending outputs.
  void settle();
  /// No input has an effect any more and nothing is sent: the node is unfit.
  void halt();

  [[nodiscard]] const raft::Raft& raft() const { return raft_; }
  [[nodiscard]] bool leads() const { return !stopped_ && raft_.role() == raft::Role::leader; }
  /// No entry of this node is on its way to its disk.
  [[nodiscard]] bool disk_idle() const { return raft_.durable_index() == raft_.last_index(); }
  [[nodiscard]] std::uint64_t disk_writes() const { return disk_writes_; }
  [[nodiscard]] std::uint64_t disk_write_us() const { return disk_write_us_; }
  [[nodiscard]] std::uint64_t disk_write_us_p99() const;

 private:
  /// Messages that wait until the writes of turns up to `turn` are durable.
  struct Held {
    std::uint64_t turn = 0;
    std::vector<raft::Message> messages;
  };
  struct Writing {
    std::uint64_t turn = 0;
    std::uint64_t since_us = 0;
    raft::Term term;    ///< of the last entry written
    raft::Index index;  ///< 0 if no entry was written
    bool installs = false;
  };

  void do_duties(raft::Output output);
  void write(raft::Output& output);
  void written(const std::expected<void, storage::Error>& result);
  void hold_or_send(std::vector<raft::Message> messages);
  void release_held();
  void send(std::vector<raft::Message> messages);
  void catch_up(const raft::CatchUpRequest& request);
  void read_snapshot(const raft::SnapshotRequest& request);
  void receive(raft::SnapshotPiece piece);
  void received(const raft::Snapshot& snapshot, const std::expected<storage::PieceAnswer, storage::Error>& answer);
  void watch_disk();
  void stop(const storage::Error& error);

  raft::Raft raft_;
  Disk& disk_;
  PeerNetwork& network_;
  Clock& clock_;
  LogTime& log_time_;
  Hooks hooks_;
  std::uint64_t disk_stall_timeout_us_;
  std::size_t snapshot_piece_bytes_;
  /// Turns that wrote, oldest first; the disk finishes them in this order.
  std::deque<Writing> writing_;
  std::deque<Held> held_;   ///< ascending turns; empty whenever writing_ is
  std::uint64_t turn_ = 0;  ///< of the latest write
  bool stalled_ = false;
  bool stopped_ = false;
  std::uint64_t disk_writes_ = 0;
  std::uint64_t disk_write_us_ = 0;
  std::deque<std::uint64_t> recent_write_us_;  ///< the last kRecentWrites
  /// Lives as long as this object; disk callbacks hold it weakly.
  std::shared_ptr<Replica*> self_;
};

}  // namespace weir::broker
