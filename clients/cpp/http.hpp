#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/cpp/endpoint.hpp"

namespace weir::client {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

// NOLINTBEGIN(readability-redundant-member-init): without them g++ warns of every field a caller leaves out.
struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< no CR or LF in any of them
  std::string body = {};
};
// NOLINTEND(readability-redundant-member-init)

struct HttpResponse {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// The first header of that name, whatever its case; empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

/// Whether a broker may have acted on a request that got no answer. A request that was cut before its last byte is
/// never acted on, because its length was announced.
enum class Handover { no, maybe };

struct TransportError {
  Handover handover = Handover::no;
  std::string text;
};

/// One kept-alive HTTP/1.1 connection. Blocks, up to the deadline of each call; a host name is resolved by the system
/// with the system's own time limit. One thread at a time. Starts no thread.
class HttpConnection {
 public:
  /// Larger than any answer the client asks for.
  static constexpr std::size_t kAnswerBytesMax = 64U << 20U;

  explicit HttpConnection(Endpoint endpoint);
  ~HttpConnection();
  HttpConnection(HttpConnection&&) noexcept;
  HttpConnection& operator=(HttpConnection&&) noexcept;

  [[nodiscard]] const Endpoint& endpoint() const;

  /// Connects unless a live connection is there. A kept one that the server has closed meanwhile is replaced.
  [[nodiscard]] std::expected<void, TransportError> open(Deadline deadline);

  /// `open` first. After an error the connection is closed.
  [[nodiscard]] std::expected<HttpResponse, TransportError> exchange(const HttpRequest& request, Deadline deadline);

  /// Given the next bytes of a body; false ends it.
  using BodySink = std::function<bool(std::string_view bytes)>;
  /// The same for an answer of any length: the body of a 200 goes to `sink`, that of any other is in the answer. Each
  /// read must bring something within `silence_max`. The connection is closed afterwards.
  [[nodiscard]] std::expected<HttpResponse, TransportError> download(const HttpRequest& request,
                                                                     std::chrono::milliseconds silence_max,
                                                                     const BodySink& sink);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::client
