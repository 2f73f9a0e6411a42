// An event as all formats see it. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "raft/types.hpp"

namespace weir::wire {

struct Header {
  std::string_view name;
  std::string_view value;
  friend bool operator==(const Header&, const Header&) = default;
};

/// One event, every field a view into somebody else's bytes. Fields that are not named in an initializer are empty.
struct EventView {
  std::string_view topic{};
  std::string_view id{};            ///< 1-256 bytes of UTF-8; empty = no id, no deduplication
  std::string_view source{};        ///< part of the id's identity; empty unless given
  std::string_view key{};           ///< empty = none
  std::string_view content_type{};  ///< empty = application/octet-stream
  std::vector<Header> headers{};    ///< kept headers (API §3), names in lower case
  std::string_view body{};
};

/// 128-bit XXH3. Equal hashes are a hint, never a proof: a match is confirmed against the stored event (DESIGN §6).
struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
};

/// Identity of an event id: over the length-prefixed topic, source and id.
[[nodiscard]] Hash128 id_hash(std::string_view topic, std::string_view source, std::string_view id);
/// What "the same content" means for 422 id-reuse: over the length-prefixed key, content type and body.
[[nodiscard]] Hash128 content_digest(const EventView& event);

}  // namespace weir::wire
