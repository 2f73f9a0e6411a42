// Memory that many connections share: each holds a part while it needs one, and is refused when nothing is left.
// The budget may be used from any thread; a share belongs to its connection's thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace weir::broker {

class MemoryBudget {
 public:
  /// In bytes.
  explicit MemoryBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// False if fewer than `bytes` are left: then nothing was taken.
  [[nodiscard]] bool take(std::size_t bytes) {
    std::size_t held = held_.load(std::memory_order_relaxed);
    do {
      if (bytes > bytes_max_ - held) return false;
    } while (!held_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
    return true;
  }
  /// Requires that as much was taken.
  void give_back(std::size_t bytes) { held_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  const std::size_t bytes_max_;
  std::atomic<std::size_t> held_ = 0;  ///< <= bytes_max_
};

/// What one connection holds of a budget, which must outlive it.
class BudgetShare {
 public:
  explicit BudgetShare(MemoryBudget& budget) : budget_(budget) {}
  ~BudgetShare() { release(); }
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  /// Holds at least `bytes` from now on. False if the budget has no room for the growth: the share is as it was.
  [[nodiscard]] bool hold(std::size_t bytes) {
    if (bytes <= bytes_) return true;
    if (!budget_.take(bytes - bytes_)) return false;
    bytes_ = bytes;
    return true;
  }
  void release() {
    budget_.give_back(bytes_);
    bytes_ = 0;
  }

 private:
  MemoryBudget& budget_;
  std::size_t bytes_ = 0;
};

}  // namespace weir::broker
