// Consumer groups: which there are, how they come, go and are set, and commits (docs/decisions/0019).
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/barrier.hpp"
#include "broker/http/batch_request.hpp"
#include "broker/http/group_answers.hpp"
#include "broker/http/group_request.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/query.hpp"
#include "broker/http/route_parts.hpp"
#include "broker/http/routes.hpp"
#include "broker/http/wall_clock.hpp"

namespace weir::broker::http {

namespace {

enum class Then : std::uint8_t { answer = 1, barrier = 2 };

Answer change(std::shared_ptr<Shard> shard, wire::GroupChange asked, std::uint32_t timeout_ms, Then then) {
  const wire::Outcome outcome = co_await shard->gateway().change_group(asked, timeout_ms);
  if (then == Then::barrier && !std::holds_alternative<wire::Refused>(outcome)) {
    // Whoever asks this node next sees it done. It is done anyway: that nobody confirms it in time changes no answer.
    static_cast<void>(co_await pass_barrier(shard, timeout_ms));
  }
  const auto status = co_await shard->status();
  Response response = group_response(asked, outcome, status->epoch);
  response.add_header("Weir-Node", node_header(*status));
  co_return response;
}

Problem no_group(const std::string& group) {
  return not_found("group '" + group + "' not found; its first claim creates it with ?topic=, or PUT /v1/groups/" +
                   group);
}

std::expected<std::uint32_t, Problem> commit_timeout(const Request& request, const Shard& shard) {
  const auto query = Query::parse(request.query, {"cursor", "lease", "timeout"});
  return parse_timeout(query ? query->get("timeout") : std::nullopt, shard.limits().publish_timeout_ms);
}

}  // namespace

// What another node has committed must not be missed: both look-ups are linear reads.
Answer groups_route(std::shared_ptr<Shard> shard, SharedRequest request) {
  const auto timeout = timeout_of(*request, *shard);
  if (!timeout) co_return to_response(timeout.error());
  const auto passed = co_await pass_barrier(shard, *timeout);
  if (!passed) co_return to_response(passed.error());
  const auto groups = co_await shard->gateway().groups();
  const auto status = co_await shard->status();
  co_return json_response(groups_json(groups, status->epoch));
}

Answer group_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string group) {
  const auto timeout = timeout_of(*request, *shard);
  if (!timeout) co_return to_response(timeout.error());
  if (auto checked = check_group(group); !checked) co_return to_response(bad_request(std::move(checked.error())));
  const auto passed = co_await pass_barrier(shard, *timeout);
  if (!passed) co_return to_response(passed.error());
  const auto found = co_await shard->gateway().group(group);
  if (!found) co_return to_response(no_group(group));
  const auto status = co_await shard->status();
  co_return json_response(group_json(*found, status->epoch) + '\n');
}

Answer group_put_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string group) {
  const auto timeout = timeout_of(*request, *shard);
  if (!timeout) co_return to_response(timeout.error());
  const auto status = co_await shard->status();
  auto asked = parse_group_put(*request, std::move(group), status->epoch, wall_clock_ms());
  if (!asked) co_return to_response(asked.error());
  Response response = co_await change(shard, *std::move(asked), *timeout, Then::barrier);
  co_return response;
}

Answer group_remove_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string group) {
  const auto timeout = timeout_of(*request, *shard);
  if (!timeout) co_return to_response(timeout.error());
  if (auto checked = check_group(group); !checked) co_return to_response(bad_request(std::move(checked.error())));
  if (!request->body.empty()) co_return to_response(bad_request("this route takes no body"));
  wire::GroupChange asked{.group = std::move(group), .action = wire::GroupAction::remove};
  Response response = co_await change(shard, std::move(asked), *timeout, Then::barrier);
  co_return response;
}

Answer group_commit_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string group) {
  const auto status = co_await shard->status();
  auto asked = parse_group_commit(*request, std::move(group), status->epoch);
  if (!asked) co_return to_response(asked.error());
  const auto timeout = commit_timeout(*request, *shard);
  if (!timeout) co_return to_response(timeout.error());
  Response response = co_await change(shard, *std::move(asked), *timeout, Then::answer);
  co_return response;
}

Answer batch_route(std::shared_ptr<Shard> shard, SharedRequest request) {
  const auto before = co_await shard->status();
  auto batch = parse_batch(*request, before->epoch, shard->limits());
  if (!batch) co_return to_response(batch.error());
  wire::Outcome outcome;
  if (batch->lone_commit) {
    outcome = co_await shard->gateway().change_group(*batch->lone_commit, batch->timeout_ms);
  } else {
    outcome = co_await shard->lane().publish(std::move(batch->bytes), batch->timeout_ms);
  }
  // The first publish of a node's life may have waited for the cluster to be founded: the epoch is known only now.
  const auto status = co_await shard->status();
  Response response = batch_response(*batch, outcome, status->epoch);
  response.add_header("Weir-Node", node_header(*status));
  co_return response;
}

}  // namespace weir::broker::http
