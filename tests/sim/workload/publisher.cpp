#include "tests/sim/workload/publisher.hpp"

#include <utility>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

[[nodiscard]] bool is_retriable(const wire::Outcome& outcome) {
  const auto* refused = std::get_if<wire::Refused>(&outcome);
  return refused != nullptr &&
         (refused->kind == wire::RefusalKind::no_leader || refused->kind == wire::RefusalKind::overloaded ||
          refused->kind == wire::RefusalKind::draining || refused->kind == wire::RefusalKind::disk_full);
}

[[nodiscard]] std::uint64_t mark_of(const wire::Outcome& outcome) {
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return 100 + static_cast<std::uint64_t>(refused->kind);
  }
  const auto* published = std::get_if<wire::Published>(&outcome);
  return published == nullptr ? 1 : 1'000 + published->results.front().position.value;
}

}  // namespace

Publisher::Publisher(World& world, RequestMaker& maker, Dice dice)
    : world_(world),
      maker_(maker),
      dice_(dice),
      call_(world, {.broken = [this] { broken(); },
                    .text = [this] { return "request " + std::to_string(request_->number); }}) {}

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
  return "a publisher with request " + std::to_string(request_->number) + " at node " +
         std::to_string(call_.place() + 1) + (call_.open() ? ", waiting" : ", pausing");
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
  const std::uint32_t timeout_ms = dice_.chance(1, 5) ? dice_.between(0, 200) : dice_.between(500, 4'000);
  const std::uint64_t number = call_.begin(node, timeout_ms);
  node.later(dice_.between(0, 500), [this, &node, number] {
    if (call_.is_latest(number)) {
      submit(node);
    }
  });
}

void Publisher::submit(SimNode& node) {
  Attempt attempt = world_.checkers->clients.begin(request_);
  world_.history.note("attempt", request_->number, node.place());
  auto done = [this, &node, number = call_.number(), attempt](const wire::Outcome& outcome) {
    answered(node, number, attempt, outcome);
  };
  if (request_->claim) {
    node.node().claim(*request_->claim, call_.timeout_ms(), std::move(done));
  } else {
    node.node().publish(request_->bytes, call_.timeout_ms(), std::move(done));
  }
}

void Publisher::answered(SimNode& node, std::uint64_t number, const Attempt& attempt, const wire::Outcome& outcome) {
  if (!call_.open(number)) {
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
  call_.end();
  decide(outcome);
  // A client that is called back may come again from inside the call.
  if (request_ == nullptr && !retired_ && node.running() && dice_.chance(1, 4)) {
    request_ = maker_.next();
    call_.begin_again();
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

void Publisher::broken() {
  ++world_.history.coverage.unknown_outcomes;
  decide(wire::Refused{.kind = wire::RefusalKind::outcome_unknown, .event = 0, .offset = {}, .detail = {}});
  go_on(dice_.between(5, 100) * kMillisecond);
}

}  // namespace weir::sim
