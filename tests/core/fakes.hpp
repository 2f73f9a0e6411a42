// A disk, a network and a clock in the test's hands: nothing happens until the test says so. One thread.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/ports.hpp"
#include "tests/sim/memory_id_run.hpp"

namespace weir::broker::test {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t wall_ms() const override { return wall; }
  [[nodiscard]] std::uint64_t steady_us() const override { return steady; }
  void pass_ms(std::uint64_t ms) {
    wall += ms;
    steady += ms * 1'000;
  }
  std::uint64_t wall = 1'000'000;
  std::uint64_t steady = 5'000'000;
};

class FakeNetwork final : public PeerNetwork {
 public:
  Sent send(raft::NodeId to, wire::PeerMessage message) override {
    if (unreachable.contains(to)) {
      return Sent::dropped;
    }
    sent.emplace_back(to, std::move(message));
    return Sent::queued;
  }
  void connect(const std::string& node, const std::string& address) override { dialled[node] = address; }
  void moved(const std::string& node, const std::string& address) override { moves[node] = address; }
  /// What was sent of one kind, oldest first, forgotten with all else.
  template <class Message>
  std::vector<std::pair<raft::NodeId, Message>> take() {
    std::vector<std::pair<raft::NodeId, Message>> taken;
    for (auto& [to, message] : std::exchange(sent, {})) {
      if (auto* one = std::get_if<Message>(&message)) {
        taken.emplace_back(to, std::move(*one));
      }
    }
    return taken;
  }
  std::vector<std::pair<raft::NodeId, wire::PeerMessage>> sent;
  std::set<raft::NodeId> unreachable;
  std::map<std::string, std::string> dialled;
  std::map<std::string, std::string> moves;
};

