// Which ids are certainly not in a run: a Bloom filter whose bits of one id lie in one cache line.
// Built by one thread; asked by any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/id_run.hpp"
#include "storage/row_format.hpp"

namespace weir::storage {

class IdFilter {
 public:
  /// 24 bits an id: of ids that are not there one in some 11,000 seems to be, so that a handful of runs together stay
  /// below one in 1,000 (`ids_bench`).
  static constexpr std::uint64_t kBitsOfId = 24;

  explicit IdFilter(std::uint64_t ids) : lines_((ids * kBitsOfId + kLineBits - 1) / kLineBits + 1) {}

  void add(IdKey key) {
    const std::uint64_t hash = mixed(key);
    Line& line = lines_[line_of(hash)];
    for (const unsigned bit : bits_of(hash)) line[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  [[nodiscard]] bool may_contain(IdKey key) const {
    const std::uint64_t hash = mixed(key);
    const Line& line = lines_[line_of(hash)];
    for (const unsigned bit : bits_of(hash))
      if ((line[bit / 64] >> (bit % 64) & 1U) == 0) return false;
    return true;
  }
  [[nodiscard]] std::size_t memory_bytes() const { return lines_.size() * sizeof(Line); }

  // --- as bytes: the lines' words, lowest byte first
  void append_to(std::string& out) const {
    const std::size_t begin = out.size();
    out.resize(begin + memory_bytes());
    std::size_t at = begin;
    for (const Line& line : lines_)
      for (const std::uint64_t word : line) store(out.data() + std::exchange(at, at + 8), word);
  }
  [[nodiscard]] static bool is_size(std::uint64_t bytes) { return bytes != 0 && bytes % sizeof(Line) == 0; }
  /// Requires is_size().
  [[nodiscard]] static IdFilter from(std::string_view bytes) {
    IdFilter filter(0);
    filter.lines_.resize(bytes.size() / sizeof(Line));
    std::size_t at = 0;
    for (Line& line : filter.lines_)
      for (std::uint64_t& word : line) word = load_u64(bytes, std::exchange(at, at + 8));
    return filter;
  }

 private:
  using Line = std::array<std::uint64_t, 8>;
  static constexpr std::uint64_t kLineBits = 8 * sizeof(Line);

  /// The finalizer of splitmix64: a key is 42 random bits, a line and seven bits of it need more.
  static std::uint64_t mixed(IdKey key) {
    std::uint64_t number = key.value + 0x9e3779b97f4a7c15ULL;
    number = (number ^ (number >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    number = (number ^ (number >> 27U)) * 0x94d049bb133111ebULL;
    return number ^ (number >> 31U);
  }
  // From the hash's upper half; the bits come from all of it, mixed once more.
  [[nodiscard]] std::size_t line_of(std::uint64_t hash) const {
    return static_cast<std::size_t>((hash >> 32U) * lines_.size() >> 32U);
  }
  static std::array<unsigned, 8> bits_of(std::uint64_t hash) {
    std::uint64_t rest = hash * 0x9e3779b97f4a7c15ULL;
    std::array<unsigned, 8> bits{};
    for (unsigned& bit : bits) {
      bit = static_cast<unsigned>(rest % kLineBits);
      rest = rest / kLineBits | hash << 55U;  // seven fit into one number
    }
    return bits;
  }

  std::vector<Line> lines_;
};

}  // namespace weir::storage
