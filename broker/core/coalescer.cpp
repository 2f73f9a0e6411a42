#include "broker/core/coalescer.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <string>
#include <utility>

#include "raft/check.hpp"

namespace weir::broker {
namespace {

/// DESIGN §4: the coalescing target. A single request may be larger, up to wire::kEntryBytesMax.
constexpr std::size_t kEntryBytesTarget = std::size_t{1} << 20U;

void answer_unknown(WriteJob& job, const std::string& why) {
  job.refuse(wire::RefusalKind::outcome_unknown,
             why + "; it may or may not be stored: repeat the same request with its ids");
}

}  // namespace

Coalescer::Coalescer(Replica& replica, LogTime& log_time, Clock& clock, std::function<void(WriteJob)> give_back)
    : replica_(replica), log_time_(log_time), clock_(clock), give_back_(std::move(give_back)) {}

void Coalescer::submit(WriteJob job) {
  waiting_.push_back(std::move(job));
}

bool Coalescer::flush() {
  if (waiting_.empty() || !replica_.leads() || !replica_.disk_idle()) {
    return false;
  }
  auto jobs = gather();
  std::vector<raft::Proposal> proposals;
  proposals.push_back(encode(jobs));
  const auto index = replica_.propose(std::move(proposals));
  if (!index) {
    // Overloaded, or handing leadership over: they wait for their turn or their deadline.
    std::ranges::move(jobs | std::views::reverse, std::front_inserter(waiting_));
    return false;
  }
  proposed_count_ += jobs.size();
  proposed_.emplace(Place{*index, replica_.raft().current_term()}, std::move(jobs));
  return true;
}

std::vector<WriteJob> Coalescer::gather() {
  std::vector<WriteJob> jobs;
  const raft::Command kind = command_of(waiting_.front().request);
  std::size_t bytes = 0;
  while (!waiting_.empty() && command_of(waiting_.front().request) == kind) {
    const std::size_t more = waiting_.front().bytes();
    if (!jobs.empty() && bytes + more > kEntryBytesTarget) {
      break;
    }
    bytes += more;
    jobs.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return jobs;
}

raft::Proposal Coalescer::encode(const std::vector<WriteJob>& jobs) {
  const std::uint64_t time_ms = log_time_.next(clock_.wall_ms(), clock_.steady_us());
  raft::Proposal proposal;
  proposal.command = command_of(jobs.front().request);
  if (std::holds_alternative<wire::PublishView>(jobs.front().request)) {
    std::vector<wire::PublishView> requests;
    requests.reserve(jobs.size());
    for (const auto& job : jobs) {
      requests.push_back(std::get<wire::PublishView>(job.request));
    }
    proposal.data = wire::merge(requests, time_ms);
  } else if (std::holds_alternative<wire::TopicChange>(jobs.front().request)) {
    wire::TopicEntry entry{.time_ms = time_ms, .changes = {}};
    for (const auto& job : jobs) {
      entry.changes.push_back(std::get<wire::TopicChange>(job.request));
    }
    proposal.data = wire::encode(entry);
  } else if (std::holds_alternative<wire::GroupChange>(jobs.front().request)) {
    wire::GroupEntry entry{.time_ms = time_ms, .changes = {}};
    for (const auto& job : jobs) {
      entry.changes.push_back(std::get<wire::GroupChange>(job.request));
    }
    proposal.data = wire::encode(entry);
  } else {
    wire::DedupEntry entry{.time_ms = time_ms, .claims = {}};
    for (const auto& job : jobs) {
      entry.claims.push_back(std::get<wire::Claim>(job.request));
    }
    proposal.data = wire::encode(entry);
  }
  proposal.checksum = wire::entry_checksum(proposal.command, proposal.data.view());
  return proposal;
}

void Coalescer::applied(const DecodedEntry& entry, std::vector<wire::Outcome>& outcomes) {
  for (auto place = proposed_.lower_bound({entry.index, raft::Term{}});
       place != proposed_.end() && place->first.first == entry.index;
       place = proposed_.lower_bound({entry.index, raft::Term{}})) {
    const bool ours = place->first.second == entry.term;
    auto jobs = std::move(place->second);
    proposed_.erase(place);
    end(std::move(jobs), ours ? &outcomes : nullptr);
  }
}

/// The fate of a proposed entry is known: its outcomes, or none because another entry is committed in its place.
void Coalescer::end(std::vector<WriteJob> jobs, std::vector<wire::Outcome>* outcomes) {
  WEIR_CHECK(outcomes == nullptr || jobs.size() == outcomes->size());
  proposed_count_ -= static_cast<std::size_t>(
      std::ranges::count_if(jobs, [](const WriteJob& job) { return static_cast<bool>(job.done); }));
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (!jobs[i].done) {
      continue;
    }
    if (outcomes != nullptr) {
      jobs[i].answer(std::move((*outcomes)[i]));
    } else {
      // Another leader's entry is committed in this place, so ours never will be: it may be handed over again.
      give_back_(std::move(jobs[i]));
    }
  }
}

void Coalescer::skipped(raft::Index index) {
  std::vector<WriteJob> lost;
  while (!proposed_.empty() && proposed_.begin()->first.first <= index) {
    auto jobs = std::move(proposed_.begin()->second);
    proposed_.erase(proposed_.begin());
    std::ranges::copy_if(std::move_iterator(jobs.begin()), std::move_iterator(jobs.end()), std::back_inserter(lost),
                         [](const WriteJob& job) { return static_cast<bool>(job.done); });
  }
  proposed_count_ -= lost.size();
  for (auto& job : lost) {
    answer_unknown(job, "this node got a snapshot in place of the entry");
  }
}

void Coalescer::leadership_lost() {
  auto jobs = std::exchange(waiting_, {});
  for (auto& job : jobs) {
    give_back_(std::move(job));
  }
}

// Answers come last: a callback may come back and change what is held here.
void Coalescer::expire(std::uint64_t now_us) {
  const auto late =
      std::ranges::stable_partition(waiting_, [now_us](const WriteJob& job) { return job.deadline_us > now_us; });
  std::vector<WriteJob> expired(std::move_iterator(late.begin()), std::move_iterator(late.end()));
  waiting_.erase(late.begin(), late.end());
  for (auto& job : take_late(now_us)) {
    answer_unknown(job, "no majority confirmed it in time");
  }
  for (auto& job : expired) {
    job.refuse(wire::RefusalKind::overloaded, "the log did not take it in time; nothing was stored");
  }
}

std::vector<WriteJob> Coalescer::take_late(std::uint64_t now_us) {
  std::vector<WriteJob> late;
  for (auto place = proposed_.begin(); place != proposed_.end();) {
    bool any_left = false;
    for (auto& job : place->second) {
      if (job.done && job.deadline_us <= now_us) {
        auto done = std::exchange(job.done, nullptr);
        late.push_back(std::move(job));
        late.back().done = std::move(done);
      } else {
        any_left = any_left || job.done;
      }
    }
    place = any_left ? std::next(place) : proposed_.erase(place);
  }
  proposed_count_ -= late.size();
  return late;
}

void Coalescer::abandon(const std::string& why) {
  auto waiting = std::exchange(waiting_, {});
  auto proposed = std::exchange(proposed_, {});
  proposed_count_ = 0;
  for (auto& job : waiting) {
    job.refuse(wire::RefusalKind::no_leader, why);
  }
  for (auto& [place, jobs] : proposed) {
    for (auto& job : jobs) {
      if (job.done) {
        answer_unknown(job, why);
      }
    }
  }
}

}  // namespace weir::broker
