// Reading what was applied: where a read starts, batches of events, ids, outlines of log entries.
// Runs on the core strand. Outlived by the disk; callbacks of a destroyed reader do nothing.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/decoded_entry.hpp"
#include "broker/core/ports.hpp"
#include "broker/core/reading.hpp"
#include "broker/core/state_machine.hpp"

namespace weir::broker {

class LogReader {
 public:
  /// `damaged`: the disk gave wrong bytes, or none.
  LogReader(const StateMachine& state, EntryCache& cache, Disk& disk,
            std::function<void(const storage::Error&)> damaged);

  [[nodiscard]] std::expected<ReadStart, StartError> start(const Selector& selector, const From& from,
                                                           const std::string& epoch) const;

  using BatchDone = std::move_only_function<void(std::expected<ReadBatch, ReadError>)>;
  void read(const Selector& selector, ReadState from, ReadLimits limits, BatchDone done);
  /// Something that matches is applied after this position.
  [[nodiscard]] bool has_events(const Selector& selector, raft::Position after) const;
  /// Kept events that match behind this position. In an entry of several topics that holds it, some that lie before it
  /// may be counted: how topics alternate there only the entry knows.
  [[nodiscard]] std::uint64_t count_after(const Selector& selector, raft::Position position) const;

  using IdDone = std::move_only_function<void(std::expected<std::optional<wire::Claimed>, ReadError>)>;
  void find_id(wire::Claim id, IdDone done);

 private:
  struct BatchRead;
  struct IdRead;
  using EntryDone = std::move_only_function<void(std::expected<DecodedEntryPtr, ReadError>)>;

  /// All topics that match; remembered per selector and extended as topics appear.
  [[nodiscard]] const std::vector<raft::TopicId>& matching(const Selector& selector) const;
  [[nodiscard]] ReadState start_of_last(const std::vector<raft::TopicId>& topics, std::uint64_t count) const;
  [[nodiscard]] ReadState start_at_offset(std::optional<raft::TopicId> topic, raft::Offset offset) const;
  /// Up to here matching events were removed; 0 = none.
  [[nodiscard]] raft::Position removed_to(const std::vector<raft::TopicId>& topics) const;
  /// What retention took of what this read was about to look at.
  [[nodiscard]] std::optional<RemovedRange> removed_under(const BatchRead& read) const;
  /// Gives null if retention took the entry meanwhile.
  void load(raft::Index index, EntryDone done);
  void go_on(std::shared_ptr<BatchRead> read);
  void go_on(std::shared_ptr<IdRead> read);
  void ask_runs(std::shared_ptr<IdRead> read, std::vector<storage::IdKey> keys);

  const StateMachine& state_;
  EntryCache& cache_;
  Disk& disk_;
  std::function<void(const storage::Error&)> damaged_;
  struct Matching {
    std::size_t topics_seen = 0;
    std::vector<raft::TopicId> topics;
  };
  mutable std::unordered_map<std::string, Matching> matching_;  ///< by the patterns' text; at most kSelectorsMax
  std::shared_ptr<LogReader*> self_;
};

}  // namespace weir::broker
