#include <boost/json/parse.hpp>
#include <boost/system/error_code.hpp>

#include "broker/http/chunked.hpp"
#include "broker/http/event_input.hpp"
#include "broker/http/head.hpp"
#include "broker/http/json_check.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/read_query.hpp"
#include "broker/http/router.hpp"
#include "broker/http/ws_message.hpp"
#include "tests/fuzz/targets.hpp"
#include "wire/entry.hpp"

namespace weir::fuzz {
namespace {

namespace http = broker::http;

constexpr std::uint64_t kNowMs = 1'700'000'000'000;
constexpr std::string_view kEpoch = "eabcdefgh";
constexpr std::size_t kBodyMax = 1 << 16;

void promise_storable(const http::PublishRequest& request) {
  const auto view = wire::PublishView::verify(request.bytes);
  promise(view.has_value(), "what the edge built verifies");
  promise(view->event_count() == request.ids.size(), "one id, or none, an event");
}

/// All of `input` in pieces of `piece` bytes; nullopt if refused.
std::optional<std::string> unchunked(std::string_view input, std::size_t piece) {
  http::ChunkDecoder decoder(kBodyMax);
  std::string body;
  std::string waiting;
  while (!input.empty() && !decoder.done()) {
    waiting += input.substr(0, piece);
    input.remove_prefix(std::min(piece, input.size()));
    const auto taken = decoder.decode(waiting, body);
    if (!taken) return std::nullopt;
    promise(*taken <= waiting.size(), "no more is taken than there is");
    waiting.erase(0, *taken);
  }
  promise(body.size() <= kBodyMax, "the limit of a body holds");
  return decoder.done() ? std::optional(body) : std::nullopt;
}

}  // namespace

void run_http_request(std::string_view bytes) {
  const broker::HttpLimits limits;
  const http::HeadLimits head_limits;
  const auto end = http::find_head_end(bytes, head_limits);
  if (!end || !*end) return;
  promise(**end <= bytes.size(), "a head ends where bytes are");
  auto request = http::parse_head(bytes.substr(0, **end), head_limits);
  if (!request) return;
  request->body = bytes.substr(**end);
  const auto match = http::find_route(*request);
  if (!match) return;
  if (const auto plan = http::parse_read(*request, match->name, limits, kNowMs)) {
    promise(plan->selector != nullptr, "a plan selects something");
  }
  if (const auto publish = http::parse_publish(*request, match->name, kEpoch, limits)) promise_storable(*publish);
}

std::vector<std::string> http_request_seeds() {
  return {
      "POST /v1/events/orders/new?id=o-1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
      "POST /v1/events/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 40\r\n"
      "If-Match: \"eabcdefgh-0\"\r\nIdempotency-Key: "
      "\"k\"\r\n\r\n{\"id\":\"1\",\"data\":1}\n{\"id\":\"2\",\"data\":{}}\n",
      "GET /v1/events/orders/*/x/**?from=after:eabcdefgh.17&limit=3&wait=2s&key=k&until=2026-01-01T00:00:00Z HTTP/1.1"
      "\r\nHost: localhost:7400\r\nAccept: text/event-stream\r\nLast-Event-ID: eabcdefgh.9\r\n\r\n",
      "PUT /v1/ids/users/login?id=12345&source=urn:x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
      "HEAD /v1/events/%61?from=-10 HTTP/1.0\r\nHost: [::1]:7400\r\nWeir-Header-A: b\r\nConnection: close\r\n\r\n",
  };
}

void run_json(std::string_view bytes) {
  constexpr std::size_t kDepthMax = 64;
  if (!http::check_json(bytes, kDepthMax)) return;
  boost::json::parse_options options;
  options.max_depth = 2 * kDepthMax;
  boost::system::error_code code;
  static_cast<void>(boost::json::parse({bytes.data(), bytes.size()}, code, {}, options));
  promise(!code, "what is taken for JSON is JSON for another parser too");
  const broker::HttpLimits limits;
  static_cast<void>(http::event_from_json(bytes, limits, "op rid"));
}

std::vector<std::string> json_seeds() {
  return {
      R"({"id":"1","key":"k","headers":{"a":"b"},"data":{"x":[1,2.5e-3,true,null,"é😀"]}})",
      R"({"topic":"a","offset":0,"position":1,"cursor":"eabcdefgh.1","time":"2026-01-01T00:00:00.000Z","data":"x"})",
      R"({"data_base64":"AAEC","content_type":"image/png","source":"urn:x"})", R"([[[[-0.0]]],{"":{}}])"};
}

void run_chunked(std::string_view bytes) {
  const auto whole = unchunked(bytes, std::max<std::size_t>(bytes.size(), 1));
  promise(unchunked(bytes, 1) == whole, "byte by byte, the same comes out");
  promise(unchunked(bytes, 7) == whole, "in pieces, the same comes out");
}

std::vector<std::string> chunked_seeds() {
  return {"5\r\nhello\r\n0\r\n\r\n", "1;a=b\r\nx\r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", "0\r\n\r\nGET /"};
}

void run_ws_frame(std::string_view bytes) {
  const broker::HttpLimits limits;
  const auto operation = http::parse_operation(bytes, limits, kNowMs);
  if (const auto* publish = std::get_if<http::WsPublish>(&operation)) promise_storable(publish->publish);
  if (const auto* subscribe = std::get_if<http::WsSubscribe>(&operation)) {
    promise(subscribe->plan.selector != nullptr, "a subscription selects something");
  }
}

std::vector<std::string> ws_frame_seeds() {
  return {R"({"op":"publish","rid":1,"topic":"a/b","id":"x","data":{"a":1}})",
          R"({"op":"publish","rid":2,"topic":"a/b","events":[{"id":"1","data":1},{"id":"2","data":"x"}]})",
          R"({"op":"subscribe","sid":1,"topics":["orders/**","a"],"from":"after:eabcdefgh.4","credit":10})",
          R"({"op":"credit","sid":1,"n":5})", R"({"op":"unsubscribe","sid":1})"};
}

}  // namespace weir::fuzz
