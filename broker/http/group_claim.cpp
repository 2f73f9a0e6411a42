// A claim: reads what the group hands out next, then asks for exactly that range; if another worker was faster, it
// reads on from what is next by now. No state between calls: what is held is in the log (docs/decisions/0019).
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/barrier.hpp"
#include "broker/http/group_answers.hpp"
#include "broker/http/group_request.hpp"
#include "broker/http/route_parts.hpp"
#include "broker/http/routes.hpp"
#include "broker/http/wall_clock.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;

namespace {

using std::chrono::milliseconds;

/// Log read for one claim that finds little: beyond, what was found is handed out.
constexpr int kReadsPerClaimMax = 64;
/// A group that is set back while a claim waits is noticed this late at the latest.
constexpr milliseconds kLookAgain(1000);
/// A lease that has run out by this node's clock has not by log time: each try is a log entry.
constexpr milliseconds kClockPause(50);

using FoundGroup = std::expected<GroupInfo, Problem>;

/// The range was refused before: nobody else has got it meanwhile.
enum class SameRange : std::uint8_t { yes = 1, no = 2 };

/// One claim under way.
struct Claim {
  std::shared_ptr<Connection> connection;
  ClaimRequest asked;
  std::string epoch;
  Clock::time_point wait_until;   ///< for events
  Clock::time_point retry_until;  ///< for a range that others want too

