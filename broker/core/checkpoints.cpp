#include "broker/core/checkpoints.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"
#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

constexpr std::size_t kLengthBytes = 8;
/// Of ids that outlive their events, in a tick: a fraction of a millisecond, and 25 MB/s.
constexpr std::size_t kRestatedBytes = std::size_t{256} << 10U;

void put_frame(std::string& out, std::string_view content) {
  out.reserve(out.size() + kLengthBytes + content.size());
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(content.size()) >> (8 * i)));
  }
  out.append(content);
}

/// Takes the first frame off `bytes`; nullopt if there is no whole one.
[[nodiscard]] std::optional<std::string_view> take_frame(std::string_view& bytes) {
  if (bytes.size() < kLengthBytes) {
    return std::nullopt;
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  bytes.remove_prefix(kLengthBytes);
  if (length > bytes.size()) {
    return std::nullopt;
  }
  const auto frame = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return frame;
}

[[nodiscard]] std::expected<void, std::string> put_back_state(Checkpoints::Loaded& loaded, std::string_view bytes) {
  const auto founding = take_frame(bytes);
  const auto state = take_frame(bytes);
  const auto digest = take_frame(bytes);
  if (!founding || !state || !digest || !bytes.empty()) {
    return std::unexpected("its state is not made of three frames");
  }
  loaded.founding_data = raft::Bytes::copy_of(*founding);
  loaded.digest_data = raft::Bytes::copy_of(*digest);
  return loaded.state.restore(*state);
}

template <class Take>
[[nodiscard]] std::expected<void, std::string> each_delta(std::string_view bytes, Take take) {
  while (!bytes.empty()) {
    const auto delta = take_frame(bytes);
    if (!delta) {
      return std::unexpected("its delta is cut off");
    }
    if (auto taken = take(*delta); !taken) {
      return taken;
    }
  }
  return {};
}

/// storage::IdsOf.
[[nodiscard]] std::expected<void, std::string> ids_of(const storage::Checkpoint& checkpoint,
                                                      std::vector<storage::KeyedPlace>& ids) {
  return each_delta(checkpoint.delta.view(),
                    [&ids](std::string_view delta) { return StateMachine::ids_in_delta(delta, ids); });
}

}  // namespace

struct Checkpoints::Loading {
  std::vector<raft::Index> indexes;  ///< oldest first; the last is the one whose state counts
  std::size_t deltas_added = 0;
  std::size_t ids_moved_at = 0;  ///< deltas_added when ids were last moved, or could not be
  Loaded loaded;
  LoadDone done;
};

Checkpoints::Checkpoints(Disk& disk, Limits limits, Hooks hooks)
    : disk_(disk), limits_(limits), hooks_(std::move(hooks)), self_(std::make_shared<Checkpoints*>(this)) {}

// --- putting back

void Checkpoints::load(LoadDone done) {
  WEIR_CHECK(!saving_ && !moving_ids_);
  loading_ = true;
  auto loading = std::make_shared<Loading>();
  loading->indexes = disk_.checkpoints();
  loading->done = std::move(done);
  loading->loaded.state.take_id_runs(disk_.id_runs());
  if (loading->indexes.empty()) {
    end_loading(*loading, std::nullopt);
    return;
  }
  const raft::Index newest = loading->indexes.back();
  disk_.checkpoint(
      newest, [self = std::weak_ptr(self_), loading](const std::expected<storage::Checkpoint, storage::Error>& read) {
        const auto alive = self.lock();
        if (!alive) {
          return;
        }
        if (!read) {
          (*alive)->end_loading(*loading, std::unexpected(read.error()));
          return;
        }
        loading->loaded.index = read->index;
        loading->loaded.term = read->term;
        loading->loaded.config = read->config;
        if (auto state = put_back_state(loading->loaded, read->state.view()); !state) {
          (*alive)->end_loading(*loading, std::unexpected(not_understood(std::move(state.error()))));
          return;
        }
        (*alive)->load_next(loading);
      });
}

