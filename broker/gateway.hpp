// The core node, as sessions on other threads see it: each call hops to the core strand and comes back on the caller's
// executor. Thread-safe. Outlives all sessions; the node outlives it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/node.hpp"
#include "broker/publish_lane.hpp"

namespace weir::broker {

class Gateway {
 public:
  Gateway(boost::asio::any_io_executor core, Node& node);

  /// For the publishes of one net thread.
  [[nodiscard]] std::shared_ptr<PublishLane> lane(boost::asio::any_io_executor net);

  // Parameters by value: the coroutine may outlive the caller's frame.
  boost::asio::awaitable<wire::Outcome> claim(wire::Claim claim, std::uint32_t timeout_ms);
  boost::asio::awaitable<wire::Outcome> change_topic(wire::TopicChange change, std::uint32_t timeout_ms);
  boost::asio::awaitable<wire::Outcome> change_group(wire::GroupChange change, std::uint32_t timeout_ms);
  /// For pipelined writers (WebSocket): no coroutine per request. `done` runs on `reply_on`.
  void change_group(wire::GroupChange change, std::uint32_t timeout_ms, boost::asio::any_io_executor reply_on,
                    std::move_only_function<void(wire::Outcome)> done);

  boost::asio::awaitable<std::expected<ReadStart, StartError>> start_read(std::shared_ptr<const Selector> selector,
                                                                          From from);
  boost::asio::awaitable<std::expected<ReadBatch, ReadError>> read(std::shared_ptr<const Selector> selector,
                                                                   ReadState from, ReadLimits limits);
  /// For readers that share what they read (http/tail.hpp): no coroutine. `done` runs on `reply_on`.
  void read(std::shared_ptr<const Selector> selector, ReadState from, ReadLimits limits,
            boost::asio::any_io_executor reply_on,
            std::move_only_function<void(std::expected<ReadBatch, ReadError>)> done);
  enum class Woken : std::uint8_t { event = 1, timeout = 2 };
  /// Until an event that matches exists after `after`, or `timeout` passed. Supports per-operation cancellation
  /// (terminal): a cancelled wait leaves nothing behind on the node.
  boost::asio::awaitable<Woken> wait(std::shared_ptr<const Selector> selector, raft::Position after,
                                     std::chrono::milliseconds timeout);
  /// A wait without a coroutine; dropping it ends it, and leaves nothing behind on the node.
  class Watch {
   public:
    Watch(Watch&& other) noexcept = default;
    Watch& operator=(Watch&&) = delete;
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

   private:
    friend class Gateway;
    struct State;
    explicit Watch(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };
  /// `woken` runs on `reply_on`, once, when an event that matches exists after `after`. The watch is used and dropped
  /// there too.
  [[nodiscard]] Watch watch(std::shared_ptr<const Selector> selector, raft::Position after,
                            boost::asio::any_io_executor reply_on, std::move_only_function<void()> woken);
  boost::asio::awaitable<bool> wait_applied(raft::Position position, std::uint32_t timeout_ms);
  boost::asio::awaitable<bool> barrier(std::uint32_t timeout_ms);
  boost::asio::awaitable<std::expected<std::optional<wire::Claimed>, ReadError>> find_id(wire::Claim id);

  boost::asio::awaitable<std::expected<wire::BackupHead, std::string>> backup_head();
  boost::asio::awaitable<std::expected<storage::SnapshotData, storage::Error>> read_backup_snapshot(
      std::uint64_t number, std::uint64_t offset, std::size_t bytes_max);
  boost::asio::awaitable<std::expected<std::vector<raft::Entry>, storage::Error>> read_backup_entries(
      raft::Index first, raft::Index last, std::size_t bytes_max);

  using Changed = std::expected<raft::Index, ChangeRefusal>;
  boost::asio::awaitable<Changed> change_members(MemberChange change, std::uint32_t timeout_ms);
  boost::asio::awaitable<std::expected<void, ChangeRefusal>> transfer_leadership(std::string to);

  boost::asio::awaitable<std::expected<Verified, ChangeRefusal>> verify(std::uint32_t timeout_ms);
  boost::asio::awaitable<std::expected<void, ChangeRefusal>> set_service(Service service);

  boost::asio::awaitable<NodeStatus> status();
  boost::asio::awaitable<Counters> counters();
  boost::asio::awaitable<std::vector<TopicInfo>> topics();
  boost::asio::awaitable<std::optional<GroupInfo>> group(std::string name);
  boost::asio::awaitable<std::vector<GroupInfo>> groups();
  boost::asio::awaitable<std::expected<LogOutline, ReadError>> log_outline(raft::Index from, std::uint32_t limit);

 private:
  boost::asio::any_io_executor core_;
  /// What is dropped when the core has gone has nobody to tell.
  std::shared_ptr<const bool> core_runs_ = std::make_shared<const bool>(true);
  Node& node_;
};

}  // namespace weir::broker
