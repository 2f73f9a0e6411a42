// Cursors and entity tags as clients see them: `<epoch>.<position>` and `"<epoch>-<next offset>"` (API §1, §3).
// Pure: no thread rule.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "raft/types.hpp"

namespace weir::broker::http {

struct Cursor {
  std::string epoch;
  raft::Position position;
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

[[nodiscard]] std::string format_cursor(std::string_view epoch, raft::Position position);
[[nodiscard]] std::optional<Cursor> parse_cursor(std::string_view text);

struct EntityTag {
  std::string epoch;
  raft::Offset next;
  friend bool operator==(const EntityTag&, const EntityTag&) = default;
};

/// With its quotes.
[[nodiscard]] std::string format_etag(std::string_view epoch, raft::Offset next);
/// One strong tag, quotes required; a list or `*` is nullopt.
[[nodiscard]] std::optional<EntityTag> parse_etag(std::string_view text);

}  // namespace weir::broker::http
