// The consensus algorithm as a deterministic state machine: inputs in, Output out, nothing else.
// Runs on the replica strand. Outlives nothing but its own call; owns its in-memory log tail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/configuration.hpp"
#include "raft/log.hpp"
#include "raft/message.hpp"
#include "raft/output.hpp"
#include "raft/progress.hpp"
#include "raft/random.hpp"
#include "raft/types.hpp"

namespace weir::raft {

/// Times are in ticks; the shell decides how long a tick is (10 ms by default).
struct Config {
  NodeId id;
  /// SOURCE.md: election timeout = 150 ms + random(0, 150 ms); each draw is uniform in [min, max].
  std::uint32_t election_ticks_min = 15;
  std::uint32_t election_ticks_max = 30;
  /// Must be below election_ticks_min.
  std::uint32_t heartbeat_ticks = 5;
  /// Seeds the only randomness there is: election timeouts.
  std::uint64_t seed = 1;
  /// Entries in one AppendEntries stop at this many bytes (one entry always fits).
  std::size_t append_bytes_max = std::size_t{4} << 20U;
  /// AppendEntries in flight to one follower.
  std::size_t inflight_messages_max = 128;
  std::size_t inflight_bytes_max = std::size_t{16} << 20U;
  /// Applied, durable entries are kept in memory up to this many bytes so that followers a little behind need no disk.
  std::size_t tail_bytes_max = std::size_t{32} << 20U;
  /// Entries proposed and not committed yet (FAULTS 35): above, propose is refused as overloaded.
  std::size_t uncommitted_bytes_max = std::size_t{64} << 20U;
};

/// What the disk held at start.
struct Recovered {
  HardState hard_state;
  /// Ascending; the first run starts at first_index. Empty exactly if the log is empty.
  std::vector<TermRun> term_runs;
  Index first_index{1};
  Index last_index;  ///< first_index - 1 = empty log
  /// Of the entry before first_index, if a snapshot knows it; else 0.
  Term prev_term = {};
  /// What the snapshot on disk covers, and so is committed and applied; 0 = there is none. >= first_index - 1.
  Index snapshot_index = {};
  /// Every configuration in the log, ascending; before them, the one in force before the log's first entry, if there is
  /// one. At least one in all.
  std::vector<PlacedConfiguration> configurations = {};
  /// Where the CONFIG entries of the log are, ascending: what a store can say of them. The shell decodes them and fills
  /// `configurations`; Raft does not look at this.
  std::vector<Index> config_entries = {};
};

enum class ProposeError : std::uint8_t { not_leader = 1, overloaded = 2, number_limit = 3 };
enum class ChangeError : std::uint8_t {
  not_leader = 1,        ///< or about to hand over
  in_progress = 2,       ///< another change is not committed yet (thesis §4.1; FAULTS 30)
  term_is_new = 3,       ///< nothing of this term is committed yet (FAULTS 31)
  not_one_member = 4,    ///< more than one member's standing would change, or a new one would vote at once
  not_caught_up = 5,     ///< the learner to be promoted is too far behind (thesis §4.2.1)
  no_configuration = 6,  ///< the proposal is no CONFIG entry, or its configuration is impossible
  overloaded = 7,
  number_limit = 8,
};
[[nodiscard]] std::string_view to_string(ChangeError error);
enum class DiskHealth : std::uint8_t { flowing = 1, stalled = 2 };

/// Entries the shell read for a CatchUpRequest. Empty = the read failed; the core asks again later.
struct CatchUp {
  NodeId to;
  Index first;
  std::vector<Entry> entries;
};

/// What the shell read for a SnapshotRequest. snapshot.index 0 = the read failed, or there is no snapshot; the core
/// asks again later.
struct SnapshotRead {
  NodeId to;
  Snapshot snapshot;
  std::uint64_t offset = 0;
  Bytes data;
};

/// Linear reads waiting at one member, own and forwarded together; above, they are refused. A read waits for one round
/// trip, so this many at once is a client gone wild or a majority gone.
inline constexpr std::size_t kReadsMax = 1024;

/// One member of one Raft group. Call an input, then take_output() and do its duties; inputs may be batched before one
/// take_output(). Same inputs, same outputs, byte for byte.
class Raft {
 public:
  /// Requires a consistent `recovered` (current_term >= the last run's term: storage refuses to start otherwise).
  Raft(Config config, Recovered recovered);
  ~Raft();
  Raft(const Raft&) = delete;
  Raft& operator=(const Raft&) = delete;

