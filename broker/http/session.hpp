// Serves one HTTP connection: request after request, answered in order, one at a time, so that a client that pipelines
// without reading holds no more than one answer here (FAULTS 101). Runs on the connection's net thread.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "broker/http/shard.hpp"

namespace weir::broker::http {

/// Starts serving; the session ends by itself, or when the shard tells it to.
void start_session(boost::asio::ip::tcp::socket socket, std::shared_ptr<Shard> shard);

}  // namespace weir::broker::http
