#include "tests/broker/http_fixture.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <charconv>
#include <future>
#include <regex>
#include <utility>

#include "broker/http/request.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;

void MemoryDisk::write(DiskWrite write, WriteDone done) {
  if (write.truncate_from) entries_.resize(write.truncate_from->value - 1);
  for (raft::Entry& entry : write.entries) entries_.push_back(std::move(entry));
  if (held_) {
    held_->push_back(std::move(done));
    return;
  }
  asio::post(core_, [done = std::move(done)]() mutable { done({}); });
}

void MemoryDisk::release() {
  auto held = std::exchange(held_, std::nullopt);
  for (WriteDone& done : *held) {
    asio::post(core_, [done = std::move(done)]() mutable { done({}); });
  }
}

void MemoryDisk::read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) {
  std::vector<raft::Entry> found;
  std::size_t bytes = 0;
  for (std::uint64_t index = first.value; index <= last.value && index <= entries_.size(); ++index) {
    found.push_back(entries_[index - 1]);
    bytes += found.back().data.size();
    if (bytes >= bytes_max) break;
  }
  asio::post(core_, [done = std::move(done), found = std::move(found)]() mutable { done(std::move(found)); });
}

void MemoryDisk::found(raft::Entry config, WriteDone done) {
  entries_.push_back(std::move(config));
  asio::post(core_, [done = std::move(done)]() mutable { done({}); });
}

template <class Value>
void MemoryDisk::refuse(Done<Value> done) {
  asio::post(core_, [done = std::move(done)]() mutable {
    done(std::unexpected(storage::Error{storage::Errc::gone, "a disk in memory keeps no checkpoints"}));
  });
}
void MemoryDisk::save(storage::Checkpoint /*checkpoint*/, WriteDone done) {
  refuse<void>(std::move(done));
}
void MemoryDisk::checkpoint(raft::Index /*index*/, CheckpointDone done) {
  refuse<storage::Checkpoint>(std::move(done));
}
void MemoryDisk::read_snapshot(std::uint64_t /*number*/, std::uint64_t /*offset*/, std::size_t /*bytes_max*/,
                               SnapshotDone done) {
  boost::asio::post(core_, [done = std::move(done)]() mutable { done(storage::SnapshotData{}); });  // there is none
}
void MemoryDisk::receive(raft::SnapshotPiece /*piece*/, PieceDone done) {
  refuse<storage::PieceAnswer>(std::move(done));
}
void MemoryDisk::move_ids(raft::Index /*up_to*/, storage::IdsOf /*ids_of*/, IdRunsDone done) {
  refuse(std::move(done));
}

void MemoryDisk::find_ids(storage::IdRuns /*runs*/, std::vector<storage::IdKey> /*keys*/, PlacesDone done) {
  refuse(std::move(done));
}

void MemoryDisk::drop_before(raft::Index /*index*/, WriteDone done) {
  refuse<void>(std::move(done));
}

std::uint64_t RealClock::wall_ms() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

