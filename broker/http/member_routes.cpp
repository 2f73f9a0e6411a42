// Members that come and go, are compared and taken out of service; leadership that is handed over. What only the leader
// can do, the others point to it for.
#include <algorithm>
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/json_check.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/route_parts.hpp"
#include "broker/http/routes.hpp"

namespace weir::broker::http {

namespace {

/// Beyond, the body cannot be one of these.
constexpr std::size_t kBodyBytesMax = 4096;
/// One object of strings.
constexpr std::size_t kDepthMax = 2;

/// The string members of the body's object; an empty body has none.
std::expected<std::vector<std::pair<std::string, std::string>>, Problem> texts_of(
    const Request& request, const std::vector<std::string_view>& allowed) {
  std::vector<std::pair<std::string, std::string>> texts;
  if (request.body.empty()) return texts;
  const bool is_json = request.body.size() <= kBodyBytesMax && check_json(request.body, kDepthMax).has_value();
  const std::string_view body = trim(request.body);
  if (!is_json || json_kind(body) != JsonKind::object) {
    return std::unexpected(bad_request("the body must be a JSON object"));
  }
  for (const JsonMember& member : json_members(body)) {
    if (std::ranges::find(allowed, member.name) == allowed.end() || json_kind(member.value) != JsonKind::string) {
      return std::unexpected(bad_request("the body has a member '" + member.name + "' that has no place here"));
    }
    texts.emplace_back(member.name, json_unquoted(member.value));
  }
  return texts;
}

std::string text_or(const std::vector<std::pair<std::string, std::string>>& texts, std::string_view name,
                    std::string_view otherwise) {
  const auto found = std::ranges::find(texts, name, [](const auto& text) { return std::string_view(text.first); });
  return found == texts.end() ? std::string(otherwise) : found->second;
}

/// Where the leader is, on a node that is not it.
std::optional<Response> point_to_leader(const Request& request, const NodeStatus& status) {
  if (status.role == raft::Role::leader) return std::nullopt;
  for (const MemberStatus& member : status.members) {
    if (member.name != status.leader || member.http_address.empty()) continue;
    Response response{.status = 307};
    response.add_header("Location", "http://" + member.http_address + request.path +
                                        (request.query.empty() ? "" : "?" + request.query));
    response.add_header("Weir-Node", node_header(status));
    return response;
  }
  return to_response(no_leader("only a leader can do this, and none is known on " + status.name));
}

Problem problem_of(const ChangeRefusal& refusal) {
  switch (refusal.kind) {
    case ChangeRefusalKind::not_leader:
      return no_leader(refusal.detail);
    case ChangeRefusalKind::no_member:
      return not_found(refusal.detail);
    case ChangeRefusalKind::conflict:
      return {.status = 409, .type = "conflict", .title = "The members stay as they are", .detail = refusal.detail};
    case ChangeRefusalKind::outcome_unknown:
      return {.status = 504, .type = "outcome-unknown", .title = "Outcome unknown", .detail = refusal.detail};
    case ChangeRefusalKind::not_connected:  // it may be starting
    case ChangeRefusalKind::busy:
      break;
  }
  return {.status = 503,
          .type = "overloaded",
          .title = "Not at the moment",
          .detail = refusal.detail,
          .retry = Retry::safe,
          .retry_after_ms = 500};
}

Response json_response(std::string body, const NodeStatus& status) {
  Response response = http::json_response(std::move(body));
  response.add_header("Weir-Node", node_header(status));
  return response;
}

Answer change(std::shared_ptr<Shard> shard, SharedRequest request, MemberChange change) {
  const auto timeout = timeout_of(*request, *shard);
  if (!timeout) co_return to_response(timeout.error());
  const NodeStatus status = co_await shard->gateway().status();
  if (auto elsewhere = point_to_leader(*request, status)) co_return *std::move(elsewhere);
  const auto changed = co_await shard->gateway().change_members(change, *timeout);
  if (!changed) co_return to_response(problem_of(changed.error()));
  const NodeStatus after = co_await shard->gateway().status();
  const Counters counters = co_await shard->gateway().counters();
  co_return json_response(cluster_json(after, counters), after);
}

}  // namespace

Answer member_add_route(std::shared_ptr<Shard> shard, SharedRequest request) {
  const auto texts = texts_of(*request, {"node", "action", "raft", "http"});
  if (!texts) co_return to_response(texts.error());
  MemberChange asked{.action = MemberAction::add,
                     .node = text_or(*texts, "node", ""),
                     .raft_address = text_or(*texts, "raft", ""),
                     .http_address = text_or(*texts, "http", "")};
  const std::string action = text_or(*texts, "action", "add");
  if (asked.node.empty()) co_return to_response(bad_request("the body must name the member: {\"node\":\"n4\"}"));
  if (action == "add-learner") {
    asked.action = MemberAction::add_learner;
  } else if (action == "promote") {
    asked.action = MemberAction::promote;
  } else if (action != "add") {
    co_return to_response(bad_request("action is 'add', 'add-learner' or 'promote'"));
  }
  co_return co_await change(std::move(shard), std::move(request), std::move(asked));
}

Answer member_remove_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string node) {
  MemberChange asked{.action = MemberAction::remove, .node = std::move(node)};
  co_return co_await change(std::move(shard), std::move(request), std::move(asked));
}

Answer transfer_route(std::shared_ptr<Shard> shard, SharedRequest request) {
  const auto texts = texts_of(*request, {"to"});
  if (!texts) co_return to_response(texts.error());
  const NodeStatus status = co_await shard->gateway().status();
  if (auto elsewhere = point_to_leader(*request, status)) co_return *std::move(elsewhere);
  const std::string to = text_or(*texts, "to", "");
  const auto asked = co_await shard->gateway().transfer_leadership(to);
  if (!asked) co_return to_response(problem_of(asked.error()));
  Response response{.status = 202, .content_type = "application/json", .body = "{\"transfer\":true}\n"};
  response.add_header("Weir-Node", node_header(status));
  co_return response;
}

Answer verify_route(std::shared_ptr<Shard> shard, SharedRequest request) {
  const auto timeout = timeout_of(*request, *shard);
  if (!timeout) co_return to_response(timeout.error());
  const NodeStatus status = co_await shard->gateway().status();
  if (auto elsewhere = point_to_leader(*request, status)) co_return *std::move(elsewhere);
  const auto verified = co_await shard->gateway().verify(*timeout);
  if (!verified) co_return to_response(problem_of(verified.error()));
  co_return json_response(verified_json(*verified), status);
}

Answer drain_route(std::shared_ptr<Shard> shard, SharedRequest request, Service service) {
  if (!request->query.empty()) co_return to_response(bad_request("this route takes no parameters"));
  const auto set = co_await shard->gateway().set_service(service);
  if (!set) co_return to_response(problem_of(set.error()));
  const NodeStatus after = co_await shard->gateway().status();
  const Counters counters = co_await shard->gateway().counters();
  co_return json_response(cluster_json(after, counters), after);
}

}  // namespace weir::broker::http