/// One delta after the other: they may be large.
void Checkpoints::load_next(const std::shared_ptr<Loading>& loading) {
  const bool last_left_out = raft::is_mutated(raft::Mutant::delta_left_out) && loading->indexes.size() > 1;
  if (loading->deltas_added + (last_left_out ? 1 : 0) == loading->indexes.size()) {
    loaded(*loading);
    return;
  }
  const storage::DedupIndex& ids = loading->loaded.state.ids();
  if (loading->deltas_added > loading->ids_moved_at && ids.memory_bytes() > limits_.ids_bytes &&
      !ids.is_in_runs(loading->indexes[loading->deltas_added - 1])) {
    loading->ids_moved_at = loading->deltas_added;
    move_loaded_ids(loading);
    return;
  }
  const raft::Index index = loading->indexes[loading->deltas_added];
  disk_.checkpoint(
      index, [self = std::weak_ptr(self_), loading](const std::expected<storage::Checkpoint, storage::Error>& read) {
        const auto alive = self.lock();
        if (!alive) {
          return;
        }
        if (!read) {
          (*alive)->end_loading(*loading, std::unexpected(read.error()));
          return;
        }
        if (auto added = each_delta(read->delta.view(),
                                    [&](std::string_view delta) { return loading->loaded.state.add_delta(delta); });
            !added) {
          (*alive)->end_loading(*loading, std::unexpected(not_understood(std::move(added.error()))));
          return;
        }
        ++loading->deltas_added;
        (*alive)->load_next(loading);
      });
}

/// The table is full, and what is still to be read brings more. Without room for a run it grows all the same.
void Checkpoints::move_loaded_ids(const std::shared_ptr<Loading>& loading) {
  const raft::Index up_to = loading->indexes[loading->deltas_added - 1];
  disk_.move_ids(up_to, ids_of,
                 [self = std::weak_ptr(self_), loading](std::expected<storage::IdRuns, storage::Error> runs) {
                   const auto alive = self.lock();
                   if (!alive) {
                     return;
                   }
                   if (runs) {
                     loading->loaded.state.take_id_runs(*std::move(runs));
                     loading->loaded.state.sweep_ids();
                   } else {
                     (*alive)->hooks_.notice("ids stay in memory: " + runs.error().text);
                   }
                   (*alive)->load_next(loading);
                 });
}

void Checkpoints::loaded(Loading& loading) {
  Loaded& loaded = loading.loaded;
  if (loaded.state.applied_index() != loaded.index) {
    end_loading(loading, std::unexpected(not_understood("it holds the state as of entry " +
                                                        std::to_string(loaded.state.applied_index().value))));
    return;
  }
  if (auto whole = loaded.state.finish_restore(); !whole) {
    end_loading(loading, std::unexpected(not_understood(std::move(whole.error()))));
    return;
  }
  newest_ = loaded.index;
  taken_index_ = loaded.index;
  // Which of the deltas hold ids that outlive their events is not known any more: any of them may.
  restating_.reset();
  restated_ = false;
  applied_since_restating_ = kNoLimit;
  forever_from_ = loaded.state.forever_ids().size() == 0 ? loaded.index.next() : loading.indexes.front();
  needs_.clear();
  remember_needs(loaded.index,
                 {.floors = std::make_shared<const Floors>(loaded.state.floors()), .first = forever_from_});
  applied_bytes_ = 0;
  pending_delta_ = {};
  end_loading(loading, std::move(loaded));
}

void Checkpoints::end_loading(Loading& loading, std::expected<std::optional<Loaded>, storage::Error> result) {
  loading_ = false;
  if (!result) {
    storage::Error error = result.error();
    error.text = "the checkpoint of entry " + std::to_string(loading.indexes.back().value) + ": " + error.text;
    result = std::unexpected(std::move(error));
  }
  loading.done(std::move(result));
  run_idle_tasks();
}

// --- taking

void Checkpoints::applied(StateMachine& state, const Digest& digest, const DecodedEntry& entry,
                          const raft::Entry& config, const raft::Bytes& founding_data) {
  applied_bytes_ += entry.data_bytes;
  applied_since_restating_ += std::min(entry.data_bytes, kNoLimit - applied_since_restating_);
  applied_index_ = entry.index;
  applied_term_ = entry.term;
  const bool due = applied_bytes_ >= limits_.applied_bytes || state.delta_bytes() >= limits_.delta_bytes || restated_;
  if (due && !saving_ && !loading_) {
    take(state, digest, config, founding_data);
  }
}

void Checkpoints::tick(StateMachine& state, const Digest& digest, const raft::Entry& config,
                       const raft::Bytes& founding_data) {
  if (loading_) {
    return;
  }
  if (!restating_ && is_restating_due(state)) {
    restating_ = Restating{.from = taken_index_.next(), .walk = {}};
    applied_since_restating_ = 0;
  }
  if (restating_ && state.delta_bytes() < limits_.delta_bytes &&
      state.restate_forever_ids(restating_->walk, kRestatedBytes)) {
    forever_from_ = restating_->from;
    restating_.reset();
    restated_ = true;
  }
  const bool due = restated_ || (restating_ && state.delta_bytes() >= limits_.delta_bytes);
  if (due && !saving_ && applied_index_ > taken_index_) {
    take(state, digest, config, founding_data);
  }
}