  [[nodiscard]] Gateway& gateway() const { return connection->shard().gateway(); }
  [[nodiscard]] bool is_abandoned() const { return connection->gone() || connection->draining(); }
};
using SharedClaim = std::shared_ptr<const Claim>;

Problem no_group(const std::string& group) {
  return not_found("group '" + group + "' not found; name what it reads: ?topic=orders/**");
}

/// Before it is said that there is no such group, or that it reads something else, all that is committed is applied.
asio::awaitable<FoundGroup> find_group(SharedClaim claim) {
  const auto fits = [claim](const std::optional<GroupInfo>& group) {
    return group && (claim->asked.patterns.empty() || claim->asked.patterns == group->patterns);
  };
  auto found = co_await claim->gateway().group(claim->asked.group);
  if (fits(found)) co_return *std::move(found);
  auto passed = co_await pass_barrier(claim->connection->shard_ptr(), claim->asked.timeout_ms);
  if (!passed) co_return std::unexpected(std::move(passed.error()));
  found = co_await claim->gateway().group(claim->asked.group);
  if (fits(found)) co_return *std::move(found);
  if (claim->asked.patterns.empty()) co_return std::unexpected(no_group(claim->asked.group));
  const wire::Outcome created = co_await claim->gateway().change_group(claim->asked.begin, claim->asked.timeout_ms);
  if (const auto* refused = std::get_if<wire::Refused>(&created)) {
    co_return std::unexpected(refusal_problem(*refused, Retry::safe));
  }
  passed = co_await pass_barrier(claim->connection->shard_ptr(), claim->asked.timeout_ms);
  if (!passed) co_return std::unexpected(std::move(passed.error()));
  found = co_await claim->gateway().group(claim->asked.group);
  if (!found) co_return std::unexpected(no_group(claim->asked.group));
  co_return *std::move(found);
}

std::shared_ptr<const Selector> selector_of(const GroupInfo& group) {
  auto selector = std::make_shared<Selector>();
  for (const std::string& text : group.patterns) {
    if (auto pattern = Pattern::parse(text)) selector->patterns.push_back(*std::move(pattern));
  }
  return selector;
}

/// Takes over what of `batch` lies in the range; true: that is all there is in it, or all that is wanted.
bool take(Claimable& range, ReadBatch batch, const GroupInfo& group, const ClaimRequest& asked) {
  if (batch.removed) {
    if (!range.events.empty()) return true;  // told by the next claim, which begins with it
    range.gap = range.gap ? RemovedRange{range.gap->from, batch.removed->to} : *batch.removed;
    range.to = std::max(range.to, batch.removed->to);
    return false;
  }
  for (ReadEvent& event : batch.events) {
    if (group.next_to && event.position > *group.next_to) {
      range.to = *group.next_to;
      return true;
    }
    range.to = event.position;
    range.events.push_back(std::move(event));
    if (range.events.size() == asked.events_max) return true;
  }
  const bool passed_end = group.next_to && batch.next.after >= *group.next_to;
  if (passed_end) range.to = *group.next_to;
  return passed_end || batch.up_to_date;
}

std::size_t body_bytes(const std::vector<ReadEvent>& events) {
  std::size_t bytes = 0;
  for (const ReadEvent& event : events) bytes += event.view().body.size();
  return bytes;
}

/// What the group hands out next; `to` is `from` if that is nothing.
asio::awaitable<std::expected<Claimable, Problem>> read_range(SharedClaim claim, GroupInfo group) {
  const auto selector = selector_of(group);
  Claimable range{.from = group.next_from, .to = group.next_from, .events = {}, .gap = {}};
  ReadState state;
  state.after = group.next_from;
  state.gap_told = group.gap_told;
  for (int reads = 0; reads < kReadsPerClaimMax; ++reads) {
    const std::size_t held = body_bytes(range.events);
    if (held >= claim->asked.bytes_max) break;
    const ReadLimits limits{.events_max = claim->asked.events_max - range.events.size(),
                            .bytes_max = claim->asked.bytes_max - held};
    auto batch = co_await claim->gateway().read(selector, state, limits);
    if (!batch) co_return std::unexpected(read_problem(batch.error()));
    state = batch->next;
    if (take(range, *std::move(batch), group, claim->asked)) break;
  }
  // A range that was given up may end amid what retention has taken.
  if (group.next_to) range.to = std::min(range.to, *group.next_to);
  co_return range;
}

asio::awaitable<void> pause(SharedClaim claim, GroupInfo group, raft::Position after) {
  using asio::experimental::awaitable_operators::operator||;
  auto left = std::chrono::ceil<milliseconds>(claim->wait_until - Clock::now());
  if (group.held_for_ms > 0) left = std::min(left, milliseconds(group.held_for_ms));
  left = std::clamp(left, milliseconds(1), kLookAgain);
  auto first = claim->gateway().wait(selector_of(group), after, left) || claim->connection->interrupted().wait();
  co_await std::move(first);
}

/// What is next is known once this node has applied what the others were given.
asio::awaitable<std::expected<void, Problem>> catch_up(SharedClaim claim, SameRange same) {
  if (same == SameRange::yes) {
    asio::steady_timer timer(claim->connection->shard().net());
    timer.expires_after(kClockPause);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  auto passed = co_await pass_barrier(claim->connection->shard_ptr(), claim->asked.timeout_ms);
  co_return passed;
}

Problem contended(const ClaimRequest& asked) {
  return overloaded("other workers of group '" + asked.group + "' were faster each time; nothing is held, try again");
}

/// nullopt: nothing to hand out in time.
asio::awaitable<std::expected<std::optional<std::string>, Problem>> serve_claim(SharedClaim claim) {
  std::optional<raft::Position> refused_from;
  while (true) {
    auto group = co_await find_group(claim);
    if (!group) co_return std::unexpected(std::move(group.error()));
    auto range = co_await read_range(claim, *group);
    if (!range) co_return std::unexpected(std::move(range.error()));
    if (claim->is_abandoned()) co_return std::nullopt;
    if (range->to == range->from) {
      if (Clock::now() >= claim->wait_until) co_return std::nullopt;
      co_await pause(claim, *group, range->to);
      continue;
    }
    wire::GroupChange change{.group = claim->asked.group,
                             .action = wire::GroupAction::claim,
                             .from = range->from,
                             .to = range->to,
                             .lease_ms = claim->asked.lease_ms};
    const wire::Outcome outcome = co_await claim->gateway().change_group(std::move(change), claim->asked.timeout_ms);
    if (const auto* claimed = std::get_if<wire::GroupChanged>(&outcome)) {
      co_return claimed_json(claim->asked.group, *claimed, *range, claim->epoch, claim->asked.data);
    }
    const auto* refused = std::get_if<wire::Refused>(&outcome);
    if (refused == nullptr) co_return std::unexpected(Problem{.detail = "the node answered something else"});
    if (refused->kind != wire::RefusalKind::moved_on) {
      co_return std::unexpected(refusal_problem(*refused, Retry::safe));
    }
    const SameRange same = range->from == refused_from ? SameRange::yes : SameRange::no;
    refused_from = range->from;
    if (same == SameRange::yes && Clock::now() >= claim->wait_until) co_return std::nullopt;
    if (Clock::now() >= claim->retry_until) co_return std::unexpected(contended(claim->asked));
    auto caught_up = co_await catch_up(claim, same);
    if (!caught_up) co_return std::unexpected(std::move(caught_up.error()));
  }
}

}  // namespace

Answer group_claim_route(std::shared_ptr<Connection> connection, SharedRequest request, std::string group) {
  const auto status = co_await connection->shard().status();
  auto asked = parse_claim(*request, std::move(group), status->epoch, connection->shard().limits(), wall_clock_ms());
  if (!asked) co_return to_response(asked.error());
  const auto now = Clock::now();
  auto claim = std::make_shared<Claim>();
  claim->connection = connection;
  claim->epoch = status->epoch;
  claim->wait_until = now + milliseconds(asked->wait_ms);
  claim->retry_until = now + milliseconds(std::max(asked->wait_ms, asked->timeout_ms));
  claim->asked = *std::move(asked);
  connection->watch();
  auto claimed = co_await serve_claim(claim);
  connection->end_watch();
  if (!claimed) co_return to_response(claimed.error());
  Response response = *claimed ? json_response(**std::move(claimed)) : Response{.status = 204};
  response.add_header("Weir-Node", node_header(*status));
  co_return response;
}

}  // namespace weir::broker::http