/// Everything waits in a queue of its own until the test finishes it.
class FakeDisk final : public Disk {
 public:
  void save(storage::Checkpoint checkpoint, WriteDone done) override {
    saves.push_back({std::move(checkpoint), std::move(done)});
  }
  [[nodiscard]] std::vector<raft::Index> checkpoints() const override {
    std::vector<raft::Index> indexes;
    for (const auto& checkpoint : kept) {
      indexes.push_back(checkpoint.index);
    }
    return indexes;
  }
  void checkpoint(raft::Index index, CheckpointDone done) override { loads.emplace_back(index, std::move(done)); }
  [[nodiscard]] storage::IdRuns id_runs() const override { return runs; }
  void move_ids(raft::Index up_to, storage::IdsOf ids_of, IdRunsDone done) override {
    moves.push_back({up_to, std::move(ids_of), std::move(done)});
  }
  void find_ids(storage::IdRuns asked, std::vector<storage::IdKey> keys, PlacesDone done) override {
    id_reads.push_back({std::move(asked), std::move(keys), std::move(done)});
  }
  void read_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max, SnapshotDone done) override {
    snapshot_reads.push_back({number, offset, bytes_max, std::move(done)});
  }
  void receive(raft::SnapshotPiece piece, PieceDone done) override {
    pieces.emplace_back(std::move(piece), std::move(done));
  }
  void drop_before(raft::Index index, WriteDone done) override { drops.emplace_back(index, std::move(done)); }
  [[nodiscard]] raft::Index snapshot_index() const override {
    return sendable.value_or(kept.empty() ? raft::Index{} : kept.back().index);
  }
  [[nodiscard]] std::vector<storage::LogFile> log_files() const override { return files; }
  [[nodiscard]] raft::Index hollow_to() const override { return hollow; }
  void rewrite(raft::Index asked, storage::KeepEntry keep, std::size_t /*bytes_max*/, RewriteDone done) override {
    rewrites.push_back({asked, std::move(keep), std::move(done)});
  }
  void finish_rewrite(RewrittenDone done) override { finishes.push_back(std::move(done)); }
  [[nodiscard]] raft::Index first_index() const override { return first; }
  [[nodiscard]] storage::DiskSpace space() const override { return room; }

  void finish_rewrite_step(std::expected<storage::RewriteAnswer, storage::Error> answer) {
    auto pending = std::move(rewrites.front());
    rewrites.pop_front();
    if (answer == storage::RewriteAnswer::ready) {
      ready = {pending.first, std::move(pending.keep)};
    }
    pending.done(std::move(answer));
  }
  /// What does not stay of the file that is ready becomes hollow.
  void put_in_place() {
    const auto file = std::ranges::find(files, ready.first, &storage::LogFile::first);
    for (raft::Index index = file->first; index < file->end; index = index.next()) {
      raft::Entry& entry = log[index.value - 1];
      if (entry.command != raft::Command::hollow && !ready.second(index, entry.command)) {
        entry = {.index = index, .term = entry.term, .command = raft::Command::hollow, .checksum = 0, .data = {}};
      }
    }
    hollow = std::max(hollow, file->end.prev());
    auto done = std::move(finishes.front());
    finishes.pop_front();
    done(file->bytes - file->bytes_hollow);
  }

  void finish_save() {
    auto pending = std::move(saves.front());
    saves.pop_front();
    kept.push_back(std::move(pending.checkpoint));
    pending.done({});
  }
  /// Entries stay in `log`, so that its places are indexes; reading them is `gone`.
  void finish_drop() {
    auto [index, done] = std::move(drops.front());
    drops.pop_front();
    first = index;
    done({});
  }
  void fail_save() {
    auto pending = std::move(saves.front());
    saves.pop_front();
    pending.done(std::unexpected(storage::Error{storage::Errc::disk_full, "no room"}));
  }
  void finish_load() {
    auto [index, done] = std::move(loads.front());
    loads.pop_front();
    for (const auto& checkpoint : kept) {
      if (checkpoint.index == index) {
        done(checkpoint);
        return;
      }
    }
    done(std::unexpected(storage::Error{storage::Errc::gone, "no such checkpoint"}));
  }
  /// All deltas up to there become one run.
  void finish_move() {
    auto pending = std::move(moves.front());
    moves.pop_front();
    const raft::Index covered = runs.empty() ? raft::Index{} : runs.back()->last_index();
    std::vector<storage::KeyedPlace> ids;
    for (const auto& checkpoint : kept) {
      if (checkpoint.index > covered && checkpoint.index <= pending.up_to) {
        EXPECT_TRUE(pending.ids_of(checkpoint, ids).has_value());
      }
    }
    if (pending.up_to > covered) {
      runs.push_back(std::make_shared<sim::MemoryIdRun>(covered.next(), pending.up_to, std::move(ids)));
    }
    pending.done(runs);
  }
  void fail_move() {
    auto pending = std::move(moves.front());
    moves.pop_front();
    pending.done(std::unexpected(storage::Error{storage::Errc::disk_full, "no room"}));
  }
  void finish_id_read() {
    auto pending = std::move(id_reads.front());
    id_reads.pop_front();
    pending.done(storage::find_ids(pending.runs, pending.keys));
  }
  void finish_snapshot_read(std::expected<storage::SnapshotData, storage::Error> data) {
    auto pending = std::move(snapshot_reads.front());
    snapshot_reads.pop_front();
    pending.done(std::move(data));
  }
  void finish_piece(storage::PieceAnswer answer) {
    auto [piece, done] = std::move(pieces.front());
    pieces.pop_front();
    done(answer);
  }

  void write(DiskWrite write, WriteDone done) override { writes.push_back({std::move(write), std::move(done)}); }
  void read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) override {
    reads.push_back({first, last, bytes_max, std::move(done)});
  }

  /// The oldest write becomes durable.
  void finish_write() {
    auto pending = std::move(writes.front());
    writes.pop_front();
    if (pending.what.install) {
      log = std::move(incoming_log);
      kept = std::move(incoming_kept);
    }
    if (pending.what.truncate_from) {
      log.resize(pending.what.truncate_from->value - 1);
    }
    for (auto& entry : pending.what.entries) {
      log.push_back(std::move(entry));
    }
    pending.done({});
  }
  void fail_write() {
    auto pending = std::move(writes.front());
    writes.pop_front();
    pending.done(std::unexpected(storage::Error{storage::Errc::io, "the disk failed"}));
  }
  void finish_read() {
    auto pending = std::move(reads.front());
    reads.pop_front();
    std::vector<raft::Entry> entries;
    std::size_t bytes = 0;
    if (pending.first < first) {
      pending.done(std::unexpected(storage::Error{storage::Errc::gone, "dropped"}));
      return;
    }
    for (std::uint64_t i = pending.first.value; i <= std::min<std::uint64_t>(pending.last.value, log.size()); ++i) {
      entries.push_back(log[i - 1]);
      bytes += entries.back().data.size();
      if (bytes >= pending.bytes_max) {
        break;
      }
    }
    pending.done(std::move(entries));
  }
  void fail_read(storage::Errc code = storage::Errc::damaged) {
    auto pending = std::move(reads.front());
    reads.pop_front();
    pending.done(std::unexpected(storage::Error{code, "a checksum does not hold"}));
  }
  /// Until nothing is pending.
  void finish_all() {
    while (!writes.empty() || !reads.empty() || !loads.empty() || !moves.empty() || !id_reads.empty()) {
      if (!moves.empty()) {
        finish_move();
      } else if (!id_reads.empty()) {
        finish_id_read();
      } else if (!writes.empty()) {
        finish_write();
      } else if (!reads.empty()) {
        finish_read();
      } else {
        finish_load();
      }
    }
  }

  struct PendingWrite {
    DiskWrite what;
    WriteDone done;
  };
  struct PendingRead {
    raft::Index first;
    raft::Index last;
    std::size_t bytes_max = 0;
    ReadDone done;
  };
  struct PendingSave {
    storage::Checkpoint checkpoint;
    WriteDone done;
  };
  struct PendingSnapshotRead {
    std::uint64_t number = 0;
    std::uint64_t offset = 0;
    std::size_t bytes_max = 0;
    SnapshotDone done;
  };
  struct PendingMove {
    raft::Index up_to;
    storage::IdsOf ids_of;
    IdRunsDone done;
  };
  struct PendingRewrite {
    raft::Index first;
    storage::KeepEntry keep;
    RewriteDone done;
  };
  std::vector<storage::LogFile> files;
  raft::Index hollow;
  std::deque<PendingRewrite> rewrites;
  std::pair<raft::Index, storage::KeepEntry> ready;
  std::deque<RewrittenDone> finishes;
  struct PendingIdRead {
    storage::IdRuns runs;
    std::vector<storage::IdKey> keys;
    PlacesDone done;
  };
  storage::IdRuns runs;
  std::deque<PendingMove> moves;
  std::deque<PendingIdRead> id_reads;
  std::deque<PendingSave> saves;
  std::deque<std::pair<raft::Index, CheckpointDone>> loads;
  std::deque<PendingSnapshotRead> snapshot_reads;
  std::deque<std::pair<raft::SnapshotPiece, PieceDone>> pieces;
  std::deque<std::pair<raft::Index, WriteDone>> drops;
  raft::Index first{1};
  storage::DiskSpace room = storage::DiskSpace::enough;
  std::vector<storage::Checkpoint> kept;  ///< oldest first
  std::optional<raft::Index> sendable;    ///< else the newest
  /// What an install brings.
  std::vector<raft::Entry> incoming_log;
  std::vector<storage::Checkpoint> incoming_kept;
  std::deque<PendingWrite> writes;
  std::deque<PendingRead> reads;
  std::vector<raft::Entry> log;
};

}  // namespace weir::broker::test
