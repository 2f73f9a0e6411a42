#include "tests/sim/workload/call.hpp"

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

constexpr std::uint64_t kWatchUs = 50 * kMillisecond;
/// How much later than its timeout an answer may come: writes are looked over every 50 ms, by a clock that may run at
/// half the speed.
constexpr std::uint64_t kGraceUs = 500 * kMillisecond;

}  // namespace

std::uint64_t Call::begin(const SimNode& node, std::uint32_t timeout_ms) {
  place_ = node.place();
  boot_ = node.boot();
  timeout_ms_ = timeout_ms;
  return begin_again();
}

std::uint64_t Call::begin_again() {
  open_ = true;
  waited_us_ = 0;
  world_.timeline.after(kWatchUs, [this, number = ++number_] { watch(number); });
  return number_;
}

void Call::watch(std::uint64_t number) {
  if (!open(number)) {
    return;
  }
  SimNode& node = *world_.nodes[place_];
  if (!node.running() || node.boot() != boot_) {
    open_ = false;
    ++number_;
    return hooks_.broken();
  }
  waited_us_ += node.paused() ? 0 : kWatchUs;
  if (waited_us_ > node.clock().duration_us(timeout_ms_ * kMillisecond) + kGraceUs) {
    return world_.checkers->verdict.fail(hooks_.text() + " at " + node.name() + " has no answer after its timeout of " +
                                         std::to_string(timeout_ms_) + " ms");
  }
  world_.timeline.after(kWatchUs, [this, number] { watch(number); });
}

}  // namespace weir::sim
