#include <utility>

#include "broker/core/topic.hpp"
#include "broker/http/answers.hpp"
#include "broker/http/barrier.hpp"
#include "broker/http/event_input.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/query.hpp"
#include "broker/http/routes.hpp"
#include "broker/http/utf8.hpp"

namespace weir::broker::http {

namespace {

struct IdRequest {
  wire::Claim claim;
  std::uint32_t timeout_ms = 0;
};

std::expected<IdRequest, Problem> parse_id_request(const Request& request, std::string topic,
                                                   const HttpLimits& limits) {
  if (auto checked = check_topic(topic); !checked) return std::unexpected(bad_request(std::move(checked.error())));
  const auto query = Query::parse(request.query, {"id", "source", "timeout", "owner", "lease"});
  if (!query) return std::unexpected(bad_request(query.error()));
  if (query->get("owner") || query->get("lease")) {
    return std::unexpected(bad_request("owner and lease come with a later version; a claim without them stays"));
  }
  const std::string_view id = query->get("id").value_or("");
  const std::string_view source = query->get("source").value_or("");
  if (id.empty() || id.size() > limits.id_bytes_max || !is_utf8(id)) {
    return std::unexpected(
        bad_request("id= must have 1 to " + std::to_string(limits.id_bytes_max) + " bytes of UTF-8"));
  }
  if (source.size() > kSourceBytesMax || !is_utf8(source)) {
    return std::unexpected(
        bad_request("source= must have at most " + std::to_string(kSourceBytesMax) + " bytes of UTF-8"));
  }
  const auto timeout = parse_timeout(query->get("timeout"), limits.publish_timeout_ms);
  if (!timeout) return std::unexpected(timeout.error());
  return IdRequest{{std::move(topic), std::string(source), std::string(id)}, *timeout};
}

}  // namespace

Answer id_find_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic) {
  auto parsed = parse_id_request(*request, std::move(topic), shard->limits());
  if (!parsed) co_return to_response(parsed.error());
  // Always a linear read: a 404 from a node that is behind would be taken for "never stored".
  const auto passed = co_await pass_barrier(shard, parsed->timeout_ms);
  if (!passed) co_return to_response(passed.error());
  auto found = co_await shard->gateway().find_id(parsed->claim);
  if (!found) co_return to_response(read_problem(found.error()));
  if (!*found) {
    co_return to_response(not_found("this id is not stored; after a 504 that proves nothing yet: publish again"));
  }
  const auto status = co_await shard->status();
  Response response{.content_type = "application/json"};
  response.add_header("Cache-Control", "no-store").add_header("Weir-Node", node_header(*status));
  response.body = claim_json(parsed->claim, **found, status->epoch) + '\n';
  co_return response;
}

Answer id_claim_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic) {
  auto parsed = parse_id_request(*request, std::move(topic), shard->limits());
  if (!parsed) co_return to_response(parsed.error());
  const wire::Outcome outcome = co_await shard->gateway().claim(parsed->claim, parsed->timeout_ms);
  const auto status = co_await shard->status();
  Response response = claim_response(parsed->claim, outcome, status->epoch);
  response.add_header("Weir-Node", node_header(*status));
  co_return response;
}

}  // namespace weir::broker::http
