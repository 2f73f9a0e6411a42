// Reads the head of a request, strictly. The checks below need the raw bytes (a parser that is kind to folded headers,
// doubled lengths or bare line ends has thrown the evidence away), and the walk that makes them is already a parse; a
// second parser over the same bytes would be a second opinion about where a request ends, which is what smuggling
// lives on (FAULTS 90). Pure: no thread rule.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "broker/http/request.hpp"

namespace weir::broker::http {

struct HeadLimits {
  std::size_t header_bytes_max = std::size_t{16} << 10U;
  std::size_t headers_max = 64;
  std::size_t request_line_bytes_max = std::size_t{4} << 10U;
};

struct HeadError {
  unsigned status = 400;
  std::string text;
};

/// Where the head (with its empty line) ends in `bytes`: nullopt if it has not arrived yet. The error is what the
/// connection can be refused for before that: too long, or not HTTP at all.
[[nodiscard]] std::expected<std::optional<std::size_t>, HeadError> find_head_end(std::string_view bytes,
                                                                                 const HeadLimits& limits);

/// `head`: exactly what find_head_end found. The request has no body yet.
[[nodiscard]] std::expected<Request, HeadError> parse_head(std::string_view head, const HeadLimits& limits);

}  // namespace weir::broker::http
