#include "storage/log_recovery.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/file.hpp"
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

// One segment's rows, one after the other.
class Verification {
 public:
  Verification(const SegmentRecord& record, std::optional<raft::Index> end) : record_(record), end_(end) {}

  std::expected<void, Error> row(std::string_view key, std::string_view value) {
    if (key.size() != kKeySize) return damaged("a row has a key of another format");
    const raft::Index index = index_of_key(key);
    if (index == kHeadIndex) return head(value);
    if (end_ && index >= *end_) return left_behind(value);
    auto taken = chunk(index, value);
    if (!taken) taken.error().text = "at index " + std::to_string(index.value) + ": " + taken.error().text;
    return taken;
  }

  std::expected<SegmentSeal, Error> finish() {
    if (!has_head_) return damaged("the segment's head is missing");
    if (end_ && seal_.last_index.next() != *end_)
      return damaged("it ends at index " + std::to_string(seal_.last_index.value) +
                     ", but the next segment begins at " + std::to_string(end_->value));
    if (const auto& rewritten = seal_.head.rewritten) {
      if (seal_.last_index != rewritten->last_index || seal_.chain.sequence > rewritten->chain.sequence)
        return damaged("it was rewritten up to index " + std::to_string(rewritten->last_index.value) +
                       ", but ends at index " + std::to_string(seal_.last_index.value));
      seal_.chain = rewritten->chain;
      return std::move(seal_);
    }
    // A truncation may have removed chunks with higher sequences than the last one that is left.
    seal_.chain.sequence = std::max(seal_.chain.sequence, seal_.head.sequence_floor);
    return std::move(seal_);
  }

 private:
  /// By a truncation, in a file that had rolled. Nobody reads it, but its sequence was used.
  std::expected<void, Error> left_behind(std::string_view value) {
    if (const auto chunk = ChunkView::verify(value))
      seal_.chain.sequence = std::max(seal_.chain.sequence, chunk->header().sequence);
    return {};
  }

  std::expected<void, Error> head(std::string_view value) {
    auto head = decode_segment_head(value);
    if (!head) return std::unexpected(std::move(head.error()));
    if (head->segment_id != record_.segment_id || head->first_index != record_.first_index)
      return damaged("it is not the segment that state.mdb names");
    seal_.head = *head;
    seal_.chain.checksum = head->previous_checksum;
    seal_.last_index = head->first_index.prev();
    has_head_ = true;
    return {};
  }

  std::expected<void, Error> chunk(raft::Index index, std::string_view value) {
    auto chunk = ChunkView::verify(value);
    if (!chunk) return std::unexpected(std::move(chunk.error()));
    const ChunkHeader& header = chunk->header();
    if (!has_head_ || header.first_index != index || index != seal_.last_index.next() ||
        header.segment_id != record_.segment_id)
      return damaged("the chunk belongs to another place");
    if (header.previous_checksum != seal_.chain.checksum || header.sequence <= last_sequence_)
      return damaged("the chunk does not continue the one before");
    std::size_t offset = 0;
    for (std::uint32_t number = 0; number < header.count; ++number) {
      const raft::Index at = header.first_index + number;
      if (end_ && at >= *end_) break;
      const RecordView record = record_at(chunk->body(), offset);
      if (auto added = add(at, record); !added) return added;
      offset += record_size(record.data.size());
    }
    last_sequence_ = header.sequence;
    seal_.chain.checksum = chunk->checksum();
    seal_.chain.sequence = std::max(seal_.chain.sequence, header.sequence);
    return {};
  }

  std::expected<void, Error> add(raft::Index at, const RecordView& record) {
    const std::vector<raft::TermRun>& runs = seal_.term_runs;
    if (record.term < (runs.empty() ? seal_.head.previous_term : runs.back().term))
      return damaged("the terms of the log fall");
    if (record.command == raft::Command::hollow && !seal_.head.rewritten)
      return damaged("an entry is hollow, in a file that was not rewritten");
    if (runs.empty()) seal_.first_command = record.command;
    if (record.command == raft::Command::config) seal_.config_entries.push_back(at);
    extend_runs(seal_.term_runs, at, record.term);
    seal_.last_index = at;
    return {};
  }

