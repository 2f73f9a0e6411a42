#include "broker/http/read_query.hpp"

#include <algorithm>
#include <limits>

#include "broker/http/cursor.hpp"
#include "broker/http/group_request.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/time_text.hpp"

namespace weir::broker::http {

namespace {

constexpr std::string_view kFromForms =
    "from is earliest, latest, an offset below 2^53, -N (the last N), a time (2026-11-20T08:00:00Z or 1h), "
    "after:<cursor> or group:<name>";

/// A point in time, or that long ago.
std::optional<std::uint64_t> parse_moment(std::string_view text, std::uint64_t now_ms) {
  if (const auto ago = parse_duration_ms(text)) return now_ms - std::min(now_ms, *ago);
  return parse_time(text);
}

using Taken = std::expected<void, Problem>;

std::unexpected<Problem> refuse(std::string text) {
  return std::unexpected(bad_request(std::move(text)));
}

Taken take_selector(ReadPlan& plan, const Query& query, std::string_view name) {
  std::vector<std::string_view> patterns;
  for (const Query::Parameter& parameter : query.parameters()) {
    if (parameter.name == "topic") patterns.emplace_back(parameter.value);
  }
  if (!name.empty() && !patterns.empty()) return refuse("name the topic in the path or in topic=, not in both");
  if (!name.empty()) patterns.push_back(name);
  if (patterns.empty()) return refuse("name a topic or pattern: /v1/events/orders/** or ?topic=a&topic=b/**");
  auto selector = parse_selector(patterns);
  if (!selector) return refuse(std::move(selector.error()));
  plan.selector = std::move(*selector);
  return {};
}

Taken take_mode(ReadPlan& plan, const Request& request, const Query& query, Transport transport) {
  if (transport == Transport::websocket) {
    plan.mode = Mode::stream;
    return {};
  }
  const auto format = negotiate(request.field("accept").value_or(""));
  if (!format) return std::unexpected(not_acceptable(format.error()));
  plan.format = *format;
  const auto follow = query.get("follow");
  if (follow && *follow != "1" && *follow != "0") return refuse("follow is 1 or 0");
  if (plan.format == Format::sse || follow == "1") plan.mode = Mode::stream;
  if (plan.mode == Mode::stream && (plan.format == Format::json || plan.format == Format::octets)) {
    return refuse("a stream is application/x-ndjson, text/event-stream or text/plain; " +
                  std::string(content_type_of(plan.format)) + " has an end");
  }
  if (const auto wait = query.get("wait")) {
    const auto ms = parse_duration_ms(*wait);
    if (!ms) return refuse("wait must be a duration with its unit: 500ms, 20s");
    plan.wait_ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(*ms, kWaitMsMax));
    if (plan.mode == Mode::pull) plan.mode = Mode::long_poll;
  }
  return {};
}

Taken take_range(ReadPlan& plan, const Request& request, const Query& query, std::uint64_t now_ms) {
  plan.from = plan.mode == Mode::stream ? From(FromLatest{}) : From(FromEarliest{});
  // EventSource repeats the URL it was given and says in this header how far it came: the header wins.
  const auto last_event_id = request.field("last-event-id");
  const auto from = query.get("from");
  if (last_event_id && !last_event_id->empty()) {
    const auto cursor = parse_cursor(*last_event_id);
    if (!cursor) return refuse("Last-Event-ID is not a cursor");
    plan.from = FromCursor{cursor->epoch, cursor->position};
  } else if (from) {
    auto parsed = parse_from(*from, now_ms);
    if (!parsed) return refuse(std::move(parsed.error()));
    plan.from = std::move(*parsed);
  }
  if (const auto until = query.get("until")) {
    auto parsed = parse_until(*until, now_ms);
    if (!parsed) return refuse(std::move(parsed.error()));
    plan.until = std::move(*parsed);
  }
  if (auto checked = check_range(plan.from, plan.until, *plan.selector); !checked) {
    return refuse(std::move(checked.error()));
  }
  return {};
}

Taken take_sizes(ReadPlan& plan, const Query& query) {
  plan.limit = plan.mode == Mode::stream ? std::numeric_limits<std::uint64_t>::max() : kPullEventsDefault;
  if (const auto limit = query.get("limit")) {
    const auto count = parse_unsigned(*limit);
    if (!count || *count == 0) return refuse("limit must be a whole number from 1 on");
    plan.limit = *count;
  }
  plan.bytes_max = kPullBytesDefault;
  if (const auto bytes = query.get("max_bytes")) {
    const auto count = parse_unsigned(*bytes);
    if (!count) return refuse("max_bytes must be a whole number");
    plan.bytes_max = static_cast<std::size_t>(std::clamp<std::uint64_t>(*count, 1, kPullBytesMax));
  }
  if (plan.format == Format::octets && plan.limit != 1) {
    return refuse("application/octet-stream is one event's exact bytes: add limit=1");
  }
  return {};
}

Taken take_choices(ReadPlan& plan, const Query& query, const HttpLimits& limits) {
  if (const auto key = query.get("key")) plan.key = std::string(*key);
  const auto data = query.get("data");
  if (data && *data != "base64") return refuse("the only form of data= is base64");
  if (data) plan.data = DataForm::base64;
  const auto consistency = query.get("consistency");
  if (consistency && *consistency != "committed" && *consistency != "linear") {
    return refuse("consistency is committed or linear");
  }
  if (consistency == "linear") plan.consistency = Consistency::linear;
  if (const auto min_position = query.get("min_position")) {
    const auto position = parse_unsigned(*min_position);
    if (!position) return refuse("min_position must be a position: a whole number below 2^53");
    plan.min_position = raft::Position{*position};
  }
  const auto timeout = parse_timeout(query.get("timeout"), limits.publish_timeout_ms);
  if (!timeout) return std::unexpected(timeout.error());
  plan.timeout_ms = *timeout;
  const bool several = !plan.single_topic() || plan.mode == Mode::stream;
  if (several && plan.format != Format::sse) plan.cursor = ShowCursor::yes;
  return {};
}

}  // namespace

