#include "broker/endpoint.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <optional>

namespace weir::broker {
namespace {

[[nodiscard]] std::optional<boost::asio::ip::address> address_of(const Endpoint& endpoint) {
  boost::system::error_code code;
  auto address = boost::asio::ip::make_address(endpoint.host, code);
  if (code) return std::nullopt;
  return address;
}

}  // namespace

std::string Endpoint::text() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::expected<Endpoint, std::string> parse_endpoint(std::string_view text) {
  const auto wrong = [text] {
    return std::unexpected("'" + std::string(text) + "' is not HOST:PORT, such as 127.0.0.1:7400 or [::1]:7400");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong();
  }
  const bool printable = std::ranges::all_of(host, [](char c) { return c > ' ' && c < 0x7F; });
  // A DNS name has at most 253 bytes.
  constexpr std::size_t kHostBytesMax = 253;
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || host.size() > kHostBytesMax || !printable || code != std::errc{} ||
      end != digits.data() + digits.size()) {
    return wrong();
  }
  return Endpoint{std::string(host), port};
}

bool is_address(const Endpoint& endpoint) {
  return address_of(endpoint).has_value();
}

bool is_loopback(const Endpoint& endpoint) {
  const auto address = address_of(endpoint);
  return address && address->is_loopback();
}

bool is_wildcard(const Endpoint& endpoint) {
  const auto address = address_of(endpoint);
  return address && address->is_unspecified();
}

}  // namespace weir::broker
