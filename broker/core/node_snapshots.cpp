// How a node's state comes from its checkpoints, at a start and behind a leader's snapshot, and what its log forgets.
#include <algorithm>
#include <utility>

#include "broker/core/configuration.hpp"
#include "broker/core/node_impl.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {

void Node::Impl::load_checkpoints() {
  checkpoints_.load(
      [this, alive = std::weak_ptr(alive_)](std::expected<std::optional<Checkpoints::Loaded>, storage::Error> loaded) {
        if (alive.expired()) {
          return;
        }
        if (!loaded) {
          fail(loaded.error());
          return;
        }
        std::optional<wire::ConfigEntry> latest;
        if (*loaded) {
          if (auto fits = begin_behind(**loaded); !fits) {
            fail(fits.error());
            return;
          }
          take_configuration((*loaded)->config, latest);
          loaded_ = *std::move(loaded);
        } else if (recovered_.first_index > raft::Index{1}) {
          fail("the log begins with entry " + std::to_string(recovered_.first_index.value) +
               " and no checkpoint says what was before it");
        }
        if (phase_ != Phase::failed) {
          read_configurations(0, std::move(latest));
        }
      });
}

/// FAULTS 27: the log's first index meets the checkpoint. What that covers is committed and applied (FAULTS 19).
std::expected<void, std::string> Node::Impl::begin_behind(const Checkpoints::Loaded& loaded) {
  const std::string place = "the checkpoint of entry " + std::to_string(loaded.index.value);
  if (loaded.index.next() < recovered_.first_index || loaded.index > recovered_.last_index) {
    return std::unexpected(place + " does not meet the log, which has entries " +
                           std::to_string(recovered_.first_index.value) + " to " +
                           std::to_string(recovered_.last_index.value));
  }
  auto founding = wire::decode_config(loaded.founding_data);
  if (!founding) {
    return std::unexpected(place + ": its founding CONFIG: " + founding.error().text);
  }
  founding_config_ = *std::move(founding);
  founding_data_ = loaded.founding_data;
  recovered_.snapshot_index = loaded.index;
  if (loaded.index.next() == recovered_.first_index) {
    recovered_.prev_term = loaded.term;
  }
  return {};
}

void Node::Impl::restore(Checkpoints::Loaded loaded) {
  state_ = std::move(loaded.state);
  if (auto digest = digest_.restore(loaded.digest_data.view()); !digest || digest_.index() != loaded.index) {
    fail("the checkpoint of entry " + std::to_string(loaded.index.value) + ": " +
         (digest ? "its digest is of entry " + std::to_string(digest_.index().value) : digest.error()));
  }
  log_time_.at_least(state_.time_ms());
}

/// Raft goes by the snapshot from now on. The state follows when it is on disk; until then readers see the old one.
void Node::Impl::on_installing(const raft::Snapshot& snapshot) {
  auto config = wire::decode_config(snapshot.config.data);
  if (!config) {
    fail("the snapshot of entry " + std::to_string(snapshot.index.value) + ": its CONFIG: " + config.error().text);
    return;
  }
  configs_[snapshot.config.index] = *std::move(config);
  installing_ = true;
  applier_->pause();
  checkpoints_.suspend();
}

void Node::Impl::on_installed() {
  ++counters_.snapshots_installed;
  checkpoints_.load(
      [this, alive = std::weak_ptr(alive_)](std::expected<std::optional<Checkpoints::Loaded>, storage::Error> loaded) {
        if (alive.expired() || phase_ == Phase::failed) {
          return;
        }
        if (!loaded) {
          fail(loaded.error());
          return;
        }
        if (!*loaded) {
          fail("a snapshot was installed that holds no checkpoint");
          return;
        }
        take_over(**std::move(loaded));
      });
}

/// Everybody here sees a jump forward, as if all that lies between had been applied at once.
void Node::Impl::take_over(Checkpoints::Loaded loaded) {
  if (loaded.index < state_.applied_index()) {
    fail("a snapshot was installed that is older than what was applied");
    return;
  }
  auto founding = wire::decode_config(loaded.founding_data);
  if (!founding) {
    fail("the snapshot of entry " + std::to_string(loaded.index.value) +
         ": its founding CONFIG: " + founding.error().text);
    return;
  }
  founding_config_ = *std::move(founding);
  founding_data_ = loaded.founding_data;
  const raft::Index reached = loaded.index;
  raft::Entry in_force = std::move(loaded.config);
  restore(std::move(loaded));
  installing_ = false;
  rewriting_.begin_anew();
  if (phase_ == Phase::failed) {
    return;
  }
  coalescer_->skipped(reached);
  advanced_.clear();
  for (std::uint64_t i = 0; i < state_.topic_count(); ++i) {
    advanced_.emplace_back(i);
  }
  if (pending_change_ && pending_change_->index <= reached) {
    PendingChange change = *std::exchange(pending_change_, std::nullopt);
    change.done(std::unexpected(ChangeRefusal{.kind = ChangeRefusalKind::outcome_unknown,
                                              .detail = "this node got a snapshot in place of the entry"}));
  }
  applier_->resume(std::move(in_force));
  on_settled();
}

/// After each checkpoint. What it covers may go: from the disk once nothing refers to it, and from what Raft offers to
/// followers, one of which would be longer about so many entries than about a snapshot.
void Node::Impl::trim_log() {
  const raft::Index newest = checkpoints_.newest();
  if (!replica_ || phase_ == Phase::failed || newest == raft::Index{}) {
    return;
  }
  // Raft offers what is behind the newest snapshot that can be sent, or a follower that got it would get it again.
  const std::uint64_t kept = std::min(config_.log_entries_kept, newest.value);
  const raft::Index offered_behind = std::min(raft::Index{newest.value - kept}, disk_.snapshot_index());
  replica_->compact(std::max(not_offered(), offered_behind));
  const raft::Index needed = raft::is_mutated(raft::Mutant::dropped_ahead)
                                 ? state_.first_index()
                                 : checkpoints_.first_needed(disk_.snapshot_index());
  if (needed > disk_.first_index() && !dropping_) {
    dropping_ = true;
    disk_.drop_before(needed, [this, alive = std::weak_ptr(alive_)](const std::expected<void, storage::Error>& result) {
      if (!alive.expired()) {
        dropped(result);
      }
    });
  }
}

void Node::Impl::dropped(const std::expected<void, storage::Error>& result) {
  dropping_ = false;
  if (!result) {
    fail(result.error());
    return;
  }
  if (phase_ != Phase::failed) {
    replica_->compact(not_offered());
  }
}

raft::Index Node::Impl::not_offered() const {
  return std::max(disk_.first_index().prev(), disk_.hollow_to());
}

/// By what is gone for everybody who may still begin with the checkpoint that is sent, or with a later one.
void Node::Impl::tend_rewriting() {
  if (!replica_ || phase_ == Phase::failed || installing_) {
    return;
  }
  const raft::Index sendable = disk_.snapshot_index();
  const auto floors = raft::is_mutated(raft::Mutant::hollowed_ahead) ? std::make_shared<const Floors>(state_.floors())
                                                                     : checkpoints_.floors(sendable);
  if (floors) {
    rewriting_.go_on(floors, sendable);
  }
}

}  // namespace weir::broker
