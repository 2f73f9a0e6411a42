#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

#include "clients/cpp/client.hpp"
#include "clients/cpp/websocket.hpp"

namespace weir::client {

enum class Payload {
  shown,  ///< JSON as JSON, text as text, the rest as bytes
  exact,  ///< every payload as base64 on the way, so that exactly the published bytes arrive
};

struct SubscribeOptions {
  std::string pattern;  ///< a topic or a pattern
  std::string from;     ///< as `from=` of API.md §4; empty: the broker's default, latest
  Payload payload = Payload::shown;
  /// How long to look for a broker: at first, and after a subscription was lost.
  std::chrono::milliseconds connect_for{10'000};
  std::chrono::milliseconds reconnect_for{60'000};
};

/// The connection was lost; the subscription goes on by itself.
struct Lost {
  std::string why;
};

/// Connected again, going on after `cursor`.
struct Resumed {
  std::string cursor;
  std::string server;
  std::optional<std::uint64_t> missed;  ///< 0 unless a gap or an offset said otherwise; nothing: a gap without a number
};

/// Everything stored so far has been delivered.
struct CaughtUp {
  std::string cursor;
};

/// Events are missing.
struct Gap {
  enum class Source {
    broker,  ///< it said so: retention removed them
    offsets  ///< the offsets of a topic jumped and nobody had said so: a defect
  };
  Source source = Source::broker;
  std::optional<std::uint64_t> missed;
  std::string detail;
};

using Notice = std::variant<ReceivedEvent, Lost, Resumed, CaughtUp, Gap>;

/// One subscription over WebSocket that survives the death of its broker: it goes to another member and asks for what
/// comes after the last cursor it has seen. Positions must rise; an event that was seen before is dropped and counted.
/// The window is the broker's credit: nothing is queued here but the message being looked at. One thread at a time.
class Subscription {
 public:
  Subscription(ClientOptions client, SubscribeOptions options);

  /// What happened next, or nothing within `timeout` (one connection attempt may make it longer). After an error the
  /// subscription is over.
  [[nodiscard]] Result<std::optional<Notice>> next(std::chrono::milliseconds timeout);

  /// "Everything up to here has been seen"; empty before the first answer.
  [[nodiscard]] const std::string& cursor() const { return cursor_; }
  [[nodiscard]] std::uint64_t duplicates_dropped() const { return duplicates_dropped_; }

 private:
  Result<void> connect(Deadline deadline);
  Result<void> connect_once();
  [[nodiscard]] bool given_up() const;
  [[nodiscard]] Deadline wait_until(Deadline deadline) const;
  Result<void> lost(std::string why);
  Result<void> handle(const std::string& frame);
  Result<void> on_error_frame(std::string_view frame);
  Result<void> on_event(const std::string& frame);
  Result<void> on_gap(const std::string& frame);
  void finish_resuming(std::optional<std::uint64_t> missed);
  void check_offset(const ReceivedEvent& event);
  Result<void> give_credit();
  Result<void> advance(const std::string& cursor);
  [[nodiscard]] std::string subscribe_frame() const;

  SubscribeOptions options_;
  Client client_;
  std::optional<WebSocket> socket_;
  bool was_subscribed_ = false;
  std::deque<Notice> pending_;  // at most a few: filled by one frame, emptied before the next is read
  std::string cursor_;
  std::optional<std::uint64_t> position_;                        // of cursor_
  std::unordered_map<std::string, std::uint64_t> next_offsets_;  // per topic; at most kTopicsTracked
  bool resuming_ = false;              // asked for `after:`, and no frame has yet shown whether something is missing
  Deadline resumed_at_;                // when `subscribed` came; while resuming_
  std::optional<Deadline> answer_by_;  // `sub` was sent, `subscribed` has not come
  std::optional<Deadline> lost_at_;    // since when there is no subscription
  std::size_t attempts_ = 0;           // that failed since then
  std::uint64_t uncredited_ = 0;
  std::uint64_t duplicates_dropped_ = 0;
};

}  // namespace weir::client
