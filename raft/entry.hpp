// What the log is made of. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "raft/configuration.hpp"
#include "raft/types.hpp"

namespace weir::raft {

/// What an entry does when it is applied. The numbers are on disk and on the wire: never re-used.
enum class Command : std::uint8_t {
  noop = 1,     ///< §8: the first entry of a leader's term; carries no data
  publish = 2,  ///< SET: events for topics (wire/entry.fbs, PublishEntry)
  dedup = 3,    ///< claims of event ids without events (wire/entry.fbs, DedupEntry)
  topic = 4,    ///< settings of a topic
  group = 5,    ///< consumer group state
  config = 6,   ///< the cluster's members (wire/entry.fbs, ConfigEntry)
  retain = 7,   ///< retention floors
  digest = 8,   ///< digests of the replicas' state
  batch = 9,    ///< events and commits of groups, together or not at all (wire/entry.fbs, PublishEntry)
  /// Stands for one of which nothing is retained any more, in a file that was rewritten (docs/decisions/0023); carries
  /// no data. Read, never applied, never proposed and never sent.
  hollow = 10,
};

/// The name that `weir raft log` prints ("NOOP", "SET", "DEDUP", ...); "UNKNOWN" for a number of a later version.
[[nodiscard]] std::string_view to_string(Command command);

/// `index u64 | term u64 | command u8 | data bytes`, and the checksum that travels with the data.
struct Entry {
  Index index;
  Term term;
  Command command = Command::noop;
  /// XXH3-64 of `data`, seeded with `command`, by whoever proposed it (wire::entry_checksum); 0 for a noop and
  /// for a hollow one. raft/ carries it and never looks at it.
  std::uint64_t checksum = 0;
  Bytes data;
  /// CONFIG entries: what `data` says, decoded by whoever hands the entry to Raft (docs/decisions/0007); null for all
  /// others, and in what the shell reads from its store for others to send on.
  ConfigurationPtr configuration = nullptr;

  /// `configuration` says nothing that `data` does not.
  friend bool operator==(const Entry& a, const Entry& b) {
    return a.index == b.index && a.term == b.term && a.command == b.command && a.checksum == b.checksum &&
           a.data == b.data;
  }
};

/// An entry before the leader has given it a place in the log.
struct Proposal {
  Command command = Command::publish;
  std::uint64_t checksum = 0;
  Bytes data;
  ConfigurationPtr configuration = nullptr;  ///< as in Entry
};

/// Figure 2, "persistent state on all servers", less the log itself.
struct HardState {
  Term current_term;
  NodeId voted_for = kNobody;

  friend bool operator==(const HardState&, const HardState&) = default;
};

/// Entries from `first` on, up to the next run's first, all have `term`. A log's terms in the fewest words: enough to
/// answer every prev_log_term check without the entries.
struct TermRun {
  Term term;
  Index first;

  friend bool operator==(const TermRun&, const TermRun&) = default;
};

}  // namespace weir::raft
