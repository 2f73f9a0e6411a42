// Where something listens. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace weir::broker {

/// `host:port`, `[::1]:port`. Port 0, where something listens: the system chooses.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  [[nodiscard]] std::string text() const;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
[[nodiscard]] std::expected<Endpoint, std::string> parse_endpoint(std::string_view text);

/// The host is an address, not a name.
[[nodiscard]] bool is_address(const Endpoint& endpoint);
[[nodiscard]] bool is_loopback(const Endpoint& endpoint);
/// 0.0.0.0 or [::].
[[nodiscard]] bool is_wildcard(const Endpoint& endpoint);

/// A member and where its peer port is reached.
struct Peer {
  std::string name;
  Endpoint raft;
  friend bool operator==(const Peer&, const Peer&) = default;
};

}  // namespace weir::broker
