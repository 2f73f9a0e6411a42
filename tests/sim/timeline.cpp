#include "tests/sim/timeline.hpp"

#include <algorithm>
#include <utility>

namespace weir::sim {

bool Timeline::later(const Entry& a, const Entry& b) {
  return std::pair(a.at_us, a.number) > std::pair(b.at_us, b.number);
}

void Timeline::after(std::uint64_t delay_us, Task task) {
  heap_.push_back({.at_us = now_us_ + delay_us, .number = ++last_number_, .task = std::move(task)});
  std::ranges::push_heap(heap_, later);
}

bool Timeline::run_next() {
  if (heap_.empty()) {
    return false;
  }
  std::ranges::pop_heap(heap_, later);
  Entry next = std::move(heap_.back());
  heap_.pop_back();
  now_us_ = next.at_us;
  ++tasks_run_;
  next.task();
  return true;
}

}  // namespace weir::sim
