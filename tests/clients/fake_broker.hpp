#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "clients/cpp/endpoint.hpp"

namespace weir::test {

struct FakeRequest {
  std::string method;
  std::string target;
  std::string content_type;
  std::string accept;
  std::string body;
};

// NOLINTBEGIN(readability-redundant-member-init): without them g++ warns of every field a test leaves out.
struct FakeAnswer {
  unsigned status = 200;
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  enum class Then { keep_open, close, say_nothing_and_close } then = Then::keep_open;
};
// NOLINTEND(readability-redundant-member-init)

/// The server's side of one WebSocket, blocking.
class FakeSocket {
 public:
  virtual ~FakeSocket() = default;
  /// The next message; empty once the client is gone.
  virtual std::string read() = 0;
  virtual void send(const std::string& text) = 0;
};

/// A broker of a few lines on a free port of 127.0.0.1: every request is answered by `on_request` (GET /v1/cluster by
/// `cluster`), every WebSocket is handed to `on_socket` and cut without a close frame when that returns. Each
/// connection has a thread; all are joined by `stop` and by the destructor.
class FakeBroker {
 public:
  using OnRequest = std::function<FakeAnswer(const FakeRequest&)>;
  using OnSocket = std::function<void(FakeSocket&)>;

  explicit FakeBroker(OnRequest on_request, OnSocket on_socket = {});
  ~FakeBroker();
  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;

  [[nodiscard]] client::Endpoint endpoint() const { return {.host = "127.0.0.1", .port = port_}; }
  void set_members(const std::vector<client::Endpoint>& members);
  /// What GET /v1/cluster answers from now on.
  void set_cluster(std::string json);
  void stop();

  /// Those that reached `on_request`.
  [[nodiscard]] std::vector<FakeRequest> requests() const;

 private:
  void accept();
  void serve(int descriptor);
  FakeAnswer answer(const FakeRequest& request);

  OnRequest on_request_;
  OnSocket on_socket_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  std::string cluster_;
  std::vector<FakeRequest> requests_;
  std::vector<int> open_;
  std::list<std::thread> sessions_;
  std::thread acceptor_;
};

/// A port of 127.0.0.1 on which nobody listens.
[[nodiscard]] client::Endpoint nobody();

}  // namespace weir::test
