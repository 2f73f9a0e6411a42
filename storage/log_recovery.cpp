#include "storage/log_recovery.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/page_file.hpp"
#include "storage/tail_scan.hpp"

namespace weir::storage {
namespace {

constexpr std::size_t kKeySize = 8;
constexpr raft::Index kHeadIndex{0};

constexpr const char* kWayOut =
    "; the node must not go on with it: move the whole data folder away and start again, the node then joins as a new "
    "member and copies the log from its peers (a cluster of one: restore a backup)";

std::unexpected<Error> damaged(std::string text) {
  return std::unexpected(Error{Errc::damaged, std::move(text)});
}

// One segment's rows, one after the other, added to the log so far.
class Recovery {
 public:
  /// `end`: the first index of the next segment, if there is one.
  Recovery(RecoveredLog& log, const SegmentRecord& record, std::optional<raft::Index> end)
      : log_(log), record_(record), end_(end) {}

  std::expected<void, Error> row(std::string_view key, std::string_view value) {
    if (key.size() != kKeySize) return damaged("a row has a key of another format");
    const raft::Index index = index_of_key(key);
    if (index == kHeadIndex) return head(value);
    if (end_ && index >= *end_) return left_behind(value);
    auto taken = chunk(index, value);
    if (!taken) taken.error().text = "at index " + std::to_string(index.value) + ": " + taken.error().text;
    return taken;
  }

  std::expected<void, Error> finish() {
    if (!has_head_) return damaged("the segment's head is missing");
    if (end_ && log_.last_index.next() != *end_)
      return damaged("it ends at index " + std::to_string(log_.last_index.value) + ", but the next segment begins at " +
                     std::to_string(end_->value));
    // A truncation may have removed chunks with higher sequences than the last one that is left.
    log_.chain.sequence = std::max(log_.chain.sequence, log_.heads.back().sequence_floor);
    return {};
  }

 private:
  /// By a truncation, in a file that had rolled. Nobody reads it, but its sequence was used.
  std::expected<void, Error> left_behind(std::string_view value) {
    if (const auto chunk = ChunkView::verify(value))
      log_.chain.sequence = std::max(log_.chain.sequence, chunk->header().sequence);
    return {};
  }

  std::expected<void, Error> head(std::string_view value) {
    auto head = decode_segment_head(value);
    if (!head) return std::unexpected(std::move(head.error()));
    if (head->segment_id != record_.segment_id || head->first_index != record_.first_index)
      return damaged("it is not the segment that state.mdb names");
    if (log_.heads.empty()) {
      log_.chain.checksum = head->previous_checksum;
      log_.last_index = head->first_index.prev();
    } else if (head->previous_checksum != log_.chain.checksum ||
               head->previous_term != term_at(log_.term_runs, log_.last_index)) {
      return damaged("it does not continue the segment before");
    }
    log_.heads.push_back(*head);
    has_head_ = true;
    return {};
  }

  std::expected<void, Error> chunk(raft::Index index, std::string_view value) {
    auto chunk = ChunkView::verify(value);
    if (!chunk) return std::unexpected(std::move(chunk.error()));
    const ChunkHeader& header = chunk->header();
    if (!has_head_ || header.first_index != index || index != log_.last_index.next() ||
        header.segment_id != record_.segment_id)
      return damaged("the chunk belongs to another place");
    if (header.previous_checksum != log_.chain.checksum || header.sequence <= last_sequence_)
      return damaged("the chunk does not continue the one before");
    std::size_t offset = 0;
    for (std::uint32_t number = 0; number < header.count; ++number) {
      const raft::Index at = header.first_index + number;
      if (end_ && at >= *end_) break;
      const RecordView record = record_at(chunk->body(), offset);
      if (!log_.term_runs.empty() && record.term < log_.term_runs.back().term)
        return damaged("the terms of the log fall");
      if (log_.term_runs.empty()) log_.first_command = record.command;
      if (record.command == raft::Command::config) log_.config_entries.push_back(at);
      extend_runs(log_.term_runs, at, record.term);
      log_.last_index = at;
      offset += record_size(record.data.size());
    }
    last_sequence_ = header.sequence;
    log_.chain.checksum = chunk->checksum();
    log_.chain.sequence = std::max(log_.chain.sequence, header.sequence);
    return {};
  }

  RecoveredLog& log_;
  const SegmentRecord& record_;
  std::optional<raft::Index> end_;
  std::uint64_t last_sequence_ = 0;
  bool has_head_ = false;
};

std::expected<void, Error> recover_segment(const std::string& path, Recovery recovery) {
  bool own_words = true;  // the visitor's errors do not name the file, visit_rows' own do
  auto result = visit_rows(path, [&](std::string_view key, std::string_view value) {
    auto taken = recovery.row(key, value);
    own_words = taken.has_value();
    return taken;
  });
  if (result) {
    result = recovery.finish();
    own_words = false;
  }
  if (result) return result;
  Error error = std::move(result.error());
  if (!own_words) error.text = path + ": " + error.text;
  if (error.code == Errc::damaged) error.text += kWayOut;
  return std::unexpected(std::move(error));
}

}  // namespace

std::expected<RecoveredLog, Error> recover_log(const std::string& generation, std::span<const SegmentRecord> records,
                                               std::optional<raft::Index> end) {
  RecoveredLog log;
  for (std::size_t number = 0; number < records.size(); ++number) {
    const auto segment_end = number + 1 < records.size() ? std::optional(records[number + 1].first_index) : end;
    const std::string path = generation + "/" + segment_file_name(records[number]);
    if (auto done = recover_segment(path, Recovery(log, records[number], segment_end)); !done)
      return std::unexpected(std::move(done.error()));
  }
  if (end) return log;
  // Only the newest segment may have a commit that was not flushed to its end: rolling flushes the one before.
  const std::string newest = generation + "/" + segment_file_name(records.back());
  auto lost = find_lost_chunks(newest, records.back().segment_id, log.chain, log.last_index);
  if (!lost) return std::unexpected(std::move(lost.error()));
  log.lost = std::move(*lost);
  return log;
}

std::expected<std::uint64_t, Error> highest_sequence(const std::string& path) {
  std::uint64_t highest = 0;
  auto visited = visit_rows(path, [&](std::string_view key, std::string_view value) -> std::expected<void, Error> {
    if (key.size() != kKeySize || index_of_key(key) == kHeadIndex) return {};
    auto chunk = ChunkView::verify(value);
    if (!chunk) return std::unexpected(std::move(chunk.error()));
    highest = std::max(highest, chunk->header().sequence);
    return {};
  });
  if (!visited) return std::unexpected(std::move(visited.error()));
  return highest;
}

void truncate_runs(std::vector<raft::TermRun>& runs, raft::Index index) {
  while (!runs.empty() && runs.back().first >= index) runs.pop_back();
}

void extend_runs(std::vector<raft::TermRun>& runs, raft::Index index, raft::Term term) {
  if (runs.empty() || runs.back().term != term) runs.push_back({term, index});
}

raft::Term term_at(const std::vector<raft::TermRun>& runs, raft::Index index) {
  const auto after = std::ranges::upper_bound(runs, index, {}, &raft::TermRun::first);
  return after == runs.begin() ? raft::Term{} : std::prev(after)->term;
}

}  // namespace weir::storage
