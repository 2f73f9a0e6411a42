// Who may ask at all: the Host and Origin rules (API §10; FAULTS 115). Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/request.hpp"

namespace weir::broker::http {

/// A loopback name with an optional port: localhost, *.localhost, 127.x.x.x, [::1].
[[nodiscard]] bool is_loopback_host(std::string_view host);

struct AccessRules {
  std::vector<std::string> origins;  ///< allowed besides the address the request was sent to
  bool loopback_only = true;
};

/// The error is for 403. A browser sends Origin wherever a page of another site is behind the request; other clients
/// send none and pass.
[[nodiscard]] std::expected<void, std::string> check_access(const Request& request, const AccessRules& rules);

}  // namespace weir::broker::http
