#include "broker/core/read_barriers.hpp"

#include <utility>
#include <vector>

#include "raft/mutant.hpp"

namespace weir::broker {
namespace {

/// A question or its answer may be lost: it is put again after two heartbeat intervals.
constexpr std::uint64_t kAskAgainUs = 100'000;

}  // namespace

void ReadBarriers::add(std::uint64_t deadline_us, Done done) {
  Barrier barrier;
  barrier.deadline_us = deadline_us;
  barrier.done = std::move(done);
  barriers_.emplace(++last_barrier_, std::move(barrier));
}

std::optional<raft::ReadContext> ReadBarriers::ask(std::uint64_t now_us) {
  bool any = false;
  for (auto& [number, barrier] : barriers_) {
    if (!barrier.index && (barrier.sequence == 0 || now_us - barrier.asked_us >= kAskAgainUs)) {
      barrier.sequence = barrier.sequence == 0 ? last_sequence_ + 1 : barrier.sequence;
      barrier.asked_us = now_us;
      any = true;
    }
  }
  if (!any) {
    return std::nullopt;
  }
  return raft::ReadContext{.node = self_, .boot_nonce = boot_nonce_, .sequence = ++last_sequence_};
}

void ReadBarriers::confirmed(const raft::ReadContext& context, raft::Index index) {
  for (auto& [number, barrier] : barriers_) {
    const bool asked = barrier.sequence != 0 && barrier.sequence <= context.sequence;
    if (!barrier.index && (asked || raft::is_mutated(raft::Mutant::barrier_takes_any_answer))) {
      barrier.index = index;
    }
  }
}

void ReadBarriers::settle(raft::Index applied, std::uint64_t now_us) {
  std::vector<std::pair<Done, bool>> answers;
  for (auto place = barriers_.begin(); place != barriers_.end();) {
    Barrier& barrier = place->second;
    const bool reached =
        barrier.index && (applied >= *barrier.index || raft::is_mutated(raft::Mutant::barrier_unapplied));
    if (reached || barrier.deadline_us <= now_us) {
      answers.emplace_back(std::move(barrier.done), reached);
      place = barriers_.erase(place);
    } else {
      ++place;
    }
  }
  for (auto& [done, reached] : answers) {
    done(reached);
  }
}

void ReadBarriers::abandon() {
  for (auto& [number, barrier] : std::exchange(barriers_, {})) {
    barrier.done(false);
  }
}

}  // namespace weir::broker
