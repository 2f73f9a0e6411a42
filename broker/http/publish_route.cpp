#include <chrono>
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/routes.hpp"

namespace weir::broker::http {

namespace {

/// `Prefer: redirect` on a follower: the leader's address, if it is known.
std::optional<std::string> redirect_target(const Request& request, const NodeStatus& status) {
  if (!request.has_token("prefer", "redirect") || !status.leader || status.leader == status.name) return std::nullopt;
  for (const MemberStatus& member : status.members) {
    if (member.name != status.leader || member.http_address.empty()) continue;
    std::string target = "http://" + member.http_address + request.path;
    if (!request.query.empty()) target += '?' + request.query;
    return target;
  }
  return std::nullopt;
}

Response accepted(const NodeStatus& status) {
  Response response{.status = 202, .content_type = "application/json"};
  response.body = "{\"accepted\":true}\n";
  response.add_header("Weir-Durability", "none").add_header("Weir-Node", node_header(status));
  return response;
}

}  // namespace

Answer publish_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic) {
  const auto status = co_await shard->status();
  if (const auto target = redirect_target(*request, *status)) {
    Response response{.status = 307};
    response.add_header("Location", *target).add_header("Weir-Node", node_header(*status));
    co_return response;
  }
  const auto began = Clock::now();
  auto publish = parse_publish(*request, topic, status->epoch, shard->limits());
  if (!publish) co_return to_response(publish.error());
  if (publish->ack == Ack::none) {
    // Nobody waits for the outcome: that is what ack=none asks for.
    shard->lane().publish(std::move(publish->bytes), publish->timeout_ms, [](const wire::Outcome&) {});
    co_return accepted(*status);
  }
  const wire::Outcome outcome = co_await shard->lane().publish(std::move(publish->bytes), publish->timeout_ms);
  shard->metrics().publish_took(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began));
  // The first publish of a node's life may have waited for the cluster to be founded: the epoch is known only now.
  auto after = status;
  if (status->epoch.empty()) after = co_await shard->status();
  Response response = publish_response(*publish, outcome, after->epoch);
  response.add_header("Weir-Node", node_header(*after));
  co_return response;
}

}  // namespace weir::broker::http
