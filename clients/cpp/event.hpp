#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/cpp/error.hpp"

/// What is published and what is read, as values.
namespace weir::client {

using Headers = std::vector<std::pair<std::string, std::string>>;

// NOLINTBEGIN(readability-redundant-member-init): without them g++ warns of every field a caller leaves out.
struct OutgoingEvent {
  std::string data = {};          ///< any bytes
  std::string id = {};            ///< 1-256 bytes of UTF-8; empty: no deduplication, and no repeat after a lost answer
  std::string source = {};        ///< part of the id's identity
  std::string key = {};           ///< UTF-8
  std::string content_type = {};  ///< empty: JSON if it parses, else text if it is UTF-8, else bytes
  Headers headers = {};           ///< kept with the event, names without "Weir-H-"
};
// NOLINTEND(readability-redundant-member-init)

/// Where one event is stored.
struct Published {
  std::string topic;
  std::uint64_t offset = 0;
  std::uint64_t position = 0;
  std::string cursor;
  std::string id;
  std::string time;  ///< RFC 3339; of the original when `duplicate`; empty when the answer does not say
  bool duplicate = false;
};

struct BatchPublished {
  std::vector<Published> results;  ///< one per event, in order
  std::uint64_t stored = 0;
  std::uint64_t duplicates = 0;
  std::string cursor;
};

struct ReceivedEvent {
  std::string topic;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> position;
  std::string cursor;  ///< empty when the line had none
  std::optional<std::string> id;
  std::string time;
  std::string data;  ///< the payload; JSON as it was shown
  std::string json;  ///< the whole event as one JSON object, `data` byte for byte as received
};

/// `<epoch>.<position>`: the part after the last dot. The rest stays opaque.
[[nodiscard]] std::optional<std::uint64_t> cursor_position(std::string_view cursor);

}  // namespace weir::client