bool Checkpoints::is_restating_due(const StateMachine& state) const {
  const ForeverIds& ids = state.forever_ids();
  return ids.size() > 0 && forever_from_ < state.first_index() &&
         applied_since_restating_ >= std::max(ids.bytes(), limits_.applied_bytes);
}

void Checkpoints::take(StateMachine& state, const Digest& digest, const raft::Entry& config,
                       const raft::Bytes& founding_data) {
  if (state.forever_ids().size() == 0) {
    forever_from_ = applied_index_.next();
  }
  restated_ = false;
  taken_index_ = applied_index_;
  std::string content;
  put_frame(content, founding_data.view());
  put_frame(content, state.save());
  put_frame(content, digest.save());
  // Until the save has succeeded the delta is owed: the state machine has given it away.
  std::string delta(pending_delta_.view());
  put_frame(delta, state.take_delta());
  pending_delta_ = raft::Bytes::own(std::move(delta));
  applied_bytes_ = 0;
  saving_ = true;
  const bool ahead = raft::is_mutated(raft::Mutant::checkpoint_ahead);
  disk_.save({.index = ahead ? applied_index_.next() : applied_index_,
              .term = applied_term_,
              .config = config,
              .state = raft::Bytes::own(std::move(content)),
              .delta = pending_delta_},
             [self = std::weak_ptr(self_), index = applied_index_,
              needs = Needs{.floors = std::make_shared<const Floors>(state.floors()), .first = forever_from_}](
                 const std::expected<void, storage::Error>& result) {
               if (const auto alive = self.lock()) {
                 (*alive)->saved(index, needs, result);
               }
             });
}

void Checkpoints::remember_needs(raft::Index index, Needs needs) {
  needs.first = std::min({needs.first, needs.floors->first_index, index.next()});
  const auto kept = disk_.checkpoints();
  std::erase_if(needs_, [&kept](const auto& each) { return std::ranges::find(kept, each.first) == kept.end(); });
  needs_[index] = std::move(needs);
}

std::shared_ptr<const Floors> Checkpoints::floors(raft::Index index) const {
  const auto known = needs_.find(index);
  return known == needs_.end() ? nullptr : known->second.floors;
}

raft::Index Checkpoints::first_needed(raft::Index index) const {
  const auto known = needs_.find(index);
  return known == needs_.end() ? raft::Index{} : known->second.first;
}

void Checkpoints::saved(raft::Index index, const Needs& needs, const std::expected<void, storage::Error>& result) {
  saving_ = false;
  if (result) {
    newest_ = index;
    remember_needs(index, needs);
    pending_delta_ = {};
    hooks_.saved();
    move_ids();
  } else {
    hooks_.notice("the checkpoint of entry " + std::to_string(index.value) +
                  " was not saved, the next one makes up for it: " + result.error().text);
  }
  run_idle_tasks();
}

void Checkpoints::move_ids() {
  if (moving_ids_ || limits_.ids_bytes == kNoLimit || hooks_.ids_bytes() <= limits_.ids_bytes) {
    return;
  }
  moving_ids_ = true;
  disk_.move_ids(newest_, ids_of, [self = std::weak_ptr(self_)](std::expected<storage::IdRuns, storage::Error> runs) {
    const auto alive = self.lock();
    if (!alive) {
      return;
    }
    (*alive)->moving_ids_ = false;
    if (runs) {
      (*alive)->hooks_.ids_moved(*std::move(runs));
    } else {
      (*alive)->hooks_.notice("ids stay in memory, the next checkpoint tries again: " + runs.error().text);
    }
    (*alive)->run_idle_tasks();
  });
}

// --- snapshots

void Checkpoints::when_idle(std::move_only_function<void()> task) {
  idle_tasks_.push_back(std::move(task));
  run_idle_tasks();
}

void Checkpoints::run_idle_tasks() {
  while (!saving_ && !loading_ && !moving_ids_ && !idle_tasks_.empty()) {
    auto task = std::move(idle_tasks_.front());
    idle_tasks_.erase(idle_tasks_.begin());
    task();
  }
}

void Checkpoints::suspend() {
  WEIR_CHECK(!saving_ && !moving_ids_);
  loading_ = true;
}

}  // namespace weir::broker
