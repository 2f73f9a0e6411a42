#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/error.hpp"

namespace weir::client {

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;

  /// "host:port", an IPv6 address in brackets.
  [[nodiscard]] std::string text() const;
  auto operator<=>(const Endpoint&) const = default;
};

/// "host:port" or "[v6]:port"; an "http://" before it and a "/" after it are forgiven, because people paste addresses.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

/// "host:port,host:port…".
[[nodiscard]] Result<std::vector<Endpoint>> parse_endpoints(std::string_view text);

}  // namespace weir::client
