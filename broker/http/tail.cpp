#include "broker/http/tail.hpp"

#include <algorithm>
#include <utility>

namespace weir::broker::http {

void Tail::read(const ReadState& from, ReadLimits limits, Done done) {
  const auto same = std::ranges::find_if(
      pending_, [&from, &limits](const auto& one) { return one.second.from == from && one.second.limits == limits; });
  if (same != pending_.end()) {
    same->second.answers.push_back(std::move(done));
    return;
  }
  const std::uint64_t number = ++last_number_;
  Pending& pending = pending_.emplace(number, Pending{from, limits, {}}).first->second;
  pending.answers.push_back(std::move(done));
  gateway_.read(selector_, from, limits, net_,
                [self = shared_from_this(), number](std::expected<ReadBatch, ReadError> batch) {
                  self->answer(number, batch ? Result(std::make_shared<const ReadBatch>(*std::move(batch)))
                                             : Result(std::unexpected(batch.error())));
                });
}

void Tail::answer(std::uint64_t number, const Result& result) {
  // Those who are answered may come back at once.
  auto pending = pending_.extract(number);
  for (Done& done : pending.mapped().answers) done(result);
}

Tail::Waiting Tail::wait(raft::Position after, Wake wake) {
  const std::uint64_t number = ++last_number_;
  waiting_.emplace(number, std::move(wake));
  if (!watch_ || after < watch_->after) {
    watch_.emplace(after, gateway_.watch(selector_, after, net_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->woken();
    }));
  }
  return {shared_from_this(), number};
}

/// Whoever still has seen all there is waits again.
void Tail::woken() {
  watch_.reset();
  std::vector<std::uint64_t> numbers;
  numbers.reserve(waiting_.size());
  for (const auto& [number, wake] : waiting_) numbers.push_back(number);
  // One that is woken may end the wait of another.
  for (const std::uint64_t number : numbers) {
    if (auto one = waiting_.extract(number)) one.mapped()();
  }
}

Tail::Waiting::~Waiting() {
  if (!tail_) return;
  tail_->waiting_.erase(number_);
  if (tail_->waiting_.empty()) tail_->watch_.reset();
}

}  // namespace weir::broker::http
