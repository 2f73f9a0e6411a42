#include "broker/http/server.hpp"

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "broker/http/listener.hpp"
#include "broker/http/shard.hpp"

namespace weir::broker {

namespace asio = boost::asio;

/// Start: one shard per net thread, then the listener. Stop: the listener, then the shards say goodbye; whoever is left
/// when the time is over is cut off.
class HttpServer::Impl {
 public:
  Impl(HttpConfig config, Gateway& gateway, const std::vector<asio::io_context*>& nets)
      : state_(std::make_shared<http::ServerState>(std::move(config), gateway)) {
    for (asio::io_context* const net : nets) shards_.push_back(std::make_shared<http::Shard>(*net, state_));
  }

  std::expected<void, std::string> start() {
    listener_ = std::make_shared<http::Listener>(state_, shards_);
    return listener_->start();
  }

  [[nodiscard]] std::uint16_t port() const { return listener_ ? listener_->port() : std::uint16_t{0}; }

  void stop(const std::string& to, std::uint32_t timeout_ms, std::move_only_function<void()> done) {
    if (listener_) listener_->stop();
    auto goodbye = std::make_shared<Goodbye>(shards_.front()->net(), shards_.size(), std::move(done));
    goodbye->timer.expires_after(std::chrono::milliseconds(timeout_ms));
    goodbye->timer.async_wait([goodbye, shards = shards_](boost::system::error_code ec) {
      if (!ec) {
        for (const auto& shard : shards) asio::post(shard->net(), [shard] { shard->kill_all(); });
      }
      goodbye->finish();
    });
    for (const auto& shard : shards_) {
      asio::post(shard->net(), [shard, to, goodbye] { shard->drain(to, [goodbye] { goodbye->one_is_empty(); }); });
    }
  }

 private:
  struct Goodbye : std::enable_shared_from_this<Goodbye> {
    Goodbye(asio::io_context& net, std::size_t shards, std::move_only_function<void()> then)
        : timer(net), left(shards), done(std::move(then)) {}

    void one_is_empty() {
      if (left.fetch_sub(1) > 1) return;
      asio::post(timer.get_executor(), [self = shared_from_this()] { self->timer.cancel(); });
    }
    void finish() {
      if (done) std::exchange(done, nullptr)();
    }

    asio::steady_timer timer;
    std::atomic<std::size_t> left;
    std::move_only_function<void()> done;
  };

  std::shared_ptr<http::ServerState> state_;
  std::vector<std::shared_ptr<http::Shard>> shards_;
  std::shared_ptr<http::Listener> listener_;
};

HttpServer::HttpServer(HttpConfig config, Gateway& gateway, const std::vector<asio::io_context*>& nets)
    : impl_(std::make_unique<Impl>(std::move(config), gateway, nets)) {}

HttpServer::~HttpServer() = default;

std::expected<void, std::string> HttpServer::start() {
  return impl_->start();
}

std::uint16_t HttpServer::port() const {
  return impl_->port();
}

void HttpServer::stop(const std::string& to, std::uint32_t timeout_ms, std::move_only_function<void()> done) {
  impl_->stop(to, timeout_ms, std::move(done));
}

}  // namespace weir::broker
