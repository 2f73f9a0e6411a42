#include "broker/http/publish_request.hpp"

#include <algorithm>
#include <optional>

#include "broker/core/topic.hpp"
#include "broker/http/cursor.hpp"
#include "broker/http/event_input.hpp"
#include "broker/http/json_check.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/media_type.hpp"
#include "wire/entry.hpp"

namespace weir::broker::http {

namespace {

Problem other_life(std::string_view tag) {
  return {
      .status = 412,
      .type = "expectation-failed",
      .title = "Expectation failed",
      .detail = "the tag " + std::string(tag) + " belongs to another life of this log; ask HEAD for the current one",
      .members = {{"next", "null"}}};
}

/// What `expect`, If-Match and If-None-Match ask for: the topic's next offset.
std::expected<std::optional<raft::Offset>, Problem> parse_expectation(const Request& request, const Query& query,
                                                                      std::string_view epoch) {
  const auto expect = query.get("expect");
  const auto match = request.field("if-match");
  const auto none_match = request.field("if-none-match");
  if (expect.has_value() + match.has_value() + none_match.has_value() > 1) {
    return std::unexpected(bad_request("only one of expect, If-Match and If-None-Match can hold"));
  }
  if (expect) {
    const auto next = parse_unsigned(*expect);
    if (!next) return std::unexpected(bad_request("expect must be an offset: a whole number below 2^53"));
    return raft::Offset{*next};
  }
  if (none_match) {
    if (*none_match != "*") return std::unexpected(bad_request("the only If-None-Match known here is *"));
    return raft::Offset{0};
  }
  if (!match) return std::nullopt;
  const auto tag = parse_etag(*match);
  if (!tag) return std::unexpected(bad_request("If-Match must be one tag as HEAD answers it, with its quotes"));
  if (tag->epoch != epoch) return std::unexpected(other_life(*match));
  return tag->next;
}

std::expected<Ack, Problem> parse_ack(std::optional<std::string_view> text) {
  if (!text || *text == "quorum") return Ack::quorum;
  if (*text == "none") return Ack::none;
  return std::unexpected(bad_request("ack is quorum or none"));
}

Problem bad_line(std::uint32_t line, const std::string& what) {
  return bad_request("line " + std::to_string(line) + ": " + what).with("line", std::to_string(line));
}

std::expected<void, Problem> add_single(const Request& request, const Query& query, const HttpLimits& limits,
                                        PublishRequest& publish, wire::PublishBuilder& builder) {
  const std::string_view content_type = request.field("content-type").value_or("");
  if (!is_untyped(content_type) && !media_type(content_type)) {
    return std::unexpected(unsupported_type("the Content-Type is not a media type"));
  }
  auto event = event_fields(request, query, limits);
  if (!event) return std::unexpected(bad_request(std::move(event.error())));
  if (auto taken = take_body(*event, content_type, request.body, limits.json_depth_max); !taken) {
    return std::unexpected(bad_request(std::move(taken.error())));
  }
  event->topic = publish.topic;
  builder.add(event->view());
  publish.ids.push_back(std::move(event->id));
  return {};
}

std::expected<void, Problem> add_line(std::string_view line, std::uint32_t number, const HttpLimits& limits,
                                      PublishRequest& publish, wire::PublishBuilder& builder) {
  // The payload is one level down in its line.
  if (auto checked = check_json(line, limits.json_depth_max + 1); !checked) {
    return std::unexpected(bad_line(number, checked.error()));
  }
  auto parsed = event_from_json(line, limits, {});
  if (!parsed) return std::unexpected(bad_line(number, parsed.error()));
  if (parsed->kind == LineKind::control) return {};
  if (publish.ids.size() == limits.batch_events_max) {
    return std::unexpected(too_large("a batch holds at most " + std::to_string(limits.batch_events_max) + " events"));
  }
  parsed->event.topic = publish.topic;
  builder.add(parsed->event.view());
  publish.ids.push_back(std::move(parsed->event.id));
  publish.lines.push_back(number);
  return {};
}

std::expected<void, Problem> add_lines(const Request& request, const Query& query, const HttpLimits& limits,
                                       PublishRequest& publish, wire::PublishBuilder& builder) {
  if (request.field("idempotency-key") || request.field("weir-id") || query.get("id")) {
    return std::unexpected(bad_request(
        "a batch has no id of its own here: give each line an \"id\"; one key for a whole batch comes with /v1/batch"));
  }
  std::string_view rest = request.body;
  for (std::uint32_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    std::string_view line = trim(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line = trim(line.substr(0, line.size() - 1));
    if (line.empty()) continue;
    if (auto added = add_line(line, number, limits, publish, builder); !added) return added;
  }
  if (publish.ids.empty()) return std::unexpected(bad_request("the batch holds no event"));
  return {};
}

std::expected<void, Problem> add_events(const Request& request, const Query& query, const HttpLimits& limits,
                                        PublishRequest& publish, wire::PublishBuilder& builder) {
  switch (body_kind(request.field("content-type").value_or(""))) {
    case BodyKind::ndjson:
      publish.shape = Shape::batch;
      return add_lines(request, query, limits, publish, builder);
    case BodyKind::single:
      return add_single(request, query, limits, publish, builder);
    case BodyKind::ce_structured:
    case BodyKind::ce_batch:
      break;
  }
  return std::unexpected(unsupported_type(
      "CloudEvents in structured and batch mode come with a later version; binary mode (ce-* headers) works"));
}

}  // namespace

bool PublishRequest::every_event_has_id() const {
  return std::ranges::none_of(ids, [](const std::string& id) { return id.empty(); });
}

std::size_t publish_body_bytes_max(const Request& request, const HttpLimits& limits) {
  const bool batch = body_kind(request.field("content-type").value_or("")) == BodyKind::ndjson;
  return batch ? limits.batch_bytes_max : limits.event_bytes_max;
}

std::expected<std::uint32_t, Problem> parse_timeout(std::optional<std::string_view> text, std::uint32_t default_ms) {
  if (!text) return default_ms;
  const auto ms = parse_duration_ms(*text);
  if (!ms) return std::unexpected(bad_request("timeout must be a duration with its unit: 500ms, 5s"));
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(*ms, 1, kTimeoutMsMax));
}

std::expected<PublishRequest, Problem> parse_publish(const Request& request, std::string_view topic,
                                                     std::string_view epoch, const HttpLimits& limits) {
  if (auto checked = check_topic(topic); !checked) return std::unexpected(bad_request(std::move(checked.error())));
  auto query = Query::parse(request.query, {"id", "source", "key", "expect", "ack", "timeout"});
  if (!query) return std::unexpected(bad_request(std::move(query.error())));
  const auto expected_next = parse_expectation(request, *query, epoch);
  if (!expected_next) return std::unexpected(expected_next.error());
  const auto ack = parse_ack(query->get("ack"));
  if (!ack) return std::unexpected(ack.error());
  const auto timeout = parse_timeout(query->get("timeout"), limits.publish_timeout_ms);
  if (!timeout) return std::unexpected(timeout.error());

  PublishRequest publish;
  publish.topic = topic;
  publish.ack = *ack;
  publish.timeout_ms = *timeout;
  wire::PublishBuilder builder;
  if (auto added = add_events(request, *query, limits, publish, builder); !added) {
    return std::unexpected(std::move(added.error()));
  }
  if (*expected_next) builder.expect(topic, **expected_next);
  auto bytes = builder.finish();
  if (!bytes) return std::unexpected(too_large(std::move(bytes.error().text)));
  publish.bytes = std::move(*bytes);
  return publish;
}

}  // namespace weir::broker::http
