#include "tests/sim/checkers/group_model.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/groups.hpp"

namespace weir::sim {

void GroupModel::apply(const wire::GroupEntry& entry, std::uint64_t time_ms, std::uint64_t last) {
  for (const auto& change : entry.changes) {
    if (change.action == wire::GroupAction::create) {
      exists_ = true;
    } else if (change.action == wire::GroupAction::claim && exists_) {
      claim(change, time_ms, last);
    } else if (change.action == wire::GroupAction::commit && exists_) {
      commit(change, time_ms);
    }
  }
}

GroupModel::Place& GroupModel::at(std::uint64_t position) {
  if (places_.size() < position) {
    places_.resize(position);
  }
  return places_[position - 1];
}

std::uint64_t GroupModel::next_free(std::uint64_t time_ms) const {
  for (std::uint64_t p = committed_ + 1; p <= places_.size(); ++p) {
    const Place& place = places_[p - 1];
    if (!place.finished && leases_.at(place.lease).expires_ms < time_ms) {
      return p - 1;
    }
  }
  return places_.size();
}

std::uint64_t GroupModel::end_of(std::uint64_t from, std::uint64_t last) const {
  if (from == places_.size()) {
    return last;
  }
  std::uint64_t end = from + 1;
  while (end < places_.size() && places_[end].lease == places_[from].lease && !places_[end].finished) {
    ++end;
  }
  return end;
}

void GroupModel::claim(const wire::GroupChange& asked, std::uint64_t time_ms, std::uint64_t last) {
  const std::uint64_t from = asked.from.value;
  const std::uint64_t to = asked.to.value;
  if (from != next_free(time_ms) || to > end_of(from, last)) {
    return;
  }
  const std::uint64_t lease = ++last_lease_;
  for (std::uint64_t p = from + 1; p <= to; ++p) {
    Place& place = at(p);
    if (place.finished || (place.lease != 0 && leases_.at(place.lease).expires_ms >= time_ms)) {
      verdict_.fail("position " + std::to_string(p) + " is handed to two workers");
    }
    place.lease = lease;
  }
  leases_[lease] = {.from = from, .to = to, .expires_ms = time_ms + asked.lease_ms};
}

void GroupModel::commit(const wire::GroupChange& asked, std::uint64_t time_ms) {
  const auto known = leases_.find(asked.lease);
  if (known == leases_.end()) {
    return;
  }
  Lease& lease = known->second;
  const std::uint64_t begin = std::max(lease.from, lease.finished_to);
  const bool holds = begin < lease.to && at(begin + 1).lease == asked.lease && time_ms <= lease.expires_ms;
  if (!holds || asked.to.value > lease.to || asked.to.value <= begin) {
    return;
  }
  for (std::uint64_t p = begin + 1; p <= asked.to.value; ++p) {
    if (std::exchange(at(p).finished, true)) {
      verdict_.fail("position " + std::to_string(p) + " is committed twice");
    }
  }
  lease.finished_to = asked.to.value;
  lease.done_as = lease.finished_to == lease.to ? ++done_count_ : 0;
  while (committed_ < places_.size() && places_[committed_].finished) {
    ++committed_;
  }
}

void GroupModel::told(const wire::GroupChange& asked, const wire::Outcome& outcome) {
  told_.push_back({.asked = asked, .outcome = outcome});
}

void GroupModel::after() {
  for (const auto& told : std::exchange(told_, {})) {
    check(told);
  }
}

void GroupModel::check(const Told& told) {
  const auto* changed = std::get_if<wire::GroupChanged>(&told.outcome);
  if (changed != nullptr && told.asked.action == wire::GroupAction::claim) {
    const auto lease = leases_.find(changed->lease);
    if (lease == leases_.end() || lease->second.from != told.asked.from.value ||
        lease->second.to != told.asked.to.value || lease->second.expires_ms != changed->expires_ms) {
      verdict_.fail("a worker was given lease L" + std::to_string(changed->lease) +
                    " that the log does not give, or gives otherwise");
    }
  } else if (changed != nullptr && told.asked.action == wire::GroupAction::commit) {
    check_committed(told, *changed);
  } else if (const auto* refused = std::get_if<wire::Refused>(&told.outcome);
             refused != nullptr && refused->kind == wire::RefusalKind::lease_lost) {
    check_lost(told);
  }
}

void GroupModel::check_committed(const Told& told, const wire::GroupChanged& committed) {
  const auto lease = leases_.find(told.asked.lease);
  if (lease == leases_.end() || lease->second.finished_to < told.asked.to.value) {
    verdict_.fail("a worker was told that lease L" + std::to_string(told.asked.lease) +
                  " is committed, which the log does not say");
  }
  if (committed.committed.value > committed_) {
    verdict_.fail("a worker was told of a cursor at " + std::to_string(committed.committed.value) +
                  "; what is finished ends at " + std::to_string(committed_));
  }
}

/// The same commit again succeeds, as long as it is remembered.
void GroupModel::check_lost(const Told& told) {
  const auto lease = leases_.find(told.asked.lease);
  const bool is_done = lease != leases_.end() && lease->second.done_as != 0;
  if (is_done && done_count_ - lease->second.done_as < broker::kCommitsRememberedMax) {
    verdict_.fail("a worker was told that lease L" + std::to_string(told.asked.lease) +
                  " is lost, which was committed");
  }
}

}  // namespace weir::sim
