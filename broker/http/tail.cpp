#include "broker/http/tail.hpp"

#include <algorithm>
#include <utility>

namespace weir::broker::http {

void Tail::read(const ReadState& from, ReadLimits limits, Done done) {
  std::erase_if(pending_, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : pending_) {
    const auto pending = weak.lock();
    if (!pending || pending->answered || pending->from != from || pending->limits != limits) continue;
    pending->answers.push_back(std::move(done));
    return;
  }
  auto pending = std::make_shared<Pending>(from, limits);
  pending->answers.push_back(std::move(done));
  pending_.push_back(pending);
  gateway_.read(selector_, from, limits, net_,
                [pending = std::move(pending)](std::expected<ReadBatch, ReadError> batch) {
                  answer(*pending, batch ? Result(std::make_shared<const ReadBatch>(*std::move(batch)))
                                         : Result(std::unexpected(batch.error())));
                });
}

void Tail::answer(Pending& pending, const Result& result) {
  // Those who are answered may come back at once, and it is too late to join.
  pending.answered = true;
  for (Done& done : pending.answers) done(result);
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
