#include "storage/log_recovery.hpp"

#include <algorithm>
#include <utility>

#include "storage/page_file.hpp"

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

class Recovery {
 public:
  explicit Recovery(const SegmentRecord& record) : record_(record) {}

  std::expected<void, Error> row(std::string_view key, std::string_view value) {
    if (key.size() != kKeySize) return damaged("a row has a key of another format");
    const raft::Index index = index_of_key(key);
    if (index == kHeadIndex) return head(value);
    auto taken = chunk(index, value);
    if (!taken) taken.error().text = "at index " + std::to_string(index.value) + ": " + taken.error().text;
    return taken;
  }

  std::expected<RecoveredLog, Error> finish() {
    if (!has_head_) return damaged("the segment's head is missing");
    // A truncation may have removed chunks with higher sequences than the last one that is left.
    log_.chain.sequence = std::max(log_.chain.sequence, log_.head.sequence_floor);
    return std::move(log_);
  }

 private:
  std::expected<void, Error> head(std::string_view value) {
    auto head = decode_segment_head(value);
    if (!head) return std::unexpected(std::move(head.error()));
    if (head->segment_id != record_.segment_id || head->first_index != record_.first_index)
      return damaged("it is not the segment that state.mdb names");
    log_.head = *head;
    log_.chain.checksum = head->previous_checksum;
    has_head_ = true;
    return {};
  }

  std::expected<void, Error> chunk(raft::Index index, std::string_view value) {
    auto chunk = ChunkView::verify(value);
    if (!chunk) return std::unexpected(std::move(chunk.error()));
    const ChunkHeader& header = chunk->header();
    const raft::Index expected = log_.last_index == raft::Index{} ? record_.first_index : log_.last_index.next();
    if (!has_head_ || header.first_index != index || index != expected || header.segment_id != record_.segment_id)
      return damaged("the chunk belongs to another place");
    if (header.previous_checksum != log_.chain.checksum || header.sequence <= log_.chain.sequence)
      return damaged("the chunk does not continue the one before");
    std::size_t offset = 0;
    for (std::uint32_t number = 0; number < header.count; ++number) {
      const RecordView record = record_at(chunk->body(), offset);
      if (!log_.term_runs.empty() && record.term < log_.term_runs.back().term)
        return damaged("the terms of the log fall");
      if (log_.term_runs.empty()) log_.first_command = record.command;
      if (record.command == raft::Command::config) log_.config_entries.push_back(header.first_index + number);
      extend_runs(log_.term_runs, header.first_index + number, record.term);
      offset += record_size(record.data.size());
    }
    log_.last_index = chunk->last_index();
    log_.chain = chunk->chain_end();
    return {};
  }

  const SegmentRecord& record_;
  RecoveredLog log_;
  bool has_head_ = false;
};

}  // namespace

std::expected<RecoveredLog, Error> recover_segment(const std::string& path, const SegmentRecord& record) {
  Recovery recovery(record);
  bool own_words = true;  // the visitor's errors do not name the file, visit_rows' own do
  auto visited = visit_rows(path, [&](std::string_view key, std::string_view value) {
    auto taken = recovery.row(key, value);
    own_words = taken.has_value();
    return taken;
  });
  if (!visited) {
    Error error = std::move(visited.error());
    if (!own_words) error.text = path + ": " + error.text;
    if (error.code == Errc::damaged) error.text += kWayOut;
    return std::unexpected(std::move(error));
  }
  auto log = recovery.finish();
  if (!log) return std::unexpected(Error{log.error().code, path + ": " + log.error().text + kWayOut});
  return log;
}

void truncate_runs(std::vector<raft::TermRun>& runs, raft::Index index) {
  while (!runs.empty() && runs.back().first >= index) runs.pop_back();
}

void extend_runs(std::vector<raft::TermRun>& runs, raft::Index index, raft::Term term) {
  if (runs.empty() || runs.back().term != term) runs.push_back({term, index});
}

}  // namespace weir::storage
