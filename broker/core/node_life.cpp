// How a node starts, becomes a member, lives and ends.
#include <algorithm>
#include <utility>

#include "broker/core/configuration.hpp"
#include "broker/core/node_impl.hpp"
#include "raft/check.hpp"

namespace weir::broker {
namespace {

/// Deadlines of writes are looked at this often: 50 ms at the default tick.
constexpr std::uint64_t kTicksPerExpiry = 5;
/// Found is sent again to an empty member this often: 200 ms at the default tick.
constexpr std::uint64_t kTicksPerFound = 20;
/// Retention is looked after this often: a second at the default tick.
constexpr std::uint64_t kTicksPerRetention = 100;
/// §8 of the paper: the members' first common entry.
constexpr raft::Index kConfigIndex{1};
constexpr raft::Term kFoundingTerm{1};

}  // namespace

Node::Impl::Impl(NodeConfig config, storage::Identity identity, raft::Recovered recovered, Disk& disk,
                 PeerNetwork& network, Clock& clock, Founding founding, NodeEvents events)
    : config_(std::move(config)),
      identity_(std::move(identity)),
      started_term_(recovered.hard_state.current_term),
      started_index_(recovered.last_index),
      recovered_(std::move(recovered)),
      disk_(disk),
      network_(network),
      clock_(clock),
      founding_(std::move(founding)),
      events_(std::move(events)),
      self_(wire::node_id(config_.name)),
      cache_(config_.entry_cache_bytes),
      digest_(config_.digest_every_entries),
      checkpoints_(disk_,
                   {.applied_bytes = config_.checkpoint_bytes,
                    .delta_bytes = config_.checkpoint_delta_bytes,
                    .ids_bytes = config_.dedup_memory_bytes},
                   checkpoint_hooks()),
      reader_(state_, cache_, disk_, reader_failed()),
      rewriting_(state_, disk_, rewriting_hooks()),
      forwarder_(network_, clock_, self_, config_.boot_nonce, [this](WriteJob job) { submit(std::move(job)); }),
      barriers_(self_, config_.boot_nonce),
      bootstrap_(hello()),
      alive_(std::make_shared<Impl*>(this)) {}

void Node::Impl::start() {
  leader_heard_us_ = clock_.steady_us();
  if (identity_.cluster_id.empty() && identity_.lost_data) {
    enter(Phase::waiting,
          "what this node had was damaged: waits to be let in again by the other members (does not vote, serves "
          "nothing)");
    return;
  }
  if (identity_.cluster_id.empty()) {
    enter(Phase::forming, "waits for " + bootstrap_.waiting_for());
    tick_bootstrap();
    return;
  }
  load_checkpoints();
}

/// Raft must know every configuration in the log: until a change is committed the one before it may come back. Those
/// before the newest checkpoint cannot.
void Node::Impl::read_configurations(std::size_t number, std::optional<wire::ConfigEntry> latest) {
  const raft::Index known = configs_.empty() ? raft::Index{} : configs_.rbegin()->first;
  while (number < recovered_.config_entries.size() && recovered_.config_entries[number] <= known) {
    ++number;
  }
  if (number == recovered_.config_entries.size()) {
    if (!latest) {
      fail("the log has no CONFIG entry");
      return;
    }
    join(*std::move(latest), std::move(recovered_));
    return;
  }
  const raft::Index index = recovered_.config_entries[number];
  disk_.read(index, index, 1,
             [this, alive = std::weak_ptr(alive_), number,
              index](std::expected<std::vector<raft::Entry>, storage::Error> read) {
               if (alive.expired()) {
                 return;
               }
               if (!read || read->empty()) {
                 fail(read ? missing_entry(index) : read.error());
                 return;
               }
               std::optional<wire::ConfigEntry> next;
               take_configuration(read->front(), next);
               if (next) {
                 read_configurations(number + 1, std::move(next));
               }
             });
}

/// One that Raft has to know when it begins. `latest` stays as it is if it cannot be read.
void Node::Impl::take_configuration(const raft::Entry& entry, std::optional<wire::ConfigEntry>& latest) {
  auto config = wire::decode_config(entry.data);
  if (!config) {
    fail("log entry " + std::to_string(entry.index.value) + ": " + config.error().text);
    return;
  }
  recovered_.configurations.push_back(
      {.index = entry.index, .configuration = to_configuration(*config, own_identity())});
  configs_[entry.index] = *config;
  if (entry.index == kConfigIndex) {
    founding_config_ = *config;
    founding_data_ = entry.data;
  }
  latest = *std::move(config);
}

void Node::Impl::tick_bootstrap() {
  if (phase_ != Phase::forming || founding_now_ || cluster_ || !identity_.cluster_id.empty()) {
    return;
  }
  if (bootstrap_.may_found()) {
    wire::ConfigEntry config = bootstrap_.compose(config_.seed);
    std::string cluster_id = config.cluster_id;
    found(std::move(config), std::move(cluster_id));
  }
}

/// `cluster_id` is another than that of `config` if the log was restored or recovered since it was founded.
void Node::Impl::found(wire::ConfigEntry config, std::string cluster_id) {
  founding_now_ = true;
  raft::Proposal proposal = to_proposal(config, own_identity());
  raft::Entry entry{.index = kConfigIndex,
                    .term = kFoundingTerm,
                    .command = proposal.command,
                    .checksum = proposal.checksum,
                    .data = std::move(proposal.data)};
  auto done = [this, alive = std::weak_ptr(alive_), config = std::move(config),
               cluster_id](const std::expected<void, storage::Error>& result) {
    if (!alive.expired()) {
      founded(config, cluster_id, result);
    }
  };
  founding_(std::move(cluster_id), std::move(entry), std::move(done));
}

void Node::Impl::founded(const wire::ConfigEntry& config, const std::string& cluster_id,
                         std::expected<void, storage::Error> result) {
  founding_now_ = false;
  if (!result) {
    fail(result.error());
    return;
  }
  identity_.cluster_id = cluster_id;
  recovered_ = {.hard_state = {.current_term = kFoundingTerm, .voted_for = raft::kNobody},
                .term_runs = {{.term = kFoundingTerm, .first = kConfigIndex}},
                .first_index = kConfigIndex,
                .last_index = kConfigIndex,
                .configurations = {{.index = kConfigIndex, .configuration = to_configuration(config, own_identity())}}};
  configs_[kConfigIndex] = config;
  founding_config_ = config;
  founding_data_ = wire::encode(config);
  join(config, std::move(recovered_));
  tell_founded();
}

/// Those who met this node while it was empty would take nothing that it says for the word of a member: not even of one
/// that leads them by a CONFIG which they do not have yet.
void Node::Impl::tell_founded() {
  for (const auto& [node, peer] : peers_) {
    if (!peer.cluster_id.empty()) {
      static_cast<void>(
          network_.send(node, wire::Found{.config = wire::encode(*founding_config_), .admission = admission_data_}));
    }
  }
}

void Node::Impl::join(wire::ConfigEntry config, raft::Recovered recovered) {
  cluster_ = std::move(config);
  if (cluster_->cluster_id != identity_.cluster_id && is_member()) {
    fail("this folder is of cluster " + identity_.cluster_id + ", and its log of " + cluster_->cluster_id +
         ": weir recover did not come to its end; run it again");
    return;
  }
  replica_ = std::make_unique<Replica>(raft_config(), std::move(recovered),
                                       Replica::Limits{.disk_stall_timeout_ms = config_.disk_stall_timeout_ms,
                                                       .snapshot_piece_bytes = config_.snapshot_piece_bytes},
                                       disk_, network_, clock_, log_time_, replica_hooks());
  applier_ = std::make_unique<Applier>(state_, cache_, replica_->raft(), disk_, applier_hooks());
  if (loaded_) {
    raft::Entry in_force = std::move(loaded_->config);
    restore(*std::exchange(loaded_, std::nullopt));
    if (phase_ == Phase::failed) {
      return;
    }
    applier_->resume(std::move(in_force));
  }
  coalescer_ =
      std::make_unique<Coalescer>(*replica_, log_time_, clock_, [this](WriteJob job) { give_back(std::move(job)); });
  if (phase_ != Phase::draining) {
    enter_membership();
  }
  members_changed();
  trim_log();
  settle();
}

raft::Config Node::Impl::raft_config() const {
  raft::Config config;
  config.id = self_;
  config.election_ticks_min = config_.election_timeout_min_ms / config_.tick_ms;
  config.election_ticks_max = config_.election_timeout_max_ms / config_.tick_ms;
  config.heartbeat_ticks = std::max(1U, config_.heartbeat_ms / config_.tick_ms);
  config.seed = config_.seed;
  return config;
}

Replica::Hooks Node::Impl::replica_hooks() {
  return {
      .committed = [this](raft::Index index) { applier_->commit_to(index); },
      .read_confirmed = [this](const raft::ReadState& state) { barriers_.confirmed(state.context, state.index); },
      .event = [this](const raft::Event& event) { on_event(event); },
      .woken = [this] { settle(); },
      .failed = [this](const storage::Error& error) { fail(error); },
      .may_send =
          [this](const raft::Message& message) {
            return is_current(message.to) || (is_reply(message) && shares_cluster(message.to));
          },
      .stamp = [this](raft::Message& message) { stamp(message); },
      .before_install = [this](std::move_only_function<void()> install) { checkpoints_.when_idle(std::move(install)); },
      .installing = [this](const raft::Snapshot& snapshot) { on_installing(snapshot); },
      .installed = [this] { on_installed(); },
      .notice =
          [this](const std::string& text) {
            if (events_.notice) {
              events_.notice(text);
            }
          }};
}

Checkpoints::Hooks Node::Impl::checkpoint_hooks() {
  return {.saved =
              [this] {
                ++counters_.checkpoints_saved;
                trim_log();
              },
          .notice =
              [this](const std::string& text) {
                if (events_.notice) {
                  events_.notice(text);
                }
              },
          .ids_bytes = [this] { return state_.ids().memory_bytes(); },
          .ids_moved = [this](storage::IdRuns runs) { state_.take_id_runs(std::move(runs)); }};
}

/// Between an install and the state that comes with it readers may ask for what the new log has no more.
std::function<void(const storage::Error&)> Node::Impl::reader_failed() {
  return [this](const storage::Error& error) {
    if (!installing_) {
      fail(error);
    }
  };
}

LogRewriting::Hooks Node::Impl::rewriting_hooks() {
  return {.withdraw =
              [this](raft::Index last) {
                replica_->compact(last);
                return replica_->raft().first_index() > last;
              },
          .failed = [this](const storage::Error& error) { fail(error); },
          .notice =
              [this](const std::string& text) {
                if (events_.notice) {
                  events_.notice(text);
                }
              }};
}

Applier::Hooks Node::Impl::applier_hooks() {
  return {.applied = [this](const DecodedEntry& entry, Applied& applied) { on_applied(entry, applied); },
          .settled = [this] { on_settled(); },
          .failed = [this](const storage::Error& error) { fail(error); }};
}

void Node::Impl::settle() {
  if (settling_) {
    unsettled_ = true;
    return;
  }
  if (!replica_ || phase_ == Phase::failed) {
    return;
  }
  settling_ = true;
  do {
    unsettled_ = false;
    ask_barriers();
    do {
      replica_->settle();
    } while (coalescer_->flush());
    // Those who are answered may come back with more.
    barriers_.settle(state_.applied_index(), clock_.steady_us());
  } while (unsettled_ && phase_ != Phase::failed);
  settling_ = false;
}

void Node::Impl::settle_soon() {
  if (!events_.unsettled) {
    settle();
  } else if (!std::exchange(settle_is_due_, true)) {
    events_.unsettled();
  }
}

void Node::Impl::settle_due() {
  settle_is_due_ = false;
  settle();
}

void Node::Impl::ask_barriers() {
  if (const auto context = barriers_.empty() ? std::nullopt : barriers_.ask(clock_.steady_us())) {
    replica_->read_index(*context);
  }
}

void Node::Impl::tick() {
  ++ticks_;
  if (phase_ == Phase::failed) {
    return;
  }
  tick_bootstrap();
  if (replica_) {
    checkpoints_.tick(state_, digest_, applier_->config(), founding_data_);
    replica_->tick();
  }
  if (ticks_ % kTicksPerFound == 0) {
    tick_found();
    tend_members();
    tend_digests();
    tend_service();
    tend_space();
    tend_rewriting();
  }
  if (ticks_ % kTicksPerRetention == 0) {
    tend_retention();
  }
  if (ticks_ % kTicksPerExpiry == 0) {
    forwarder_.tick();
    if (coalescer_) {
      coalescer_->expire(clock_.steady_us());
    }
    answer_applied_waits();
    answer_change();
    answer_verify();
  }
  settle();
  if (!replica_ && !barriers_.empty()) {
    barriers_.settle(state_.applied_index(), clock_.steady_us());
  }
  tick_drain();
}

void Node::Impl::tend_retention() {
  if (!replica_ || !replica_->leads() || state_.applied_index() < retain_proposed_) {
    return;
  }
  const auto due = retention_due(config_.retention, state_, log_time_.next(clock_.wall_ms(), clock_.steady_us()));
  if (!due) {
    return;
  }
  raft::Proposal proposal{.command = raft::Command::retain, .checksum = 0, .data = wire::encode(*due)};
  proposal.checksum = wire::entry_checksum(proposal.command, proposal.data.view());
  std::vector<raft::Proposal> proposals;
  proposals.push_back(std::move(proposal));
  // Refused while leadership is handed over or too much is uncommitted: then it is tried again.
  if (const auto index = replica_->propose(std::move(proposals))) {
    retain_proposed_ = *index;
  }
}

/// Until they speak Raft. Followers leave it to the leader, with whom alone they would exchange a word.
void Node::Impl::tick_found() {
  if (!replica_ || (!replica_->leads() && replica_->raft().leader() != raft::kNobody)) {
    return;
  }
  for (const auto& [node, peer] : peers_) {
    if (to_be_founded_.contains(node)) {
      help_found(peer);
    }
  }
}

void Node::Impl::drain(std::uint32_t timeout_ms, std::move_only_function<void()> done) {
  if (phase_ == Phase::running || phase_ == Phase::forming || phase_ == Phase::waiting) {
    enter(Phase::draining, "shutting down");
  }
  drain_ = Drain{.deadline_us = deadline(timeout_ms), .handed_over = false, .done = std::move(done)};
  tick_drain();
}

void Node::Impl::tick_drain() {
  if (!drain_) {
    return;
  }
  const bool alone = !replica_ || replica_->raft().configuration().voters.size() == 1;
  if (pending() == 0 && !alone && !drain_->handed_over) {
    drain_->handed_over = true;
    replica_->transfer_leadership();
    settle();
  }
  const bool finished = pending() == 0 && (alone || !replica_->leads());
  if (finished || phase_ == Phase::failed || clock_.steady_us() >= drain_->deadline_us) {
    auto done = std::move(drain_->done);
    drain_.reset();
    done();
  }
}

void Node::Impl::enter(Phase phase, std::string why) {
  phase_ = phase;
  why_ = std::move(why);
  if (events_.phase) {
    events_.phase(phase_, why_);
  }
}

void Node::Impl::fail(const storage::Error& error) {
  if (error.code == storage::Errc::damaged && phase_ != Phase::failed && events_.damaged) {
    events_.damaged(error.text);
  }
  fail(error.text);
}

void Node::Impl::fail(const std::string& why) {
  if (phase_ == Phase::failed) {
    return;
  }
  enter(Phase::failed, why);
  if (replica_) {
    replica_->halt();
  }
  if (pending_change_) {
    PendingChange change = *std::exchange(pending_change_, std::nullopt);
    change.done(std::unexpected(ChangeRefusal{.kind = ChangeRefusalKind::outcome_unknown, .detail = why}));
  }
  abandon_verify("this node stopped: " + why);
  if (coalescer_) {
    coalescer_->abandon("this node stopped: " + why);
  }
  forwarder_.abandon("this node stopped: " + why);
  barriers_.abandon();
  for (auto& wait : std::exchange(applied_waits_, {})) {
    wait.done(false);
  }
  waiters_.wake_all();
}

}  // namespace weir::broker
