#include "raft/log.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::raft {

Log::Log(std::vector<TermRun> runs, Index first_index, Index last_index, Term prev_term)
    : runs_(std::move(runs)),
      prev_term_(prev_term),
      first_index_(first_index),
      last_index_(last_index),
      tail_first_(last_index.next()),
      written_(last_index),
      durable_index_(last_index) {
  WEIR_CHECK(first_index_ >= Index{1}, first_index_);
  const bool empty = last_index_ < first_index_;
  WEIR_CHECK(last_index_.next() >= first_index_, first_index_, last_index_);
  WEIR_CHECK(empty || runs_.front().term >= prev_term_, prev_term_);
  WEIR_CHECK(runs_.empty() == empty, runs_.size(), first_index_, last_index_);
  WEIR_CHECK(empty || runs_.front().first == first_index_, first_index_);
  for (std::size_t i = 1; i < runs_.size(); ++i) {
    WEIR_CHECK(runs_[i - 1].term < runs_[i].term && runs_[i - 1].first < runs_[i].first, runs_[i].term, runs_[i].first);
  }
  WEIR_CHECK(empty || runs_.back().first <= last_index_, last_index_);
}

Term Log::term_at(Index index) const {
  if (index.next() == first_index_) {
    return prev_term_;
  }
  if (index < first_index_ || index > last_index_) {
    return Term{};
  }
  return run_of(index).term;
}

bool Log::fits(Index prev_log_index, Term prev_log_term) const {
  if (prev_log_index == Index{}) {
    return prev_log_term == Term{};
  }
  if (prev_log_index < first_index_) {
    return true;
  }
  const Term term = term_at(prev_log_index);
  return term != Term{} && (term == prev_log_term || is_mutated(Mutant::prev_term_unchecked));
}

Index Log::run_first(Index index) const {
  WEIR_CHECK(index >= first_index_ && index <= last_index_, index, first_index_, last_index_);
  return run_of(index).first;
}

/// The last run that starts at or before `index`.
const TermRun& Log::run_of(Index index) const {
  return *std::prev(std::ranges::upper_bound(runs_, index, {}, &TermRun::first));
}

Index Log::last_index_of(Term term) const {
  Index last = last_index_;
  for (auto run = runs_.rbegin(); run != runs_.rend() && run->term >= term; ++run) {
    if (run->term == term) {
      return last;
    }
    last = run->first.prev();
  }
  return Index{};
}

void Log::append(Entry entry) {
  WEIR_CHECK(entry.index == last_index_.next(), entry.index, last_index_);
  WEIR_CHECK(entry.term >= last_term() && entry.term > Term{}, entry.term, last_term());
  if (runs_.empty() || entry.term > last_term()) {
    runs_.push_back({.term = entry.term, .first = entry.index});
  }
  last_index_ = entry.index;
  tail_bytes_ += size_of(entry);
  tail_.push_back(std::move(entry));
}

void Log::truncate_from(Index index) {
  WEIR_CHECK(index >= first_index_ && index <= last_index_, index, first_index_, last_index_);
  while (!runs_.empty() && runs_.back().first >= index) {
    runs_.pop_back();
  }
  while (!tail_.empty() && tail_.back().index >= index) {
    tail_bytes_ -= size_of(tail_.back());
    tail_.pop_back();
  }
  last_index_ = index.prev();
  tail_first_ = std::min(tail_first_, index);
  durable_index_ = std::min(durable_index_, last_index_);
  if (index <= written_) {
    // The disk was given entries that are gone; it must be told before it is given others in their place.
    written_ = last_index_;
    truncation_ = std::min(index, truncation_.value_or(index));
  }
}

void Log::compact(Index index) {
  WEIR_CHECK(index <= durable_index_, index, durable_index_);
  if (index < first_index_) {
    return;
  }
  prev_term_ = term_at(index);
  first_index_ = index.next();
  const auto kept = index == last_index_
                        ? runs_.end()
                        : std::prev(std::ranges::upper_bound(runs_, first_index_, {}, &TermRun::first));
  runs_.erase(runs_.begin(), kept);
  if (!runs_.empty()) {
    runs_.front().first = first_index_;
  }
  while (!tail_.empty() && tail_.front().index <= index) {
    tail_bytes_ -= size_of(tail_.front());
    tail_.pop_front();
  }
  tail_first_ = std::max(tail_first_, first_index_);
}

void Log::reset(Index index, Term term) {
  runs_.clear();
  prev_term_ = term;
  first_index_ = index.next();
  last_index_ = written_ = index;
  durable_index_ = Index{};
  tail_.clear();
  tail_first_ = first_index_;
  tail_bytes_ = 0;
  truncation_.reset();
  // What the disk was given before goes: as if all of it were cut off, and this place written instead.
  writes_.push_back({.truncate_from = Index{1}, .last_term = term, .last_index = index});
}

Log::Writes Log::take_writes() {
  Writes writes{.truncate_from = std::exchange(truncation_, std::nullopt), .append = {}};
  if (written_ < last_index_) {
    writes.append.assign(tail_.begin() + static_cast<std::ptrdiff_t>(written_.next() - tail_first_), tail_.end());
    writes_.push_back({.truncate_from = writes.truncate_from, .last_term = last_term(), .last_index = last_index_});
    written_ = last_index_;
  }
  // A follower truncates only to append what the leader has instead; persisted() relies on it.
  WEIR_CHECK(!writes.truncate_from || !writes.append.empty(), *writes.truncate_from);
  return writes;
}

void Log::persisted(Term term, Index index) {
  const auto done = std::ranges::find_if(
      writes_, [&](const Write& write) { return write.last_term == term && write.last_index == index; });
  if (done == writes_.end()) {
    return;
  }
  writes_.erase(writes_.begin(), done + 1);
  // A truncation still on its way to the disk will take (part of) this write off again, even if the entry that replaces
  // it has the same term: two leaders may have had it with one in between that had not. That truncation's own write
  // will report later; until then this one counts for nothing.
  const auto undone = [&](const std::optional<Index>& truncation) { return truncation && *truncation <= index; };
  if (is_mutated(Mutant::undone_writes_count)) {
    durable_index_ = std::max(durable_index_, index);
    return;
  }
  if (undone(truncation_) || std::ranges::any_of(writes_, undone, &Write::truncate_from)) {
    return;
  }
  durable_index_ = std::max(durable_index_, index);
}

std::vector<Entry> Log::entries(Index first, Index last, std::size_t bytes_max) const {
  std::vector<Entry> found;
  if (first < tail_first_) {
    return found;
  }
  std::size_t bytes = 0;
  for (Index index = first; index <= std::min(last, last_index_); index = index.next()) {
    const Entry& entry = in_tail(index);
    bytes += size_of(entry);
    if (bytes > bytes_max && !found.empty()) {
      break;
    }
    found.push_back(entry);
  }
  return found;
}

void Log::release(Index applied, std::size_t bytes_max) {
  const Index limit = std::min(applied, durable_index_);
  while (tail_bytes_ > bytes_max && tail_first_ <= limit) {
    tail_bytes_ -= size_of(tail_.front());
    tail_.pop_front();
    tail_first_ = tail_first_.next();
  }
}

std::size_t Log::bytes_of(Index first, Index last) const {
  WEIR_CHECK(first >= tail_first_ && last <= last_index_, first, last, tail_first_, last_index_);
  std::size_t bytes = 0;
  for (Index index = first; index <= last; index = index.next()) {
    bytes += size_of(in_tail(index));
  }
  return bytes;
}

}  // namespace weir::raft
