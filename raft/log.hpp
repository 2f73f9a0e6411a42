// The log as one member sees it: every entry's term, the newest entries themselves, and how far the disk has followed.
// Runs on the replica strand, inside Raft.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "raft/entry.hpp"

namespace weir::raft {

/// What one entry weighs in every bound that counts bytes: its data, and a fixed part so that empty entries count too.
inline constexpr std::size_t kEntryOverheadBytes = 64;
[[nodiscard]] inline std::size_t size_of(const Entry& entry) {
  return entry.data.size() + kEntryOverheadBytes;
}

/// Three ranges, from old to new:
///
///     first_index        tail_first        written        last_index
///     |  on disk only    |   in memory, given |  in memory, not  |
///     |                  |   to the disk      |  yet given to it |
///
/// and `durable_index`, which follows `written` as the disk reports back.
class Log {
 public:
  /// The log found on disk: all of it durable, none of it in memory. `prev_term` is the term of the entry before
  /// first_index; 0 = not known, or there is none.
  Log(std::vector<TermRun> runs, Index first_index, Index last_index, Term prev_term = {});

  // --- terms: answered for the whole log, without the entries
  [[nodiscard]] Index first_index() const { return first_index_; }
  [[nodiscard]] Index last_index() const { return last_index_; }
  [[nodiscard]] Term last_term() const { return runs_.empty() ? prev_term_ : runs_.back().term; }
  /// 0 if `index` is neither in the log nor, where its term is known, right before it.
  [[nodiscard]] Term term_at(Index index) const;
  /// Whether prev_log_index and prev_log_term fit this log (AppendEntries, receiver rule 2). (0, 0) fits every log, and
  /// so does every place before it: what went into a snapshot is committed, so each leader's log agrees with it.
  [[nodiscard]] bool fits(Index prev_log_index, Term prev_log_term) const;
  /// The first index of the run of equal terms that holds `index`. Requires `index` in the log.
  [[nodiscard]] Index run_first(Index index) const;
  /// The last index whose entry has `term`; 0 if there is none.
  [[nodiscard]] Index last_index_of(Term term) const;

  // --- changes
  /// Requires entry.index == last_index + 1 and a term no lower than the last.
  void append(Entry entry);
  /// Drops the entries from `index` on. The caller answers for none of them being committed.
  void truncate_from(Index index);
  /// Entries up to `index` are not there any more, on disk or in memory. Requires them durable and applied.
  void compact(Index index);
  /// A snapshot of this place takes the place of everything. It is durable when persisted() says so.
  void reset(Index index, Term term);

  // --- the disk
  struct Writes {
    std::optional<Index> truncate_from;
    std::vector<Entry> append;
  };
  /// What the disk has not been given yet, at most once each; truncation comes before the entries.
  [[nodiscard]] Writes take_writes();
  [[nodiscard]] bool has_writes() const { return truncation_ || written_ < last_index_; }
  /// The write whose last entry is (term, index) is durable, and every write before it.
  void persisted(Term term, Index index);
  /// Entries up to here are on disk, and no write under way will take them off again.
  [[nodiscard]] Index durable_index() const { return durable_index_; }

  // --- the tail
  /// The first entry held in memory; last_index + 1 if none is.
  [[nodiscard]] Index tail_first() const { return tail_first_; }
  /// Entries [first, last] as far as they fit into bytes_max, but at least one. Empty if `first` is not in memory.
  [[nodiscard]] std::vector<Entry> entries(Index first, Index last, std::size_t bytes_max) const;
  /// Forgets the oldest entries in memory until `bytes_max` holds, but only durable ones up to `applied`.
  void release(Index applied, std::size_t bytes_max);
  /// The weight of entries [first, last]. Requires them in memory.
  [[nodiscard]] std::size_t bytes_of(Index first, Index last) const;

 private:
  struct Write {
    std::optional<Index> truncate_from;
    Term last_term;
    Index last_index;
  };

  [[nodiscard]] const TermRun& run_of(Index index) const;
  [[nodiscard]] const Entry& in_tail(Index index) const { return tail_[index - tail_first_]; }

  std::vector<TermRun> runs_;        ///< ascending in both term and first; empty exactly if the log is
  Term prev_term_;                   ///< of the entry before first_index_; 0 = not known, or there is none
  Index first_index_;                ///< >= 1
  Index last_index_;                 ///< >= first_index_ - 1, or 0
  std::deque<Entry> tail_;           ///< entries [tail_first_, last_index_], contiguous
  Index tail_first_;                 ///< <= last_index_ + 1
  std::size_t tail_bytes_ = 0;       ///< the weight of tail_
  Index written_;                    ///< entries above have not been given to the disk; >= durable_index_
  Index durable_index_;              ///< <= written_; falls only by truncation
  std::deque<Write> writes_;         ///< given to the disk, not yet reported durable, oldest first
  std::optional<Index> truncation_;  ///< to be given to the disk before the entries above written_
};

}  // namespace weir::raft
