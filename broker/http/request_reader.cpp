#include "broker/http/request_reader.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "broker/http/chunked.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

using Read = std::expected<void, HeadError>;

HeadError ended(ReadEnd end, const char* what) {
  if (end == ReadEnd::timed_out) return {408, std::string(what) + " did not arrive in time"};
  return {kNobody, "closed"};
}

HeadError no_memory() {
  return {503, "too many bodies are under way; try again in a moment"};
}

asio::awaitable<Read> read_sized(std::shared_ptr<Connection> connection, std::shared_ptr<Request> request) {
  const auto size = static_cast<std::size_t>(request->content_length);
  while (true) {
    const std::string_view input = connection->input();
    const std::size_t count = std::min(input.size(), size - request->body.size());
    request->body.append(input.substr(0, count));
    connection->consume(count);
    if (request->body.size() == size) co_return Read{};
    if (!connection->share().hold(request->body.size())) co_return std::unexpected(no_memory());
    const ReadEnd end = co_await connection->read();
    if (end != ReadEnd::more) co_return std::unexpected(ended(end, "the body"));
  }
}

asio::awaitable<Read> read_chunked(std::shared_ptr<Connection> connection, std::shared_ptr<Request> request,
                                   std::size_t bytes_max) {
  ChunkDecoder decoder(bytes_max);
  while (true) {
    const auto taken = decoder.decode(connection->input(), request->body);
    if (!taken) co_return std::unexpected(taken.error());
    connection->consume(*taken);
    if (decoder.done()) co_return Read{};
    if (!connection->share().hold(request->body.size())) co_return std::unexpected(no_memory());
    const ReadEnd end = co_await connection->read();
    if (end != ReadEnd::more) co_return std::unexpected(ended(end, "the body"));
  }
}

}  // namespace

asio::awaitable<std::expected<Request, HeadError>> read_request_head(std::shared_ptr<Connection> connection,
                                                                     Turn turn) {
  const HttpLimits& limits = connection->shard().limits();
  const HeadLimits head_limits{limits.header_bytes_max, limits.headers_max, limits.request_line_bytes_max};
  bool begun = turn == Turn::first || !connection->input().empty();
  connection->set_deadline(milliseconds(begun ? limits.header_timeout_ms : limits.idle_timeout_ms));
  while (true) {
    const auto end = find_head_end(connection->input(), head_limits);
    if (!end) co_return std::unexpected(end.error());
    if (*end) {
      auto request = parse_head(connection->input().substr(0, **end), head_limits);
      connection->consume(**end);
      co_return request;
    }
    const bool empty = connection->input().empty();
    connection->set_idle(empty);
    const ReadEnd read = co_await connection->read();
    connection->set_idle(false);
    if (read != ReadEnd::more) {
      co_return std::unexpected(empty ? HeadError{kNobody, "silent"} : ended(read, "the header"));
    }
    // The deadline holds from the first byte of a request to its last header, whatever trickles in between.
    if (!begun) connection->set_deadline(milliseconds(limits.header_timeout_ms));
    begun = true;
  }
}

asio::awaitable<Read> read_request_body(std::shared_ptr<Connection> connection, std::shared_ptr<Request> request,
                                        std::size_t bytes_max) {
  if (request->framing == BodyCoding::none) co_return Read{};
  if (request->framing == BodyCoding::length && request->content_length > bytes_max) {
    co_return std::unexpected(HeadError{413, "the body is longer than " + std::to_string(bytes_max) + " bytes"});
  }
  if (request->field("expect") && connection->input().empty()) {
    std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    const bool sent = co_await connection->write(std::move(go_on));
    if (!sent) co_return std::unexpected(HeadError{kNobody, "gone"});
  }
  connection->set_deadline(milliseconds(connection->shard().limits().body_timeout_ms));
  Read read;
  if (request->framing == BodyCoding::chunked) {
    read = co_await read_chunked(connection, request, bytes_max);
  } else {
    read = co_await read_sized(connection, request);
  }
  co_return read;
}

}  // namespace weir::broker::http
