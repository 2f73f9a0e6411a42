// What must hold of a decoded message beyond its shape: remembers the first rule that does not. Private to wire/*.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "raft/types.hpp"
#include "wire/error.hpp"

namespace weir::wire {

/// Names: DNS labels are 63; 32 keeps `weir raft watch` in columns.
inline constexpr std::size_t kNameBytesMax = 32;
/// A cluster has few voters; 64 leaves room for learners and bounds the handshake.
inline constexpr std::size_t kMembersMax = 64;
/// host:port; a DNS name has at most 253 bytes, and a port is written for a listener with its own name.
inline constexpr std::size_t kAddressBytesMax = 255;
/// Cluster ids and epochs are drawn by the bootstrap and much shorter.
inline constexpr std::size_t kClusterIdBytesMax = 64;
/// A sentence for a human; the encoder cuts longer ones.
inline constexpr std::size_t kDetailBytesMax = 4096;
/// FAULTS.md, default limits.
inline constexpr std::size_t kTopicBytesMax = 255;
inline constexpr std::size_t kIdBytesMax = 256;

[[nodiscard]] inline std::unexpected<Error> malformed(std::string text) {
  return std::unexpected(Error{Errc::malformed, std::move(text)});
}

/// Collects checks of one table: `Rules rules("Hello"); rules.number(x, "term"); if (!rules.hold()) return
/// rules.error();`
class Rules {
 public:
  explicit Rules(std::string_view table) : table_(table) {}

  void that(bool holds, std::string_view rule) {
    if (!holds && broken_.empty()) broken_ = rule;
  }
  /// FAULTS 39: at or above raft::kNumberLimit a number is refused.
  void number(std::uint64_t value, std::string_view name) { that(value < raft::kNumberLimit, name); }
  /// 1 to 32 of [a-z0-9-].
  void node_name(std::string_view name, std::string_view rule) {
    const bool allowed =
        std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
    that(!name.empty() && name.size() <= kNameBytesMax && allowed, rule);
  }
  /// At most `size_max` bytes of visible ASCII: such texts are printed and logged as they are.
  void visible(std::string_view text, std::size_t size_max, std::string_view rule) {
    const bool allowed = std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
    that(text.size() <= size_max && allowed, rule);
  }

  [[nodiscard]] bool hold() const { return broken_.empty(); }
  /// Requires !hold().
  [[nodiscard]] std::unexpected<Error> error() const {
    return malformed(std::string(table_) + ": refused by the rule for " + std::string(broken_));
  }

 private:
  std::string_view table_;
  std::string_view broken_;
};

}  // namespace weir::wire
