#include "broker/http/group_request.hpp"

#include <algorithm>

#include "broker/core/topic.hpp"
#include "broker/http/json_check.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/query.hpp"
#include "broker/http/read_query.hpp"
#include "broker/http/subscription.hpp"

namespace weir::broker::http {

namespace {

/// An object of texts, with an array of patterns in it.
constexpr std::size_t kDepthMax = 2;

constexpr std::string_view kStartForms =
    "a group begins at earliest, latest, a cursor as weir prints them, or a time (2026-11-20T08:00:00Z or 1h)";

using Change = std::expected<wire::GroupChange, Problem>;

std::unexpected<Problem> refuse(std::string text) {
  return std::unexpected(bad_request(std::move(text)));
}

/// Where `change` sets the group: a From, but not one that counts within a topic.
std::expected<void, Problem> take_start(wire::GroupChange& change, const From& from, std::string_view epoch) {
  if (std::holds_alternative<FromEarliest>(from)) {
    change.start = wire::GroupStart::earliest;
  } else if (std::holds_alternative<FromLatest>(from)) {
    change.start = wire::GroupStart::latest;
  } else if (const auto* time = std::get_if<FromTime>(&from); time != nullptr && time->time_ms > 0) {
    change.start = wire::GroupStart::time;
    change.time_ms = time->time_ms;
  } else if (const auto* cursor = std::get_if<FromCursor>(&from)) {
    if (cursor->epoch != epoch) return std::unexpected(epoch_changed_problem(epoch));
    change.start = wire::GroupStart::position;
    change.to = cursor->position;
  } else {
    return refuse(std::string(kStartForms));
  }
  return {};
}

std::expected<void, Problem> take_start(wire::GroupChange& change, std::string_view text, std::string_view epoch,
                                        std::uint64_t now_ms) {
  const auto cursor = parse_cursor(text);
  if (cursor) return take_start(change, FromCursor{.epoch = cursor->epoch, .position = cursor->position}, epoch);
  const auto from = parse_from(text, now_ms);
  if (!from) return refuse(std::string(kStartForms));
  return take_start(change, *from, epoch);
}

std::expected<void, Problem> take_pattern(std::vector<std::string>& patterns, std::string_view text) {
  auto pattern = Pattern::parse(text);
  if (!pattern) return refuse(std::move(pattern.error()));
  if (std::ranges::find(patterns, text) != patterns.end()) {
    return refuse("the pattern '" + std::string(text) + "' is there twice");
  }
  if (patterns.size() == wire::kGroupPatternsMax) {
    return refuse("a group has at most " + std::to_string(wire::kGroupPatternsMax) + " patterns; ** stands for many");
  }
  patterns.emplace_back(text);
  return {};
}

std::expected<void, Problem> take_patterns(std::vector<std::string>& patterns, const JsonMember& member) {
  const bool several = member.name == "patterns";
  if (json_kind(member.value) != (several ? JsonKind::array : JsonKind::string)) {
    return refuse(several ? "'patterns' must be an array of strings" : "'pattern' must be a string");
  }
  if (!several) return take_pattern(patterns, json_unquoted(member.value));
  for (const std::string_view element : json_elements(member.value)) {
    if (json_kind(element) != JsonKind::string) return refuse("'patterns' must be an array of strings");
    if (auto taken = take_pattern(patterns, json_unquoted(element)); !taken) return taken;
  }
  return {};
}

/// The members of the body's object; an empty body has none.
std::expected<std::vector<JsonMember>, Problem> members_of(const Request& request) {
  const std::string_view body = trim(request.body);
  if (body.empty()) return std::vector<JsonMember>{};
  if (auto checked = check_json(body, kDepthMax); !checked) return refuse(std::move(checked.error()));
  if (json_kind(body) != JsonKind::object) return refuse("the body must be a JSON object");
  return json_members(body);
}

std::expected<std::uint64_t, Problem> lease_ms_of(const Query& query) {
  const auto text = query.get("lease");
  if (!text) return kLeaseMsDefault;
  const auto ms = parse_duration_ms(*text);
  if (!ms || *ms < kLeaseMsMin || *ms > kLeaseMsMax) {
    return refuse("lease must be a duration of 100ms to 12h: 30s, 5m");
  }
  return *ms;
}

std::expected<void, Problem> take_sizes(ClaimRequest& claim, const Query& query) {
  if (const auto max = query.get("max")) {
    const auto count = parse_unsigned(*max);
    if (!count || *count == 0 || *count > kClaimEventsMax) {
      return refuse("max must be a whole number from 1 to " + std::to_string(kClaimEventsMax));
    }
    claim.events_max = *count;
  }
  claim.bytes_max = kPullBytesDefault;
  if (const auto bytes = query.get("max_bytes")) {
    const auto count = parse_unsigned(*bytes);
    if (!count) return refuse("max_bytes must be a whole number");
    claim.bytes_max = static_cast<std::size_t>(std::clamp<std::uint64_t>(*count, 1, kPullBytesMax));
  }
  if (const auto wait = query.get("wait")) {
    const auto ms = parse_duration_ms(*wait);
    if (!ms) return refuse("wait must be a duration with its unit: 500ms, 20s");
    claim.wait_ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(*ms, kWaitMsMax));
  }
  const auto data = query.get("data");
  if (data && *data != "base64") return refuse("the only form of data= is base64");
  if (data) claim.data = DataForm::base64;
  return {};
}

}  // namespace

std::expected<void, std::string> check_group(std::string_view name) {
  if (check_topic(name) && !name.contains('/')) return {};
  return std::unexpected("a group's name has 1 to 64 of A-Z a-z 0-9 . _ ~ - and is not . or ..");
}

