#include "tests/sim/workload/subscriber.hpp"

#include <utility>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

constexpr std::uint64_t kWatchUs = 100 * kMillisecond;
constexpr std::uint64_t kAnswerUs = 3 * kSecond;

}  // namespace

Subscriber::Subscriber(World& world, std::string name, broker::Selector selector, Dice dice)
    : world_(world), name_(std::move(name)), selector_(std::move(selector)), dice_(dice) {}

bool Subscriber::connected() const {
  const SimNode& node = *world_.nodes[place_];
  return node.running() && node.boot() == boot_;
}

void Subscriber::move(std::uint64_t delay_us) {
  if (waiter_ && connected()) {
    world_.nodes[place_]->node().cancel(*waiter_);
  }
  waiter_.reset();
  asked_ = false;
  ++number_;
  world_.timeline.after(delay_us, while_here([this] { connect(); }));
}

void Subscriber::connect() {
  SimNode& node = *world_.nodes[dice_.below(world_.nodes.size())];
  // Some stay with a node that is not ready: what it has they can read.
  if (!node.running() || (!node.ready() && !dice_.chance(1, 5))) {
    return move(dice_.between(10, 200) * kMillisecond);
  }
  world_.history.coverage.reader_moves += node.place() == place_ ? 0 : 1;
  place_ = node.place();
  boot_ = node.boot();
  busy_us_ = 0;
  asked_ = true;
  node.later(dice_.between(50, 2'000), while_here([this] { open(); }));
  world_.timeline.after(kWatchUs, [this, number = number_] { watch(number); });
}

void Subscriber::open() {
  broker::Node& node = world_.nodes[place_]->node();
  const std::string epoch = node.status().epoch;
  broker::From from = broker::FromEarliest{};
  if (state_.after > raft::Position{}) {
    from = broker::FromCursor{.epoch = epoch, .position = state_.after};
  }
  const auto started = node.start_read(selector_, from);
  if (epoch.empty()) {
    return move(dice_.between(50, 500) * kMillisecond);  // no member yet, or no more
  }
  if (!started) {
    // This node is behind the one that gave the cursor: as the edge does, wait for everything committed.
    return node.barrier(1'000, while_here([this](bool confirmed) {
                          confirmed ? open() : move(dice_.between(10, 200) * kMillisecond);
                        }));
  }
  if (started->state.after != state_.after) {
    world_.checkers->verdict.fail("reader " + name_ + " starts at " + std::to_string(started->state.after.value) +
                                  " instead of " + std::to_string(state_.after.value));
    return;
  }
  state_ = started->state;
  read();
}

void Subscriber::read() {
  asked_ = true;
  busy_us_ = 0;
  broker::ReadLimits limits;
  limits.events_max = 1 + dice_.below(20);
  limits.bytes_max = dice_.chance(1, 2) ? 1 + dice_.below(3'000) : limits.bytes_max;
  world_.nodes[place_]->node().read(
      selector_, state_, limits,
      while_here([this](std::expected<broker::ReadBatch, broker::ReadError> batch) { got(std::move(batch)); }));
}

void Subscriber::got(std::expected<broker::ReadBatch, broker::ReadError> batch) {
  asked_ = false;
  if (!batch) {
    return move(dice_.between(10, 200) * kMillisecond);
  }
  world_.checkers->readers.read(name_, selector_, state_, *batch, world_.nodes[place_]->node().status().applied_index);
  world_.history.note("read", place_, batch->next.after.value, batch->events.size());
  world_.history.coverage.events_read += batch->events.size();
  world_.history.coverage.gaps_told += batch->removed ? 1U : 0U;
  state_ = batch->next;
  if (dice_.chance(1, 20)) {
    return move(dice_.between(0, 100) * kMillisecond);
  }
  if (batch->up_to_date) {
    return wait();
  }
  world_.nodes[place_]->later(dice_.between(100, 5'000), while_here([this] { read(); }));
  asked_ = true;
  busy_us_ = 0;
}

void Subscriber::wait() {
  waiter_.reset();
  const auto waiter = world_.nodes[place_]->node().wait(selector_, state_.after, while_here([this] { read(); }));
  if (waiter != 0 && !asked_) {
    waiter_ = waiter;
  }
}

void Subscriber::watch(std::uint64_t number) {
  if (number != number_) {
    return;
  }
  if (!connected()) {
    return move(dice_.between(0, 100) * kMillisecond);
  }
  busy_us_ += world_.nodes[place_]->paused() ? 0 : kWatchUs;
  if (asked_ && busy_us_ > kAnswerUs) {
    world_.checkers->verdict.fail("reader " + name_ + " gets no answer");
    return;
  }
  if (!asked_ && dice_.chance(1, world_.nodes[place_]->ready() ? 40 : 10)) {
    return move(0);
  }
  world_.timeline.after(kWatchUs, [this, number] { watch(number); });
}

}  // namespace weir::sim
