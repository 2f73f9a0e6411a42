// Classic mistakes, switchable one at a time in a test build (WEIR_MUTANTS) to prove that the simulator's checkers see
// them: `make mutants`. In every other build is_mutated is a constant false, and costs nothing. Callable from any
// thread.
#pragma once

#include <cstdint>

namespace weir::raft {

/// What goes wrong; where it does, is_mutated names it.
enum class Mutant : std::uint8_t {
  none = 0,
  // elections
  vote_before_disk,        ///< a vote is answered before it is on disk
  vote_forgotten,          ///< a restart forgets whom it voted for
  vote_forgotten_in_term,  ///< stepping down forgets whom it voted for in the term that goes on
  two_votes,               ///< a second candidate of the term gets a vote too
  stale_log_elected,       ///< §5.4.1 is skipped: whoever asks is up to date enough
  old_votes_count,         ///< answers to an earlier candidacy count for this one
  half_elects,             ///< one vote less than a majority wins
  pre_vote_raises_term,    ///< a pre-vote is taken for a vote: it moves the voter's term
  no_check_quorum,         ///< a leader that nobody answers stays one
  // replication
  matched_before_disk,      ///< an append is answered before it is on disk
  repeat_before_disk,       ///< FAULTS 121: a repeated append is answered while the first write is in flight
  leader_counts_unwritten,  ///< a leader counts what its own disk does not have yet
  half_commits,             ///< one disk less than a majority commits
  old_term_counts,          ///< §5.4.2, Figure 8: entries of old terms commit by counting
  truncates_always,         ///< every AppendEntries cuts off what lies behind it
  prev_term_unchecked,      ///< the entry before must be there; its term is not looked at
  commit_unverified,        ///< FAULTS 18: leader_commit covers entries that were not compared with the leader's
  sent_is_matched,          ///< an answer counts for everything that was sent
  rejected_is_matched,      ///< a conflict moves match_index as well as next_index
  old_replies_count,        ///< answers to an earlier leadership count for this one
  old_leader_heard,         ///< AppendEntries of an earlier term are taken
  applied_before_disk,      ///< FAULTS 21: committed entries are applied before they are on the own disk
  undone_writes_count,      ///< a write that a truncation under way will take off again counts as durable
  stall_ignored,            ///< FAULTS 120: a leader whose flush hangs rules on
  // reads
  read_unconfirmed,          ///< a linear read asks nobody whether this is still the leader
  read_before_noop,          ///< FAULTS 15: a new leader answers with what it knew as a follower
  read_round_too_early,      ///< a read joins a round whose messages have left already
  barrier_takes_any_answer,  ///< an answer to an earlier question confirms a later read
  barrier_unapplied,         ///< a confirmed read does not wait for the state machine
  // checkpoints and snapshots
  install_loses_vote,     ///< installing a snapshot forgets whom this member voted for
  install_leaves_hole,    ///< the log begins one entry behind the snapshot
  installed_before_disk,  ///< a snapshot is answered as installed before it is durable
  delta_left_out,         ///< a start leaves out what the newest checkpoint added
  checkpoint_ahead,       ///< a checkpoint says that it covers an entry that was not applied yet
  dropped_ahead,          ///< the log is dropped to where the state of now needs it, not the snapshot that is sent
  hollowed_ahead,         ///< files are rewritten by the floors of now, not by those of the snapshot that is sent
  // retention
  id_outlives_event,  ///< an id below its topic's floor is a duplicate still
  id_dies_early,      ///< the id of the first retained event is forgotten
  gap_untold,         ///< a reader is not told what retention took from it
  // ids on disk
  runs_not_asked,  ///< an id that has left memory is new
  // members
  change_before_noop,    ///< FAULTS 31, the bug of 2015: a leader changes the members before its no-op is committed
  two_changes,           ///< FAULTS 30: a change does not wait until the one before is committed
  config_after_commit,   ///< a configuration is in force once its entry is committed, not when it is in the log
  no_fallback,           ///< FAULTS 34: a configuration stays in force although its entry was cut off
  learner_counts,        ///< what a learner has counts for a commit
  removed_leader_stays,  ///< FAULTS 32: a leader that was removed leads on
  any_life_counts,       ///< FAULTS 24: what a member says counts, whichever life of its disk CONFIG names
  // the state machine and its clients
  dedup_before_entry,        ///< ids are decided on the state before the entry: two of one entry are both new
  dedup_by_id_only,          ///< an id that is known is a duplicate, whatever its content
  duplicate_stored_again,    ///< a repeat is answered as a duplicate and stored once more
  batch_in_part,             ///< a batch with one refused event stores the others
  expectation_before_entry,  ///< an expectation is decided without the entry's earlier requests
  unknown_tried_again,       ///< a write without ids whose outcome is unknown is handed to the next leader all the same
  refused_though_handed_over,  ///< what another node may still store is told as refused
  last,
};

#ifdef WEIR_MUTANTS
/// Defined by the tests that are built so.
[[nodiscard]] bool is_mutated(Mutant mutant);
#else
[[nodiscard]] constexpr bool is_mutated(Mutant) {
  return false;
}
#endif

}  // namespace weir::raft
