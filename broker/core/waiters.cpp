#include "broker/core/waiters.hpp"

#include <algorithm>
#include <utility>

namespace weir::broker {

bool Selector::matches(std::string_view topic) const {
  return std::ranges::any_of(patterns, [topic](const Pattern& pattern) { return pattern.matches(topic); });
}

std::optional<std::string_view> Selector::single_topic() const {
  if (patterns.size() == 1 && patterns.front().is_topic()) {
    return patterns.front().text();
  }
  return std::nullopt;
}

std::string Selector::text() const {
  std::string text;
  for (const Pattern& pattern : patterns) {
    text += pattern.text();
    text += ' ';
  }
  return text;
}

std::uint64_t Waiters::add(Selector selector, Wake wake) {
  waiters_.emplace(++last_, Waiter{.selector = std::move(selector), .wake = std::move(wake)});
  return last_;
}

void Waiters::advance(std::span<const std::string_view> topics) {
  std::vector<Wake> woken;
  for (auto place = waiters_.begin(); place != waiters_.end();) {
    const Selector& selector = place->second.selector;
    if (std::ranges::any_of(topics, [&selector](std::string_view topic) { return selector.matches(topic); })) {
      woken.push_back(std::move(place->second.wake));
      place = waiters_.erase(place);
    } else {
      ++place;
    }
  }
  // Outside the loop: a woken reader may come back at once.
  for (auto& wake : woken) {
    wake();
  }
}

void Waiters::wake_all() {
  for (auto& [number, waiter] : std::exchange(waiters_, {})) {
    waiter.wake();
  }
}

}  // namespace weir::broker
