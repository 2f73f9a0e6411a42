// Finds an id that stands twice in one request. Internal to apply. Used within one call.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace weir::broker {

/// Ordinals by the hash of their id, in one array that all requests of an entry use in turn: no allocation per event.
class SiblingIds {
 public:
  /// Forgets everything; makes room for `count` events.
  void begin(std::size_t count) {
    // At most half full, so that a search is short.
    slots_.assign(std::bit_ceil(2 * count), kFree);
  }

  /// The ordinal of an earlier event for which `same` holds; else remembers this one. Equal ids have equal hashes.
  template <class Same>
  std::optional<std::uint32_t> find_or_add(std::uint64_t hash, std::uint32_t ordinal, const Same& same) {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t slot = static_cast<std::size_t>(hash) & mask;; slot = (slot + 1) & mask) {
      if (slots_[slot] == kFree) {
        slots_[slot] = ordinal;
        return std::nullopt;
      }
      if (same(slots_[slot])) {
        return slots_[slot];
      }
    }
  }

 private:
  static constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> slots_;  ///< a power of two of them, at least half of them free
};

}  // namespace weir::broker
