// Numbers and bytes that every folder shares. Values only: no thread rule.
//
// Raft's own numbers (Term, Index, NodeId) and those of the log's content (Offset, Position, TopicId) are all
// distinct types: swapping two must not compile. They live here because raft/ is the one folder that all others
// may include.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace weir::raft {

/// A 64-bit count that does not mix with other counts.
template <class Tag>
struct Number {
  std::uint64_t value = 0;

  constexpr Number() = default;
  constexpr explicit Number(std::uint64_t number) : value(number) {}

  [[nodiscard]] constexpr Number next() const { return Number{value + 1}; }
  /// The number before this one. Requires value > 0.
  [[nodiscard]] constexpr Number prev() const { return Number{value - 1}; }

  friend constexpr auto operator<=>(Number, Number) = default;
  friend constexpr Number operator+(Number number, std::uint64_t count) { return Number{number.value + count}; }
  /// How many steps from `from` to `to`. Requires to >= from.
  friend constexpr std::uint64_t operator-(Number to, Number from) { return to.value - from.value; }
};

/// §5.1: time is divided into terms; 0 = before the first election.
using Term = Number<struct TermTag>;
/// A place in the Raft log; the first entry has index 1, 0 = before it.
using Index = Number<struct IndexTag>;
/// A member of the cluster; 0 = nobody.
using NodeId = Number<struct NodeIdTag>;
/// A place within one topic; the first event has offset 0.
using Offset = Number<struct OffsetTag>;
/// A place in the order of all events; the first event has position 1, 0 = before it.
using Position = Number<struct PositionTag>;
/// A topic's number on this cluster, in order of creation, from 0.
using TopicId = Number<struct TopicIdTag>;

inline constexpr NodeId kNobody{0};

/// Terms, indexes, offsets and positions at or above this are refused wherever they enter (FAULTS 39): no counter
/// can then wrap, whatever is added to it.
inline constexpr std::uint64_t kNumberLimit = std::uint64_t{1} << 62U;

/// Immutable bytes with shared ownership: a view and whatever keeps it alive (a buffer, a received frame, a
/// memory map). Copying shares, it never copies bytes. Safe to read from any thread.
class Bytes {
 public:
  Bytes() = default;
  /// `view` must stay valid and unchanged for as long as `owner` lives.
  Bytes(std::shared_ptr<const void> owner, std::string_view view) : owner_(std::move(owner)), view_(view) {}

  /// Takes over a string's buffer.
  [[nodiscard]] static Bytes own(std::string text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    const std::string_view view = *owner;
    return {std::move(owner), view};
  }
  [[nodiscard]] static Bytes copy_of(std::string_view text) { return own(std::string(text)); }

  [[nodiscard]] std::string_view view() const { return view_; }
  [[nodiscard]] std::size_t size() const { return view_.size(); }
  [[nodiscard]] bool empty() const { return view_.empty(); }
  [[nodiscard]] const std::uint8_t* data() const { return reinterpret_cast<const std::uint8_t*>(view_.data()); }
  /// A part of these bytes that shares their owner. Requires offset + size <= size().
  [[nodiscard]] Bytes slice(std::size_t offset, std::size_t size) const { return {owner_, view_.substr(offset, size)}; }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view_ == b.view_; }

 private:
  std::shared_ptr<const void> owner_;
  std::string_view view_;
};

}  // namespace weir::raft

template <class Tag>
struct std::hash<weir::raft::Number<Tag>> {
  std::size_t operator()(weir::raft::Number<Tag> number) const noexcept {
    return std::hash<std::uint64_t>{}(number.value);
  }
};
