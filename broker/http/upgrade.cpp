#include "broker/http/base64.hpp"
#include "broker/http/websocket.hpp"

namespace weir::broker::http {

namespace {

constexpr std::string_view kJson = "weir.json.v1";
constexpr std::string_view kBin = "weir.bin.v1";

}  // namespace

bool wants_websocket(const Request& request) {
  return request.has_token("upgrade", "websocket") && request.has_token("connection", "upgrade");
}

std::expected<Subprotocol, Problem> check_upgrade(const Request& request) {
  if (request.method != Method::get || request.version != Version::http_1_1) {
    return std::unexpected(bad_request("a WebSocket begins with GET and HTTP/1.1"));
  }
  if (request.framing != BodyCoding::none) return std::unexpected(bad_request("a WebSocket handshake has no body"));
  if (request.field("sec-websocket-version") != "13") {
    Problem problem{.status = 426,
                    .type = "bad-request",
                    .title = "Upgrade required",
                    .detail = "Sec-WebSocket-Version must be 13"};
    problem.headers.emplace_back("Sec-WebSocket-Version", "13");
    return std::unexpected(std::move(problem));
  }
  // RFC 6455 §4.1: 16 random bytes.
  const auto key = decode_base64(request.field("sec-websocket-key").value_or(""));
  if (!key || key->size() != 16) return std::unexpected(bad_request("Sec-WebSocket-Key is not 16 bytes in base64"));
  if (!request.field("sec-websocket-protocol")) return Subprotocol::unnamed;
  // Of a client that speaks both, the one that costs less.
  if (request.has_token("sec-websocket-protocol", kBin)) return Subprotocol::bin;
  if (request.has_token("sec-websocket-protocol", kJson)) return Subprotocol::json;
  return std::unexpected(bad_request("of the subprotocols this version speaks weir.json.v1 and weir.bin.v1"));
}

}  // namespace weir::broker::http
