#include "broker/http/subscription.hpp"

#include <utility>

#include "broker/hop.hpp"
#include "broker/http/barrier.hpp"
#include "broker/http/cursor.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/stream_text.hpp"
#include "broker/http/wall_clock.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;

namespace {

using Opened = std::expected<std::shared_ptr<Subscription>, Problem>;

Problem epoch_changed(std::string detail, std::string_view epoch) {
  std::string earliest;
  append_json_string(earliest, format_cursor(epoch, raft::Position{0}));
  return Problem{.status = 410,
                 .type = "epoch-changed",
                 .title = "This cursor is of another life of the log",
                 .detail = std::move(detail)}
      .with("earliest", std::move(earliest));
}

Problem not_running() {
  return no_leader("this node is not part of a running cluster yet; /readyz says why");
}

/// min_position and consistency=linear: this node must have applied enough.
asio::awaitable<std::expected<void, Problem>> meet_consistency(std::shared_ptr<Shard> shard, ReadPlan plan) {
  if (plan.consistency == Consistency::linear) {
    auto passed = co_await pass_barrier(shard, plan.timeout_ms);
    if (!passed) co_return std::unexpected(std::move(passed.error()));
  }
  if (!plan.min_position) co_return std::expected<void, Problem>{};
  const std::uint32_t patience = std::max<std::uint32_t>(plan.wait_ms, 1);
  const bool applied = co_await shard->gateway().wait_applied(*plan.min_position, patience);
  if (!applied) {
    co_return std::unexpected(behind("position " + std::to_string(plan.min_position->value) +
                                     " is not applied on this node yet; wait=2s gives it time"));
  }
  co_return std::expected<void, Problem>{};
}

bool is_of_other_life(const ReadPlan& plan, std::string_view epoch) {
  const auto* until = std::get_if<UntilCursor>(&plan.until);
  return until != nullptr && until->epoch != epoch;
}

/// The plan's cursor, or the node's own word, names a position that is not applied here.
bool is_beyond(const std::expected<ReadStart, StartError>& start, const ReadPlan& plan) {
  if (!start) return start.error() == StartError::beyond_log;
  const auto* from = std::get_if<FromCursor>(&plan.from);
  return from != nullptr && from->position > start->last_position;
}

/// A pull of a topic that is not there is 404: others wait for it.
bool is_missing(const std::expected<ReadStart, StartError>& start, const ReadPlan& plan) {
  return start && !start->topic_exists && plan.mode == Mode::pull && plan.single_topic();
}

/// A cursor beyond what is applied here may come from a node that is ahead, a topic may have been created there, and
/// after a restart nothing is applied at first: everything committed is waited for before either is denied.
asio::awaitable<std::expected<ReadStart, Problem>> find_start(std::shared_ptr<Shard> shard, ReadPlan plan,
                                                              std::string epoch) {
  auto start = co_await shard->gateway().start_read(plan.selector, plan.from);
  if (is_beyond(start, plan) || is_missing(start, plan)) {
    auto passed = co_await pass_barrier(shard, plan.timeout_ms);
    if (!passed) co_return std::unexpected(std::move(passed.error()));
    start = co_await shard->gateway().start_read(plan.selector, plan.from);
  }
  if (is_beyond(start, plan)) {
    co_return std::unexpected(epoch_changed("this log has never reached the cursor's position", epoch));
  }
  if (start) co_return *start;
  co_return std::unexpected(epoch_changed_problem(epoch));
}

/// A linear read: what the group has finished must not be given again by a node that is behind.
asio::awaitable<std::expected<FromCursor, Problem>> find_group(std::shared_ptr<Shard> shard, std::string name,
                                                               std::uint32_t timeout_ms, std::string epoch) {
  auto passed = co_await pass_barrier(shard, timeout_ms);
  if (!passed) co_return std::unexpected(std::move(passed.error()));
  const auto group = co_await shard->gateway().group(name);
  if (!group) {
    co_return std::unexpected(not_found("group '" + name + "' not found; create it with PUT /v1/groups/" + name));
  }
  co_return FromCursor{.epoch = epoch, .position = group->committed, .gap_told = group->gap_told};
}

}  // namespace

Problem epoch_changed_problem(std::string_view epoch) {
  if (epoch.empty()) return not_running();
  return epoch_changed("the log is in epoch " + std::string(epoch) + "; start again from earliest", epoch);
}