  const SegmentRecord& record_;
  std::optional<raft::Index> end_;
  SegmentSeal seal_;
  std::uint64_t last_sequence_ = 0;
  bool has_head_ = false;
};

// What was verified when the file was sealed is taken for granted if the file's tree is the one that it had then.
bool fits(const std::string& path, const SegmentSeal& seal) {
  bool same_head = false;
  const auto tree = visit_tree(path, [&](std::string_view key, std::string_view value) -> std::expected<void, Error> {
    if (key.size() != kKeySize || index_of_key(key) != kHeadIndex) return {};
    const auto head = decode_segment_head(value);
    same_head = head && *head == seal.head;
    return {};
  });
  return tree && same_head && tree->rows == seal.rows && tree->used_bytes == seal.used_bytes;
}

std::expected<SegmentSeal, Error> seal_of(const std::string& generation, const SegmentRecord& record,
                                          std::optional<raft::Index> end, Seals seals) {
  const std::string path = generation + "/" + segment_file_name(record);
  if (end && seals == Seals::kept)
    if (auto seal = read_seal(generation, record, *end); seal && fits(path, *seal)) return *std::move(seal);
  auto seal = verify_segment(path, record, end);
  // Without a seal the next start takes longer, that is all.
  if (seal && end && seals != Seals::unused) {
    [[maybe_unused]] const auto written = write_seal(generation, record, *seal);
  }
  return seal;
}

std::expected<void, Error> add_to_log(RecoveredLog& log, const SegmentSeal& seal) {
  const bool continues = log.heads.empty() || (seal.head.previous_checksum == log.chain.checksum &&
                                               seal.head.previous_term == term_at(log.term_runs, log.last_index));
  if (!continues) return damaged("it does not continue the segment before");
  if (log.term_runs.empty()) log.first_command = seal.first_command;
  for (const raft::TermRun& run : seal.term_runs) extend_runs(log.term_runs, run.first, run.term);
  log.config_entries.insert(log.config_entries.end(), seal.config_entries.begin(), seal.config_entries.end());
  log.last_index = seal.last_index;
  log.chain = {.sequence = std::max(log.chain.sequence, seal.chain.sequence), .checksum = seal.chain.checksum};
  log.heads.push_back(seal.head);
  return {};
}

}  // namespace

std::expected<SegmentSeal, Error> verify_segment(const std::string& path, const SegmentRecord& record,
                                                 std::optional<raft::Index> end, const Progress& progress) {
  Verification verification(record, end);
  auto visited = visit_rows(path, [&](std::string_view key, std::string_view value) -> std::expected<void, Error> {
    if (auto taken = verification.row(key, value); !taken) return taken;
    return progress ? progress(key.size() + value.size()) : std::expected<void, Error>();
  });
  if (!visited) return in_file(path, std::move(visited.error()), kWayOut);
  auto seal = verification.finish();
  if (!seal) return in_file(path, std::move(seal.error()), kWayOut);
  seal->rows = visited->rows;
  seal->used_bytes = visited->used_bytes;
  return seal;
}

std::expected<RecoveredLog, Error> recover_log(const std::string& generation, std::span<const SegmentRecord> records,
                                               Seals seals, std::optional<raft::Index> end) {
  RecoveredLog log;
  for (std::size_t number = 0; number < records.size(); ++number) {
    const auto segment_end = number + 1 < records.size() ? std::optional(records[number + 1].first_index) : end;
    const std::string path = generation + "/" + segment_file_name(records[number]);
    auto seal = seal_of(generation, records[number], segment_end, seals);
    if (!seal) return std::unexpected(std::move(seal.error()));
    if (auto added = add_to_log(log, *seal); !added) return in_file(path, std::move(added.error()), kWayOut);
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