std::optional<std::uint64_t> parse_lease(std::string_view text) {
  if (!text.starts_with('L')) return std::nullopt;
  const auto number = parse_unsigned(text.substr(1));
  return number == 0U ? std::nullopt : number;
}

std::string format_lease(std::uint64_t lease) {
  return 'L' + std::to_string(lease);
}

Change commit_of(std::string group, std::string_view cursor, std::string_view lease, std::string_view epoch) {
  if (cursor.empty()) return refuse("a commit needs the cursor up to which everything is finished");
  const auto position = position_of(cursor, epoch);
  if (!position) return std::unexpected(position.error());
  wire::GroupChange change{.group = std::move(group), .action = wire::GroupAction::commit, .to = *position};
  if (!lease.empty()) {
    const auto number = parse_lease(lease);
    if (!number) return refuse("lease must be one that a claim gave: L7");
    change.lease = *number;
  }
  return change;
}

std::expected<raft::Position, Problem> position_of(std::string_view text, std::string_view epoch) {
  const auto cursor = parse_cursor(text);
  if (!cursor) return refuse("'" + std::string(text) + "' is not a cursor as weir prints them");
  if (cursor->epoch != epoch) return std::unexpected(epoch_changed_problem(epoch));
  return cursor->position;
}

std::expected<ClaimRequest, Problem> parse_claim(const Request& request, std::string group, std::string_view epoch,
                                                 const HttpLimits& limits, std::uint64_t now_ms) {
  if (auto checked = check_group(group); !checked) return refuse(std::move(checked.error()));
  if (!trim(request.body).empty()) return refuse("a claim takes no body; its parameters stand in the URL");
  const auto query =
      Query::parse(request.query, {"topic", "from", "max", "max_bytes", "lease", "wait", "timeout", "data"}, "topic");
  if (!query && !request.query.empty()) return refuse(query.error());
  ClaimRequest claim;
  claim.group = std::move(group);
  claim.begin = {.group = claim.group, .action = wire::GroupAction::create};
  const Query parameters = query.value_or(Query{});
  for (const Query::Parameter& parameter : parameters.parameters()) {
    if (parameter.name != "topic") continue;
    if (auto taken = take_pattern(claim.patterns, parameter.value); !taken) return std::unexpected(taken.error());
  }
  claim.begin.patterns = claim.patterns;
  if (const auto from = parameters.get("from")) {
    if (auto taken = take_start(claim.begin, *from, epoch, now_ms); !taken) return std::unexpected(taken.error());
  }
  if (auto taken = take_sizes(claim, parameters); !taken) return std::unexpected(taken.error());
  const auto lease_ms = lease_ms_of(parameters);
  if (!lease_ms) return std::unexpected(lease_ms.error());
  claim.lease_ms = *lease_ms;
  const auto timeout = parse_timeout(parameters.get("timeout"), limits.publish_timeout_ms);
  if (!timeout) return std::unexpected(timeout.error());
  claim.timeout_ms = *timeout;
  return claim;
}

Change parse_group_put(const Request& request, std::string group, std::string_view epoch, std::uint64_t now_ms) {
  if (auto checked = check_group(group); !checked) return refuse(std::move(checked.error()));
  const auto none_match = request.field("if-none-match");
  if (none_match && *none_match != "*") return refuse("the only If-None-Match known here is *");
  const auto members = members_of(request);
  if (!members) return std::unexpected(members.error());
  wire::GroupChange change{.group = std::move(group),
                           .action = none_match ? wire::GroupAction::create : wire::GroupAction::put};
  for (const JsonMember& member : *members) {
    if (member.name == "pattern" || member.name == "patterns") {
      if (auto taken = take_patterns(change.patterns, member); !taken) return std::unexpected(taken.error());
    } else if (member.name == "cursor") {
      if (json_kind(member.value) != JsonKind::string) return refuse("'cursor' must be a string");
      auto taken = take_start(change, json_unquoted(member.value), epoch, now_ms);
      if (!taken) return std::unexpected(taken.error());
    } else {
      return refuse("the body has a member '" + member.name +
                    "' that has no place here; known are pattern, patterns and cursor");
    }
  }
  if (change.patterns.empty() && change.start == wire::GroupStart::keep) {
    return refuse(R"(name what the group reads, {"pattern":"orders/**"}, or where it goes on, {"cursor":"earliest"})");
  }
  if (change.patterns.empty() && none_match) return refuse("a new group needs its 'pattern'");
  return change;
}

Change parse_group_commit(const Request& request, std::string group, std::string_view epoch) {
  if (auto checked = check_group(group); !checked) return refuse(std::move(checked.error()));
  const auto query = Query::parse(request.query, {"cursor", "lease", "timeout"});
  if (!query && !request.query.empty()) return refuse(query.error());
  const Query parameters = query.value_or(Query{});
  const auto members = members_of(request);
  if (!members) return std::unexpected(members.error());
  std::string cursor(parameters.get("cursor").value_or(""));
  std::string lease(parameters.get("lease").value_or(""));
  for (const JsonMember& member : *members) {
    const bool known = member.name == "cursor" || member.name == "lease";
    if (!known || json_kind(member.value) != JsonKind::string) {
      return refuse("the body of a commit has 'cursor' and, if there is one, 'lease', both strings");
    }
    (member.name == "cursor" ? cursor : lease) = json_unquoted(member.value);
  }
  return commit_of(std::move(group), cursor, lease, epoch);
}

}  // namespace weir::broker::http
