// Which route a request takes. Decided on the path as sent, decoded exactly once (FAULTS 94, 105). Pure: no thread
// rule.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "broker/http/problem.hpp"
#include "broker/http/request.hpp"

namespace weir::broker::http {

enum class Route : std::uint8_t {
  publish = 0,
  read,
  head,
  id_find,
  id_claim,
  topics,
  topic,
  topic_put,
  topic_change,
  topic_remove,
  groups,
  group,
  group_put,
  group_remove,
  group_claim,
  group_commit,
  batch,
  cluster,
  member_add,
  member_remove,
  transfer,
  verify,
  drain,
  drain_end,
  raft_log,
  backup,
  websocket,
  healthz,
  readyz,
  metrics,
  root,
  console,
  preflight,
  none,  ///< no route took it; for counting
};
inline constexpr std::size_t kRouteCount = static_cast<std::size_t>(Route::none) + 1;
[[nodiscard]] std::string_view to_string(Route route);

struct Match {
  Route route = Route::none;
  std::string name;  ///< what stood in the place of {topic or pattern}, decoded; may be empty for read
};

[[nodiscard]] std::expected<Match, Problem> find_route(const Request& request);

}  // namespace weir::broker::http
