#include "broker/http/access.hpp"

#include <algorithm>

namespace weir::broker::http {

namespace {

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_loopback_ipv4(std::string_view host) {
  return host.starts_with("127.") && std::ranges::count(host, '.') == 3 &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

bool is_loopback_host(std::string_view host) {
  const std::string name = to_lower(without_port(host));
  return name == "localhost" || name.ends_with(".localhost") || name == "[::1]" || is_loopback_ipv4(name);
}

std::expected<void, std::string> check_access(const Request& request, const AccessRules& rules) {
  const std::string_view host = request.field("host").value_or("");
  if (rules.loopback_only && !host.empty() && !is_loopback_host(host)) {
    return std::unexpected(
        "this broker listens on loopback only and answers for loopback names only; ask for localhost or 127.0.0.1");
  }
  const auto origin = request.field("origin");
  if (!origin) return {};
  const std::string own = to_lower(*origin);
  const std::string host_lower = to_lower(host);
  if (!host.empty() && (own == "http://" + host_lower || own == "https://" + host_lower)) return {};
  if (std::ranges::find(rules.origins, *origin) != rules.origins.end()) return {};
  return std::unexpected("pages of this origin may not use this broker; http.origins lists those that may");
}

}  // namespace weir::broker::http
