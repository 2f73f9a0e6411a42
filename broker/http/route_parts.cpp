#include "broker/http/route_parts.hpp"

#include <utility>

#include "broker/http/publish_request.hpp"
#include "broker/http/query.hpp"

namespace weir::broker::http {

Response json_response(std::string body) {
  Response response{.content_type = "application/json", .body = std::move(body)};
  response.add_header("Cache-Control", "no-store");
  return response;
}

std::expected<std::uint32_t, Problem> timeout_of(const Request& request, const Shard& shard) {
  const auto query = Query::parse(request.query, {"timeout"});
  if (!query && !request.query.empty()) return std::unexpected(bad_request(query.error()));
  return parse_timeout(query ? query->get("timeout") : std::nullopt, shard.limits().publish_timeout_ms);
}

std::optional<Problem> refuse_parameters(const Request& request) {
  const auto query = Query::parse(request.query, {});
  if (query || request.query.empty()) return std::nullopt;
  return bad_request("this route takes no parameters");
}

}  // namespace weir::broker::http