std::uint64_t RealClock::steady_us() const {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

void Runner::join() {
  if (!thread_.joinable()) return;
  work_.reset();
  context.stop();
  thread_.join();
}

TestBroker::TestBroker(HttpLimits limits, Start start)
    : net_(std::make_unique<Runner>()),
      core_(std::make_unique<Runner>()),
      disk_(std::make_unique<MemoryDisk>(core_->context)),
      ticker_(std::make_unique<asio::steady_timer>(core_->context)) {
  NodeConfig config;
  config.name = "n1";
  config.members = {"n1"};
  if (start == Start::forming) config.members.emplace_back("n2");
  config.raft_address = "127.0.0.1:7401";
  config.http_address = "127.0.0.1:7400";
  config.boot_nonce = 1;
  config.seed = 1;
  config.tick_ms = 2;
  config.heartbeat_ms = 4;
  config.election_timeout_min_ms = 12;
  config.election_timeout_max_ms = 24;
  config.disk_stall_timeout_ms = 60'000;
  NodeEvents events;
  events.unsettled = [this] { asio::post(core_->context, [this] { node_->settle(); }); };
  std::promise<bool> ready;
  on_core([&] {
    node_ = std::make_unique<Node>(
        std::move(config), storage::Identity{.node = "n1", .incarnation = 1, .cluster_id = {}}, raft::Recovered{},
        *disk_, network_, clock_,
        [this](const std::string& /*cluster_id*/, raft::Entry entry, Disk::WriteDone done) {
          disk_->found(std::move(entry), std::move(done));
        },
        std::move(events));
    node_->start();
    tick();
    if (start == Start::forming) {
      ready.set_value(true);
    } else {
      node_->barrier(20'000, [&](bool leads) { ready.set_value(leads); });
    }
  });
  if (!ready.get_future().get()) throw std::runtime_error("the node did not become leader");
  gateway_ = std::make_unique<Gateway>(core_->context.get_executor(), *node_);
  server_ = std::make_unique<HttpServer>(
      HttpConfig{.address = "127.0.0.1", .port = 0, .limits = limits, .origins = {"http://console.example"}}, *gateway_,
      std::vector<asio::io_context*>{&net_->context});
  if (auto started = server_->start(); !started) throw std::runtime_error(started.error());
}

TestBroker::~TestBroker() {
  net_->join();
  core_->join();
  server_.reset();
  gateway_.reset();
  node_.reset();
  ticker_.reset();
  core_.reset();  // what stands in its queue holds timers and frames of the other
  net_.reset();
}

void TestBroker::tick() {
  node_->tick();
  ticker_->expires_after(std::chrono::milliseconds(2));
  ticker_->async_wait([this](boost::system::error_code ec) {
    if (!ec) tick();
  });
}

void TestBroker::on_core(std::function<void()> task) {
  std::promise<void> done;
  asio::post(core_->context, [&] {
    task();
    done.set_value();
  });
  done.get_future().get();
}

void TestBroker::stop(std::string to, std::uint32_t timeout_ms) {
  std::promise<void> done;
  server_->stop(std::move(to), timeout_ms, [&] { done.set_value(); });
  done.get_future().get();
}

void TestBroker::wait_for_connections(std::uint64_t count) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  // The connection that asks counts itself.
  const std::string wanted = "\nweir_http_connections " + std::to_string(count + 1) + "\n";
  std::string seen;
  while (std::chrono::steady_clock::now() < deadline) {
    seen = ask(*this, "GET /metrics", "Connection: close\r\n").body;
    if (seen.contains(wanted)) return;
  }
  throw std::runtime_error("still not " + std::to_string(count) + " connections: " + seen);
}

std::string member(const std::string& json, const std::string& name) {
  std::smatch found;
  return std::regex_search(json, found, std::regex('"' + name + R"re(":"?([^",}\]]*))re")) ? found[1].str() : "";
}

std::string Reply::header(std::string_view name) const {
  std::string_view rest = head;
  while (!rest.empty()) {
    const auto end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
    const auto colon = line.find(':');
    if (colon != std::string_view::npos && equal_ignoring_case(line.substr(0, colon), name)) {
      return std::string(trim(line.substr(colon + 1)));
    }
  }
  return {};
}

TestClient::TestClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("cannot connect");
  }
}

TestClient::~TestClient() {
  ::close(socket_);
}

bool TestClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

void TestClient::finish_sending() {
  ::shutdown(socket_, SHUT_WR);
}

