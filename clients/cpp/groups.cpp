#include "clients/cpp/groups.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "clients/cpp/event_json.hpp"
#include "clients/cpp/json_fields.hpp"
#include "clients/cpp/json_slices.hpp"
#include "clients/cpp/text.hpp"

namespace weir::client {
namespace {

using std::chrono::milliseconds;

/// A claim waits in pieces: each answer must come before the client takes it for lost.
constexpr milliseconds kAnswerMargin{1'000};

std::string target_of(std::string_view group, std::string_view verb = {}) {
  std::string target = "/v1/groups/" + percent_encode(group, Slash::escape);
  if (!verb.empty()) target.append("/").append(verb);
  return target;
}

std::string text_or(const boost::json::object& object, std::string_view name) {
  return json_text(object, name).value_or("");
}

GroupView group_from(const boost::json::object& object) {
  GroupView group{.group = text_or(object, "group"),
                  .patterns = {},
                  .cursor = text_or(object, "cursor"),
                  .generation = json_u64(object, "generation").value_or(0),
                  .lag = json_u64(object, "lag").value_or(0),
                  .leases = {}};
  if (const auto* patterns = json_at(object, "patterns"); patterns != nullptr && patterns->is_array()) {
    for (const auto& one : patterns->get_array()) {
      if (one.is_string()) group.patterns.emplace_back(one.get_string());
    }
  }
  const auto* leases = json_at(object, "leases");
  if (leases == nullptr || !leases->is_array()) return group;
  for (const auto& one : leases->get_array()) {
    if (!one.is_object()) continue;
    const auto& lease = one.get_object();
    group.leases.push_back({.lease = text_or(lease, "lease"),
                            .from = text_or(lease, "from"),
                            .to = text_or(lease, "to"),
                            .expires = text_or(lease, "expires")});
  }
  return group;
}

Result<GroupAnswer> answer_of(Result<HttpResponse> response) {
  if (!response) return std::unexpected(std::move(response.error()));
  auto group = decode_group(response->body);
  if (!group) return std::unexpected(std::move(group.error()));
  return GroupAnswer{.group = *std::move(group), .json = std::move(response->body)};
}

HttpRequest request_of(std::string method, std::string target, std::string body) {
  HttpRequest request{.method = std::move(method), .target = std::move(target), .body = std::move(body)};
  request.headers.emplace_back("Accept", "application/json");
  if (!request.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  return request;
}

std::string claim_target(std::string_view group, const ClaimOptions& options, milliseconds wait) {
  std::string target = target_of(group, "claim") + "?max=" + std::to_string(options.max) +
                       "&lease=" + std::to_string(options.lease.count()) + "ms";
  if (wait.count() > 0) target += "&wait=" + std::to_string(wait.count()) + "ms";
  if (!options.from.empty()) target += "&from=" + percent_encode(options.from, Slash::escape);
  for (const auto& topic : options.topics) target += "&topic=" + percent_encode(topic, Slash::escape);
  return target;
}

Result<GroupClaim> decode_claim(std::string_view body) {
  const auto object = json_object(body);
  const auto events = json_member(body, "events");
  const auto items = events ? json_items(*events) : std::nullopt;
  if (!object || !items || text_or(*object, "lease").empty()) {
    return failure(errc::bad_answer,
                   "the answer to a claim has no lease or no events: " + std::string(body.substr(0, 200)));
  }
  GroupClaim claim{.lease = text_or(*object, "lease"),
                   .generation = json_u64(*object, "generation").value_or(0),
                   .expires = text_or(*object, "expires"),
                   .events = {},
                   .cursor = text_or(*object, "cursor"),
                   .gap = std::string(json_member(body, "gap").value_or(""))};
  for (const auto item : *items) {
    auto event = decode_event(item);
    if (!event) return std::unexpected(std::move(event.error()));
    claim.events.push_back(*std::move(event));
  }
  return claim;
}

/// It travels as a quoted string in a header.
bool is_key(std::string_view key) {
  constexpr std::size_t kKeyBytesMax = 256;  // API.md §1
  const auto fits = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  return key.size() <= kKeyBytesMax && std::ranges::all_of(key, fits);
}

Result<std::string> body_of(const Batch& batch) {
  std::string body = R"({"publish":[)";
  for (const auto& [topic, event] : batch.publish) {
    auto line = encode_line(event);
    if (!line) return std::unexpected(std::move(line.error()));
    if (line->ends_with('\n')) line->pop_back();
    if (!body.ends_with('[')) body += ',';
    body += R"({"topic":)" + json_quoted(topic) + ',' + line->substr(1);
  }
  body += ']';
  if (batch.commit) {
    boost::json::object commit{{"group", batch.commit->group}, {"cursor", batch.commit->cursor}};
    if (!batch.commit->lease.empty()) commit["lease"] = batch.commit->lease;
    body += R"(,"commit":)" + boost::json::serialize(commit);
  }
  if (!batch.expect.empty()) {
    boost::json::object expect;
    for (const auto& [topic, next] : batch.expect) expect[topic] = boost::json::object{{"next", next}};
    body += R"(,"expect":)" + boost::json::serialize(expect);
  }
  return body + '}';
}

/// Answers may name events that retention has taken since: those have no offset.
Result<BatchPublished> decode_results(std::string_view body, std::size_t expected) {
  const auto object = json_object(body);
  const auto* results = object ? json_at(*object, "results") : nullptr;
  if (results == nullptr || !results->is_array() || results->get_array().size() != expected) {
    return failure(errc::outcome_unknown,
                   "the answer to a batch does not list " + std::to_string(expected) + " results");
  }
  BatchPublished batch{
      .results = {}, .stored = 0, .duplicates = 0, .cursor = json_text(*object, "cursor").value_or("")};
  for (const auto& one : results->get_array()) {
    if (!one.is_object()) return failure(errc::outcome_unknown, "a result of a batch is not an object");
    const auto& result = one.get_object();
    batch.results.push_back({.topic = text_or(result, "topic"),
                             .offset = json_u64(result, "offset").value_or(0),
                             .position = json_u64(result, "position").value_or(0),
                             .cursor = text_or(result, "cursor"),
                             .id = text_or(result, "id"),
                             .time = text_or(result, "time"),
                             .duplicate = json_bool(result, "duplicate").value_or(false)});
    ++(batch.results.back().duplicate ? batch.duplicates : batch.stored);
  }
  return batch;
}

}  // namespace

Result<GroupView> decode_group(std::string_view body) {
  const auto object = json_object(body);
  if (!object || json_at(*object, "group") == nullptr) {
    return failure(errc::bad_answer, "the answer is not a group: " + std::string(body.substr(0, 200)));
  }
  return group_from(*object);
}

Result<std::vector<GroupView>> decode_groups(std::string_view body) {
  const auto object = json_object(body);
  const auto* groups = object ? json_at(*object, "groups") : nullptr;
  if (groups == nullptr || !groups->is_array()) {
    return failure(errc::bad_answer, "the answer is not a list of groups: " + std::string(body.substr(0, 200)));
  }
  std::vector<GroupView> views;
  for (const auto& one : groups->get_array()) {
    if (one.is_object()) views.push_back(group_from(one.get_object()));
  }
  return views;
}

Result<GroupAnswer> create_group(Client& client, std::string_view group, const std::vector<std::string>& patterns,
                                 std::string_view from) {
  boost::json::array names;
  for (const auto& pattern : patterns) names.emplace_back(pattern);
  boost::json::object body{{"patterns", std::move(names)}};
  if (!from.empty()) body["cursor"] = from;
  HttpRequest request = request_of("PUT", target_of(group), boost::json::serialize(body));
  request.headers.emplace_back("If-None-Match", "*");
  return answer_of(client.ask_twice(request));
}

Result<GroupAnswer> group_info(Client& client, std::string_view group) {
  return answer_of(client.get(target_of(group), "application/json"));
}

Result<GroupAnswer> seek_group(Client& client, std::string_view group, std::string_view cursor) {
  const boost::json::object body{{"cursor", cursor}};
  return answer_of(client.ask_leader(request_of("PUT", target_of(group), boost::json::serialize(body))));
}

Result<GroupAnswer> remove_group(Client& client, std::string_view group) {
  return answer_of(client.ask_leader(request_of("DELETE", target_of(group), {})));
}

Result<std::optional<GroupClaim>> claim(Client& client, std::string_view group, const ClaimOptions& options) {
  const auto patience = std::max(client.options().answer_timeout - kAnswerMargin, milliseconds(0));
  auto left = options.wait;
  while (true) {
    const auto wait = std::min(left, patience);
    const auto response = client.ask_leader(request_of("POST", claim_target(group, options, wait), {}));
    if (!response) return std::unexpected(response.error());
    if (response->status != 204) {
      auto claimed = decode_claim(response->body);
      if (!claimed) return std::unexpected(std::move(claimed.error()));
      return *std::move(claimed);
    }
    left -= wait;
    if (left.count() <= 0) return std::nullopt;
  }
}

Result<GroupAnswer> commit_group(Client& client, std::string_view group, std::string_view lease,
                                 std::string_view cursor) {
  boost::json::object body{{"cursor", cursor}};
  if (!lease.empty()) body["lease"] = lease;
  return answer_of(client.ask_twice(request_of("POST", target_of(group, "commit"), boost::json::serialize(body))));
}

Result<BatchPublished> publish_batch(Client& client, const Batch& batch) {
  if (!is_key(batch.key))
    return failure(errc::bad_argument, "a key has at most 256 visible characters, none of them \" or \\");
  auto body = body_of(batch);
  if (!body) return std::unexpected(std::move(body.error()));
  HttpRequest request = request_of("POST", "/v1/batch", *std::move(body));
  if (!batch.key.empty()) request.headers.emplace_back("Idempotency-Key", '"' + batch.key + '"');
  const bool known_again =
      !batch.key.empty() || std::ranges::none_of(batch.publish, [](const auto& one) { return one.second.id.empty(); });
  const auto response = known_again ? client.ask_twice(request) : client.ask_leader(request);
  if (!response) return std::unexpected(response.error());
  return decode_results(response->body, batch.publish.size());
}

}  // namespace weir::client
