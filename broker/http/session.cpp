#include "broker/http/session.hpp"

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "broker/http/access.hpp"
#include "broker/http/connection.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/request_reader.hpp"
#include "broker/http/response.hpp"
#include "broker/http/router.hpp"
#include "broker/http/routes.hpp"
#include "broker/http/websocket.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;

namespace {

using SharedConnection = std::shared_ptr<Connection>;

/// Bodies of routes that take none are read and dropped up to here.
constexpr std::size_t kUnusedBodyBytesMax = std::size_t{64} << 10U;

Response text_response(std::string body) {
  return {.content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

/// CORS: what a page of an allowed origin may do. Which origins, check_access has decided.
Response preflight_response() {
  Response response{.status = 204};
  response.add_header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
  response.add_header(
      "Access-Control-Allow-Headers",
      "Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, Weir-Id, Weir-Key");
  response.add_header("Access-Control-Max-Age", "600");
  return response;
}

void add_origin(Response& response, const Request& request) {
  const auto origin = request.field("origin");
  if (!origin) return;
  response.add_header("Access-Control-Allow-Origin", *origin).add_header("Vary", "Origin");
  response.add_header("Access-Control-Expose-Headers",
                      "ETag, Retry-After, Weir-Offset, Weir-Position, Weir-Time, Weir-Cursor, Weir-Next, Weir-Applied, "
                      "Weir-First, Weir-Epoch, Weir-Node, Weir-Duplicate, Weir-Durability, Weir-Id, Weir-Key, "
                      "Weir-Topic, Weir-Content-Type");
}

Response root_response() {
  Response response{.status = 302};
  response.add_header("Location", "/ui/");
  return response;
}

Answer ready(Response response) {
  co_return response;
}

Answer upgrade_required() {
  return ready(to_response(Problem{.status = 426,
                                   .type = "bad-request",
                                   .title = "Upgrade required",
                                   .detail = "this route is a WebSocket",
                                   .headers = {{"Upgrade", "websocket"}}}));
}

/// Every route but those that wait at the connection: read, which may write its answer itself, and claims.
Answer answer_of(std::shared_ptr<Shard> shard, SharedRequest request, Match match) {
  switch (match.route) {
    case Route::publish:
      return publish_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::head:
      return head_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::id_find:
      return id_find_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::id_claim:
      return id_claim_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::topics:
      return topics_route(std::move(shard), std::move(request));
    case Route::topic:
      return topic_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::topic_put:
      return topic_put_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::topic_change:
      return topic_change_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::topic_remove:
      return topic_remove_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::groups:
      return groups_route(std::move(shard), std::move(request));
    case Route::group:
      return group_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::group_put:
      return group_put_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::group_remove:
      return group_remove_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::group_commit:
      return group_commit_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::batch:
      return batch_route(std::move(shard), std::move(request));
    case Route::cluster:
      return cluster_route(std::move(shard), std::move(request));
    case Route::member_add:
      return member_add_route(std::move(shard), std::move(request));
    case Route::member_remove:
      return member_remove_route(std::move(shard), std::move(request), std::move(match.name));
    case Route::transfer:
      return transfer_route(std::move(shard), std::move(request));
    case Route::verify:
      return verify_route(std::move(shard), std::move(request));
    case Route::drain:
      return drain_route(std::move(shard), std::move(request), Service::drained);
    case Route::drain_end:
      return drain_route(std::move(shard), std::move(request), Service::normal);
    case Route::raft_log:
      return raft_log_route(std::move(shard), std::move(request));
    case Route::readyz:
      return ready_route(std::move(shard));
    case Route::metrics:
      return metrics_route(std::move(shard));
    case Route::healthz:
      return ready(text_response("ok\n"));
    case Route::root:
      return ready(root_response());
    case Route::console:
      return ready(console_response(match.name));
    case Route::preflight:
      return ready(preflight_response());
    case Route::websocket:
      return upgrade_required();
    case Route::read:
    case Route::group_claim:
    case Route::backup:
    case Route::none:
      break;
  }
  return ready(to_response(not_found("there is no such route")));
}

/// nullopt: the route has written its answer itself.
asio::awaitable<std::optional<Response>> dispatch(SharedConnection connection, SharedRequest request, Match match) {
  std::optional<Response> response;
  if (match.route == Route::read) {
    response = co_await read_route(connection, request, match.name);
  } else if (match.route == Route::group_claim) {
    response = co_await group_claim_route(connection, request, match.name);
  } else if (match.route == Route::backup) {
    response = co_await backup_route(connection, request);
  } else {
    response = co_await answer_of(connection->shard_ptr(), request, match);
  }
  co_return response;
}

asio::awaitable<bool> send(SharedConnection connection, SharedRequest request, Response response, After after) {
  if (!connection->share().hold(response.body.size())) {
    response = to_response(overloaded("too many answers are under way"));
  }
  add_origin(response, *request);
  std::string bytes = head_text(response, BodyFraming::length, after);
  if (request->method != Method::head && response.status != 204) bytes += response.body;
  response.body = {};
  const bool sent = co_await connection->write(std::move(bytes));
  connection->share().release();
  co_return sent;
}

/// Refused before its end was read: what follows on the connection cannot be told apart from the rest of it.
asio::awaitable<void> refuse_and_close(SharedConnection connection, SharedRequest request, Problem problem) {
  connection->shard().metrics().answered(Route::none, problem.status);
  Response response = to_response(problem);
  const bool sent = co_await send(connection, request, std::move(response), After::close);
  if (sent) co_await connection->linger();
}

std::size_t body_bytes_max(const Request& request, Route route, const HttpLimits& limits) {
  if (route == Route::batch) return limits.batch_bytes_max;
  return route == Route::publish ? publish_body_bytes_max(request, limits) : kUnusedBodyBytesMax;
}

/// The request may be routed at all: Host and Origin first, then the path.
std::expected<Match, Problem> admit(const Request& request, const HttpConfig& config) {
  if (auto allowed = check_access(request, {config.origins, config.loopback_only}); !allowed) {
    return std::unexpected(forbidden(std::move(allowed.error())));
  }
  return find_route(request);
}

enum class Next : std::uint8_t { request = 1, close = 2 };

void become_websocket(const SharedConnection& connection, SharedRequest request, Subprotocol protocol, Match match) {
  std::string name = match.route == Route::read ? std::move(match.name) : std::string{};
  std::string input(connection->input());
  start_websocket(connection->release(), connection->shard_ptr(), std::move(request), protocol, std::move(name),
                  std::move(input));
}

asio::awaitable<Next> serve_request(SharedConnection connection, std::shared_ptr<Request> request) {
  auto match = admit(*request, connection->shard().server().config);
  const bool takes_upgrade = match && (match->route == Route::read || match->route == Route::websocket);
  if (takes_upgrade && wants_websocket(*request)) {
    const auto protocol = check_upgrade(*request);
    if (protocol) {
      become_websocket(connection, request, *protocol, std::move(*match));
      co_return Next::close;
    }
    match = std::unexpected(protocol.error());
  }
  if (!match && request->framing != BodyCoding::none) {
    Problem problem = match.error();
    co_await refuse_and_close(connection, request, std::move(problem));
    co_return Next::close;
  }
  const Route route = match ? match->route : Route::none;
  const std::size_t bytes_max = body_bytes_max(*request, route, connection->shard().limits());
  const auto read = co_await read_request_body(connection, request, bytes_max);
  if (!read) {
    if (read.error().status == kNobody) co_return Next::close;
    Problem problem = protocol_error(read.error().status, read.error().text);
    co_await refuse_and_close(connection, request, std::move(problem));
    co_return Next::close;
  }
  connection->clear_deadline();
  std::optional<Response> response;
  if (match) {
    response = co_await dispatch(connection, request, *match);
  } else {
    response = to_response(match.error());
  }
  connection->shard().metrics().answered(route, response ? response->status : 200);
  if (!response) co_return Next::close;
  const bool keep = request->keep_alive() && response->after == After::keep_alive && !connection->draining();
  const After after = keep ? After::keep_alive : After::close;
  const bool sent = co_await send(connection, request, std::move(*response), after);
  if (sent && !keep) co_await connection->linger();
  const Next next = sent && keep ? Next::request : Next::close;
  co_return next;
}

asio::awaitable<void> serve(SharedConnection connection) {
  Turn turn = Turn::first;
  while (!connection->gone() && !(connection->draining() && connection->input().empty())) {
    auto head = co_await read_request_head(connection, turn);
    if (!head) {
      if (head.error().status == kNobody) co_return;
      Problem problem = protocol_error(head.error().status, head.error().text);
      auto unread = std::make_shared<Request>();
      co_await refuse_and_close(connection, unread, std::move(problem));
      co_return;
    }
    auto request = std::make_shared<Request>(std::move(*head));
    const Next next = co_await serve_request(connection, request);
    if (next == Next::close) co_return;
    turn = Turn::later;
  }
}

}  // namespace

void start_session(asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard) {
  asio::io_context& net = shard->net();
  auto connection = std::make_shared<Connection>(std::move(socket), std::move(shard));
  asio::co_spawn(net, serve(std::move(connection)), [](const std::exception_ptr& failure) {
    // Nothing in a session throws but allocation; without memory to serve one client the node must not limp on.
    if (failure) std::rethrow_exception(failure);
  });
}

}  // namespace weir::broker::http
