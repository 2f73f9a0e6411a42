#include "broker/http/group_answers.hpp"

#include <algorithm>

#include "broker/http/answers.hpp"
#include "broker/http/cursor.hpp"
#include "broker/http/group_request.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/stream_text.hpp"
#include "broker/http/time_text.hpp"

namespace weir::broker::http {

namespace {

std::string leases_json(const std::vector<GroupLease>& leases, std::string_view epoch) {
  std::string json = "[";
  for (const GroupLease& lease : leases) {
    if (json.size() > 1) json += ',';
    JsonObject object(json);
    object.text("lease", format_lease(lease.lease)).text("from", format_cursor(epoch, lease.from));
    object.text("to", format_cursor(epoch, lease.to)).text("expires", format_time(lease.expires_ms)).end();
  }
  return json + ']';
}

std::string patterns_json(const std::vector<std::string>& patterns) {
  std::string json = "[";
  for (const std::string& pattern : patterns) {
    if (json.size() > 1) json += ',';
    append_json_string(json, pattern);
  }
  return json + ']';
}

Response other_answer() {
  return to_response(Problem{.detail = "the node answered something else than it was asked"});
}

void append_result(std::string& json, const wire::EventResult& result, std::string_view topic, std::string_view id,
                   std::string_view epoch) {
  JsonObject object(json);
  object.text("topic", topic);
  // A repeat names what retention took since; where that was is not known any more.
  const bool is_known = result.position != raft::Position{};
  object.number_or_null("offset", is_known ? std::optional(result.offset.value) : std::nullopt);
  object.number_or_null("position", is_known ? std::optional(result.position.value) : std::nullopt);
  object.text_or_null("cursor", is_known ? format_cursor(epoch, result.position) : std::string{});
  object.text_or_null("id", id).text_or_null("time", is_known ? format_time(result.time_ms) : std::string{});
  object.raw("duplicate", result.storing == wire::Storing::duplicate ? "true" : "false").end();
}

std::string committed_json(const BatchRequest& batch) {
  std::string json;
  if (batch.commits == CommitShape::one) {
    append_json_string(json, batch.committed.front());
    return json;
  }
  return patterns_json(batch.committed);
}

}  // namespace

std::string group_json(const GroupInfo& group, std::string_view epoch) {
  std::string json;
  JsonObject object(json);
  object.text("group", group.name).raw("patterns", patterns_json(group.patterns));
  object.text("cursor", format_cursor(epoch, group.committed)).number("generation", group.generation);
  object.number("lag", group.lag).raw("leases", leases_json(group.leases, epoch)).end();
  return json;
}

std::string groups_json(const std::vector<GroupInfo>& groups, std::string_view epoch) {
  std::string json = R"({"groups":[)";
  for (const GroupInfo& group : groups) {
    if (!json.ends_with('[')) json += ',';
    json += group_json(group, epoch);
  }
  return json + "]}\n";
}

Response group_response(const wire::GroupChange& asked, const wire::Outcome& outcome, std::string_view epoch) {
  const bool commits = asked.action == wire::GroupAction::commit;
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return to_response(refusal_problem(*refused, commits ? Retry::safe : Retry::unsafe));
  }
  const auto* changed = std::get_if<wire::GroupChanged>(&outcome);
  if (changed == nullptr) return other_answer();
  Response response{.status = changed->what == wire::GroupWhat::created ? 201U : 200U,
                    .content_type = "application/json"};
  response.add_header("Cache-Control", "no-store").add_header("Weir-Durability", "quorum-disk");
  JsonObject object(response.body);
  object.text("group", asked.group);
  if (changed->what == wire::GroupWhat::removed) object.raw("removed", "true");
  if (commits) object.text("committed", format_cursor(epoch, asked.to));
  object.text("cursor", format_cursor(epoch, changed->committed)).number("generation", changed->generation).end();
  response.body += '\n';
  return response;
}

std::string claimed_json(std::string_view group, const wire::GroupChanged& claimed, const Claimable& range,
                         std::string_view epoch, DataForm data) {
  std::string json;
  JsonObject object(json);
  object.text("group", group).text("lease", format_lease(claimed.lease)).number("generation", claimed.generation);
  object.text("expires", format_time(claimed.expires_ms));
  if (range.gap) object.raw("gap", missing_positions(*range.gap));
  object.raw("events", "[");
  for (const ReadEvent& event : range.events) {
    if (!json.ends_with('[')) json += ',';
    append_event_json(json, event, {epoch, data, ShowCursor::yes});
  }
  json += ']';
  object.text("cursor", format_cursor(epoch, range.to)).end();
  json += '\n';
  return json;
}

Problem batch_problem(const BatchRequest& batch, const wire::Refused& refused) {
  Problem problem = refusal_problem(refused, batch.is_known_again() ? Retry::safe : Retry::unsafe);
  const bool of_an_event = refused.kind == wire::RefusalKind::id_reuse || refused.kind == wire::RefusalKind::id_claimed;
  if (!of_an_event) return problem;
  if (refused.event >= batch.ids.size()) {
    problem.members.clear();  // the whole of it was another: there is no offset to name
    return problem;
  }
  problem.detail = "publish[" + std::to_string(refused.event) + "]: " + problem.detail;
  return std::move(problem).with("event", std::to_string(refused.event));
}

std::string batch_members(const BatchRequest& batch, const wire::Published& published, std::string_view epoch) {
  std::string json = R"("results":[)";
  std::uint64_t stored = 0;
  raft::Position last;
  for (std::size_t i = 0; i < published.results.size(); ++i) {
    const wire::EventResult& result = published.results[i];
    stored += result.storing == wire::Storing::stored ? 1 : 0;
    last = std::max(last, result.position);
    if (i > 0) json += ',';
    append_result(json, result, batch.topics[i], batch.ids[i], epoch);
  }
  json += R"(],"stored":)" + std::to_string(stored);
  json += R"(,"duplicates":)" + std::to_string(published.results.size() - stored);
  json += R"(,"cursor":")" + format_cursor(epoch, last) + '"';
  if (!batch.committed.empty()) json += R"(,"committed":)" + committed_json(batch);
  return json;
}

std::string lone_commit_members(const BatchRequest& batch) {
  return R"("results":[],"stored":0,"duplicates":0,"committed":)" + committed_json(batch);
}

Response batch_response(const BatchRequest& batch, const wire::Outcome& outcome, std::string_view epoch) {
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) return to_response(batch_problem(batch, *refused));
  Response response{.status = 200, .content_type = "application/json"};
  response.add_header("Weir-Durability", "quorum-disk");
  if (batch.lone_commit) {
    response.body = '{' + lone_commit_members(batch) + "}\n";
    return response;
  }
  const auto* published = std::get_if<wire::Published>(&outcome);
  if (published == nullptr || published->results.size() != batch.ids.size()) return other_answer();
  const bool stored_any = std::ranges::any_of(
      published->results, [](const wire::EventResult& result) { return result.storing == wire::Storing::stored; });
  response.status = stored_any ? 201 : 200;
  response.body = '{' + batch_members(batch, *published, epoch) + "}\n";
  return response;
}

}  // namespace weir::broker::http
