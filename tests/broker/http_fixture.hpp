// A broker of one node behind its HTTP port, in this process, and clients that speak to it in raw bytes.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "broker/core/node.hpp"
#include "broker/gateway.hpp"
#include "broker/http/server.hpp"

namespace weir::broker::http {

/// Nothing in these tests takes longer unless it is broken.
inline constexpr std::chrono::seconds kPatience{20};

/// Remembers everything, in memory. Used on the core thread.
class MemoryDisk final : public Disk {
 public:
  explicit MemoryDisk(boost::asio::io_context& core) : core_(core) {}
  void write(DiskWrite write, WriteDone done) override;
  void read(raft::Index first, raft::Index last, std::size_t bytes_max, ReadDone done) override;
  void found(raft::Entry config, WriteDone done);
  /// Nothing here is large enough for a checkpoint, and there is nobody who would send a snapshot.
  void save(storage::Checkpoint checkpoint, WriteDone done) override;
  [[nodiscard]] std::vector<raft::Index> checkpoints() const override { return {}; }
  void checkpoint(raft::Index index, CheckpointDone done) override;
  void read_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max, SnapshotDone done) override;
  void receive(raft::SnapshotPiece piece, PieceDone done) override;
  void drop_before(raft::Index index, WriteDone done) override;
  [[nodiscard]] storage::IdRuns id_runs() const override { return {}; }
  void move_ids(raft::Index up_to, storage::IdsOf ids_of, IdRunsDone done) override;
  void find_ids(storage::IdRuns runs, std::vector<storage::IdKey> keys, PlacesDone done) override;
  [[nodiscard]] raft::Index snapshot_index() const override { return {}; }
  [[nodiscard]] raft::Index first_index() const override { return raft::Index{1}; }
  /// Writes are held back until release().
  void hold() { held_.emplace(); }
  void release();

 private:
  template <class Value>
  void refuse(Done<Value> done);

  boost::asio::io_context& core_;
  std::vector<raft::Entry> entries_;
  std::optional<std::vector<WriteDone>> held_;
};

class NoNetwork final : public PeerNetwork {
 public:
  Sent send(raft::NodeId /*to*/, wire::PeerMessage /*message*/) override { return Sent::dropped; }
};

class RealClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t wall_ms() const override;
  [[nodiscard]] std::uint64_t steady_us() const override;
};

/// A thread that runs an io_context until it is destroyed.
class Runner {
 public:
  Runner() : work_(context.get_executor()), thread_([this] { context.run(); }) {}
  ~Runner() { join(); }
  void join();
  boost::asio::io_context context{1};

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

enum class Start : std::uint8_t { leading = 1, forming = 2 };

class TestBroker {
 public:
  explicit TestBroker(HttpLimits limits = {}, Start start = Start::leading);
  ~TestBroker();
  TestBroker(const TestBroker&) = delete;
  TestBroker& operator=(const TestBroker&) = delete;

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  /// Returns when every session has ended.
  void stop(std::string to = {}, std::uint32_t timeout_ms = 5000);
  /// Until this many connections are open, by the broker's own count.
  void wait_for_connections(std::uint64_t count);
  /// Runs `task` on the core thread and waits for it.
  void on_core(std::function<void()> task);
  MemoryDisk& disk() { return *disk_; }
  Node& node() { return *node_; }

 private:
  void tick();

  std::unique_ptr<Runner> net_;
  std::unique_ptr<Runner> core_;
  std::unique_ptr<MemoryDisk> disk_;
  NoNetwork network_;
  RealClock clock_;
  std::unique_ptr<boost::asio::steady_timer> ticker_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpServer> server_;
};

struct Reply {
  unsigned status = 0;  ///< 0: the connection ended without an answer
  std::string head;
  std::string body;
  /// The value of a header; empty: there is none.
  [[nodiscard]] std::string header(std::string_view name) const;
};

inline constexpr std::string_view kJson = "Content-Type: application/json\r\n";

/// The value of a member that stands once in `json`, without quotes; empty: there is none.
[[nodiscard]] std::string member(const std::string& json, const std::string& name);

/// A blocking connection that gives up after kPatience.
class TestClient {
 public:
  explicit TestClient(std::uint16_t port);
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  /// False: the broker has closed.
  bool send(std::string_view bytes);
  /// No more will be sent.
  void finish_sending();
  /// The next answer with a Content-Length, or without a body.
  Reply reply(bool has_body = true);
  /// Everything up to and including `mark`; what has come when the connection ended instead.
  std::string read_until(std::string_view mark);
  std::string read(std::size_t size);
  /// Reads and drops everything; true: the broker closed within kPatience.
  bool closes();
  /// Something can be read, or the broker has closed.
  [[nodiscard]] bool has_input() const;

  /// One request with Host and, if there is a body, its length.
  Reply request(std::string_view line, std::string_view headers = {}, std::string_view body = {});

 private:
  bool receive();

  int socket_ = -1;
  std::string input_;
};

/// One request on a connection of its own.
Reply ask(const TestBroker& broker, std::string_view line, std::string_view headers = {}, std::string_view body = {});

struct WsFrame {
  int opcode = -1;  ///< -1: the connection ended
  std::string payload;
  [[nodiscard]] int close_code() const;
};

/// A WebSocket client that can also misbehave.
class TestWebSocket {
 public:
  explicit TestWebSocket(std::uint16_t port, std::string_view path = "/v1/ws", std::string_view headers = {});
  [[nodiscard]] unsigned status() const { return status_; }
  [[nodiscard]] const std::string& head() const { return head_; }
  bool send_text(std::string_view text) { return send_frame(0x81, text); }
  bool send_frame(int first_byte, std::string_view payload);
  bool send_bytes(std::string_view bytes) { return client_.send(bytes); }
  WsFrame next();
  /// The next text frame; pings and pongs are passed over.
  std::string next_text();
  TestClient& client() { return client_; }

 private:
  TestClient client_;
  unsigned status_ = 0;
  std::string head_;
};

}  // namespace weir::broker::http
