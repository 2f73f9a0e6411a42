#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "clients/cpp/http.hpp"

namespace weir::client {

enum class MessageKind : std::uint8_t { text = 1, binary = 2 };

/// One WebSocket. Blocks, up to the deadline of each call. One thread at a time; pings are answered
/// while a call runs. Starts no thread.
class WebSocket {
 public:
  /// An event of 1 MiB is at most 6 MiB once every byte is escaped.
  static constexpr std::size_t kMessageBytesMax = 16U << 20U;

  struct ConnectError {
    std::string text;
    std::optional<HttpResponse> answer;  ///< when the server answered without switching protocols
  };

  [[nodiscard]] static std::expected<WebSocket, ConnectError> connect(const Endpoint& endpoint, std::string_view target,
                                                                      std::string_view subprotocol, Deadline deadline);
  ~WebSocket();
  WebSocket(WebSocket&&) noexcept;
  WebSocket& operator=(WebSocket&&) noexcept;

  /// An error ends the connection.
  [[nodiscard]] std::expected<void, std::string> send(std::string_view message, Deadline deadline,
                                                      MessageKind kind = MessageKind::text);

  /// The next message, or nothing by the deadline (a message on its way is not lost by that). An error ends the
  /// connection.
  [[nodiscard]] std::expected<std::optional<std::string>, std::string> receive(Deadline deadline);
  /// Of the message that `receive` gave last.
  [[nodiscard]] MessageKind last_kind() const;

 private:
  struct Impl;
  explicit WebSocket(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::client
