// Files of the log that something is retained of, and little: each is looked through by what retention has taken, and
// written anew by the disk if less than a quarter of it stays (docs/decisions/0023).
// Runs on the core strand. Outlived by the disk; callbacks of a destroyed one do nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/ports.hpp"
#include "broker/core/state_machine.hpp"

namespace weir::broker {

/// What of one file's entries is to stay. Once it is made it never changes: any thread.
struct RewritePlan {
  storage::LogFile file;
  raft::Index known_from;            ///< of entries before this one it is not known any more what they hold
  raft::Index claims_before;         ///< claims that were made before this entry are gone
  std::vector<raft::Index> kept;     ///< ascending: something that was stored by them is retained
  std::vector<raft::Index> removed;  ///< ascending: they stored all of their events, and none is retained
  std::uint64_t kept_bytes = 0;      ///< of bodies in `kept`

  [[nodiscard]] bool keeps(raft::Index index, raft::Command command) const;
};

class LogRewriting {
 public:
  struct Hooks {
    /// Entries up to this one are not to be offered to followers any more. False: some are still needed, it is asked
    /// again.
    std::function<bool(raft::Index last)> withdraw;
    /// The log cannot be read, or not be written to any more.
    std::function<void(const storage::Error&)> failed;
    std::function<void(const std::string&)> notice;
  };
  LogRewriting(const StateMachine& state, Disk& disk, Hooks hooks);

  /// One step, of bounded work: some rows of a file, or some bytes of one that is written anew. Only what no start and
  /// no receiver of a snapshot takes for retained goes: `floors` are as of `sendable`, the snapshot that can be sent.
  void go_on(const std::shared_ptr<const Floors>& floors, raft::Index sendable);
  /// The log is another.
  void begin_anew();

  [[nodiscard]] std::uint64_t files() const { return files_; }             ///< that were rewritten, since the start
  [[nodiscard]] std::uint64_t bytes_given_back() const { return bytes_; }  ///< by that

 private:
  /// False if there is nothing to do.
  bool next_file(const std::shared_ptr<const Floors>& floors, raft::Index sendable);
  /// Looks at rows of the file, `rows` at most, and takes off what it did. True once it has seen all.
  bool look_through(std::size_t& rows);
  [[nodiscard]] bool is_worth_it() const;
  void ask();
  void answered(const std::expected<storage::RewriteAnswer, storage::Error>& answer);
  void finish();
  void finished(const std::expected<std::uint64_t, storage::Error>& given_back);

  const StateMachine& state_;
  Disk& disk_;
  Hooks hooks_;
  std::shared_ptr<const Floors> floors_;  ///< that files are being looked at by
  raft::Index sendable_;                  ///< the files that are being looked at end there, or before
  std::deque<storage::LogFile> to_look_at_;
  std::shared_ptr<RewritePlan> plan_;             ///< of the file that it is at
  raft::Index next_;                              ///< the entry from which on the plan is not made yet
  std::map<raft::Index, std::uint64_t> refused_;  ///< by a file's first index: kept_bytes when it was not worth it
  bool ready_ = false;                            ///< its new file is whole
  bool asking_ = false;                           ///< the disk is at work
  std::uint64_t lives_ = 0;                       ///< so many logs so far: an answer about an earlier one is of no use
  std::uint64_t files_ = 0;
  std::uint64_t bytes_ = 0;
  std::shared_ptr<LogRewriting*> self_;
};

}  // namespace weir::broker
