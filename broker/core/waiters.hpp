// Who waits for events, without sockets: readers that are caught up sleep here until something they want is applied.
// Runs on the core strand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "broker/core/reading.hpp"

namespace weir::broker {

class Waiters {
 public:
  using Wake = std::move_only_function<void()>;

  /// Never 0.
  std::uint64_t add(Selector selector, Wake wake);
  void cancel(std::uint64_t waiter) { waiters_.erase(waiter); }
  /// Wakes everybody who wants one of these topics; each wakes once and is forgotten.
  void advance(std::span<const std::string_view> topics);
  /// The node stops: whoever waits must learn of it.
  void wake_all();
  [[nodiscard]] std::size_t size() const { return waiters_.size(); }

 private:
  struct Waiter {
    Selector selector;
    Wake wake;
  };
  std::map<std::uint64_t, Waiter> waiters_;  ///< in order of arrival
  std::uint64_t last_ = 0;
};

}  // namespace weir::broker
