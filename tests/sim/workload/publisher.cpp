#include "tests/sim/workload/publisher.hpp"

#include <utility>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

constexpr std::uint64_t kWatchUs = 50 * kMillisecond;
/// How much later than its timeout an answer may come: writes are looked over every 50 ms, by a clock that may run at
/// half the speed.
constexpr std::uint64_t kGraceUs = 500 * kMillisecond;

[[nodiscard]] bool is_retriable(const wire::Outcome& outcome) {
  const auto* refused = std::get_if<wire::Refused>(&outcome);
  return refused != nullptr &&
         (refused->kind == wire::RefusalKind::no_leader || refused->kind == wire::RefusalKind::overloaded ||
          refused->kind == wire::RefusalKind::draining);
}

[[nodiscard]] std::uint64_t mark_of(const wire::Outcome& outcome) {
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return 100 + static_cast<std::uint64_t>(refused->kind);
  }
  const auto* published = std::get_if<wire::Published>(&outcome);
  return published == nullptr ? 1 : 1'000 + published->results.front().position.value;
}

}  // namespace

/// Between two requests: none while the run is behind its number of events, long ones once it is ahead.
std::uint64_t Publisher::draw_pause_ms() {
  const std::uint64_t stored = world_.checkers->model.events().size();
  const bool ahead = stored * world_.settings.whole_us > world_.settings.events * world_.timeline.now_us();
  return ahead ? dice_.between(20, 400) : dice_.between(0, 30);
}

void Publisher::start() {
  go_on(dice_.between(0, 200) * kMillisecond);
}

std::string Publisher::text() const {
  if (request_ == nullptr) {
    return "a publisher between two requests";
  }
  return "a publisher with request " + std::to_string(request_->number) + " at node " + std::to_string(place_ + 1) +
         (open_ ? ", waiting" : ", pausing");
}

void Publisher::go_on(std::uint64_t delay_us) {
  world_.timeline.after(delay_us, [this] { attempt(); });
}

void Publisher::attempt() {
  if (request_ == nullptr) {
    if (retired_) {
      return;
    }
    request_ = maker_.next();
  }
  SimNode& node = *world_.nodes[dice_.below(world_.nodes.size())];
  // Most clients ask /readyz before they ask a node that is no member; some wait there in vain.
  if (!node.running() || (!node.ready() && !dice_.chance(1, 40))) {
    return go_on(dice_.between(5, 50) * kMillisecond);
  }
  open_ = true;
  place_ = node.place();
  boot_ = node.boot();
  waited_us_ = 0;
  timeout_ms_ = dice_.chance(1, 5) ? dice_.between(0, 200) : dice_.between(500, 4'000);
  world_.timeline.after(kWatchUs, [this, number = ++number_] { watch(number); });
  node.later(dice_.between(0, 500), [this, &node, number = number_] {
    if (number == number_) {
      submit(node);
    }
  });
}

void Publisher::submit(SimNode& node) {
  Attempt attempt = world_.checkers->clients.begin(request_);
  world_.history.note("attempt", request_->number, node.place());
  auto done = [this, &node, number = number_, attempt](const wire::Outcome& outcome) {
    answered(node, number, attempt, outcome);
  };
  if (request_->claim) {
    node.node().claim(*request_->claim, timeout_ms_, std::move(done));
  } else {
    node.node().publish(request_->bytes, timeout_ms_, std::move(done));
  }
}

void Publisher::answered(SimNode& node, std::uint64_t number, const Attempt& attempt, const wire::Outcome& outcome) {
  if (number != number_ || !open_) {
    world_.checkers->verdict.fail("request " + std::to_string(attempt.request->number) + " is answered twice");
    return;
  }
  world_.history.note("answer", attempt.request->number, node.place(), mark_of(outcome));
  world_.history.say([&] {
    const auto* refused = std::get_if<wire::Refused>(&outcome);
    return "request " + std::to_string(attempt.request->number) + " at " + node.name() + ": " +
           (refused != nullptr ? refused->detail : "stored, " + std::to_string(mark_of(outcome)));
  });
  if (std::holds_alternative<wire::Refused>(outcome) && !is_unknown(outcome)) {
    ++attempt.request->refused;
  }
  world_.checkers->clients.answered(attempt, outcome);
  open_ = false;
  decide(outcome);
  // A client that is called back may come again from inside the call.
  if (request_ == nullptr && !retired_ && node.running() && dice_.chance(1, 4)) {
    request_ = maker_.next();
    open_ = true;
    waited_us_ = 0;
    world_.timeline.after(kWatchUs, [this, next = ++number_] { watch(next); });
    return submit(node);
  }
  go_on(request_ == nullptr ? draw_pause_ms() * kMillisecond : dice_.between(5, 150) * kMillisecond);
}

/// Goes on with the same request, or is through with it.
void Publisher::decide(const wire::Outcome& outcome) {
  const bool again =
      (is_unknown(outcome) && request_->repeatable) || (is_retriable(outcome) && (retired_ || dice_.chance(3, 4)));
  if (!again) {
    request_ = nullptr;
  }
}

void Publisher::watch(std::uint64_t number) {
  if (number != number_ || !open_) {
    return;
  }
  SimNode& node = *world_.nodes[place_];
  if (!node.running() || node.boot() != boot_) {
    // The connection broke: nobody knows what became of it.
    open_ = false;
    ++number_;
    ++world_.history.coverage.unknown_outcomes;
    decide(wire::Refused{.kind = wire::RefusalKind::outcome_unknown, .event = 0, .offset = {}, .detail = {}});
    return go_on(dice_.between(5, 100) * kMillisecond);
  }
  waited_us_ += node.paused() ? 0 : kWatchUs;
  if (waited_us_ > node.clock().duration_us(timeout_ms_ * kMillisecond) + kGraceUs) {
    world_.checkers->verdict.fail("request " + std::to_string(request_->number) + " at " + node.name() +
                                  " has no answer after its timeout of " + std::to_string(timeout_ms_) + " ms");
    return;
  }
  world_.timeline.after(kWatchUs, [this, number] { watch(number); });
}

}  // namespace weir::sim
