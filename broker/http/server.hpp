// The HTTP port: HTTP/1.1, WebSocket, SSE (API §2-§5, §7).
// start() and stop() are called from the app; sessions run on the given net threads, each pinned to one.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/gateway.hpp"
#include "broker/http/limits.hpp"

namespace weir::broker {

struct HttpConfig {
  std::string address;  ///< IP literal
  std::uint16_t port = 7400;
  HttpLimits limits;
  /// `Origin`s allowed besides the broker's own address (API §10).
  std::vector<std::string> origins;
  bool loopback_only = true;  ///< then `Host` must be a loopback name
};

class HttpServer {
 public:
  /// `nets`: one io_context per net thread, at least one.
  HttpServer(HttpConfig config, Gateway& gateway, const std::vector<boost::asio::io_context*>& nets);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds and listens. The error names the address and the cure.
  [[nodiscard]] std::expected<void, std::string> start();
  /// The port in force (when 0 was asked).
  [[nodiscard]] std::uint16_t port() const;
  /// Stops accepting; tells streams `goaway` (with `to`, another member's http address, if known) and WebSockets close
  /// 1001; `done` runs when every session has ended, at the latest after timeout_ms.
  void stop(const std::string& to, std::uint32_t timeout_ms, std::move_only_function<void()> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::broker
