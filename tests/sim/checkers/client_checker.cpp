#include "tests/sim/checkers/client_checker.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

[[nodiscard]] wire::Claim id_of(const RequestEvent& event) {
  return {.topic = event.topic, .source = {}, .id = event.id};
}

}  // namespace

Attempt ClientChecker::begin(std::shared_ptr<Request> request) {
  if (request->attempts++ == 0) {
    requests_.push_back(request);
  }
  const std::uint64_t next = request->events.empty() ? 0 : model_.next_offset(request->events.front().topic);
  return {.request = std::move(request),
          .begun_at = model_.applied_index(),
          .acked_before = acked_position_,
          .next_offset_before = next};
}

void ClientChecker::answered(const Attempt& attempt, const wire::Outcome& outcome) {
  answers_.push_back({.attempt = attempt, .outcome = outcome});
}

ClientChecker::Question ClientChecker::ask(wire::Claim id) const {
  const bool is_told = known_ids_.contains({id.topic, id.source, id.id});
  return {.id = std::move(id), .is_told = is_told, .begun_at = model_.applied_index()};
}

void ClientChecker::looked_up(const Question& question, const std::optional<wire::Claimed>& found) {
  look_ups_.push_back({.question = question, .found = found});
}

/// FAULTS 15, 16. Whatever was committed when the read was asked, by whichever leader, it must see.
void ClientChecker::linear_read(SimNode& node, std::uint64_t committed_before) {
  ++world_.history.coverage.linear_reads;
  const std::uint64_t position = node.node().status().position.value;
  if (position < committed_before) {
    verdict_.fail("linear read: " + node.name() + " shows position " + std::to_string(position) + ", " +
                  std::to_string(committed_before) + " was committed when it was asked");
  }
}

void ClientChecker::after() {
  for (const Answer& answer : std::exchange(answers_, {})) {
    check(answer);
  }
  for (const LookUp& look_up : std::exchange(look_ups_, {})) {
    check(look_up);
  }
}

void ClientChecker::fail(const Request& request, const std::string& what) {
  verdict_.fail("request " + std::to_string(request.number) + ": " + what);
}

void ClientChecker::check(const Answer& answer) {
  Request& request = *answer.attempt.request;
  if (const auto* published = std::get_if<wire::Published>(&answer.outcome)) {
    request.acked = true;
    check_published(answer.attempt, *published);
  } else if (const auto* claimed = std::get_if<wire::Claimed>(&answer.outcome)) {
    request.acked = true;
    check_claimed(answer.attempt, *claimed);
  } else {
    check_refused(answer.attempt, std::get<wire::Refused>(answer.outcome));
  }
}

void ClientChecker::check_published(const Attempt& attempt, const wire::Published& published) {
  const Request& request = *attempt.request;
  if (published.results.size() != request.events.size()) {
    return fail(request, "wrong number of results");
  }
  for (std::size_t i = 0; i < request.events.size(); ++i) {
    check_event(attempt, request.events[i], published.results[i]);
  }
  if (request.expected && published.results.front().storing == wire::Storing::stored &&
      published.results.front().offset != *request.expected) {
    fail(request, "stored although its expectation did not hold");
  }
}

void ClientChecker::check_event(const Attempt& attempt, const RequestEvent& event, const wire::EventResult& result) {
  const Request& request = *attempt.request;
  const std::string what = "'" + event.body + "' at position " + std::to_string(result.position.value);
  if (result.position.value == 0 || result.position.value > model_.events().size()) {
    return fail(request, what + " is acknowledged and not committed");
  }
  const ModelEvent& stored = model_.events()[result.position.value - 1];
  if (stored.body != event.body || stored.topic != event.topic || stored.id != event.id ||
      stored.offset != result.offset.value || stored.time_ms != result.time_ms) {
    return fail(request, what + " is not what was stored there: '" + stored.body + "' at offset " +
                             std::to_string(stored.offset) + ", time " + std::to_string(stored.time_ms));
  }
  if (const auto share = raft_.share_of(stored.log_index); !share.is_majority()) {
    fail(request, what + " is acknowledged and on the disks of " + std::to_string(share.disks) + " of " +
                      std::to_string(share.voters) + " voters");
  }
  if (result.storing == wire::Storing::stored) {
    ++world_.history.coverage.stored;
    if (!told_stored_.insert(stored.position).second) {
      fail(request, what + " was told twice that it is new");
    }
    if (stored.position <= attempt.acked_before) {
      fail(request, what + " stands before an event that was acknowledged before it was sent");
    }
  } else {
    ++world_.history.coverage.duplicates;
    world_.history.coverage.outlived += model_.is_gone(stored, attempt.begun_at) ? 1 : 0;
    if (event.id.empty()) {
      fail(request, what + " is a duplicate without an id");
    }
  }
  acked_position_ = std::max(acked_position_, stored.position);
  if (!event.id.empty()) {
    known_ids_.insert({event.topic, "", event.id});
  }
}

