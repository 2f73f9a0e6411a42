// Before this node says that something does not exist, it makes sure that it has applied all there is.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <expected>
#include <memory>

#include "broker/http/problem.hpp"
#include "broker/http/shard.hpp"

namespace weir::broker::http {

/// Waits until everything committed before this call is applied here (ReadIndex, thesis §6.4). The problem is 503
/// no-leader, after `timeout_ms`. Runs on the shard's net thread.
[[nodiscard]] boost::asio::awaitable<std::expected<void, Problem>> pass_barrier(std::shared_ptr<Shard> shard,
                                                                                std::uint32_t timeout_ms);

}  // namespace weir::broker::http