  // --- inputs
  /// A message from a member. One that is malformed or not from a member changes nothing and yields MessageRefused.
  void step(Message message);
  /// One tick of time passed.
  void tick();
  /// Leader only: appends one entry per proposal (at least one); the first gets the returned index. A leader that is
  /// handing over answers not_leader as well: nothing was appended, and another leader is about to come.
  [[nodiscard]] std::expected<Index, ProposeError> propose(std::vector<Proposal> proposals);
  /// Leader only: appends one CONFIG entry, in force at once. Against the latest configuration it may change the
  /// standing of one member: add a learner, promote one that is caught up, remove anybody, or nobody's (other data).
  [[nodiscard]] std::expected<Index, ChangeError> change_membership(Proposal proposal);
  /// Entries up to `index` are durable, as of the write whose last entry had `term`. Ignored if the entry at `index`
  /// has another term by then. One call per Output::append, in order; one for several covers all before it.
  void persisted(Term term, Index index);
  void catch_up(CatchUp entries);
  void snapshot_read(SnapshotRead piece);
  /// The last piece of a snapshot that was received is stored, and the whole is in order: it may be installed. Ignored
  /// if it is of no use any more.
  void snapshot_received(const Snapshot& snapshot);
  /// It is not in order: it will be asked for again from the beginning.
  void snapshot_refused(const Snapshot& snapshot);
  /// The store holds a snapshot of `index` and drops, or has dropped, the entries up to there. Requires them applied.
  void compact(Index index);
  /// The state machine has applied up to `index`; memory of the tail may go.
  void applied(Index index);
  /// Asks for a linear read; always answered, once, in Output::read_states or reads_refused: at the latest when
  /// leadership is lost or, on a follower, after an election timeout. `context.sequence` must rise from 1.
  void read_index(ReadContext context);
  /// A flush has hung for disk.stall_timeout, or returned. While stalled: no leadership, no candidacy (FAULTS 120).
  void disk_health(DiskHealth health);
  /// Leader only: hand over to the most up-to-date follower (or `to`), thesis §3.10. Ignored by others, and for a `to`
  /// that is not another voter. Given up after an election timeout.
  void transfer_leadership(NodeId to = kNobody);

  [[nodiscard]] Output take_output();
  [[nodiscard]] bool has_output() const;

  // --- observers
  [[nodiscard]] Role role() const;
  [[nodiscard]] Term current_term() const;
  [[nodiscard]] NodeId voted_for() const;
  [[nodiscard]] NodeId leader() const;
  [[nodiscard]] Index commit_index() const;
  [[nodiscard]] Index first_index() const { return log_.first_index(); }
  [[nodiscard]] Index last_index() const;
  [[nodiscard]] Index durable_index() const;
  /// 0 if `index` is not in the log.
  [[nodiscard]] Term term_at(Index index) const;
  /// Entries [first, last] as far as they are all in memory and within bytes_max (at least one); empty if `first` is
  /// not in memory: then it is durable and the store has it.
  [[nodiscard]] std::vector<Entry> tail(Index first, Index last, std::size_t bytes_max) const;
  /// The latest in the log, committed or not, and the index of its entry.
  [[nodiscard]] const Configuration& configuration() const;
  [[nodiscard]] Index configuration_index() const { return configurations_.latest_index(); }
  /// Leader: one per other member; others: empty.
  [[nodiscard]] std::vector<ProgressView> progress() const;
  /// Ticks until this member, hearing nothing, starts an election; 0 for a leader.
  [[nodiscard]] std::uint32_t election_ticks_left() const;
  /// One line for people and transcripts.
  [[nodiscard]] std::string describe() const;

 private:
  using Body = decltype(Message::body);
  struct Read {
    ReadContext context;
    NodeId requester;         ///< this member, or the follower that forwarded it
    Index index;              ///< commit_index when it could first be served
    std::uint64_t round = 0;  ///< the read round that confirms it
  };
  struct ForwardedRead {
    ReadContext context;
    std::uint64_t give_up_at;  ///< in ticks_
  };
  struct Transfer {
    NodeId to;
    std::uint32_t ticks = 0;
  };
  /// Figure 2, "volatile state on leaders", and what else lasts as long as one leadership.
  struct Leadership {
    std::vector<Progress> followers;    ///< one per other member, ascending by id
    Index term_start;                   ///< the NOOP that opened the term; all entries from here on are of this term
    bool term_is_durable = false;       ///< known from another's vote, or from the own disk
    std::size_t uncommitted_bytes = 0;  ///< the weight of entries above commit_index, from term_start on
    std::uint32_t heartbeat_ticks = 0;  ///< since the last heartbeat
    std::deque<Read> held_reads;        ///< came before an entry of this term was committed (FAULTS 15)
    std::deque<Read> reads;             ///< waiting for their round, ascending by round
    std::uint64_t read_round = 0;       ///< the latest round; every AppendEntries carries it
    bool read_round_open = false;       ///< it began in this turn: none of its messages has left yet
    std::optional<Transfer> transfer;
  };
  /// What the leader could do for one follower right now.
  enum class Sending : std::uint8_t { nothing, heartbeat, entries, catch_up, snapshot };
  /// A follower takes in a leader's snapshot.
  struct Receiving {
    Snapshot snapshot;
    Term term;                 ///< of the leader that sends it
    std::uint64_t offset = 0;  ///< the next piece begins here
  };

  // --- messages, each in the file of its subject
  void on(const Message& message, const RequestVote& request);
  void on(const Message& message, const RequestVoteReply& reply);
  void on(const Message& message, AppendEntries& request);
  void on(const Message& message, const AppendEntriesReply& reply);
  void on(const Message& message, const ReadIndexRequest& request);
  void on(const Message& message, const ReadIndexReply& reply);
  void on(const Message& message, const TimeoutNow& request);
  void on(const Message& message, InstallSnapshot& request);
  void on(const Message& message, const InstallSnapshotReply& reply);

