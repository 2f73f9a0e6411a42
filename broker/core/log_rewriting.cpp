#include "broker/core/log_rewriting.hpp"

#include <algorithm>
#include <utility>

namespace weir::broker {
namespace {

/// Looked at in one step: less than a millisecond.
constexpr std::size_t kRowsPerStep = 4096;
/// Read in one step, of which there are five a second at the default tick: the pace of the scrub.
constexpr std::size_t kBytesPerStep = std::size_t{2} << 20U;
/// As in the store, which knows what becomes of a file; here it is estimated.
constexpr std::uint64_t kWorthPart = 4;

[[nodiscard]] bool holds(const std::vector<raft::Index>& indexes, raft::Index index) {
  return std::ranges::binary_search(indexes, index);
}

[[nodiscard]] std::uint64_t body_bytes(const storage::EntryRow& row) {
  std::uint64_t bytes = 0;
  for (const storage::TopicPart& part : row.topics) {
    bytes += part.bytes;
  }
  return bytes;
}

}  // namespace

bool RewritePlan::keeps(raft::Index index, raft::Command command) const {
  if (index < file.first || index >= file.end) {
    return true;
  }
  switch (command) {
    case raft::Command::publish:
      // Without a row it stored nothing.
      return index < known_from || holds(kept, index);
    case raft::Command::batch:
      // A batch that stored nothing is known by its key for as long as the log is kept (StateMachine::is_batch_kept).
      return !holds(removed, index);
    case raft::Command::dedup:
      return index >= claims_before;
    case raft::Command::topic:
    case raft::Command::group:
    case raft::Command::retain:
    case raft::Command::digest:
      return false;  // every state that is loaded has what they did
    default:
      return true;
  }
}

LogRewriting::LogRewriting(const StateMachine& state, Disk& disk, Hooks hooks)
    : state_(state), disk_(disk), hooks_(std::move(hooks)), self_(std::make_shared<LogRewriting*>(this)) {}

void LogRewriting::go_on(const std::shared_ptr<const Floors>& floors, raft::Index sendable) {
  if (asking_) {
    return;
  }
  if (ready_) {
    finish();
    return;
  }
  std::size_t rows = kRowsPerStep;
  while (rows > 0 && (plan_ || next_file(floors, sendable))) {
    if (!look_through(rows)) {
      return;
    }
    if (is_worth_it()) {
      ask();
      return;
    }
    plan_.reset();
  }
}

void LogRewriting::begin_anew() {
  ++lives_;
  asking_ = false;
  floors_.reset();
  sendable_ = {};
  ready_ = false;
  to_look_at_.clear();
  plan_.reset();
  refused_.clear();
}

bool LogRewriting::next_file(const std::shared_ptr<const Floors>& floors, raft::Index sendable) {
  if (to_look_at_.empty()) {
    const bool same = floors_ && (floors_ == floors || *floors_ == *floors);
    if (same && sendable == sendable_) {
      return false;
    }
    const raft::Index claims_before = floors_ ? floors_->claims_before : raft::Index{};
    floors_ = floors;
    sendable_ = sendable;
    std::map<raft::Index, std::uint64_t> refused;
    for (const storage::LogFile& file : disk_.log_files()) {
      // What lies wholly before first_index is dropped as it is.
      if (file.end <= sendable.next() && file.end > floors->first_index) {
        to_look_at_.push_back(file);
      }
      // Claims are not counted: once all of a file's are gone it may be worth it.
      const bool claims_gone = claims_before < file.end && floors->claims_before >= file.end;
      if (const auto known = refused_.find(file.first); known != refused_.end() && !claims_gone) {
        refused.insert(*known);
      }
    }
    refused_ = std::move(refused);
    if (to_look_at_.empty()) {
      return false;
    }
  }
  plan_ = std::make_shared<RewritePlan>();
  plan_->file = to_look_at_.front();
  plan_->claims_before = floors_->claims_before;
  next_ = plan_->file.first;
  to_look_at_.pop_front();
  return true;
}

bool LogRewriting::look_through(std::size_t& rows) {
  if (next_ == plan_->file.end) {
    return true;
  }
  // Rows go from the front, also while a file is looked through.
  const auto first_row = state_.events().first_index().value_or(plan_->file.end);
  if (first_row > next_) {
    plan_->known_from = std::min(first_row, plan_->file.end);
  }
  const auto found = state_.events().rows(next_, plan_->file.end, rows);
  for (const storage::EntryRow& row : found) {
    if (floors_->keeps(row)) {
      plan_->kept.push_back(row.log_index);
      plan_->kept_bytes += body_bytes(row);
    } else if (row.skipped.empty()) {
      plan_->removed.push_back(row.log_index);
    }
  }
  const bool all = found.size() < rows;
  next_ = all ? plan_->file.end : found.back().log_index.next();
  rows -= found.size();
  return all;
}

bool LogRewriting::is_worth_it() const {
  const storage::LogFile& file = plan_->file;
  if (plan_->kept_bytes + file.bytes_hollow >= file.bytes / kWorthPart) {
    return false;
  }
  const auto refused = refused_.find(file.first);
  return refused == refused_.end() || plan_->kept_bytes < refused->second / 2;
}

void LogRewriting::ask() {
  asking_ = true;
  disk_.rewrite(
      plan_->file.first,
      [plan = plan_](raft::Index index, raft::Command command) { return plan->keeps(index, command); }, kBytesPerStep,
      [self = std::weak_ptr(self_),
       lives = lives_](const std::expected<storage::RewriteAnswer, storage::Error>& answer) {
        if (const auto alive = self.lock(); alive && (*alive)->lives_ == lives) {
          (*alive)->answered(answer);
        }
      });
}

void LogRewriting::answered(const std::expected<storage::RewriteAnswer, storage::Error>& answer) {
  asking_ = false;
  if (answer == storage::RewriteAnswer::more) {
    return;  // with the next step
  }
  if (answer == storage::RewriteAnswer::ready) {
    ready_ = true;
    finish();
    return;
  }
  if (answer) {
    refused_[plan_->file.first] = plan_->kept_bytes;
  } else if (answer.error().code == storage::Errc::damaged) {
    hooks_.failed(answer.error());
  } else {
    hooks_.notice("a file of the log was not rewritten, it is tried again: " + answer.error().text);
  }
  plan_.reset();
}

void LogRewriting::finish() {
  if (!hooks_.withdraw(plan_->file.end.prev())) {
    return;  // with the next step
  }
  ready_ = false;
  asking_ = true;
  disk_.finish_rewrite(
      [self = std::weak_ptr(self_), lives = lives_](const std::expected<std::uint64_t, storage::Error>& given_back) {
        if (const auto alive = self.lock(); alive && (*alive)->lives_ == lives) {
          (*alive)->finished(given_back);
        }
      });
}

void LogRewriting::finished(const std::expected<std::uint64_t, storage::Error>& given_back) {
  asking_ = false;
  const storage::LogFile file = std::exchange(plan_, nullptr)->file;
  if (!given_back) {
    hooks_.failed(given_back.error());
    return;
  }
  if (*given_back == 0) {
    return;
  }
  ++files_;
  bytes_ += *given_back;
  hooks_.notice("entries " + std::to_string(file.first.value) + " to " + std::to_string(file.end.prev().value) +
                " of the log were rewritten with what is retained of them: " + std::to_string(*given_back) +
                " bytes given back");
}

}  // namespace weir::broker
