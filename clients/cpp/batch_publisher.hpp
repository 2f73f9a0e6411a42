#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "clients/cpp/client.hpp"
#include "clients/cpp/websocket.hpp"

namespace weir::client {

/// How one batch ended.
struct BatchOutcome {
  std::uint64_t number = 0;  ///< as `publish` gave it
  Result<BatchPublished> published;
};

/// Publishes batches over weir.bin.v1, many under way at once: the fast way in. One thread at a time; calls block, up
/// to their deadline. Nothing is lost silently: every batch that `publish` took comes back from `next`, once.
///
/// When the connection is lost, or a broker cannot take a batch at the moment, it goes to the next member, until
/// ClientOptions::deadline has passed since `publish`: a batch without a lost answer always, one whose answer was lost
/// only if every event of it has an id (the broker recognises it); otherwise its outcome is errc::outcome_unknown.
/// Batches that are sent again may be stored after later ones.
class BatchPublisher {
 public:
  /// Batches under way: enough to fill a pipe, few enough that a lost connection repeats little.
  static constexpr std::size_t kUnderWayMax = 1024;

  explicit BatchPublisher(ClientOptions options);
  ~BatchPublisher();
  BatchPublisher(BatchPublisher&&) = delete;
  BatchPublisher& operator=(BatchPublisher&&) = delete;

  /// Sends one atomic batch and returns its number without waiting for the answer; errc::bad_argument if it cannot be
  /// built, or while kUnderWayMax are under way. 1 to 65,536 events. An event without a content type is text/plain when
  /// its data is UTF-8, else application/octet-stream.
  [[nodiscard]] Result<std::uint64_t> publish(std::string_view topic, std::span<const OutgoingEvent> events);

  /// The next outcome, in the order in which they come; nothing if none came within `timeout`.
  [[nodiscard]] std::optional<BatchOutcome> next(std::chrono::milliseconds timeout);

  /// Batches whose outcome `next` has not given.
  [[nodiscard]] std::size_t under_way() const { return waiting_.size() + ready_.size(); }

 private:
  struct Batch;

  void receive(Deadline deadline);
  void handle(const std::string& message, MessageKind kind);
  void on_ack(const std::string& message);
  void on_error(std::string_view frame);
  void give_up_late();
  void connect(Deadline deadline);
  void send_pending();
  void lost(const std::string& why);
  void finish(std::uint64_t number, Result<BatchPublished> result);

  ClientOptions options_;
  Members members_;
  std::optional<WebSocket> socket_;
  std::string why_lost_;
  std::uint64_t next_number_ = 1;
  std::map<std::uint64_t, Batch> waiting_;  // at most kUnderWayMax with ready_
  std::deque<std::uint64_t> pending_;       // of waiting_: to be sent, or sent again
  std::optional<Deadline> pause_until_;     // after a refusal that will pass
  std::deque<BatchOutcome> ready_;
};

}  // namespace weir::client
