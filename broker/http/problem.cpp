#include "broker/http/problem.hpp"

#include "broker/http/json_text.hpp"

namespace weir::broker::http {

namespace {

/// How soon a client should try again while an election runs: a few election timeouts.
constexpr std::uint32_t kRetryAfterMs = 500;

}  // namespace

Problem bad_request(std::string detail) {
  return {.status = 400, .type = "bad-request", .title = "Bad request", .detail = std::move(detail)};
}

Problem not_found(std::string detail) {
  return {.status = 404, .type = "not-found", .title = "Not found", .detail = std::move(detail)};
}

Problem method_not_allowed(std::string_view method, std::string allow) {
  Problem problem{.status = 405, .type = "method-not-allowed", .title = "Method not allowed"};
  problem.detail = "this route does not know " + std::string(method) + "; it takes " + allow;
  problem.headers.emplace_back("Allow", std::move(allow));
  return problem;
}

Problem not_acceptable(std::string detail) {
  return {.status = 406, .type = "not-acceptable", .title = "Not acceptable", .detail = std::move(detail)};
}

Problem unsupported_type(std::string detail) {
  return {
      .status = 415, .type = "unsupported-media-type", .title = "Unsupported media type", .detail = std::move(detail)};
}

Problem too_large(std::string detail) {
  return {.status = 413, .type = "too-large", .title = "Too large", .detail = std::move(detail)};
}

Problem forbidden(std::string detail) {
  return {.status = 403, .type = "forbidden", .title = "Forbidden", .detail = std::move(detail)};
}

Problem no_leader(std::string detail) {
  return {.status = 503,
          .type = "no-leader",
          .title = "No leader at the moment",
          .detail = std::move(detail),
          .retry = Retry::safe,
          .retry_after_ms = kRetryAfterMs};
}

Problem overloaded(std::string detail) {
  return {.status = 503,
          .type = "overloaded",
          .title = "Overloaded",
          .detail = std::move(detail),
          .retry = Retry::safe,
          .retry_after_ms = 1000};
}

Problem draining(std::string detail) {
  return {.status = 503,
          .type = "draining",
          .title = "This node is shutting down",
          .detail = std::move(detail),
          .retry = Retry::safe,
          .retry_after_ms = kRetryAfterMs};
}

Problem behind(std::string detail) {
  return {.status = 503,
          .type = "behind",
          .title = "This node is behind",
          .detail = std::move(detail),
          .retry = Retry::safe,
          .retry_after_ms = kRetryAfterMs};
}

Problem unfit(std::string detail) {
  return {.status = 503,
          .type = "unfit",
          .title = "This node cannot serve",
          .detail = std::move(detail),
          .retry = Retry::safe,
          .retry_after_ms = kRetryAfterMs};
}

Problem protocol_error(unsigned status, std::string detail) {
  switch (status) {
    case 408:
      return {.status = 408, .type = "timeout", .title = "Request timeout", .detail = std::move(detail)};
    case 413:
      return too_large(std::move(detail));
    case 414:
      return {.status = 414, .type = "uri-too-long", .title = "URI too long", .detail = std::move(detail)};
    case 417:
      return {.status = 417, .type = "expect-unknown", .title = "Unknown Expect", .detail = std::move(detail)};
    case 431:
      return {.status = 431, .type = "headers-too-large", .title = "Headers too large", .detail = std::move(detail)};
    case 503:
      return overloaded(std::move(detail));
    case 505:
      return {.status = 505, .type = "version", .title = "HTTP version not supported", .detail = std::move(detail)};
    default:
      return bad_request(std::move(detail));
  }
}

std::string to_json(const Problem& problem) {
  std::string json = R"({"type":"urn:weir:problem:)";
  json += problem.type;
  json += R"(","title":)";
  append_json_string(json, problem.title);
  json += R"(,"status":)" + std::to_string(problem.status);
  json += R"(,"detail":)";
  append_json_string(json, problem.detail);
  if (problem.retry_after_ms) json += R"(,"retry_after_ms":)" + std::to_string(*problem.retry_after_ms);
  json += problem.retry == Retry::safe ? R"(,"safe_to_retry":true)" : R"(,"safe_to_retry":false)";
  for (const auto& [name, value] : problem.members) {
    json += ",\"";
    json += name;
    json += "\":";
    json += value;
  }
  json += '}';
  return json;
}

Response to_response(const Problem& problem) {
  Response response{
      .status = problem.status, .content_type = "application/problem+json", .body = to_json(problem) + '\n'};
  if (problem.retry_after_ms) {
    response.add_header("Retry-After", std::to_string((*problem.retry_after_ms + 999) / 1000));
  }
  for (const auto& [name, value] : problem.headers) response.add_header(name, value);
  return response;
}

}  // namespace weir::broker::http
