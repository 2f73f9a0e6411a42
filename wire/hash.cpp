#include "wire/hash.hpp"

// Compiled in: the library keeps its streaming state on the heap only, and a hash is taken for every event.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstring>
#include <initializer_list>

#include "wire/entry.hpp"
#include "wire/event.hpp"

namespace weir::wire {
namespace {

/// Ids, keys and small bodies fit: one call over a copy is several times faster than streaming.
constexpr std::size_t kShortBytes = 1024;

Hash128 to_hash128(XXH128_hash_t hash) {
  return {hash.high64, hash.low64};
}

/// 128-bit XXH3 of the parts, each after its length as u32 little endian: no two lists of parts look alike.
Hash128 hash_prefixed(std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const auto part : parts) size += sizeof(std::uint32_t) + part.size();
  if (size <= kShortBytes) {
    std::array<char, kShortBytes> buffer;
    std::size_t at = 0;
    for (const auto part : parts) {
      const auto length = static_cast<std::uint32_t>(part.size());
      std::memcpy(buffer.data() + at, &length, sizeof length);
      at += sizeof length;
      if (!part.empty()) std::memcpy(buffer.data() + at, part.data(), part.size());
      at += part.size();
    }
    return to_hash128(XXH3_128bits(buffer.data(), size));
  }
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const auto part : parts) {
    const auto length = static_cast<std::uint32_t>(part.size());
    XXH3_128bits_update(&state, &length, sizeof length);
    XXH3_128bits_update(&state, part.data(), part.size());
  }
  return to_hash128(XXH3_128bits_digest(&state));
}

}  // namespace

std::uint64_t checksum_of(std::span<const std::string_view> parts) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (const auto part : parts) XXH3_64bits_update(&state, part.data(), part.size());
  return XXH3_64bits_digest(&state);
}

Hash128 id_hash(std::string_view topic, std::string_view source, std::string_view id) {
  return hash_prefixed({topic, source, id});
}

Hash128 content_digest(const EventView& event) {
  // Saying the default content type and saying none is the same content.
  const auto type = event.content_type == "application/octet-stream" ? std::string_view{} : event.content_type;
  return hash_prefixed({event.key, type, event.body});
}

namespace {

/// Then it has no checksum either.
bool has_no_data(raft::Command command) {
  return command == raft::Command::noop || command == raft::Command::hollow;
}

}  // namespace

std::uint64_t entry_checksum(raft::Command command, std::string_view data) {
  if (has_no_data(command)) return 0;
  return XXH3_64bits_withSeed(data.data(), data.size(), static_cast<std::uint64_t>(command));
}

bool checksum_holds(const raft::Entry& entry) {
  if (has_no_data(entry.command) && !entry.data.empty()) return false;
  return entry.checksum == entry_checksum(entry.command, entry.data.view());
}

raft::NodeId node_id(std::string_view name) {
  const auto hash = XXH3_64bits(name.data(), name.size());
  return raft::NodeId{hash == 0 ? 1 : hash};
}

}  // namespace weir::wire
