// What a reader asks for: `from=`, `limit=`, `until=` and the rest of API §4, checked. Pure: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "broker/core/reading.hpp"
#include "broker/http/event_json.hpp"
#include "broker/http/limits.hpp"
#include "broker/http/media_type.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/query.hpp"
#include "broker/http/request.hpp"

namespace weir::broker::http {

/// A pull answers what there is; a long poll waits for the first event; a stream goes on.
enum class Mode : std::uint8_t { pull = 1, long_poll = 2, stream = 3 };
/// A WebSocket is always a stream, whatever Accept says.
enum class Transport : std::uint8_t { http = 1, websocket = 2 };
enum class Consistency : std::uint8_t { committed = 1, linear = 2 };

/// The last event of a bounded replay: inclusive in all three forms.
struct UntilTime {
  std::uint64_t time_ms = 0;
};
struct UntilCursor {
  std::string epoch;
  raft::Position position;
};
using Until = std::variant<std::monostate, raft::Offset, UntilCursor, UntilTime>;

struct ReadPlan {
  std::shared_ptr<const Selector> selector;
  From from;
  Until until;
  Mode mode = Mode::pull;
  Format format = Format::ndjson;
  std::uint64_t limit = 0;  ///< events in all
  std::size_t bytes_max = 0;
  std::uint32_t wait_ms = 0;
  std::uint32_t timeout_ms = 0;  ///< of the linear barrier
  std::optional<std::string> key;
  DataForm data = DataForm::natural;
  ShowCursor cursor = ShowCursor::no;
  Consistency consistency = Consistency::committed;
  std::optional<raft::Position> min_position;

  [[nodiscard]] std::optional<std::string_view> single_topic() const { return selector->single_topic(); }
};

/// Pull answers hold at most this many events, and this many bytes of payload, unless asked for less or more.
inline constexpr std::uint64_t kPullEventsDefault = 1000;
inline constexpr std::size_t kPullBytesDefault = std::size_t{1} << 20U;
inline constexpr std::size_t kPullBytesMax = std::size_t{8} << 20U;
/// Proxies cut silent requests after a minute or more.
inline constexpr std::uint32_t kWaitMsMax = 300'000;
/// Patterns of one reader.
inline constexpr std::size_t kPatternsMax = 64;

/// `from=`; `now_ms` makes sense of `1h`. The error is for 400.
[[nodiscard]] std::expected<From, std::string> parse_from(std::string_view text, std::uint64_t now_ms);
[[nodiscard]] std::expected<Until, std::string> parse_until(std::string_view text, std::uint64_t now_ms);
[[nodiscard]] std::expected<std::shared_ptr<const Selector>, std::string> parse_selector(
    const std::vector<std::string_view>& patterns);
/// What the two mean together with the selector.
[[nodiscard]] std::expected<void, std::string> check_range(const From& from, const Until& until,
                                                           const Selector& selector);

/// `name`: what stood behind /v1/events/, decoded; empty: `topic=` parameters name the patterns.
[[nodiscard]] std::expected<ReadPlan, Problem> parse_read(const Request& request, std::string_view name,
                                                          const HttpLimits& limits, std::uint64_t now_ms,
                                                          Transport transport = Transport::http);

}  // namespace weir::broker::http
