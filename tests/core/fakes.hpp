// A disk, a network and a clock in the test's hands: nothing happens until the test says so. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/ports.hpp"

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
};

/// Writes wait in `writes` and reads in `reads` until the test finishes them.
class FakeDisk final : public Disk {
 public:
  void write(DiskWrite write, WriteDone done) override { writes.push_back({std::move(write), std::move(done)}); }
  void read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) override {
    reads.push_back({first, last, bytes_max, std::move(done)});
  }

  /// The oldest write becomes durable.
  void finish_write() {
    auto pending = std::move(writes.front());
    writes.pop_front();
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
    for (std::uint64_t i = pending.first.value; i <= std::min<std::uint64_t>(pending.last.value, log.size()); ++i) {
      entries.push_back(log[i - 1]);
      bytes += entries.back().data.size();
      if (bytes >= pending.bytes_max) {
        break;
      }
    }
    pending.done(std::move(entries));
  }
  void fail_read(storage::Error error = {storage::Errc::damaged, "a checksum does not hold"}) {
    auto pending = std::move(reads.front());
    reads.pop_front();
    pending.done(std::unexpected(std::move(error)));
  }
  /// Until nothing is pending.
  void finish_all() {
    while (!writes.empty() || !reads.empty()) {
      writes.empty() ? finish_read() : finish_write();
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
  std::deque<PendingWrite> writes;
  std::deque<PendingRead> reads;
  std::vector<raft::Entry> log;
};

}  // namespace weir::broker::test