std::expected<From, std::string> parse_from(std::string_view text, std::uint64_t now_ms) {
  if (text == "earliest") return FromEarliest{};
  if (text == "latest") return FromLatest{};
  if (text.starts_with("after:")) {
    const auto cursor = parse_cursor(text.substr(6));
    if (!cursor) return std::unexpected("what follows after: is not a cursor as weir prints them");
    return FromCursor{cursor->epoch, cursor->position};
  }
  if (text.starts_with("group:")) {
    const std::string_view name = text.substr(6);
    if (auto checked = check_group(name); !checked) return std::unexpected(std::move(checked.error()));
    return FromGroup{std::string(name)};
  }
  if (text.starts_with('-')) {
    if (const auto count = parse_unsigned(text.substr(1))) return FromLast{*count};
  } else if (const auto offset = parse_unsigned(text)) {
    return FromOffset{raft::Offset{*offset}};
  } else if (const auto moment = parse_moment(text, now_ms)) {
    return FromTime{*moment};
  }
  return std::unexpected(std::string(kFromForms));
}

std::expected<Until, std::string> parse_until(std::string_view text, std::uint64_t now_ms) {
  if (const auto offset = parse_unsigned(text)) return raft::Offset{*offset};
  if (const auto cursor = parse_cursor(text)) return UntilCursor{cursor->epoch, cursor->position};
  if (const auto moment = parse_moment(text, now_ms)) return UntilTime{*moment};
  return std::unexpected("until is the last offset, cursor or time to be read");
}

std::expected<std::shared_ptr<const Selector>, std::string> parse_selector(
    const std::vector<std::string_view>& patterns) {
  if (patterns.size() > kPatternsMax) {
    return std::unexpected("one reader names at most " + std::to_string(kPatternsMax) + " patterns");
  }
  auto selector = std::make_shared<Selector>();
  for (const std::string_view text : patterns) {
    auto pattern = Pattern::parse(text);
    if (!pattern) return std::unexpected(std::move(pattern.error()));
    selector->patterns.push_back(std::move(*pattern));
  }
  return selector;
}

std::expected<void, std::string> check_range(const From& from, const Until& until, const Selector& selector) {
  const bool by_offset = std::holds_alternative<FromOffset>(from) || std::holds_alternative<raft::Offset>(until);
  if (by_offset && !selector.single_topic()) {
    return std::unexpected("offsets count within one topic; over several topics use a cursor or a time");
  }
  return {};
}

std::expected<ReadPlan, Problem> parse_read(const Request& request, std::string_view name, const HttpLimits& limits,
                                            std::uint64_t now_ms, Transport transport) {
  const auto query = Query::parse(request.query,
                                  {"topic", "from", "limit", "max_bytes", "wait", "follow", "until", "key", "data",
                                   "consistency", "min_position", "timeout"},
                                  "topic");
  if (!query) return refuse(query.error());
  ReadPlan plan;
  Taken taken = take_selector(plan, *query, name);
  if (taken) taken = take_mode(plan, request, *query, transport);
  if (taken) taken = take_range(plan, request, *query, now_ms);
  if (taken) taken = take_sizes(plan, *query);
  if (taken) taken = take_choices(plan, *query, limits);
  if (!taken) return std::unexpected(std::move(taken.error()));
  return plan;
}

}  // namespace weir::broker::http
