#include "broker/gateway.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "broker/hop.hpp"

namespace weir::broker {
namespace asio = boost::asio;

Gateway::Gateway(asio::any_io_executor core, Node& node) : core_(std::move(core)), node_(node) {}

std::shared_ptr<PublishLane> Gateway::lane(asio::any_io_executor net) {
  return std::make_shared<PublishLane>(std::move(net), core_, node_);
}

asio::awaitable<wire::Outcome> Gateway::claim(wire::Claim claim, std::uint32_t timeout_ms) {
  return hop_and_wait<wire::Outcome>(core_, [&node = node_, claim = std::move(claim), timeout_ms](auto done) mutable {
    node.claim(std::move(claim), timeout_ms, std::move(done));
  });
}

asio::awaitable<wire::Outcome> Gateway::change_topic(wire::TopicChange change, std::uint32_t timeout_ms) {
  return hop_and_wait<wire::Outcome>(core_, [&node = node_, change = std::move(change), timeout_ms](auto done) mutable {
    node.change_topic(std::move(change), timeout_ms, std::move(done));
  });
}

asio::awaitable<wire::Outcome> Gateway::change_group(wire::GroupChange change, std::uint32_t timeout_ms) {
  return hop_and_wait<wire::Outcome>(core_, [&node = node_, change = std::move(change), timeout_ms](auto done) mutable {
    node.change_group(std::move(change), timeout_ms, std::move(done));
  });
}

namespace {

/// `done`, but on `reply_on`.
template <class Result>
std::move_only_function<void(Result)> posted(asio::any_io_executor reply_on,
                                             std::move_only_function<void(Result)> done) {
  return [reply_on = std::move(reply_on), done = std::move(done)](Result result) mutable {
    asio::post(reply_on, [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  };
}

}  // namespace

void Gateway::change_group(wire::GroupChange change, std::uint32_t timeout_ms, asio::any_io_executor reply_on,
                           std::move_only_function<void(wire::Outcome)> done) {
  asio::post(core_, [&node = node_, change = std::move(change), timeout_ms,
                     done = posted(std::move(reply_on), std::move(done))]() mutable {
    node.change_group(std::move(change), timeout_ms, std::move(done));
  });
}

asio::awaitable<std::expected<ReadStart, StartError>> Gateway::start_read(std::shared_ptr<const Selector> selector,
                                                                          From from) {
  return hop<std::expected<ReadStart, StartError>>(
      core_, [&node = node_, selector = std::move(selector), from = std::move(from)] {
        return node.start_read(*selector, from);
      });
}

asio::awaitable<std::expected<ReadBatch, ReadError>> Gateway::read(std::shared_ptr<const Selector> selector,
                                                                   ReadState from, ReadLimits limits) {
  return hop_and_wait<std::expected<ReadBatch, ReadError>>(
      core_, [&node = node_, selector = std::move(selector), from, limits](auto done) mutable {
        node.read(*selector, from, limits, std::move(done));
      });
}

// One way out: the timer. An event and a cancellation both end the timer's wait; the latter through the coroutine's own
// cancellation slot.
asio::awaitable<Gateway::Woken> Gateway::wait(std::shared_ptr<const Selector> selector, raft::Position after,
                                              std::chrono::milliseconds timeout) {
  const asio::any_io_executor reader = co_await asio::this_coro::executor;
  bool woken = false;
  asio::steady_timer timer(reader, timeout);
  const Watch event = watch(std::move(selector), after, reader, [&woken, &timer] {
    woken = true;
    timer.cancel();
  });
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return woken ? Woken::event : Woken::timeout;
}

void Gateway::read(std::shared_ptr<const Selector> selector, ReadState from, ReadLimits limits,
                   asio::any_io_executor reply_on,
                   std::move_only_function<void(std::expected<ReadBatch, ReadError>)> done) {
  asio::post(core_, [&node = node_, selector = std::move(selector), from, limits,
                     done = posted(std::move(reply_on), std::move(done))]() mutable {
    node.read(*selector, from, limits, std::move(done));
  });
}

struct Gateway::Watch::State {
  asio::any_io_executor core;
  std::weak_ptr<const bool> core_runs;
  Node& node;
  std::move_only_function<void()> woken;  ///< the reader's; empty once it has run or is not wanted any more
  std::optional<WaiterId> waiter;         ///< core strand
};

Gateway::Watch::~Watch() {
  if (!state_ || !std::exchange(state_->woken, nullptr) || state_->core_runs.expired()) return;
  asio::post(state_->core, [state = state_] {
    if (state->waiter) state->node.cancel(*std::exchange(state->waiter, std::nullopt));
  });
}

Gateway::Watch Gateway::watch(std::shared_ptr<const Selector> selector, raft::Position after,
                              asio::any_io_executor reply_on, std::move_only_function<void()> woken) {
  auto state = std::make_shared<Watch::State>(core_, core_runs_, node_, std::move(woken), std::nullopt);
  asio::post(core_, [state, selector = std::move(selector), after, reply_on = std::move(reply_on)] {
    state->waiter = state->node.wait(*selector, after, [state, reply_on] {
      state->waiter.reset();
      asio::post(reply_on, [state] {
        if (auto wanted = std::exchange(state->woken, nullptr)) wanted();
      });
    });
  });
  return Watch(std::move(state));
}

asio::awaitable<bool> Gateway::wait_applied(raft::Position position, std::uint32_t timeout_ms) {
  return hop_and_wait<bool>(core_, [&node = node_, position, timeout_ms](auto done) mutable {
    node.wait_applied(position, timeout_ms, std::move(done));
  });
}

asio::awaitable<bool> Gateway::barrier(std::uint32_t timeout_ms) {
  return hop_and_wait<bool>(
      core_, [&node = node_, timeout_ms](auto done) mutable { node.barrier(timeout_ms, std::move(done)); });
}

asio::awaitable<std::expected<std::optional<wire::Claimed>, ReadError>> Gateway::find_id(wire::Claim id) {
  return hop_and_wait<std::expected<std::optional<wire::Claimed>, ReadError>>(
      core_, [&node = node_, id = std::move(id)](auto done) mutable { node.find_id(std::move(id), std::move(done)); });
}

asio::awaitable<std::expected<wire::BackupHead, std::string>> Gateway::backup_head() {
  return hop<std::expected<wire::BackupHead, std::string>>(core_, [&node = node_] { return node.backup_head(); });
}

asio::awaitable<std::expected<storage::SnapshotData, storage::Error>> Gateway::read_backup_snapshot(
    std::uint64_t number, std::uint64_t offset, std::size_t bytes_max) {
  return hop_and_wait<std::expected<storage::SnapshotData, storage::Error>>(
      core_, [&node = node_, number, offset, bytes_max](auto done) mutable {
        node.read_backup_snapshot(number, offset, bytes_max, std::move(done));
      });
}

asio::awaitable<std::expected<std::vector<raft::Entry>, storage::Error>> Gateway::read_backup_entries(
    raft::Index first, raft::Index last, std::size_t bytes_max) {
  return hop_and_wait<std::expected<std::vector<raft::Entry>, storage::Error>>(
      core_, [&node = node_, first, last, bytes_max](auto done) mutable {
        node.read_backup_entries(first, last, bytes_max, std::move(done));
      });
}

asio::awaitable<Gateway::Changed> Gateway::change_members(MemberChange change, std::uint32_t timeout_ms) {
  return hop_and_wait<Changed>(core_, [&node = node_, change = std::move(change), timeout_ms](auto done) mutable {
    node.change_members(change, timeout_ms, std::move(done));
  });
}

asio::awaitable<std::expected<void, ChangeRefusal>> Gateway::transfer_leadership(std::string to) {
  return hop<std::expected<void, ChangeRefusal>>(
      core_, [&node = node_, to = std::move(to)] { return node.transfer_leadership(to); });
}

asio::awaitable<std::expected<Verified, ChangeRefusal>> Gateway::verify(std::uint32_t timeout_ms) {
  return hop_and_wait<std::expected<Verified, ChangeRefusal>>(
      core_, [&node = node_, timeout_ms](auto done) mutable { node.verify(timeout_ms, std::move(done)); });
}

asio::awaitable<std::expected<void, ChangeRefusal>> Gateway::set_service(Service service) {
  return hop<std::expected<void, ChangeRefusal>>(core_, [&node = node_, service] { return node.set_service(service); });
}

asio::awaitable<NodeStatus> Gateway::status() {
  return hop<NodeStatus>(core_, [&node = node_] { return node.status(); });
}

asio::awaitable<Counters> Gateway::counters() {
  return hop<Counters>(core_, [&node = node_] { return node.counters(); });
}

asio::awaitable<std::vector<TopicInfo>> Gateway::topics() {
  return hop<std::vector<TopicInfo>>(core_, [&node = node_] { return node.topics(); });
}

asio::awaitable<std::optional<GroupInfo>> Gateway::group(std::string name) {
  return hop<std::optional<GroupInfo>>(core_, [&node = node_, name = std::move(name)] { return node.group(name); });
}

asio::awaitable<std::vector<GroupInfo>> Gateway::groups() {
  return hop<std::vector<GroupInfo>>(core_, [&node = node_] { return node.groups(); });
}

asio::awaitable<std::expected<LogOutline, ReadError>> Gateway::log_outline(raft::Index from, std::uint32_t limit) {
  return hop_and_wait<std::expected<LogOutline, ReadError>>(
      core_, [&node = node_, from, limit](auto done) mutable { node.log_outline(from, limit, std::move(done)); });
}

}  // namespace weir::broker
