// Errors as clients read them: RFC 9457 problem+json (API §7). Values only: no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/http/response.hpp"

namespace weir::broker::http {

/// May the very same request be sent again without harm?
enum class Retry : std::uint8_t { unsafe = 1, safe = 2 };

struct Problem {
  unsigned status = 500;
  std::string_view type = "internal";  ///< behind urn:weir:problem:
  std::string_view title = "Internal error";
  std::string detail = {};
  Retry retry = Retry::unsafe;
  std::optional<std::uint32_t> retry_after_ms = std::nullopt;
  /// Further members, name and finished JSON value: {"offset", "42"}.
  std::vector<std::pair<std::string_view, std::string>> members = {};
  /// Further response headers: {"Allow", "GET"}.
  std::vector<std::pair<std::string_view, std::string>> headers = {};

  [[nodiscard]] Problem&& with(std::string_view name, std::string json) && {
    members.emplace_back(name, std::move(json));
    return std::move(*this);
  }
};

[[nodiscard]] Problem bad_request(std::string detail);
[[nodiscard]] Problem not_found(std::string detail);
[[nodiscard]] Problem method_not_allowed(std::string_view method, std::string allow);
[[nodiscard]] Problem not_acceptable(std::string detail);
[[nodiscard]] Problem unsupported_type(std::string detail);
[[nodiscard]] Problem too_large(std::string detail);
[[nodiscard]] Problem forbidden(std::string detail);
[[nodiscard]] Problem no_leader(std::string detail);
[[nodiscard]] Problem overloaded(std::string detail);
[[nodiscard]] Problem draining(std::string detail);
/// This node has not applied what was asked for yet; another, or this one a little later, may have.
[[nodiscard]] Problem behind(std::string detail);
/// The node is unfit or stopping: ReadError.
[[nodiscard]] Problem unfit(std::string detail);
/// What a request that was not understood as HTTP gets; the connection is closed after it.
[[nodiscard]] Problem protocol_error(unsigned status, std::string detail);

[[nodiscard]] std::string to_json(const Problem& problem);
[[nodiscard]] Response to_response(const Problem& problem);

}  // namespace weir::broker::http
