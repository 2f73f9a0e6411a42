// What clients ask of consumer groups, checked (API §6). Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/cursor.hpp"
#include "broker/http/event_json.hpp"
#include "broker/http/limits.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/request.hpp"
#include "wire/group.hpp"

namespace weir::broker::http {

/// A worker needs longer than a round trip; one that died is waited for as long as this.
inline constexpr std::uint64_t kLeaseMsMin = 100;
inline constexpr std::uint64_t kLeaseMsDefault = 30'000;
inline constexpr std::uint64_t kLeaseMsMax = std::uint64_t{12} * 3'600'000;
/// Events of one claim: what a worker does in one go.
inline constexpr std::uint64_t kClaimEventsDefault = 10;
inline constexpr std::uint64_t kClaimEventsMax = 1000;

/// The error is for 400.
[[nodiscard]] std::expected<void, std::string> check_group(std::string_view name);

/// `L7`; nullopt: not one that weir gave.
[[nodiscard]] std::optional<std::uint64_t> parse_lease(std::string_view text);
[[nodiscard]] std::string format_lease(std::uint64_t lease);

struct ClaimRequest {
  std::string group;
  std::vector<std::string> patterns;  ///< as asked for; none: those of the group
  wire::GroupChange begin;            ///< where a group begins that this claim creates
  std::uint64_t events_max = kClaimEventsDefault;
  std::size_t bytes_max = 0;
  std::uint64_t lease_ms = kLeaseMsDefault;
  std::uint32_t wait_ms = 0;
  std::uint32_t timeout_ms = 0;
  DataForm data = DataForm::natural;
};
/// `epoch`: of this log, for from=after:.
[[nodiscard]] std::expected<ClaimRequest, Problem> parse_claim(const Request& request, std::string group,
                                                               std::string_view epoch, const HttpLimits& limits,
                                                               std::uint64_t now_ms);

/// Body {"pattern":"orders/**"} or {"patterns":[…]}, {"cursor":…}: a cursor, earliest, latest or a time.
[[nodiscard]] std::expected<wire::GroupChange, Problem> parse_group_put(const Request& request, std::string group,
                                                                        std::string_view epoch, std::uint64_t now_ms);

/// `?cursor=&lease=`, or a body with these members.
[[nodiscard]] std::expected<wire::GroupChange, Problem> parse_group_commit(const Request& request, std::string group,
                                                                           std::string_view epoch);

/// The same of parts that were found elsewhere; `lease` empty: without one.
[[nodiscard]] std::expected<wire::GroupChange, Problem> commit_of(std::string group, std::string_view cursor,
                                                                  std::string_view lease, std::string_view epoch);

/// The position of a cursor of this life of the log; else 400, or 410 epoch-changed.
[[nodiscard]] std::expected<raft::Position, Problem> position_of(std::string_view cursor, std::string_view epoch);

}  // namespace weir::broker::http
