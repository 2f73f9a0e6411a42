#include "broker/http/answers.hpp"

#include "broker/http/cursor.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/time_text.hpp"

namespace weir::broker::http {

namespace {

Problem outcome_unknown(const wire::Refused& refused, Retry retry) {
  std::string detail = refused.detail;
  if (!detail.empty()) detail += "; ";
  detail += retry == Retry::safe ? "repeat the same request with the same ids"
                                 : "without an id nobody can tell whether a repeat would store it twice";
  return {.status = 504,
          .type = "outcome-unknown",
          .title = "Outcome unknown",
          .detail = std::move(detail),
          .retry = retry,
          .retry_after_ms = 500};
}

void append_place(JsonObject& object, std::string& out, const wire::EventResult& result, std::string_view id,
                  std::string_view epoch) {
  object.number("offset", result.offset.value).number("position", result.position.value);
  object.raw("cursor", '"' + format_cursor(epoch, result.position) + '"').text_or_null("id", id);
  object.raw("time", "\"");
  append_time(out, result.time_ms);
  out += '"';
}

Response internal_error(std::string detail) {
  return to_response(Problem{.detail = std::move(detail), .retry = Retry::unsafe});
}

Response single_response(const PublishRequest& publish, const wire::EventResult& result, std::string_view epoch) {
  const bool duplicate = result.storing == wire::Storing::duplicate;
  Response response{.status = duplicate ? 200U : 201U, .content_type = "application/json"};
  response.add_header("Weir-Offset", std::to_string(result.offset.value));
  if (duplicate) response.add_header("Weir-Duplicate", "true");
  response.body = result_json(result, publish.topic, publish.ids.front(), epoch);
  response.body += '\n';
  return response;
}

Response batch_response(const PublishRequest& publish, const wire::Published& published, std::string_view epoch) {
  Response response{.content_type = "application/json"};
  std::string& body = response.body;
  std::uint64_t stored = 0;
  raft::Position last;
  JsonObject object(body);
  object.text("topic", publish.topic).raw("results", "[");
  for (std::size_t i = 0; i < published.results.size(); ++i) {
    const wire::EventResult& result = published.results[i];
    const bool duplicate = result.storing == wire::Storing::duplicate;
    stored += duplicate ? 0 : 1;
    last = std::max(last, result.position);
    if (i > 0) body += ',';
    JsonObject entry(body);
    entry.number("offset", result.offset.value).number("position", result.position.value);
    entry.text_or_null("id", publish.ids[i]).raw("duplicate", duplicate ? "true" : "false").end();
  }
  body += ']';
  object.number("stored", stored).number("duplicates", published.results.size() - stored);
  object.text("cursor", format_cursor(epoch, last)).end();
  body += '\n';
  response.status = stored > 0 ? 201 : 200;
  return response;
}

/// A refusal that names an event of a batch, with the line it stood in.
Problem with_line(Problem problem, const PublishRequest& publish, const wire::Refused& refused) {
  if (publish.shape != Shape::batch || refused.event >= publish.lines.size()) return problem;
  if (refused.kind != wire::RefusalKind::id_reuse && refused.kind != wire::RefusalKind::id_claimed) return problem;
  const std::string line = std::to_string(publish.lines[refused.event]);
  problem.detail = "line " + line + ": " + problem.detail;
  return std::move(problem).with("line", line);
}

}  // namespace

Problem refusal_problem(const wire::Refused& refused, Retry retry) {
  using enum wire::RefusalKind;
  const std::string offset = std::to_string(refused.offset.value);
  const auto detail_or = [&](const std::string& text) { return refused.detail.empty() ? text : refused.detail; };
  switch (refused.kind) {
    case id_reuse:
      return Problem{.status = 422,
                     .type = "id-reuse",
                     .title = "This id was used for another event",
                     .detail = detail_or("the id stands for the event at offset " + offset + ", with other content")}
          .with("offset", offset);
    case expectation_failed:
      return Problem{.status = 412,
                     .type = "expectation-failed",
                     .title = "Expectation failed",
                     .detail = detail_or("the topic's next offset is " + offset)}
          .with("next", offset);
    case id_claimed:
      return {.status = 409,
              .type = "id-claimed",
              .title = "This id is claimed",
              .detail = detail_or("the id was claimed without an event; publish under another id")};
    case no_topic:
      return not_found(detail_or("the topic does not exist, and topics are not created by publishing here"));
    case not_leader:
    case no_leader:
      return http::no_leader(detail_or("no leader took the request in time; nothing was stored"));
    case overloaded:
      return http::overloaded(detail_or("too much is waiting to be stored; nothing of this request was"));
    case draining:
      return http::draining(detail_or("nothing was stored; ask another node"));
    case unfit:
      return http::unfit(detail_or("the members' data differ; nothing was stored"));
    case disk_full:
      return {.status = 507,
              .type = "disk-full",
              .title = "Disk full",
              .detail = detail_or("nothing was stored; it goes on when there is room"),
              .retry = Retry::safe,
              .retry_after_ms = 5000};
    case too_large:
      return http::too_large(detail_or("the request is too large once encoded"));
    case conflict:
      return {.status = 409,
              .type = "conflict",
              .title = "It stays as it is",
              .detail = detail_or("the settings of the topic or group do not allow this")};
    case no_group:
      return not_found(detail_or("there is no such group"));
    case lease_lost:
      return {.status = 409,
              .type = "lease-lost",
              .title = "The lease is lost",
              .detail = detail_or("the lease ran out; nothing was stored, claim again")};
    case quota:
      return {.status = 429, .type = "quota", .title = "Quota", .detail = detail_or("there may not be more of these")};
    case moved_on:
      return http::overloaded(detail_or("other workers were faster; nothing is held, try again"));
    case outcome_unknown:
      return http::outcome_unknown(refused, retry);
    case malformed:
      break;
  }
  return bad_request(detail_or("the leader could not read the request"));
}

std::string result_json(const wire::EventResult& result, std::string_view topic, std::string_view id,
                        std::string_view epoch) {
  std::string json;
  JsonObject object(json);
  object.text("topic", topic);
  append_place(object, json, result, id, epoch);
  object.raw("duplicate", result.storing == wire::Storing::duplicate ? "true" : "false").end();
  return json;
}

Response publish_response(const PublishRequest& publish, const wire::Outcome& outcome, std::string_view epoch) {
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    const Retry retry = publish.every_event_has_id() ? Retry::safe : Retry::unsafe;
    return to_response(with_line(refusal_problem(*refused, retry), publish, *refused));
  }
  const auto* published = std::get_if<wire::Published>(&outcome);
  if (published == nullptr || published->results.size() != publish.ids.size()) {
    return internal_error("the node answered for another number of events than were sent");
  }
  Response response = publish.shape == Shape::batch ? batch_response(publish, *published, epoch)
                                                    : single_response(publish, published->results.front(), epoch);
  response.add_header("Weir-Durability", "quorum-disk");
  return response;
}

std::string claim_json(const wire::Claim& claim, const wire::Claimed& claimed, std::string_view epoch) {
  std::string json;
  JsonObject object(json);
  object.text("topic", claim.topic);
  if (!claim.source.empty()) object.text("source", claim.source);
  if (claimed.state == wire::ClaimState::published_before) {
    object.raw("state", R"("published")");
    append_place(object, json, claimed.original, claim.id, epoch);
  } else {
    object.raw("state", R"("claimed")").text("id", claim.id);
    object.text("time", format_time(claimed.original.time_ms));
  }
  object.end();
  return json;
}

Response claim_response(const wire::Claim& claim, const wire::Outcome& outcome, std::string_view epoch) {
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return to_response(refusal_problem(*refused, Retry::safe));
  }
  const auto* claimed = std::get_if<wire::Claimed>(&outcome);
  if (claimed == nullptr) return internal_error("the node answered a claim with something else");
  const bool now = claimed->state == wire::ClaimState::claimed_now;
  Response response{.status = now ? 201U : 200U, .content_type = "application/json"};
  response.add_header("Weir-Durability", "quorum-disk");
  response.body = claim_json(claim, *claimed, epoch) + '\n';
  return response;
}

}  // namespace weir::broker::http
