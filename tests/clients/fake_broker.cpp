#include "tests/clients/fake_broker.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <optional>
#include <stdexcept>

namespace weir::test {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ws = beast::websocket;

namespace {

std::pair<int, std::uint16_t> listen_somewhere() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(descriptor, generic, size) != 0 || ::listen(descriptor, 16) != 0 ||
      ::getsockname(descriptor, generic, &size) != 0) {
    throw std::runtime_error("no port");
  }
  return {descriptor, ntohs(address.sin_port)};
}

class BeastSocket : public FakeSocket {
 public:
  explicit BeastSocket(ws::stream<asio::ip::tcp::socket>& stream) : stream_(stream) {}

  std::string read() override {
    beast::flat_buffer buffer;
    beast::error_code error;
    stream_.read(buffer, error);
    return error ? std::string{} : beast::buffers_to_string(buffer.data());
  }
  void send(const std::string& text) override {
    beast::error_code error;
    stream_.text(true);
    stream_.write(asio::buffer(text), error);
  }

 private:
  ws::stream<asio::ip::tcp::socket>& stream_;
};

FakeRequest from_beast(const http::request<http::string_body>& request) {
  const auto text = [](beast::string_view view) { return std::string(view.data(), view.size()); };
  return {.method = text(request.method_string()),
          .target = text(request.target()),
          .content_type = text(request[http::field::content_type]),
          .accept = text(request[http::field::accept]),
          .body = request.body()};
}

}  // namespace

FakeBroker::FakeBroker(OnRequest on_request, OnSocket on_socket)
    : on_request_(std::move(on_request)), on_socket_(std::move(on_socket)) {
  std::tie(listener_, port_) = listen_somewhere();
  set_members({endpoint()});
  acceptor_ = std::thread([this] { accept(); });
}

FakeBroker::~FakeBroker() {
  stop();
}

void FakeBroker::set_members(const std::vector<client::Endpoint>& members) {
  std::string list;
  for (const auto& member : members) {
    list +=
        (list.empty() ? "" : ",") + std::string(R"({"node":"n","role":"follower","http":")") + member.text() + "\"}";
  }
  const std::lock_guard lock(mutex_);
  cluster_ = R"({"node":"n1","role":"leader","term":1,"leader":"n1","members":[)" + list + "]}";
}

void FakeBroker::set_cluster(std::string json) {
  const std::lock_guard lock(mutex_);
  cluster_ = std::move(json);
}

void FakeBroker::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    for (const int descriptor : open_) ::shutdown(descriptor, SHUT_RDWR);
  }
  acceptor_.join();
  for (auto& session : sessions_) session.join();
  ::close(listener_);
}

std::vector<FakeRequest> FakeBroker::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void FakeBroker::accept() {
  while (true) {
    const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (descriptor < 0 || stopped_) {
      if (descriptor >= 0) ::close(descriptor);
      return;
    }
    open_.push_back(descriptor);
    sessions_.emplace_back([this, descriptor] { serve(descriptor); });
  }
}

FakeAnswer FakeBroker::answer(const FakeRequest& request) {
  {
    const std::lock_guard lock(mutex_);
    if (request.target == "/v1/cluster") return {.status = 200, .body = cluster_};
    requests_.push_back(request);
  }
  return on_request_(request);
}

void FakeBroker::serve(int descriptor) {
  asio::io_context io;
  asio::ip::tcp::socket socket(io, asio::ip::tcp::v4(), descriptor);
  beast::flat_buffer buffer;
  beast::error_code error;
  while (!error) {
    http::request<http::string_body> request;
    http::read(socket, buffer, request, error);
    if (error) break;
    if (ws::is_upgrade(request) && on_socket_) {
      ws::stream<asio::ip::tcp::socket> stream(std::move(socket));
      stream.accept(request, error);
      BeastSocket fake(stream);
      if (!error) on_socket_(fake);
      socket = std::move(stream.next_layer());
      break;
    }
    const auto answered = answer(from_beast(request));
    if (answered.then == FakeAnswer::Then::say_nothing_and_close) break;
    http::response<http::string_body> response;
    response.result(answered.status);
    response.keep_alive(answered.then == FakeAnswer::Then::keep_open);
    for (const auto& [name, value] : answered.headers) response.set(name, value);
    response.body() = answered.body;
    response.prepare_payload();
    http::write(socket, response, error);
    if (answered.then == FakeAnswer::Then::close) break;
  }
  // The number may be given to another connection once it is closed: first it leaves the list.
  const std::lock_guard lock(mutex_);
  std::erase(open_, descriptor);
  socket.close(error);
}

client::Endpoint nobody() {
  const auto [descriptor, port] = listen_somewhere();
  ::close(descriptor);
  return {.host = "127.0.0.1", .port = port};
}

}  // namespace weir::test
