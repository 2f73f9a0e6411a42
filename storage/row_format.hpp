// What every row that storage/ writes begins with, and the numbers in it: for the files that know the bytes (schema,
// checkpoint_file, snapshot_content). Pure functions, safe from any thread.
#pragma once

#include <xxhash.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "raft/types.hpp"
#include "storage/error.hpp"
#include "storage/schema.hpp"

namespace weir::storage {

/// On disk these read as text.
enum class Magic : std::uint32_t {
  identity = 0x4e444957,      // WIDN
  hard_state = 0x54534857,    // WHST
  segment_list = 0x534c5357,  // WSLS
  segment_head = 0x47455357,  // WSEG
  segment_seal = 0x4c455357,  // WSEL
  id_run = 0x52444957,        // WIDR
  chunk = 0x4b484357,         // WCHK
  checkpoint = 0x504b4357,    // WCKP
  snapshot = 0x504e5357,      // WSNP
};

// Every row and chunk begins alike: checksum (of all that follows it), magic, version, two bytes of zero.
inline constexpr std::size_t kChecksumEnd = 8;
inline constexpr std::size_t kMagicOffset = 8;
inline constexpr std::size_t kVersionOffset = 12;
inline constexpr std::size_t kPrefixSize = 16;
/// What every row is written with, but the head of a rewritten file (kFormatVersion).
inline constexpr std::uint16_t kRowVersion = 2;

template <std::unsigned_integral T>
void store(char* out, T value) {
  for (std::size_t byte = 0; byte < sizeof(T); ++byte)
    out[byte] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * byte));
}

template <std::unsigned_integral T>
[[nodiscard]] T load(const char* in) {
  std::uint64_t value = 0;
  for (std::size_t byte = 0; byte < sizeof(T); ++byte)
    value |= std::uint64_t{static_cast<unsigned char>(in[byte])} << (8 * byte);
  return static_cast<T>(value);
}

[[nodiscard]] inline std::uint64_t load_u64(std::string_view in, std::size_t offset) {
  return load<std::uint64_t>(in.data() + offset);
}

[[nodiscard]] inline std::uint64_t checksum_of(std::string_view row) {
  return XXH3_64bits(row.data() + kChecksumEnd, row.size() - kChecksumEnd);
}

/// Fills in the prefix; the row's checksum.
inline std::uint64_t seal(std::span<char> row, Magic magic, std::uint16_t version = kRowVersion) {
  store(row.data() + kMagicOffset, std::to_underlying(magic));
  store(row.data() + kVersionOffset, version);
  store(row.data() + kVersionOffset + 2, std::uint16_t{0});
  const std::uint64_t checksum = checksum_of({row.data(), row.size()});
  store(row.data(), checksum);
  return checksum;
}

[[nodiscard]] inline std::unexpected<Error> damaged(std::string text) {
  return std::unexpected(Error{Errc::damaged, std::move(text)});
}

/// What is asked of every row before any field of it is believed. `what` names it in the error.
[[nodiscard]] inline std::expected<void, Error> check_prefix(std::string_view row, Magic magic, std::size_t size_min,
                                                             const char* what) {
  if (row.size() < std::max(size_min, kPrefixSize)) return damaged(std::string(what) + " is too short");
  if (load_u64(row, 0) != checksum_of(row)) return damaged(std::string(what) + " does not match its checksum");
  if (load<std::uint32_t>(row.data() + kMagicOffset) != std::to_underlying(magic))
    return damaged(std::string(what) + " has the magic number of something else");
  const auto version = load<std::uint16_t>(row.data() + kVersionOffset);
  if (version > kFormatVersion)
    return std::unexpected(Error{Errc::version, std::string(what) + " has format version " + std::to_string(version) +
                                                    ", this build knows up to " + std::to_string(kFormatVersion) +
                                                    "; run a newer weir"});
  return {};
}

/// An index in a file's name: names sort like indexes.
[[nodiscard]] inline std::string digits_of(raft::Index index) {
  const std::string digits = std::to_string(index.value);
  return std::string(20 - digits.size(), '0') + digits;
}

}  // namespace weir::storage
