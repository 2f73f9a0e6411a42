#include "broker/http/barrier.hpp"

#include <string>

namespace weir::broker::http {

boost::asio::awaitable<std::expected<void, Problem>> pass_barrier(std::shared_ptr<Shard> shard,
                                                                  std::uint32_t timeout_ms) {
  const bool confirmed = co_await shard->gateway().barrier(timeout_ms);
  if (confirmed) co_return std::expected<void, Problem>{};
  const auto status = co_await shard->status();
  co_return std::unexpected(no_leader("no leader confirmed to " + status->name + " in time how far the log goes; " +
                                      "it last heard one " + std::to_string(status->leader_silent_ms) + " ms ago"));
}

}  // namespace weir::broker::http
