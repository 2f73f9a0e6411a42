#include "broker/core/digest.hpp"
#include "broker/http/answers.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/time_text.hpp"
#include "raft/output.hpp"

namespace weir::broker::http {

namespace {

/// What this node knows of a member: everything of itself, of others what the leader has heard.
void append_member(std::string& out, const MemberStatus& member, const NodeStatus& status, const Counters& counters) {
  const bool self = member.node == status.node;
  const auto own = [&](std::uint64_t value) { return self ? std::optional(value) : std::nullopt; };
  const auto match = member.match_index.transform([](raft::Index index) { return index.value; });
  JsonObject object(out);
  object.text("node", member.name);
  const bool role_known = self || status.leader == member.name || status.role == raft::Role::leader;
  const std::string_view role = raft::to_string(self ? status.role : member.role);
  object.text_or_null("role", member.kind != wire::MemberKind::voter ? "learner" : role_known ? role : "");
  object.number_or_null("term", own(status.term.value));
  object.number_or_null("last_index", own(status.last_index.value));
  object.number_or_null("commit_index", own(status.commit_index.value));
  object.number_or_null("applied_index", own(status.applied_index.value));
  object.number_or_null("match_index", match);
  const auto healthy = self ? std::optional(status.phase == Phase::running) : member.healthy;
  object.raw("healthy", !healthy ? "null" : *healthy ? "true" : "false");
  if (!member.why.empty()) object.text("why", member.why);
  object.text_or_null("http", member.http_address).text_or_null("raft", member.raft_address);
  object.number_or_null("fsync_p99_us", own(counters.disk_write_us_p99)).end();
}

void append_outline_event(std::string& out, const OutlineEvent& event) {
  JsonObject object(out);
  object.text("topic", event.topic);
  object.number_or_null("offset", event.offset.transform([](raft::Offset offset) { return offset.value; }));
  object.text_or_null("id", event.id).raw("duplicate", event.duplicate ? "true" : "false").end();
}

void append_entry(std::string& out, const EntryOutline& entry) {
  JsonObject object(out);
  object.number("index", entry.index.value).number("term", entry.term.value).text("command", entry.command);
  object.number("bytes", entry.bytes);
  object.text_or_null("time", entry.time_ms == 0 ? std::string{} : format_time(entry.time_ms));
  object.text("state", to_string(entry.state)).number("event_count", entry.event_count).raw("events", "[");
  for (std::size_t i = 0; i < entry.events.size(); ++i) {
    if (i > 0) out += ',';
    append_outline_event(out, entry.events[i]);
  }
  out += ']';
  object.end();
}

}  // namespace

std::string cluster_json(const NodeStatus& status, const Counters& counters) {
  std::string json;
  JsonObject object(json);
  object.text("node", status.name).text("role", raft::to_string(status.role)).number("term", status.term.value);
  object.text_or_null("leader", status.leader.value_or("")).text_or_null("epoch", status.epoch);
  object.text_or_null("cluster_id", status.cluster_id).text("phase", to_string(status.phase));
  object.number("commit_index", status.commit_index.value).number("applied_index", status.applied_index.value);
  object.number("last_index", status.last_index.value).number("position", status.position.value);
  object.number("compared_index", status.compared_index.value);
  if (!status.writes_refused.empty()) object.text("writes_refused", status.writes_refused);
  object.raw("members", "[");
  for (std::size_t i = 0; i < status.members.size(); ++i) {
    if (i > 0) json += ',';
    append_member(json, status.members[i], status, counters);
  }
  json += ']';
  object.end();
  json += '\n';
  return json;
}

std::string verified_json(const Verified& verified) {
  std::string json;
  JsonObject object(json);
  const auto names = [&](std::string_view field, const std::vector<std::string>& list) {
    std::string array = "[";
    for (const auto& name : list) {
      if (array.size() > 1) array += ',';
      append_json_string(array, name);
    }
    object.raw(field, array + ']');
  };
  object.number("index", verified.index.value).number("position", verified.position.value);
  object.text("digest", digest_text(verified.digest));
  names("agree", verified.agree);
  names("differ", verified.differ);
  names("unreachable", verified.unreachable);
  object.end();
  json += '\n';
  return json;
}

std::string raft_log_json(const NodeStatus& status, const LogOutline& outline) {
  std::string json;
  JsonObject object(json);
  object.text("node", status.name).number("first", outline.first.value).number("last", outline.last.value);
  object.number("commit_index", outline.commit_index.value).number("applied_index", outline.applied_index.value);
  object.raw("entries", "[");
  for (std::size_t i = 0; i < outline.entries.size(); ++i) {
    if (i > 0) json += ',';
    append_entry(json, outline.entries[i]);
  }
  json += ']';
  object.end();
  json += '\n';
  return json;
}

Response ready_response(const NodeStatus& status) {
  const auto not_ready = [&](std::string_view type, std::string detail) {
    if (!status.why.empty()) detail += ": " + status.why;
    return to_response({.status = 503,
                        .type = type,
                        .title = "Not ready",
                        .detail = std::move(detail),
                        .retry = Retry::safe,
                        .retry_after_ms = 1000});
  };
  switch (status.phase) {
    case Phase::forming:
      return not_ready("forming", "waiting for the other members to found the cluster");
    case Phase::waiting:
      return not_ready("waiting", "waiting to be admitted to the cluster");
    case Phase::draining:
      return not_ready("draining", "takes no writes");
    case Phase::failed:
      return not_ready("unfit", "stopped");
    case Phase::running:
      break;
  }
  if (!status.writes_refused.empty()) {
    return to_response({.status = 503, .type = "unfit", .title = "Not ready", .detail = status.writes_refused});
  }
  if (!status.leader) {
    return not_ready("no-leader", "no leader at the moment; last heard of one " +
                                      std::to_string(status.leader_silent_ms) + " ms ago");
  }
  Response response{.content_type = "application/json"};
  JsonObject object(response.body);
  object.raw("ready", "true").text("node", status.name).text("role", raft::to_string(status.role));
  object.text("leader", *status.leader).number("term", status.term.value).end();
  response.body += '\n';
  return response;
}

std::string node_header(const NodeStatus& status) {
  return status.name + "; leader=" + status.leader.value_or("none") + "; term=" + std::to_string(status.term.value);
}

}  // namespace weir::broker::http
