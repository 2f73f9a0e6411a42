#include "tests/sim/mutants/mutants.hpp"

#include <array>

namespace weir::sim {
namespace {

using raft::Mutant;

constexpr std::array kRows{
    MutantRow{"vote_before_disk", Mutant::vote_before_disk, Mistake::none, "a vote is answered before it is on disk"},
    MutantRow{"vote_forgotten", Mutant::vote_forgotten, Mistake::none, "a restart forgets whom it voted for"},
    MutantRow{"vote_forgotten_in_term", Mutant::vote_forgotten_in_term, Mistake::none,
              "stepping down forgets whom it voted for in the term that goes on"},
    MutantRow{"two_votes", Mutant::two_votes, Mistake::none, "a second candidate of the term gets a vote too"},
    MutantRow{"stale_log_elected", Mutant::stale_log_elected, Mistake::none,
              "§5.4.1 is skipped: whoever asks is up to date enough"},
    MutantRow{"old_votes_count", Mutant::old_votes_count, Mistake::none,
              "answers to an earlier candidacy count for this one"},
    MutantRow{"half_elects", Mutant::half_elects, Mistake::none, "one vote less than a majority wins"},
    MutantRow{"pre_vote_raises_term", Mutant::pre_vote_raises_term, Mistake::none,
              "a pre-vote is taken for a vote: it moves the voter's term"},
    MutantRow{"no_check_quorum", Mutant::no_check_quorum, Mistake::none, "a leader that nobody answers stays one"},
    MutantRow{"matched_before_disk", Mutant::matched_before_disk, Mistake::none,
              "an append is answered before it is on disk"},
    MutantRow{"repeat_before_disk", Mutant::repeat_before_disk, Mistake::none,
              "FAULTS 121: a repeated append is answered while the first write is in flight"},
    MutantRow{"leader_counts_unwritten", Mutant::leader_counts_unwritten, Mistake::none,
              "a leader counts what its own disk does not have yet"},
    MutantRow{"half_commits", Mutant::half_commits, Mistake::none, "one disk less than a majority commits"},
    MutantRow{"old_term_counts", Mutant::old_term_counts, Mistake::none,
              "§5.4.2, Figure 8: entries of old terms commit by counting"},
    MutantRow{"truncates_always", Mutant::truncates_always, Mistake::none,
              "every AppendEntries cuts off what lies behind it"},
    MutantRow{"prev_term_unchecked", Mutant::prev_term_unchecked, Mistake::none,
              "the entry before must be there; its term is not looked at"},
    MutantRow{"commit_unverified", Mutant::commit_unverified, Mistake::none,
              "FAULTS 18: leader_commit covers entries that were not compared with the leader's"},
    MutantRow{"sent_is_matched", Mutant::sent_is_matched, Mistake::none,
              "an answer counts for everything that was sent"},
    MutantRow{"rejected_is_matched", Mutant::rejected_is_matched, Mistake::none,
              "a conflict moves match_index as well as next_index"},
    MutantRow{"old_replies_count", Mutant::old_replies_count, Mistake::none,
              "answers to an earlier leadership count for this one"},
    MutantRow{"old_leader_heard", Mutant::old_leader_heard, Mistake::none,
              "AppendEntries of an earlier term are taken"},
    MutantRow{"applied_before_disk", Mutant::applied_before_disk, Mistake::none,
              "FAULTS 21: committed entries are applied before they are on the own disk"},
    MutantRow{"undone_writes_count", Mutant::undone_writes_count, Mistake::none,
              "a write that a truncation under way will take off again counts as durable"},
    MutantRow{"stall_ignored", Mutant::stall_ignored, Mistake::none, "FAULTS 120: a leader whose flush hangs rules on"},
    MutantRow{"read_unconfirmed", Mutant::read_unconfirmed, Mistake::none,
              "a linear read asks nobody whether this is still the leader"},
    MutantRow{"read_before_noop", Mutant::read_before_noop, Mistake::none,
              "FAULTS 15: a new leader answers with what it knew as a follower"},
    MutantRow{"read_round_too_early", Mutant::read_round_too_early, Mistake::none,
              "a read joins a round whose messages have left already"},
    MutantRow{"barrier_takes_any_answer", Mutant::barrier_takes_any_answer, Mistake::none,
              "an answer to an earlier question confirms a later read"},
    MutantRow{"barrier_unapplied", Mutant::barrier_unapplied, Mistake::none,
              "a confirmed read does not wait for the state machine"},
    MutantRow{"install_loses_vote", Mutant::install_loses_vote, Mistake::none,
              "installing a snapshot forgets whom this member voted for"},
    MutantRow{"install_leaves_hole", Mutant::install_leaves_hole, Mistake::none,
              "FAULTS 29: the log begins one entry behind the snapshot"},
    MutantRow{"installed_before_disk", Mutant::installed_before_disk, Mistake::none,
              "a snapshot is answered as installed before it is durable"},
    MutantRow{"delta_left_out", Mutant::delta_left_out, Mistake::none,
              "a start leaves out what the newest checkpoint added"},
    MutantRow{"checkpoint_ahead", Mutant::checkpoint_ahead, Mistake::none,
              "a checkpoint says that it covers an entry that was not applied yet"},
    MutantRow{"dropped_ahead", Mutant::dropped_ahead, Mistake::none,
              "the log is dropped to where the state of now needs it, not the snapshot that is sent"},
    MutantRow{"hollowed_ahead", Mutant::hollowed_ahead, Mistake::none,
              "files are rewritten by the floors of now, not by those of the snapshot that is sent"},
    MutantRow{"id_outlives_event", Mutant::id_outlives_event, Mistake::none,
              "an id below its topic's floor is a duplicate still"},
    MutantRow{"id_dies_early", Mutant::id_dies_early, Mistake::none,
              "FAULTS 63: the id of the first retained event is forgotten"},
    MutantRow{"gap_untold", Mutant::gap_untold, Mistake::none,
              "FAULTS 56: a reader is not told what retention took from it"},
    MutantRow{"runs_not_asked", Mutant::runs_not_asked, Mistake::none, "an id that has left memory is new"},
    MutantRow{"change_before_noop", Mutant::change_before_noop, Mistake::none,
              "FAULTS 31, the bug of 2015: a leader changes the members before its no-op is committed"},
    MutantRow{"two_changes", Mutant::two_changes, Mistake::none,
              "FAULTS 30: a change does not wait until the one before is committed"},
    MutantRow{"config_after_commit", Mutant::config_after_commit, Mistake::none,
              "a configuration is in force once its entry is committed, not when it is in the log"},
    MutantRow{"no_fallback", Mutant::no_fallback, Mistake::none,
              "FAULTS 34: a configuration stays in force although its entry was cut off"},
    MutantRow{"learner_counts", Mutant::learner_counts, Mistake::none, "what a learner has counts for a commit"},
    MutantRow{"removed_leader_stays", Mutant::removed_leader_stays, Mistake::none,
              "FAULTS 32: a leader that was removed leads on"},
    MutantRow{"any_life_counts", Mutant::any_life_counts, Mistake::none,
              "FAULTS 24: what a member says counts, whichever life of its disk CONFIG names"},
    MutantRow{"dedup_before_entry", Mutant::dedup_before_entry, Mistake::none,
              "ids are decided on the state before the entry: two of one entry are both new"},
    MutantRow{"dedup_by_id_only", Mutant::dedup_by_id_only, Mistake::none,
              "an id that is known is a duplicate, whatever its content"},
    MutantRow{"duplicate_stored_again", Mutant::duplicate_stored_again, Mistake::none,
              "a repeat is answered as a duplicate and stored once more"},
    MutantRow{"batch_in_part", Mutant::batch_in_part, Mistake::none,
              "a batch with one refused event stores the others"},
    MutantRow{"expectation_before_entry", Mutant::expectation_before_entry, Mistake::none,
              "an expectation is decided without the entry's earlier requests"},
    MutantRow{"unknown_tried_again", Mutant::unknown_tried_again, Mistake::none,
              "a write without ids whose outcome is unknown is handed to the next leader all the same"},
    MutantRow{"refused_though_handed_over", Mutant::refused_though_handed_over, Mistake::none,
              "what another node may still store is told as refused"},
    MutantRow{"flush_lies", Mutant::none, Mistake::flush_lies, "the disk says \"durable\" first and writes later"},
    MutantRow{"vote_not_kept", Mutant::none, Mistake::vote_not_kept, "the disk keeps the term and forgets the vote"},
    MutantRow{"tail_lost", Mutant::none, Mistake::tail_lost, "a crash takes the newest synced entry with it"},
    MutantRow{"wiped_unnoticed", Mutant::none, Mistake::wiped_unnoticed,
              "FAULTS 24: a wiped voter comes back as if nothing had happened, and votes"},
    MutantRow{"forward_repeated", Mutant::none, Mistake::forward_repeated,
              "the network delivers a forwarded write twice"},
    MutantRow{"refusal_flipped", Mutant::none, Mistake::refusal_flipped, "refused votes arrive as granted"},
    MutantRow{"reply_inflated", Mutant::none, Mistake::reply_inflated,
              "append replies claim one entry more than they have"},
};

Mutant switched_on = Mutant::none;

}  // namespace

std::span<const MutantRow> mutant_rows() {
  return kRows;
}

void switch_on(Mutant mutant) {
  switched_on = mutant;
}

}  // namespace weir::sim

bool weir::raft::is_mutated(Mutant mutant) {
  return mutant == weir::sim::switched_on;
}
