// Numbers for distinct strings, in order of first appearance. Private to wire/*.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace weir::wire {

/// Keeps views: what they show must outlive it. Few names are compared one by one, which is what nearly every entry
/// needs; many are kept in a tree, because a client chooses the names and could make a hash table degenerate.
class Dictionary {
 public:
  static constexpr std::uint32_t kAbsent = ~std::uint32_t{0};

  /// The number of `name`, or kAbsent.
  [[nodiscard]] std::uint32_t find(std::string_view name) const;
  /// The number of `name`, which gets the next one if it is new.
  std::uint32_t add(std::string_view name);

  [[nodiscard]] const std::vector<std::string_view>& names() const { return names_; }

 private:
  static constexpr std::size_t kFew = 8;

  std::vector<std::string_view> names_;
  std::map<std::string_view, std::uint32_t> numbers_;  ///< empty while there are few names, then holds them all
};

/// No name occurs twice. O(n log n) whatever the names are.
[[nodiscard]] bool distinct(const std::vector<std::string_view>& names);

}  // namespace weir::wire
