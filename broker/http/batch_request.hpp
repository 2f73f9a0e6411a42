// Events of several topics, commits of groups and expectations, as one request (API §6). Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/json_text.hpp"
#include "broker/http/limits.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/request.hpp"
#include "raft/types.hpp"
#include "wire/group.hpp"

namespace weir::broker::http {

/// Groups that one batch commits for: a worker takes from one, a join from a few.
inline constexpr std::size_t kBatchCommitsMax = 16;

/// As the request wrote them, and as its answer shows them.
enum class CommitShape : std::uint8_t { one = 1, several = 2 };

struct BatchRequest {
  raft::Bytes bytes;                   ///< wire::PublishBuilder's; nothing for a lone commit
  std::vector<std::string> topics;     ///< one per event
  std::vector<std::string> ids;        ///< one per event; empty = none
  std::vector<std::string> committed;  ///< cursors, one per commit
  CommitShape commits = CommitShape::one;
  std::optional<wire::GroupChange> lone_commit;  ///< no event: all there is to do
  std::string key;                               ///< Idempotency-Key; empty = none
  std::uint32_t timeout_ms = 0;

  /// Repeating it cannot store anything twice.
  [[nodiscard]] bool is_known_again() const;
};

/// `epoch`: of this log, for cursors.
[[nodiscard]] std::expected<BatchRequest, Problem> parse_batch(const Request& request, std::string_view epoch,
                                                               const HttpLimits& limits);
/// Of a frame or body taken apart and checked: `publish`, `commit`, `expect`; other members are the caller's.
[[nodiscard]] std::expected<BatchRequest, Problem> batch_of(const std::vector<JsonMember>& members, std::string key,
                                                            std::string_view epoch, const HttpLimits& limits);

}  // namespace weir::broker::http
