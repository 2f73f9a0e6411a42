#include "clients/cpp/http.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "clients/cpp/resolve.hpp"

namespace weir::client {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using beast::error_code;
using tcp = asio::ip::tcp;

std::string_view HttpResponse::header(std::string_view name) const {
  const auto found = std::ranges::find_if(headers, [&](const auto& one) {
    return beast::iequals(beast::string_view(one.first.data(), one.first.size()),
                          beast::string_view(name.data(), name.size()));
  });
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

struct HttpConnection::Impl {
  explicit Impl(Endpoint to) : endpoint(std::move(to)) {}

  /// Starts one operation and runs until it has reported; the stream's own timer ends it at the deadline.
  template <class Start>
  error_code finish(Start start) {
    error_code result;
    bool done = false;
    start([&](error_code error, auto&&...) {
      result = error;
      done = true;
    });
    io.restart();
    while (!done && io.run_one() > 0) {
    }
    return result;
  }

  /// A closed or talking connection cannot carry a request: between requests the server has nothing to say.
  bool usable() {
    if (!connected) return false;
    char byte = 0;
    const auto got = ::recv(stream.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  void close() {
    connected = false;
    buffer.clear();
    stream.close();
  }

  Endpoint endpoint;
  asio::io_context io{1};
  beast::tcp_stream stream{io};
  beast::flat_buffer buffer;
  bool connected = false;
};

HttpConnection::HttpConnection(Endpoint endpoint) : impl_(std::make_unique<Impl>(std::move(endpoint))) {}
HttpConnection::~HttpConnection() = default;
HttpConnection::HttpConnection(HttpConnection&&) noexcept = default;
HttpConnection& HttpConnection::operator=(HttpConnection&&) noexcept = default;

const Endpoint& HttpConnection::endpoint() const {
  return impl_->endpoint;
}

std::expected<void, TransportError> HttpConnection::open(Deadline deadline) {
  if (impl_->usable()) return {};
  impl_->close();
  std::vector<tcp::endpoint> addresses;
  error_code error = resolve(impl_->endpoint, impl_->io, addresses);
  if (!error) {
    impl_->stream.expires_at(deadline);
    error = impl_->finish([&](auto done) { impl_->stream.async_connect(addresses, std::move(done)); });
  }
  if (!error) {
    error_code ignored;  // without it small requests only get slower
    impl_->stream.socket().set_option(tcp::no_delay(true), ignored);
    impl_->connected = true;
    return {};
  }
  impl_->close();
  return std::unexpected(TransportError{Handover::no, impl_->endpoint.text() + ": " + error.message()});
}

namespace {

http::request<http::string_body> to_beast(const HttpRequest& request, const Endpoint& endpoint) {
  http::request<http::string_body> out;
  out.version(11);
  out.method_string(request.method);
  out.target(request.target);
  out.set(http::field::host, endpoint.text());
  out.set(http::field::user_agent, "weir-client");
  for (const auto& [name, value] : request.headers) out.insert(name, value);
  out.body() = request.body;
  out.prepare_payload();
  return out;
}

HttpResponse from_beast(http::response<http::string_body>&& in) {
  HttpResponse out;
  out.status = in.result_int();
  for (const auto& field : in) out.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  out.body = std::move(in.body());
  return out;
}

}  // namespace

std::expected<HttpResponse, TransportError> HttpConnection::exchange(const HttpRequest& request, Deadline deadline) {
  if (auto opened = open(deadline); !opened) return std::unexpected(std::move(opened.error()));
  const auto outgoing = to_beast(request, impl_->endpoint);
  impl_->stream.expires_at(deadline);
  const auto written = impl_->finish([&](auto done) { http::async_write(impl_->stream, outgoing, std::move(done)); });
  // A broker that refuses early (too large) answers and closes while the body is still on its way: its answer counts.
  if (written == beast::error::timeout) {
    impl_->close();
    return std::unexpected(TransportError{Handover::no, impl_->endpoint.text() + ": " + written.message()});
  }
  http::response_parser<http::string_body> parser;
  parser.body_limit(kAnswerBytesMax);
  const auto read =
      impl_->finish([&](auto done) { http::async_read(impl_->stream, impl_->buffer, parser, std::move(done)); });
  if (read) {
    impl_->close();
    const auto& error = written ? written : read;
    return std::unexpected(
        TransportError{written ? Handover::no : Handover::maybe, impl_->endpoint.text() + ": " + error.message()});
  }
  if (written || !parser.get().keep_alive()) impl_->close();
  return from_beast(parser.release());
}

namespace {

/// Of one read: a backup goes from here to a disk.
constexpr std::size_t kDownloadBytes = std::size_t{256} << 10U;

}  // namespace

std::expected<HttpResponse, TransportError> HttpConnection::download(const HttpRequest& request,
                                                                     std::chrono::milliseconds silence_max,
                                                                     const BodySink& sink) {
  const auto failed = [this](const error_code& error) {
    impl_->close();
    return std::unexpected(TransportError{Handover::maybe, impl_->endpoint.text() + ": " + error.message()});
  };
  if (auto opened = open(Clock::now() + silence_max); !opened) return std::unexpected(std::move(opened.error()));
  const auto outgoing = to_beast(request, impl_->endpoint);
  impl_->stream.expires_after(silence_max);
  if (const auto error = impl_->finish([&](auto done) { http::async_write(impl_->stream, outgoing, std::move(done)); }))
    return failed(error);
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  impl_->stream.expires_after(silence_max);
  if (const auto error = impl_->finish(
          [&](auto done) { http::async_read_header(impl_->stream, impl_->buffer, parser, std::move(done)); }))
    return failed(error);
  HttpResponse answer{.status = parser.get().result_int(), .headers = {}, .body = {}};
  for (const auto& field : parser.get())
    answer.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  std::string buffer(kDownloadBytes, '\0');
  while (!parser.is_done()) {
    parser.get().body() = {.data = buffer.data(), .size = buffer.size(), .more = true};
    impl_->stream.expires_after(silence_max);
    const auto error =
        impl_->finish([&](auto done) { http::async_read_some(impl_->stream, impl_->buffer, parser, std::move(done)); });
    if (error && error != http::error::need_buffer) return failed(error);
    const std::string_view bytes(buffer.data(), buffer.size() - parser.get().body().size);
    if (answer.status != 200 && answer.body.size() + bytes.size() <= kAnswerBytesMax) answer.body += bytes;
    if (answer.status == 200 && !bytes.empty() && !sink(bytes)) break;
  }
  impl_->close();
  return answer;
}

}  // namespace weir::client
