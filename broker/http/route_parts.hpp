// What routes share that neither read nor publish events. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "broker/http/problem.hpp"
#include "broker/http/request.hpp"
#include "broker/http/response.hpp"
#include "broker/http/shard.hpp"

namespace weir::broker::http {

/// 200, and nothing between broker and client may keep it.
[[nodiscard]] Response json_response(std::string body);
/// The only parameter: how long the client waits; else as configured.
[[nodiscard]] std::expected<std::uint32_t, Problem> timeout_of(const Request& request, const Shard& shard);
/// Of a route that takes none.
[[nodiscard]] std::optional<Problem> refuse_parameters(const Request& request);

}  // namespace weir::broker::http
