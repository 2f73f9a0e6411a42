#include "wire/dictionary.hpp"

#include <algorithm>

namespace weir::wire {

std::uint32_t Dictionary::find(std::string_view name) const {
  if (!numbers_.empty()) {
    const auto found = numbers_.find(name);
    return found == numbers_.end() ? kAbsent : found->second;
  }
  const auto found = std::ranges::find(names_, name);
  return found == names_.end() ? kAbsent : static_cast<std::uint32_t>(found - names_.begin());
}

std::uint32_t Dictionary::add(std::string_view name) {
  if (const auto known = find(name); known != kAbsent) return known;
  const auto number = static_cast<std::uint32_t>(names_.size());
  names_.push_back(name);
  if (!numbers_.empty()) {
    numbers_.emplace(name, number);
  } else if (names_.size() > kFew) {
    for (std::uint32_t n = 0; n < names_.size(); ++n) numbers_.emplace(names_[n], n);
  }
  return number;
}

bool distinct(const std::vector<std::string_view>& names) {
  if (names.size() < 2) return true;
  auto sorted = names;
  std::ranges::sort(sorted);
  return std::ranges::adjacent_find(sorted) == sorted.end();
}

}  // namespace weir::wire
