#include "broker/http/router.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include "broker/http/query.hpp"

namespace weir::broker::http {

namespace {

struct Rule {
  Method method;
  Route route;
};

/// A path, or the beginning of one that a name follows, and perhaps an end after that.
struct Place {
  std::string_view path;
  bool takes_name = false;
  std::span<const Rule> rules;
  std::string_view end = {};

  [[nodiscard]] bool matches(std::string_view asked) const {
    if (!takes_name) return asked == path;
    return asked.size() > path.size() + end.size() - (end.empty() ? 1 : 0) && asked.starts_with(path) &&
           asked.ends_with(end);
  }
  [[nodiscard]] std::size_t size() const { return path.size() + end.size(); }
};

constexpr std::array kEvents = {Rule{Method::post, Route::publish}, Rule{Method::get, Route::read},
                                Rule{Method::head, Route::head}};
constexpr std::array kEventsQuery = {Rule{Method::get, Route::read}, Rule{Method::head, Route::head}};
constexpr std::array kIds = {Rule{Method::get, Route::id_find}, Rule{Method::put, Route::id_claim}};
constexpr std::array kTopics = {Rule{Method::get, Route::topics}, Rule{Method::head, Route::topics}};
constexpr std::array kTopic = {Rule{Method::get, Route::topic}, Rule{Method::head, Route::topic},
                               Rule{Method::put, Route::topic_put}, Rule{Method::patch, Route::topic_change},
                               Rule{Method::delete_, Route::topic_remove}};
constexpr std::array kGroups = {Rule{Method::get, Route::groups}, Rule{Method::head, Route::groups}};
constexpr std::array kGroup = {Rule{Method::get, Route::group}, Rule{Method::head, Route::group},
                               Rule{Method::put, Route::group_put}, Rule{Method::delete_, Route::group_remove}};
constexpr std::array kGroupClaim = {Rule{Method::post, Route::group_claim}};
constexpr std::array kGroupCommit = {Rule{Method::post, Route::group_commit}};
constexpr std::array kBatch = {Rule{Method::post, Route::batch}};
constexpr std::array kCluster = {Rule{Method::get, Route::cluster}, Rule{Method::head, Route::cluster}};
constexpr std::array kMembers = {Rule{Method::post, Route::member_add}};
constexpr std::array kMember = {Rule{Method::delete_, Route::member_remove}};
constexpr std::array kTransfer = {Rule{Method::post, Route::transfer}};
constexpr std::array kVerify = {Rule{Method::post, Route::verify}};
constexpr std::array kDrain = {Rule{Method::post, Route::drain}, Rule{Method::delete_, Route::drain_end}};
constexpr std::array kRaftLog = {Rule{Method::get, Route::raft_log}, Rule{Method::head, Route::raft_log}};
constexpr std::array kBackup = {Rule{Method::get, Route::backup}};
constexpr std::array kWebSocket = {Rule{Method::get, Route::websocket}};
constexpr std::array kHealthz = {Rule{Method::get, Route::healthz}, Rule{Method::head, Route::healthz}};
constexpr std::array kReadyz = {Rule{Method::get, Route::readyz}, Rule{Method::head, Route::readyz}};
constexpr std::array kMetrics = {Rule{Method::get, Route::metrics}, Rule{Method::head, Route::metrics}};
constexpr std::array kRoot = {Rule{Method::get, Route::root}, Rule{Method::head, Route::root}};
constexpr std::array kConsole = {Rule{Method::get, Route::console}, Rule{Method::head, Route::console}};

constexpr std::array kPlaces = {
    Place{"/v1/events", false, kEventsQuery},
    Place{"/v1/events/", true, kEvents},
    Place{"/v1/ids/", true, kIds},
    Place{"/v1/topics", false, kTopics},
    Place{"/v1/topics/", true, kTopic},
    Place{"/v1/groups", false, kGroups},
    Place{"/v1/groups/", true, kGroup},
    Place{"/v1/groups/", true, kGroupClaim, "/claim"},
    Place{"/v1/groups/", true, kGroupCommit, "/commit"},
    Place{"/v1/batch", false, kBatch},
    Place{"/v1/cluster", false, kCluster},
    Place{"/v1/cluster/members", false, kMembers},
    Place{"/v1/cluster/members/", true, kMember},
    Place{"/v1/cluster/transfer", false, kTransfer},
    Place{"/v1/cluster/verify", false, kVerify},
    Place{"/v1/cluster/drain", false, kDrain},
    Place{"/v1/raft/log", false, kRaftLog},
    Place{"/v1/backup", false, kBackup},
    Place{"/v1/ws", false, kWebSocket},
    Place{"/healthz", false, kHealthz},
    Place{"/readyz", false, kReadyz},
    Place{"/metrics", false, kMetrics},
    Place{"/", false, kRoot},
    Place{"/ui/", true, kConsole},
};

/// Of API §2, but not in this version: told apart from paths that never were.
constexpr std::array<std::string_view, 4> kLater = {"/v1/cluster/", "/v1/raft/watch", "/openapi.json",
                                                    "/asyncapi.json"};

const Place* find_place(std::string_view path) {
  const Place* best = nullptr;
  for (const Place& place : kPlaces) {
    if (place.matches(path) && (best == nullptr || place.size() > best->size())) best = &place;
  }
  return best;
}

std::string allowed(const Place& place) {
  constexpr std::array<std::pair<Method, std::string_view>, 6> kNames = {{{Method::get, "GET"},
                                                                          {Method::head, "HEAD"},
                                                                          {Method::post, "POST"},
                                                                          {Method::put, "PUT"},
                                                                          {Method::patch, "PATCH"},
                                                                          {Method::delete_, "DELETE"}}};
  std::string text;
  for (const auto& [method, name] : kNames) {
    if (std::ranges::find(place.rules, method, &Rule::method) == place.rules.end()) continue;
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

Problem no_such_route(const Request& request) {
  const std::string_view path = request.path;
  if (std::ranges::any_of(kLater, [&](std::string_view later) { return path.starts_with(later); })) {
    return not_found(request.method_text + ' ' + request.path + " comes with a later version of this broker");
  }
  return not_found("there is no route " + request.path + "; events are at /v1/events/{topic}");
}

}  // namespace

std::string_view to_string(Route route) {
  constexpr std::array<std::string_view, kRouteCount> kNames = {
      "publish",     "read",         "head",         "id_find",  "id_claim",   "topics",        "topic",
      "topic_put",   "topic_change", "topic_remove", "groups",   "group",      "group_put",     "group_remove",
      "group_claim", "group_commit", "batch",        "cluster",  "member_add", "member_remove", "transfer",
      "verify",      "drain",        "drain_end",    "raft_log", "backup",     "websocket",     "healthz",
      "readyz",      "metrics",      "root",         "console",  "preflight",  "none"};
  return kNames[static_cast<std::size_t>(route)];
}

std::expected<Match, Problem> find_route(const Request& request) {
  if (request.method == Method::options) return Match{Route::preflight, {}};
  const std::string_view path = request.path;
  if (path.size() > 1 && path.ends_with('/') && path != "/ui/") {
    const auto last = path.find_last_not_of('/');
    const std::string without(path.substr(0, last == std::string_view::npos ? 1 : last + 1));
    return std::unexpected(bad_request("the path ends in '/'; ask for " + without));
  }
  const Place* const place = find_place(path);
  if (place == nullptr) return std::unexpected(no_such_route(request));
  const auto rule = std::ranges::find(place->rules, request.method, &Rule::method);
  if (rule == place->rules.end()) return std::unexpected(method_not_allowed(request.method_text, allowed(*place)));
  Match match{rule->route, {}};
  if (place->takes_name) {
    auto name = percent_decoded(path.substr(place->path.size(), path.size() - place->size()));
    if (!name) return std::unexpected(bad_request("the path holds a '%' that two hexadecimal digits do not follow"));
    match.name = std::move(*name);
  }
  return match;
}

}  // namespace weir::broker::http