bool TestClient::receive() {
  std::string piece(65'536, '\0');
  const auto count = ::recv(socket_, piece.data(), piece.size(), 0);
  if (count <= 0) return false;
  input_.append(piece, 0, static_cast<std::size_t>(count));
  return true;
}

std::string TestClient::read_until(std::string_view mark) {
  std::size_t searched = 0;
  while (true) {
    const auto found = input_.find(mark, searched);
    if (found != std::string::npos) {
      std::string text = input_.substr(0, found + mark.size());
      input_.erase(0, found + mark.size());
      return text;
    }
    searched = input_.size() < mark.size() ? 0 : input_.size() - mark.size() + 1;
    if (!receive()) return std::exchange(input_, {});
  }
}

std::string TestClient::read(std::size_t size) {
  while (input_.size() < size && receive()) {
  }
  std::string text = input_.substr(0, size);
  input_.erase(0, size);
  return text;
}

bool TestClient::closes() {
  while (true) {
    char piece[4096];
    const auto count = ::recv(socket_, piece, sizeof piece, 0);
    if (count == 0 || (count < 0 && errno == ECONNRESET)) return true;
    if (count < 0) return false;
  }
}

bool TestClient::has_input() const {
  char byte = 0;
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

Reply TestClient::reply(bool has_body) {
  Reply reply;
  reply.head = read_until("\r\n\r\n");
  if (!reply.head.starts_with("HTTP/1.1 ")) return reply;
  std::from_chars(reply.head.data() + 9, reply.head.data() + 12, reply.status);
  const std::string length = reply.header("content-length");
  std::size_t size = 0;
  std::from_chars(length.data(), length.data() + length.size(), size);
  if (has_body) reply.body = read(size);
  return reply;
}

Reply TestClient::request(std::string_view line, std::string_view headers, std::string_view body) {
  std::string text = std::string(line) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(headers);
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  text += "\r\n";
  text += body;
  send(text);
  return reply(!line.starts_with("HEAD"));
}

Reply ask(const TestBroker& broker, std::string_view line, std::string_view headers, std::string_view body) {
  return TestClient(broker.port()).request(line, headers, body);
}

int WsFrame::close_code() const {
  if (opcode != 8 || payload.size() < 2) return 0;
  return static_cast<unsigned char>(payload[0]) * 256 + static_cast<unsigned char>(payload[1]);
}

TestWebSocket::TestWebSocket(std::uint16_t port, std::string_view path, std::string_view headers) : client_(port) {
  client_.send("GET " + std::string(path) +
               " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
               std::string(headers) + "\r\n");
  const Reply reply = client_.reply();
  status_ = reply.status;
  head_ = reply.head;
}

bool TestWebSocket::send_frame(int first_byte, std::string_view payload) {
  std::string frame(1, static_cast<char>(first_byte));
  const auto put = [&](std::uint64_t value, int bytes) {
    while (bytes-- > 0) frame += static_cast<char>(value >> (8 * bytes));
  };
  if (payload.size() < 126) {
    put(0x80U | payload.size(), 1);
  } else if (payload.size() < 65'536) {
    put(0x80U | 126U, 1);
    put(payload.size(), 2);
  } else {
    put(0x80U | 127U, 1);
    put(payload.size(), 8);
  }
  frame += std::string(4, '\0');  // a mask that changes nothing
  frame += payload;
  return client_.send(frame);
}

WsFrame TestWebSocket::next() {
  const std::string head = client_.read(2);
  if (head.size() < 2) return {};
  std::size_t size = static_cast<unsigned char>(head[1]);
  const std::size_t extra = size == 126 ? 2 : size == 127 ? 8 : 0;
  if (extra > 0) {
    size = 0;
    for (const char c : client_.read(extra)) size = size * 256 + static_cast<unsigned char>(c);
  }
  return {static_cast<unsigned char>(head[0]) & 0x0f, client_.read(size)};
}

std::string TestWebSocket::next_text() {
  while (true) {
    WsFrame frame = next();
    if (frame.opcode == 1) return frame.payload;
    if (frame.opcode == -1 || frame.opcode == 8) return "closed " + std::to_string(frame.close_code());
  }
}

}  // namespace weir::broker::http
