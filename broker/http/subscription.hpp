// One reader of the log: where it stands, what it reads next, how it waits. Pull, ndjson, SSE and WebSocket all read
// through this and differ only in how they write. Holds a cursor and no events. Runs on its shard's net thread, one
// coroutine at a time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "broker/gateway.hpp"
#include "broker/http/delivery.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/shard.hpp"

namespace weir::broker::http {

class Subscription : public std::enable_shared_from_this<Subscription> {
 public:
  /// Meets the plan's consistency first, then finds where it starts. Problems: 410 for a cursor of another life, 503
  /// when this node cannot say.
  static boost::asio::awaitable<std::expected<std::shared_ptr<Subscription>, Problem>> open(
      std::shared_ptr<Shard> shard, ReadPlan plan);

  Subscription(std::shared_ptr<Shard> shard, ReadPlan plan, const ReadStart& start, std::string epoch);

  /// The next events, at most this many; an empty step that is not caught up means: ask again. A stream that has caught
  /// up once shares what it reads with others; until then, and if it has an end, it sees all that was applied before.
  boost::asio::awaitable<std::expected<Step, Problem>> next(std::uint64_t events, std::size_t bytes);
  using StepDone = std::move_only_function<void(std::expected<Step, Problem>)>;
  /// The same without a coroutine: `done` runs later.
  void read(std::uint64_t events, std::size_t bytes, StepDone done);
  /// Until there is more, or `timeout`. May be cancelled.
  boost::asio::awaitable<void> wait(std::chrono::milliseconds timeout);
  /// The same without a coroutine, see Tail::wait.
  [[nodiscard]] Tail::Waiting wait(Tail::Wake wake);

  [[nodiscard]] const Delivery& delivery() const { return delivery_; }
  [[nodiscard]] const ReadStart& start() const { return start_; }
  [[nodiscard]] const std::string& epoch() const { return epoch_; }
  [[nodiscard]] raft::Position applied() const { return applied_; }
  /// It has caught up once and goes on for ever: what it reads next others read too.
  [[nodiscard]] bool follows() const { return follows_; }
  [[nodiscard]] std::string cursor() const;

 private:
  [[nodiscard]] Tail& tail();
  [[nodiscard]] std::expected<Step, Problem> take(std::expected<ReadBatch, ReadError> batch);

  std::shared_ptr<Shard> shard_;
  std::shared_ptr<Tail> tail_;
  bool follows_ = false;
  ReadStart start_;
  Delivery delivery_;
  std::string epoch_;
  raft::Position applied_;
};

[[nodiscard]] Problem gap_problem(const Gap& gap);
[[nodiscard]] Problem read_problem(ReadError error);
/// 410: a cursor of another life of the log; 503 while this node is in none.
[[nodiscard]] Problem epoch_changed_problem(std::string_view epoch);

}  // namespace weir::broker::http
