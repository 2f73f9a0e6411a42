#include "broker/http/shard.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace weir::broker::http {

namespace asio = boost::asio;

namespace {

/// Answers name the node, its leader and the log's epoch; asking the core for each of them would double its work.
constexpr auto kStatusAgeMax = std::chrono::milliseconds(100);

/// Time limits are kept to within a quarter of the shortest of them.
std::chrono::milliseconds tick_interval(const HttpLimits& limits) {
  const std::uint32_t shortest =
      std::min({limits.header_timeout_ms, limits.body_timeout_ms, limits.idle_timeout_ms, limits.heartbeat_ms,
                limits.ping_timeout_ms, limits.handshake_timeout_ms, limits.stalled_write_ms});
  return std::chrono::milliseconds(std::clamp<std::uint32_t>(shortest / 4, 5, 1000));
}

}  // namespace

Shard::Shard(asio::io_context& net, std::shared_ptr<ServerState> server)
    : net_(net), server_(std::move(server)), lane_(gateway().lane(net.get_executor())), ticker_(net) {}

void Shard::add(Client* client) {
  clients_.insert(client);
  if (!ticking_) arm();
}

void Shard::remove(Client* client) {
  clients_.erase(client);
  tell_if_empty();
}

void Shard::arm() {
  ticking_ = true;
  ticker_.expires_after(tick_interval(limits()));
  ticker_.async_wait([weak = weak_from_this()](boost::system::error_code) {
    const auto self = weak.lock();
    if (!self) return;
    // A tick may end a client, never another one: the copy stays valid.
    const std::vector<Client*> clients(self->clients_.begin(), self->clients_.end());
    const auto now = Clock::now();
    for (Client* const client : clients) client->tick(now);
    self->ticking_ = false;
    if (!self->clients_.empty()) self->arm();
  });
}

std::shared_ptr<Tail> Shard::tail(const std::shared_ptr<const Selector>& selector) {
  constexpr std::size_t kTailsMin = 64;
  if (tails_.size() >= tails_max_) {
    std::erase_if(tails_, [](const auto& one) { return one.second.expired(); });
    tails_max_ = kTailsMin + 2 * tails_.size();
  }
  std::weak_ptr<Tail>& known = tails_[selector->text()];
  auto tail = known.lock();
  if (!tail) {
    tail = std::make_shared<Tail>(gateway(), net_.get_executor(), selector);
    known = tail;
  }
  return tail;
}

asio::awaitable<std::shared_ptr<const NodeStatus>> Shard::status() {
  if (!status_ || Clock::now() - status_at_ > kStatusAgeMax || status_->epoch.empty()) {
    auto status = co_await gateway().status();
    status_ = std::make_shared<const NodeStatus>(std::move(status));
    status_at_ = Clock::now();
  }
  co_return status_;
}

void Shard::drain(std::string to, std::move_only_function<void()> empty) {
  draining_ = true;
  goaway_to_ = std::move(to);
  empty_ = std::move(empty);
  const std::vector<Client*> clients(clients_.begin(), clients_.end());
  for (Client* const client : clients) client->drain();
  tell_if_empty();
}

void Shard::kill_all() {
  const std::vector<Client*> clients(clients_.begin(), clients_.end());
  for (Client* const client : clients) client->kill();
}

void Shard::tell_if_empty() {
  if (draining_ && clients_.empty() && empty_) std::exchange(empty_, nullptr)();
}

}  // namespace weir::broker::http
