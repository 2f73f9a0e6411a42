#include "broker/core/applier.hpp"

#include <algorithm>
#include <utility>

#include "raft/check.hpp"

namespace weir::broker {
namespace {

/// What one refill takes: large enough for a chunk of the log, small enough to stay a short turn on the core strand.
constexpr std::size_t kRefillBytes = std::size_t{4} << 20U;

}  // namespace

Applier::Applier(StateMachine& state, EntryCache& cache, const raft::Raft& raft, Disk& disk, Hooks hooks)
    : state_(state),
      cache_(cache),
      raft_(raft),
      disk_(disk),
      hooks_(std::move(hooks)),
      self_(std::make_shared<Applier*>(this)) {}

void Applier::commit_to(raft::Index index) {
  target_ = std::max(target_, index);
  pump();
}

void Applier::pause() {
  ++pauses_;
  paused_ = true;
  reads_ = 0;
  queue_.clear();
  configs_.clear();
  at_hand_.clear();
  places_at_hand_.clear();
}

void Applier::resume(raft::Entry config) {
  config_ = std::move(config);
  paused_ = false;
  pump();
}

void Applier::pump() {
  if (pumping_) {
    return;
  }
  pumping_ = true;
  bool progressed = false;
  while (!failed_ && !paused_ && reads_ == 0 && state_.applied_index() < target_) {
    if (queue_.empty() && !refill()) {
      break;
    }
    if (failed_ || !look_up(*queue_.front())) {
      break;
    }
    apply_front();
    progressed = true;
  }
  pumping_ = false;
  if (progressed && !failed_) {
    hooks_.settled();
  }
}

bool Applier::refill() {
  const raft::Index first = state_.applied_index().next();
  const auto entries = raft_.tail(first, target_, kRefillBytes);
  if (!entries.empty()) {
    take(entries);
    return !queue_.empty();
  }
  read(first, target_, kRefillBytes, [this](const std::vector<raft::Entry>& found) {
    take(found);
    pump();
  });
  return false;
}

void Applier::read(raft::Index first, raft::Index last, std::size_t bytes_max, Found found) {
  ++reads_;
  disk_.read(first, last, bytes_max,
             [self = std::weak_ptr(self_), pauses = pauses_, first,
              found = std::move(found)](std::expected<std::vector<raft::Entry>, storage::Error> read) mutable {
               const auto alive = self.lock();
               if (!alive || (*alive)->pauses_ != pauses) {
                 return;
               }
               Applier& applier = **alive;
               --applier.reads_;
               if (!read || read->empty()) {
                 applier.fail(read ? missing_entry(first) : read.error());
                 return;
               }
               found(*read);
             });
}

void Applier::take(const std::vector<raft::Entry>& entries) {
  for (const auto& entry : entries) {
    auto decoded = decode(entry);
    if (!decoded) {
      fail(not_understood(decoded.error()));
      return;
    }
    if (entry.command == raft::Command::hollow) {
      fail(unexpectedly_hollow(entry.index));
      return;
    }
    queue_.push_back(*std::move(decoded));
    if (entry.command == raft::Command::config) {
      configs_.push_back(entry);
    }
  }
}

bool Applier::look_up(const DecodedEntry& entry) {
  if (runs_ != state_.ids().runs()) {
    // Ids have moved out of the table since the runs were asked.
    places_at_hand_.clear();
    runs_ = state_.ids().runs();
  }
  auto [keys, entries] = state_.lookups(entry, places_at_hand_);
  if (!keys.empty()) {
    ask_runs(std::move(keys));
  }
  for (const raft::Index index : entries) {
    if (at_hand_.contains(index)) {
      continue;
    }
    if (auto cached = cache_.find(index)) {
      at_hand_.emplace(index, std::move(cached));
    } else {
      read_one(index);
    }
  }
  return reads_ == 0;
}

void Applier::ask_runs(std::vector<storage::IdKey> keys) {
  ++reads_;
  auto asked = keys;
  disk_.find_ids(state_.ids().runs(), std::move(keys),
                 [self = std::weak_ptr(self_), pauses = pauses_, asked_of = runs_,
                  asked = std::move(asked)](std::expected<std::vector<storage::KeyedPlace>, storage::Error> found) {
                   const auto alive = self.lock();
                   if (!alive || (*alive)->pauses_ != pauses) {
                     return;
                   }
                   Applier& applier = **alive;
                   --applier.reads_;
                   if (!found) {
                     applier.fail(found.error());
                     return;
                   }
                   if (asked_of == applier.runs_) {
                     add_places(asked, *found, applier.places_at_hand_);
                   }
                   applier.pump();
                 });
}

void Applier::read_one(raft::Index index) {
  read(index, index, 1, [this, index](const std::vector<raft::Entry>& found) {
    auto decoded = decode(found.front());
    if (!decoded) {
      fail(not_understood(decoded.error()));
      return;
    }
    if ((*decoded)->command == raft::Command::hollow && state_.retains(index)) {
      fail(unexpectedly_hollow(index));
      return;
    }
    cache_.put(*decoded);
    at_hand_.emplace(index, *std::move(decoded));
    pump();
  });
}

void Applier::apply_front() {
  const DecodedEntryPtr entry = std::move(queue_.front());
  queue_.pop_front();
  Applied applied = state_.apply(
      entry,
      [this](raft::Index index) {
        const auto place = at_hand_.find(index);
        WEIR_CHECK(place != at_hand_.end());
        return place->second;
      },
      places_at_hand_);
  at_hand_.clear();
  places_at_hand_.clear();
  if (entry->command == raft::Command::config) {
    config_ = std::move(configs_.front());
    configs_.pop_front();
  }
  cache_.put(entry);
  hooks_.applied(*entry, applied);
}

void Applier::fail(const storage::Error& error) {
  if (!failed_) {
    failed_ = true;
    hooks_.failed(error);
  }
}

}  // namespace weir::broker
