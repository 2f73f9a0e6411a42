// What the core of a broker (Node and what it owns) needs from the world: a disk, a network, clocks. No Asio here: the
// real ones are in broker/disk_thread and broker/peer_links, the simulator's in tests/sim.
//
// Thread rule: called from the core strand only; every callback is run on the core strand, never from inside the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "raft/entry.hpp"
#include "raft/output.hpp"
#include "raft/types.hpp"
#include "storage/error.hpp"
#include "storage/log_store.hpp"
#include "wire/peer_message.hpp"

namespace weir::broker {

/// One turn's writes, owned.
struct DiskWrite {
  std::optional<raft::HardState> hard_state;
  std::optional<raft::Snapshot> install;
  std::optional<raft::Index> truncate_from;
  std::vector<raft::Entry> entries;
};

/// What was read again in the background, to find damage.
struct Scrubbed {
  std::uint64_t bytes = 0;
  std::uint64_t passes = 0;  ///< over everything
};

/// The storage threads. Writes are carried out in the order given and may share one commit; the queue needs no bound of
/// its own because Raft bounds what is uncommitted and peers bound what arrives.
class Disk {
 public:
  template <class Value>
  using Done = std::move_only_function<void(std::expected<Value, storage::Error>)>;
  using WriteDone = Done<void>;
  using ReadDone = Done<std::vector<raft::Entry>>;
  using CheckpointDone = Done<storage::Checkpoint>;
  using SnapshotDone = Done<storage::SnapshotData>;
  using PieceDone = Done<storage::PieceAnswer>;
  using IdRunsDone = Done<storage::IdRuns>;
  using PlacesDone = Done<std::vector<storage::KeyedPlace>>;
  using RewriteDone = Done<storage::RewriteAnswer>;
  using RewrittenDone = Done<std::uint64_t>;

  virtual ~Disk() = default;
  /// `done` runs when this write and all before it are durable, or have failed.
  virtual void write(DiskWrite write, WriteDone done) = 0;
  /// As storage::LogStore::read, on the reader thread, beside writes.
  virtual void read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) = 0;

  // --- checkpoints and snapshots, each as in storage::LogStore
  /// Beside writes and reads, on a thread of its own. At most one is under way, and none while a snapshot is installed.
  virtual void save(storage::Checkpoint checkpoint, WriteDone done) = 0;
  [[nodiscard]] virtual std::vector<raft::Index> checkpoints() const = 0;
  virtual void checkpoint(raft::Index index, CheckpointDone done) = 0;
  [[nodiscard]] virtual storage::IdRuns id_runs() const = 0;
  /// Beside writes and reads. At most one is under way, and none while a snapshot is installed.
  virtual void move_ids(raft::Index up_to, storage::IdsOf ids_of, IdRunsDone done) = 0;
  /// What these runs hold of these keys, on the reader thread.
  virtual void find_ids(storage::IdRuns runs, std::vector<storage::IdKey> keys, PlacesDone done) = 0;
  [[nodiscard]] virtual raft::Index snapshot_index() const = 0;
  /// Beside writes and reads.
  virtual void read_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max, SnapshotDone done) = 0;
  /// In line with the writes: the store forbids it beside them, and `install` of what came must follow it.
  virtual void receive(raft::SnapshotPiece piece, PieceDone done) = 0;
  /// In line with the writes. An error is one of a write.
  virtual void drop_before(raft::Index index, WriteDone done) = 0;
  [[nodiscard]] virtual raft::Index first_index() const = 0;

  // --- files that are written anew, each as in storage::LogStore. A disk that has no files has nothing to do here.
  [[nodiscard]] virtual std::vector<storage::LogFile> log_files() const { return {}; }
  [[nodiscard]] virtual raft::Index hollow_to() const { return {}; }
  /// Beside writes and reads, where checkpoints are saved too: one of these waits for as long as a call reads. One at a
  /// time, or one finish_rewrite().
  virtual void rewrite(raft::Index first, storage::KeepEntry keep, std::size_t bytes_max, RewriteDone done);
  /// In line with the writes. An error is one of a write.
  virtual void finish_rewrite(RewrittenDone done);

  /// nearly_full: new work is refused before a write fails (507).
  [[nodiscard]] virtual storage::DiskSpace space() const { return storage::DiskSpace::enough; }
  [[nodiscard]] virtual Scrubbed scrubbed() const { return {}; }
};

/// What became of a message given to the network.
enum class Sent : std::uint8_t {
  queued = 1,   ///< on its way; it may still be lost
  dropped = 2,  ///< no connection, or the queue is full: it will not arrive
};

/// Whose word a message is: which data folder, and which start of the process.
struct PeerLife {
  std::uint64_t incarnation = 0;
  std::uint64_t boot_nonce = 0;
};

class PeerNetwork {
 public:
  virtual ~PeerNetwork() = default;
  /// To the member `to`, over the connection this node dialled. Bounded: beyond kPeerQueueBytesMax it drops.
  virtual Sent send(raft::NodeId to, wire::PeerMessage message) = 0;
  /// `node` (a name) is a member: it is dialled at this host:port from now on, unless it is already. Nothing to do for
  /// a network that reaches everybody anyway.
  virtual void connect(const std::string& /*node*/, const std::string& /*address*/) {}
  /// The member has moved: it is dialled at this host:port from now on, and where it was no more.
  virtual void moved(const std::string& /*node*/, const std::string& /*address*/) {}
};

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual std::uint64_t wall_ms() const = 0;    ///< ms since 1970; may jump
  [[nodiscard]] virtual std::uint64_t steady_us() const = 0;  ///< microseconds; never falls
};

/// 64 MiB: what a leader may have in flight to one follower (16 MiB) and forwarded requests fit several times.
inline constexpr std::size_t kPeerQueueBytesMax = std::size_t{64} << 20U;

}  // namespace weir::broker
