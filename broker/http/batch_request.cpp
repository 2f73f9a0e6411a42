#include "broker/http/batch_request.hpp"

#include <algorithm>

#include "broker/core/topic.hpp"
#include "broker/http/event_input.hpp"
#include "broker/http/group_request.hpp"
#include "broker/http/json_check.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/query.hpp"
#include "broker/http/utf8.hpp"
#include "wire/entry.hpp"

namespace weir::broker::http {

namespace {

using Taken = std::expected<void, Problem>;

/// The object, `publish`, an event: the payload lies three levels down.
constexpr std::size_t kLevelsAbovePayload = 3;

std::unexpected<Problem> refuse(std::string text) {
  return std::unexpected(bad_request(std::move(text)));
}

Taken add_event(BatchRequest& batch, wire::PublishBuilder& builder, std::string_view text, const HttpLimits& limits) {
  const std::string where = "publish[" + std::to_string(batch.ids.size()) + "]: ";
  auto parsed = event_from_json(text, limits, {});
  if (!parsed) return refuse(where + parsed.error());
  if (parsed->kind == LineKind::control) return refuse(where + "an event has 'data' or 'data_base64'");
  EventInput& event = parsed->event;
  if (auto checked = check_topic(event.topic); !checked) return refuse(where + checked.error());
  builder.add(event.view());
  batch.topics.push_back(std::move(event.topic));
  batch.ids.push_back(std::move(event.id));
  return {};
}

Taken add_events(BatchRequest& batch, wire::PublishBuilder& builder, std::string_view value, const HttpLimits& limits) {
  if (json_kind(value) != JsonKind::array) return refuse("'publish' must be an array of events");
  for (const std::string_view element : json_elements(value)) {
    if (batch.ids.size() == limits.batch_events_max) {
      return std::unexpected(too_large("a batch holds at most " + std::to_string(limits.batch_events_max) + " events"));
    }
    if (auto added = add_event(batch, builder, element, limits); !added) return added;
  }
  return {};
}

std::expected<wire::GroupChange, Problem> parse_commit(std::string_view value, std::string_view epoch) {
  if (json_kind(value) != JsonKind::object) {
    return refuse(R"('commit' must be an object {"group":…,"lease":…,"cursor":…}, or an array of them)");
  }
  std::string group;
  std::string cursor;
  std::string lease;
  for (const JsonMember& member : json_members(value)) {
    const bool known = member.name == "group" || member.name == "lease" || member.name == "cursor";
    if (!known || json_kind(member.value) != JsonKind::string) {
      return refuse("a commit has 'group', 'cursor' and, if there is one, 'lease', all strings");
    }
    (member.name == "group" ? group : member.name == "cursor" ? cursor : lease) = json_unquoted(member.value);
  }
  if (auto checked = check_group(group); !checked) return refuse("commit: " + checked.error());
  return commit_of(std::move(group), cursor, lease, epoch);
}

std::expected<std::vector<wire::GroupChange>, Problem> commits_of(BatchRequest& batch, std::string_view value,
                                                                  std::string_view epoch) {
  const bool several = json_kind(value) == JsonKind::array;
  batch.commits = several ? CommitShape::several : CommitShape::one;
  const auto elements = several ? json_elements(value) : std::vector<std::string_view>{value};
  if (elements.size() > kBatchCommitsMax) {
    return refuse("a batch commits for at most " + std::to_string(kBatchCommitsMax) + " groups");
  }
  std::vector<wire::GroupChange> commits;
  for (const std::string_view element : elements) {
    auto commit = parse_commit(element, epoch);
    if (!commit) return std::unexpected(commit.error());
    if (std::ranges::find(commits, commit->group, &wire::GroupChange::group) != commits.end()) {
      return refuse("a batch commits once for each group");
    }
    batch.committed.push_back(format_cursor(epoch, commit->to));
    commits.push_back(*std::move(commit));
  }
  return commits;
}

Taken add_expectations(wire::PublishBuilder& builder, std::string_view value) {
  constexpr std::string_view kForm = R"('expect' must be an object of topics: {"invoices":{"next":12}})";
  if (json_kind(value) != JsonKind::object) return refuse(std::string(kForm));
  for (const JsonMember& topic : json_members(value)) {
    if (auto checked = check_topic(topic.name); !checked) return refuse("expect: " + checked.error());
    if (json_kind(topic.value) != JsonKind::object) return refuse(std::string(kForm));
    const auto members = json_members(topic.value);
    const auto next =
        members.size() == 1 && members.front().name == "next" ? json_unsigned(members.front().value) : std::nullopt;
    if (!next) return refuse(std::string(kForm));
    builder.expect(topic.name, raft::Offset{*next});
  }
  return {};
}

std::expected<std::string, Problem> key_of(const Request& request, const HttpLimits& limits) {
  const auto field = request.field("idempotency-key");
  if (!field) return std::string{};
  std::string key = unquoted_key(*field);
  if (key.empty() || key.size() > limits.id_bytes_max || !is_utf8(key)) {
    return refuse("Idempotency-Key must have 1 to " + std::to_string(limits.id_bytes_max) + " bytes of UTF-8");
  }
  return key;
}

/// What is left to do where there is no event: one commit, which is known again by itself.
std::expected<BatchRequest, Problem> without_events(BatchRequest batch, std::vector<wire::GroupChange> commits,
                                                    bool expects) {
  if (expects) return refuse("expectations go with events: 'publish' is empty");
  if (commits.empty()) return refuse("a batch has events in 'publish', a 'commit', or both");
  if (commits.size() > 1) return refuse("without events a batch commits for one group");
  batch.lone_commit = std::move(commits.front());
  return batch;
}

}  // namespace

bool BatchRequest::is_known_again() const {
  return lone_commit || !key.empty() || std::ranges::none_of(ids, [](const std::string& id) { return id.empty(); });
}

std::expected<BatchRequest, Problem> batch_of(const std::vector<JsonMember>& members, std::string key,
                                              std::string_view epoch, const HttpLimits& limits) {
  BatchRequest batch;
  batch.timeout_ms = limits.publish_timeout_ms;
  wire::PublishBuilder builder;
  std::vector<wire::GroupChange> commits;
  bool expects = false;
  for (const JsonMember& member : members) {
    Taken taken;
    if (member.name == "publish") {
      taken = add_events(batch, builder, member.value, limits);
    } else if (member.name == "expect") {
      taken = add_expectations(builder, member.value);
      expects = true;
    } else if (member.name == "commit") {
      auto parsed = commits_of(batch, member.value, epoch);
      if (!parsed) return std::unexpected(std::move(parsed.error()));
      commits = *std::move(parsed);
    }
    if (!taken) return std::unexpected(std::move(taken.error()));
  }
  if (batch.ids.empty()) return without_events(std::move(batch), std::move(commits), expects);
  for (const auto& commit : commits) {
    builder.commit({.group = commit.group, .lease = commit.lease, .position = commit.to});
  }
  builder.set_request_id(key);
  batch.key = std::move(key);
  auto bytes = builder.finish();
  if (!bytes) return std::unexpected(too_large(std::move(bytes.error().text)));
  batch.bytes = std::move(*bytes);
  return batch;
}

std::expected<BatchRequest, Problem> parse_batch(const Request& request, std::string_view epoch,
                                                 const HttpLimits& limits) {
  const auto query = Query::parse(request.query, {"timeout"});
  if (!query && !request.query.empty()) return refuse(query.error());
  const auto timeout = parse_timeout(query ? query->get("timeout") : std::nullopt, limits.publish_timeout_ms);
  if (!timeout) return std::unexpected(timeout.error());
  const std::string_view body = trim(request.body);
  if (auto checked = check_json(body, limits.json_depth_max + kLevelsAbovePayload); !checked) {
    return refuse(std::move(checked.error()));
  }
  if (json_kind(body) != JsonKind::object) return refuse("the body must be a JSON object");
  const auto members = json_members(body);
  for (const JsonMember& member : members) {
    if (member.name != "publish" && member.name != "commit" && member.name != "expect") {
      return refuse("the body has a member '" + member.name +
                    "' that has no place here; known are publish, commit and expect");
    }
  }
  auto key = key_of(request, limits);
  if (!key) return std::unexpected(std::move(key.error()));
  auto batch = batch_of(members, *std::move(key), epoch, limits);
  if (batch) batch->timeout_ms = *timeout;
  return batch;
}

}  // namespace weir::broker::http
