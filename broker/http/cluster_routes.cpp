#include <algorithm>
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/query.hpp"
#include "broker/http/route_parts.hpp"
#include "broker/http/routes.hpp"

namespace weir::broker::http {

namespace {

constexpr std::uint32_t kLogLimitDefault = 50;
constexpr std::uint32_t kLogLimitMax = 1000;

}  // namespace

Answer cluster_route(std::shared_ptr<Shard> shard, SharedRequest request) {
  if (const auto refused = refuse_parameters(*request)) co_return to_response(*refused);
  const NodeStatus status = co_await shard->gateway().status();
  const Counters counters = co_await shard->gateway().counters();
  co_return json_response(cluster_json(status, counters));
}

Answer raft_log_route(std::shared_ptr<Shard> shard, SharedRequest request) {
  const auto query = Query::parse(request->query, {"from", "limit"});
  if (!query) co_return to_response(bad_request(query.error()));
  const auto from = parse_unsigned(query->get("from").value_or("0"));
  const auto limit = parse_unsigned(query->get("limit").value_or(std::to_string(kLogLimitDefault)));
  if (!from || !limit || *limit == 0) {
    co_return to_response(bad_request("from is a log index (without it: the last entries), limit a count from 1 to " +
                                      std::to_string(kLogLimitMax)));
  }
  const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(*limit, kLogLimitMax));
  const auto outline = co_await shard->gateway().log_outline(raft::Index{*from}, count);
  if (!outline) co_return to_response(read_problem(outline.error()));
  const auto status = co_await shard->status();
  co_return json_response(raft_log_json(*status, *outline));
}

Answer ready_route(std::shared_ptr<Shard> shard) {
  const NodeStatus status = co_await shard->gateway().status();
  co_return ready_response(status);
}

Answer metrics_route(std::shared_ptr<Shard> shard) {
  const NodeStatus status = co_await shard->gateway().status();
  const Counters counters = co_await shard->gateway().counters();
  Response response{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                    .body = shard->metrics().text(status, counters)};
  response.add_header("Cache-Control", "no-store");
  co_return response;
}

}  // namespace weir::broker::http
