#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace weir::client {

/// What a caller can do about a failure; the exit codes of the command line follow it.
enum class errc {
  refused,          ///< A broker said no: the same request will be refused again.
  unreachable,      ///< Nobody served it before the deadline. Nothing was stored; try later.
  outcome_unknown,  ///< It was handed over and the answer is missing. With an id: publish the same again.
  bad_argument,     ///< It was never sent.
  bad_answer,       ///< The broker's answer is not what API.md promises.
};

/// An RFC 9457 answer of a broker (API.md §7).
struct Problem {
  std::string type;  ///< "urn:weir:problem:no-leader"
  std::string title;
  unsigned status = 0;
  std::string detail;
  std::optional<std::chrono::milliseconds> retry_after;
  std::optional<std::uint64_t> offset;  ///< of the original event, for `id-reuse`
  std::optional<std::uint64_t> line;    ///< of a batch, for `bad-request`

  /// `type` without its namespace: "no-leader".
  [[nodiscard]] std::string_view name() const;
};

struct Error {
  errc code = errc::bad_answer;
  std::string text;  ///< One sentence that names the thing. May hold bytes a server chose: escape it for a terminal.
  std::optional<Problem> problem;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> failure(errc code, std::string text) {
  return std::unexpected(Error{.code = code, .text = std::move(text), .problem = std::nullopt});
}

/// "title: detail", with `context` before it.
[[nodiscard]] Error refusal(std::string_view context, Problem problem);

}  // namespace weir::client