void ClientChecker::check_claimed(const Attempt& attempt, const wire::Claimed& claimed) {
  const Request& request = *attempt.request;
  if (!request.claim) {
    return fail(request, "a publish is answered like a claim");
  }
  ++world_.history.coverage.claims;
  const auto known = model_.known_after(*request.claim, attempt.begun_at);
  if (std::ranges::none_of(known, [&](const KnownId& each) { return is_same(each, claimed); })) {
    return fail(request, "the claim of '" + request.claim->id + "' is answered wrongly");
  }
  known_ids_.insert({request.claim->topic, request.claim->source, request.claim->id});
}

/// An expectation is decided between question and answer: then the topic had another next offset than expected.
void ClientChecker::check_expectation(const Attempt& attempt, const wire::Refused& refused) {
  ++world_.history.coverage.failed_expectations;
  const Request& request = *attempt.request;
  if (!request.expected || refused.offset == *request.expected) {
    return fail(request, "an expectation failed that holds, or that it does not have");
  }
  const std::uint64_t next = model_.next_offset(request.events.front().topic);
  if (refused.offset.value < attempt.next_offset_before || refused.offset.value > next) {
    fail(request, "an expectation is refused for next offset " + std::to_string(refused.offset.value) +
                      ", which it never had meanwhile: " + std::to_string(attempt.next_offset_before) + " to " +
                      std::to_string(next));
  }
}

void ClientChecker::check_refused(const Attempt& attempt, const wire::Refused& refused) {
  const Request& request = *attempt.request;
  switch (refused.kind) {
    case wire::RefusalKind::outcome_unknown:
      ++world_.history.coverage.unknown_outcomes;
      return;
    case wire::RefusalKind::id_reuse: {
      ++world_.history.coverage.id_reuses;
      const RequestEvent& event = request.events.at(refused.event);
      const auto known = model_.known_after(id_of(event), attempt.begun_at);
      const bool right = std::ranges::any_of(known, [&](const KnownId& each) {
        return each.position > 0 && model_.events()[each.position - 1].body != event.body &&
               model_.events()[each.position - 1].offset == refused.offset.value;
      });
      if (!right) {
        fail(request, "id reuse of '" + event.id + "' that the model does not see");
      }
      break;
    }
    case wire::RefusalKind::id_claimed: {
      const RequestEvent& event = request.events.at(refused.event);
      const auto known = model_.known_after(id_of(event), attempt.begun_at);
      if (std::ranges::find(known, 0U, &KnownId::position) == known.end()) {
        fail(request, "'" + event.id + "' is refused as claimed and is not");
      }
      break;
    }
    case wire::RefusalKind::expectation_failed:
      check_expectation(attempt, refused);
      break;
    case wire::RefusalKind::no_leader:
    case wire::RefusalKind::overloaded:
    case wire::RefusalKind::draining:
    case wire::RefusalKind::disk_full:
      break;
    default:
      fail(request, "a refusal no client should see: " + refused.detail);
  }
  ++world_.history.coverage.refusals;
}

bool ClientChecker::is_same(const KnownId& known, const wire::Claimed& claimed) const {
  if (claimed.state != wire::ClaimState::published_before) {
    return known.position == 0;
  }
  return known.position > 0 && claimed.original.position.value == known.position &&
         claimed.original.offset.value == model_.events()[known.position - 1].offset;
}

void ClientChecker::check(const LookUp& look_up) {
  ++world_.history.coverage.linear_lookups;
  const auto& [id, is_told, begun_at] = look_up.question;
  const std::string what = "linear look-up of '" + id.id + "' ";
  if (!look_up.found) {
    if (is_told && model_.is_known_since(id, begun_at)) {
      verdict_.fail(what + "misses what a client was told before it");
    }
    return;
  }
  const auto known = model_.known_after(id, begun_at);
  if (std::ranges::none_of(known, [&](const KnownId& each) { return is_same(each, *look_up.found); })) {
    verdict_.fail(what + "finds what the model does not, or names another place than its event has");
  }
}

/// FAULTS 65: refused means that it will never appear. An attempt whose end is unknown may have been stored.
void ClientChecker::finish() {
  for (const auto& request : requests_) {
    if (request->acked || request->refused < request->attempts) {
      continue;
    }
    for (const RequestEvent& event : request->events) {
      if (model_.is_stored(event.body)) {
        return fail(*request, "'" + event.body + "' was refused and is stored");
      }
    }
  }
}

}  // namespace weir::sim
