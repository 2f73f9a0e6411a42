// What each route does. A route is a coroutine on the connection's net thread; it answers with a Response, or has
// written its own (streams) and answers nothing. Parameters are shared with the session, which outlives the call.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>

#include "broker/http/connection.hpp"
#include "broker/http/request.hpp"
#include "broker/http/response.hpp"
#include "broker/http/shard.hpp"
#include "broker/http/subscription.hpp"

namespace weir::broker::http {

using SharedRequest = std::shared_ptr<const Request>;
using Answer = boost::asio::awaitable<Response>;

Answer publish_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic);
/// Pull and long poll answer; a stream is written to the connection until it ends.
boost::asio::awaitable<std::optional<Response>> read_route(std::shared_ptr<Connection> connection,
                                                           SharedRequest request, std::string name);
Answer head_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string name);
/// ndjson, SSE or bare payloads, until the client leaves, the plan ends or the server drains.
boost::asio::awaitable<void> serve_stream(std::shared_ptr<Connection> connection, SharedRequest request,
                                          std::shared_ptr<Subscription> subscription);

/// The stream of a backup; ends without its end mark if it was cut off.
boost::asio::awaitable<std::optional<Response>> backup_route(std::shared_ptr<Connection> connection,
                                                             SharedRequest request);

Answer id_find_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic);
Answer id_claim_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic);

Answer topics_route(std::shared_ptr<Shard> shard, SharedRequest request);
Answer topic_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic);
/// Body {"retention":{"age":"7d","bytes":"1GiB","count":1000},"dedup":"12h"}, each of them off, or null for the
/// broker's default. What put leaves out is the default, what change leaves out stays.
Answer topic_put_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic);
Answer topic_change_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic);
Answer topic_remove_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic);

Answer groups_route(std::shared_ptr<Shard> shard, SharedRequest request);
Answer group_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string group);
/// Body {"pattern":"orders/**","cursor":"earliest"}, each if it is to be set.
Answer group_put_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string group);
Answer group_remove_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string group);
/// `?topic=orders/**&max=10&lease=30s&wait=20s`
Answer group_claim_route(std::shared_ptr<Connection> connection, SharedRequest request, std::string group);
/// `?lease=L7&cursor=e7.90214`, or a body of these two.
Answer group_commit_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string group);
/// Body {"publish":[…],"commit":{…},"expect":{…}}.
Answer batch_route(std::shared_ptr<Shard> shard, SharedRequest request);

Answer cluster_route(std::shared_ptr<Shard> shard, SharedRequest request);
/// Body {"node":"n4"}, with "action": "add" (default), "add-learner" or "promote"; "raft" and "http": where the one
/// that is added is expected to be reached.
Answer member_add_route(std::shared_ptr<Shard> shard, SharedRequest request);
Answer member_remove_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string node);
/// Body empty, or {"to":"n2"}.
Answer transfer_route(std::shared_ptr<Shard> shard, SharedRequest request);
/// Members compare what they hold, now.
Answer verify_route(std::shared_ptr<Shard> shard, SharedRequest request);
/// The node that is asked goes out of service, or comes back into it.
Answer drain_route(std::shared_ptr<Shard> shard, SharedRequest request, Service service);
Answer raft_log_route(std::shared_ptr<Shard> shard, SharedRequest request);
Answer ready_route(std::shared_ptr<Shard> shard);
Answer metrics_route(std::shared_ptr<Shard> shard);

/// The page and its script; 404 for other names.
[[nodiscard]] Response console_response(const std::string& name);

}  // namespace weir::broker::http
