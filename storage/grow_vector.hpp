// A vector that grows at its end and shrinks at its front without ever moving what it holds: blocks, doubling in size
// up to a bound. The largest pause of push_back is one allocation of a block. Numbers are never used again: what was
// dropped keeps its own. Not safe for use by several threads while one writes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace weir::storage {

template <class T>
class GrowVector {
 public:
  void push_back(const T& value) {
    const Place place = place_of(size_);
    if (place.block == blocks_.size()) blocks_.push_back(std::make_unique_for_overwrite<T[]>(block_size(place.block)));
    blocks_[place.block][place.slot] = value;
    ++size_;
  }
  [[nodiscard]] const T& operator[](std::size_t number) const {
    const Place place = place_of(number);
    return blocks_[place.block][place.slot];
  }
  [[nodiscard]] T& operator[](std::size_t number) {
    const Place place = place_of(number);
    return blocks_[place.block][place.slot];
  }
  [[nodiscard]] const T& back() const { return (*this)[size_ - 1]; }
  /// The number of the oldest element that is kept, and the number that the next one gets.
  [[nodiscard]] std::size_t first() const { return first_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == first_; }
  [[nodiscard]] std::size_t count() const { return size_ - first_; }

  /// Forgets what is before `number`; whole blocks give their memory back.
  void drop_before(std::size_t number) {
    if (number <= first_) return;
    const std::size_t from = place_of(first_).block;
    first_ = std::min(number, size_);
    const std::size_t to = place_of(first_).block;
    for (std::size_t block = from; block < to; ++block) blocks_[block].reset();
  }

  /// The first number in [first(), size()) for which `holds` is true, size() if there is none. Requires that it is
  /// false for a prefix and true for the rest.
  template <class Predicate>
  [[nodiscard]] std::size_t first_where(Predicate holds) const {
    std::size_t low = first_;
    std::size_t high = size_;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (holds((*this)[middle])) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

 private:
  // Blocks of 4, 4, 8, 16, ... up to 32,768 elements, then all of 32,768: a topic with one row costs little, a log of
  // millions of rows has at most one block unused.
  static constexpr std::size_t kFirstBlock = 4;
  static constexpr std::size_t kLastBlock = std::size_t{1} << 15U;
  static constexpr std::size_t kDoublingBlocks = std::bit_width(kLastBlock / kFirstBlock);

  struct Place {
    std::size_t block;
    std::size_t slot;
  };
  static std::size_t block_size(std::size_t block) {
    if (block == 0) return kFirstBlock;
    // Beyond, a shift by the block's number would come round to nothing.
    return block < kDoublingBlocks ? kFirstBlock << (block - 1) : kLastBlock;
  }
  static Place place_of(std::size_t number) {
    if (number >= kLastBlock) return {kDoublingBlocks + number / kLastBlock - 1, number % kLastBlock};
    const std::size_t quarter = number / kFirstBlock;
    if (quarter == 0) return {0, number};
    return {static_cast<std::size_t>(std::bit_width(quarter)), number - std::bit_floor(number)};
  }

  std::vector<std::unique_ptr<T[]>> blocks_;  ///< null: dropped
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace weir::storage
