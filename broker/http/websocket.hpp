// A connection that has become a WebSocket (API §5). Runs on its shard's net thread.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <expected>
#include <memory>
#include <string>

#include "broker/http/problem.hpp"
#include "broker/http/request.hpp"
#include "broker/http/shard.hpp"

namespace weir::broker::http {

/// The client asks for a WebSocket.
[[nodiscard]] bool wants_websocket(const Request& request);
/// What is wrong with the handshake: version, key, or none of the subprotocols is known (FAULTS 96, and the facts about
/// Beast at its top). One that the client named is named in the answer; `unnamed` is weir.json.v1.
enum class Subprotocol : std::uint8_t { unnamed = 1, json = 2, bin = 3 };
[[nodiscard]] std::expected<Subprotocol, Problem> check_upgrade(const Request& request);

/// Takes over the socket. `input`: bytes that came behind the request. `name`: the topic or pattern of the URL to
/// subscribe to at once; empty: none.
void start_websocket(boost::asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard,
                     std::shared_ptr<const Request> request, Subprotocol subprotocol, std::string name,
                     std::string input);

}  // namespace weir::broker::http
