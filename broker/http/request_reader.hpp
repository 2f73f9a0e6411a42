// Reads requests off a connection within their limits and deadlines (FAULTS 90-93). Runs on the connection's net
// thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <expected>
#include <memory>

#include "broker/http/connection.hpp"
#include "broker/http/head.hpp"
#include "broker/http/request.hpp"

namespace weir::broker::http {

/// Status 0: the client is gone, or was silent between two requests; there is nobody to answer.
inline constexpr unsigned kNobody = 0;

/// `first`: of the connection. Between requests a client may be silent for longer than within one.
enum class Turn : std::uint8_t { first = 1, later = 2 };

boost::asio::awaitable<std::expected<Request, HeadError>> read_request_head(std::shared_ptr<Connection> connection,
                                                                            Turn turn);
/// Fills request->body, at most `bytes_max`. Sends `100 Continue` first where it was asked for.
boost::asio::awaitable<std::expected<void, HeadError>> read_request_body(std::shared_ptr<Connection> connection,
                                                                         std::shared_ptr<Request> request,
                                                                         std::size_t bytes_max);

}  // namespace weir::broker::http
