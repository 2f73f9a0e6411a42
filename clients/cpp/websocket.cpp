#include "clients/cpp/websocket.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "clients/cpp/resolve.hpp"

namespace weir::client {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ws = beast::websocket;
using beast::error_code;
using tcp = asio::ip::tcp;

namespace {

/// Twice the broker's heartbeat of 15 s: a silent broker is left after that; half of it, and we ask with a ping.
constexpr std::chrono::seconds kIdleTimeout{30};

}  // namespace

struct WebSocket::Impl {
  /// Runs until `done()` or the deadline.
  template <class Done>
  bool run_until(Deadline deadline, Done done) {
    io.restart();
    while (!done()) {
      // What is ready is taken even when the deadline has passed: a deadline of now means "look, do not wait".
      if (io.poll_one() == 0 && io.run_one_until(deadline) == 0) return done();
    }
    return true;
  }

  void start_reading() {
    reading = true;
    stream.async_read(buffer, [this](error_code error, std::size_t) {
      reading = false;
      arrived = true;
      read_error = error;
    });
  }

  std::string why(error_code error) {
    if (error == ws::error::closed && stream.reason().code != ws::close_code::none) {
      std::string text = "closed by the server, " + std::to_string(stream.reason().code);
      const std::string_view reason(stream.reason().reason.data(), stream.reason().reason.size());
      if (!reason.empty()) text.append(" ").append(reason);
      return text;
    }
    return error.message();
  }

  asio::io_context io{1};
  ws::stream<beast::tcp_stream> stream{io};
  beast::flat_buffer buffer;
  error_code read_error;
  bool reading = false;  // an async_read is under way
  bool arrived = false;  // it has reported and nobody has taken the message or error yet
  bool writing = false;
  MessageKind last_kind = MessageKind::text;
};

WebSocket::WebSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WebSocket::~WebSocket() = default;
WebSocket::WebSocket(WebSocket&&) noexcept = default;
WebSocket& WebSocket::operator=(WebSocket&&) noexcept = default;

namespace {

HttpResponse declined_answer(const ws::response_type& response) {
  HttpResponse answer{.status = response.result_int(), .headers = {}, .body = response.body()};
  for (const auto& field : response) {
    answer.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  return answer;
}

}  // namespace

std::expected<WebSocket, WebSocket::ConnectError> WebSocket::connect(const Endpoint& endpoint, std::string_view target,
                                                                     std::string_view subprotocol, Deadline deadline) {
  auto impl = std::make_unique<Impl>();
  auto& tcp_layer = beast::get_lowest_layer(impl->stream);
  error_code result;
  bool done = false;
  const auto finish = [&] {
    impl->io.restart();
    while (!done && impl->io.run_one() > 0) {
    }
    done = false;
  };
  const auto report = [&](error_code error, auto&&...) {
    result = error;
    done = true;
  };
  std::vector<tcp::endpoint> addresses;
  result = resolve(endpoint, impl->io, addresses);
  if (!result) {
    tcp_layer.expires_at(deadline);
    tcp_layer.async_connect(addresses, report);
    finish();
  }
  if (result) return std::unexpected(ConnectError{endpoint.text() + ": " + result.message(), std::nullopt});
  error_code ignored;  // without it credit only travels slower
  static_cast<void>(tcp_layer.socket().set_option(tcp::no_delay(true), ignored));
  impl->stream.set_option(ws::stream_base::decorator([subprotocol](ws::request_type& request) {
    request.set(http::field::sec_websocket_protocol, std::string(subprotocol));
    request.set(http::field::user_agent, "weir-client");
  }));
  impl->stream.read_message_max(kMessageBytesMax);
  ws::response_type response;
  impl->stream.async_handshake(response, endpoint.text(), std::string(target), report);
  finish();
  if (result == ws::error::upgrade_declined) {
    return std::unexpected(ConnectError{endpoint.text() + ": " + result.message(), declined_answer(response)});
  }
  if (result) return std::unexpected(ConnectError{endpoint.text() + ": " + result.message(), std::nullopt});
  // From here on the stream's own clock watches the peer; the connect deadline would end a quiet subscription.
  tcp_layer.expires_never();
  impl->stream.set_option(ws::stream_base::timeout{
      .handshake_timeout = std::chrono::seconds(5), .idle_timeout = kIdleTimeout, .keep_alive_pings = true});
  return WebSocket(std::move(impl));
}

std::expected<void, std::string> WebSocket::send(std::string_view message, Deadline deadline, MessageKind kind) {
  // A write that missed its deadline has ended the connection, so none is under way here.
  error_code result;
  impl_->writing = true;
  impl_->stream.text(kind == MessageKind::text);
  impl_->stream.async_write(asio::buffer(message.data(), message.size()), [&](error_code error, std::size_t) {
    result = error;
    impl_->writing = false;
  });
  if (!impl_->run_until(deadline, [&] { return !impl_->writing; })) {
    beast::get_lowest_layer(impl_->stream).close();
    impl_->run_until(Clock::now() + std::chrono::seconds(1), [&] { return !impl_->writing; });
    return std::unexpected("sending took too long");
  }
  if (result) return std::unexpected(impl_->why(result));
  return {};
}

std::expected<std::optional<std::string>, std::string> WebSocket::receive(Deadline deadline) {
  if (!impl_->reading && !impl_->arrived) impl_->start_reading();
  if (!impl_->run_until(deadline, [&] { return impl_->arrived; })) return std::nullopt;
  impl_->arrived = false;
  impl_->last_kind = impl_->stream.got_text() ? MessageKind::text : MessageKind::binary;
  if (impl_->read_error) return std::unexpected(impl_->why(impl_->read_error));
  std::string message = beast::buffers_to_string(impl_->buffer.data());
  impl_->buffer.clear();
  return message;
}

MessageKind WebSocket::last_kind() const {
  return impl_->last_kind;
}

}  // namespace weir::client