  // --- raft.cpp
  /// Figure 2, "all servers": a higher term is adopted. False if the message is of a lower one, and so of no use.
  bool is_of_current_term(const Message& message);
  /// §5.2: a word of the term's leader. False if it comes from a second one, which is refused.
  bool follow_leader(const Message& message);
  void refuse(NodeId from, const char* reason);
  void send_at_once(NodeId to, Body body);
  void send_after_persist(NodeId to, Term term, Body body);
  [[nodiscard]] Index applicable_index() const;

  // --- election.cpp
  void become_follower(Term term, NodeId leader);
  void become_candidate(VoteKind kind);
  void become_leader();
  void give_up_leadership();
  void campaign(VoteKind kind);
  void count_vote(NodeId voter, VoteAnswer answer);
  void tick_leader();
  void restart_election_timer();
  [[nodiscard]] const Progress* best_successor() const;
  void continue_transfer(const Progress& follower);
  [[nodiscard]] bool may_campaign() const;
  [[nodiscard]] bool grants(const Message& message, const RequestVote& request) const;
  [[nodiscard]] bool hears_leader() const;
  [[nodiscard]] bool hears_majority() const;
  [[nodiscard]] Progress* find_follower(NodeId node);

  // --- membership.cpp
  [[nodiscard]] bool is_voter(NodeId node) const { return configuration().is_voter(node); }
  [[nodiscard]] bool may_be_needed() const;
  [[nodiscard]] bool decides_alone() const;
  [[nodiscard]] std::optional<ChangeError> defect_of_change(const Proposal& proposal) const;
  void adopt(const Entry& entry);
  void roll_back_configuration(Index index);
  void follow_configuration();
  void leave_if_removed();
  /// The greatest number that a majority of the voters has reached; `own` is this member's.
  [[nodiscard]] std::uint64_t reached_by_voters(std::uint64_t own, std::uint64_t (*of)(const Progress&)) const;

  // --- replication.cpp
  [[nodiscard]] std::optional<ProposeError> defect_of_append(std::size_t count, std::size_t bytes) const;
  void append(Proposal proposal);
  void store(std::vector<Entry>& entries);
  void advance_commit();
  void commit(Index index);
  void replicate();
  void send_entries(Progress& follower, std::vector<Entry> entries);
  [[nodiscard]] Sending due(const Progress& follower) const;
  [[nodiscard]] bool is_checkable(Index prev_log_index) const;
  [[nodiscard]] AppendEntriesReply conflict_at(Index prev_log_index) const;
  [[nodiscard]] Index index_to_try(const AppendEntriesReply& reply, const Progress& follower) const;
  [[nodiscard]] bool continues_log(const std::vector<Entry>& entries, Index first) const;

  // --- snapshot.cpp
  [[nodiscard]] bool is_wanted(const Snapshot& snapshot) const;
  void answer_snapshot(NodeId to, const Snapshot& snapshot, InstallAnswer answer, std::uint64_t offset);
  void install(const Snapshot& snapshot);

  // --- read_index.cpp
  void accept_read(ReadContext context, NodeId requester);
  void start_read(Read read);
  void start_held_reads();
  void confirm_reads(Progress& follower, const ReadContext& context);
  void answer_read(const Read& read);
  void refuse_forwarded_reads();
  void expire_forwarded_reads();
  [[nodiscard]] ReadContext read_round_context() const;

  const Config config_;

  // Figure 2, "persistent state on all servers": what the disk has been or will be given.
  Term current_term_;  ///< never falls; >= log_.last_term()
  NodeId voted_for_;   ///< in current_term_; changes once per term
  Log log_;
  Configurations configurations_;  ///< of log_
  HardState written_hard_state_;   ///< the last one that left in an Output

  // Figure 2, "volatile state on all servers".
  Index commit_index_;     ///< never falls; <= log_.last_index()
  Index commit_reported_;  ///< the last Output::commit_to; <= commit_index_ and <= the durable index of its time
  Index applied_index_;    ///< as the state machine reported it

  std::optional<Receiving> receiving_;  ///< above commit_index_

  Role role_ = Role::follower;
  NodeId leader_;                              ///< of current_term_, while known
  DiskHealth disk_ = DiskHealth::flowing;      ///< stalled: role_ is follower
  std::map<NodeId, VoteAnswer> votes_;         ///< candidates only
  std::optional<Leadership> leadership_;       ///< exactly while role_ is leader
  std::deque<ForwardedRead> forwarded_reads_;  ///< sent to leader_, oldest first; empty while that is unknown

  Random random_;
  std::uint64_t ticks_ = 0;             ///< since the start
  std::uint32_t election_elapsed_ = 0;  ///< ticks since the leader was heard, a vote granted, or an election started
  std::uint32_t election_timeout_ = 0;  ///< drawn anew for every election

  Output output_;  ///< of this turn, less what take_output works out
};

}  // namespace weir::raft