Problem gap_problem(const Gap& gap) {
  if (gap.positions) {
    return Problem{.status = 410,
                   .type = "gap",
                   .title = "Events are gone",
                   .detail = "events between positions " + std::to_string(gap.positions->from.value) + " and " +
                             std::to_string(gap.positions->to.value) +
                             " are older than their retention; go on from=earliest"}
        .with("missing", missing_positions(*gap.positions));
  }
  std::string missing;
  JsonObject object(missing);
  object.text("topic", gap.topic).number("from", gap.from.value).number("to", gap.to.value).end();
  return Problem{.status = 410,
                 .type = "gap",
                 .title = "Events are gone",
                 .detail = "offsets " + std::to_string(gap.from.value) + " to " + std::to_string(gap.to.value) +
                           " of topic '" + gap.topic + "' are older than its retention"}
      .with("first", std::to_string(gap.to.value + 1))
      .with("missing", std::move(missing));
}

Problem read_problem(ReadError error) {
  return unfit(error == ReadError::damaged ? "this node's log is damaged; ask another node"
                                           : "this node is shutting down; ask another node");
}

asio::awaitable<Opened> Subscription::open(std::shared_ptr<Shard> shard, ReadPlan plan) {
  auto met = co_await meet_consistency(shard, plan);
  if (!met) co_return std::unexpected(std::move(met.error()));
  const auto status = co_await shard->status();
  if (status->epoch.empty()) {
    co_return std::unexpected(not_running());
  }
  if (is_of_other_life(plan, status->epoch)) {
    co_return std::unexpected(epoch_changed("until is a cursor of another life of this log", status->epoch));
  }
  if (const auto* group = std::get_if<FromGroup>(&plan.from)) {
    auto cursor = co_await find_group(shard, group->name, plan.timeout_ms, status->epoch);
    if (!cursor) co_return std::unexpected(std::move(cursor.error()));
    plan.from = *std::move(cursor);
  }
  auto start = co_await find_start(shard, plan, status->epoch);
  if (!start) co_return std::unexpected(std::move(start.error()));
  co_return std::make_shared<Subscription>(std::move(shard), std::move(plan), *start, status->epoch);
}

Subscription::Subscription(std::shared_ptr<Shard> shard, ReadPlan plan, const ReadStart& start, std::string epoch)
    : shard_(std::move(shard)),
      start_(start),
      delivery_(std::move(plan), start),
      epoch_(std::move(epoch)),
      applied_(start.last_position) {}

asio::awaitable<std::expected<Step, Problem>> Subscription::next(std::uint64_t events, std::size_t bytes) {
  return call_and_wait<std::expected<Step, Problem>>(
      [self = shared_from_this(), events, bytes](auto done) { self->read(events, bytes, std::move(done)); });
}

void Subscription::read(std::uint64_t events, std::size_t bytes, StepDone done) {
  const ReadLimits limits = delivery_.limits(events, bytes);
  auto taken = [self = shared_from_this(), done = std::move(done)](std::expected<ReadBatch, ReadError> batch) mutable {
    done(self->take(std::move(batch)));
  };
  if (!follows_) {
    shard_->gateway().read(delivery_.plan().selector, delivery_.state(), limits, shard_->net().get_executor(),
                           std::move(taken));
    return;
  }
  tail().read(delivery_.state(), limits, [taken = std::move(taken)](const Tail::Result& result) mutable {
    taken(result ? std::expected<ReadBatch, ReadError>(**result) : std::unexpected(result.error()));
  });
}

std::expected<Step, Problem> Subscription::take(std::expected<ReadBatch, ReadError> batch) {
  if (!batch) return std::unexpected(read_problem(batch.error()));
  applied_ = batch->applied;
  const ReadPlan& plan = delivery_.plan();
  const bool has_end = !std::holds_alternative<std::monostate>(plan.until);
  follows_ = follows_ || (batch->up_to_date && plan.mode == Mode::stream && !has_end);
  Step step = delivery_.take(*std::move(batch), wall_clock_ms());
  shard_->metrics().events_delivered.fetch_add(step.events.size(), std::memory_order_relaxed);
  return step;
}

Tail& Subscription::tail() {
  if (!tail_) tail_ = shard_->tail(delivery_.plan().selector);
  return *tail_;
}

Tail::Waiting Subscription::wait(Tail::Wake wake) {
  return tail().wait(delivery_.state().after, std::move(wake));
}

asio::awaitable<void> Subscription::wait(std::chrono::milliseconds timeout) {
  co_await shard_->gateway().wait(delivery_.plan().selector, delivery_.state().after, timeout);
}

std::string Subscription::cursor() const {
  return format_cursor(epoch_, delivery_.position());
}

}  // namespace weir::broker::http
