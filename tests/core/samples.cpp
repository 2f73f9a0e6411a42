#include "tests/core/samples.hpp"

#include <cstdlib>
#include <stdexcept>

namespace weir::broker::test {

raft::Bytes bytes_of(const Request& request) {
  wire::PublishBuilder builder;
  for (const auto& event : request.events) {
    wire::EventView view;
    view.topic = event.topic;
    view.id = event.id;
    view.source = event.source;
    view.key = event.key;
    view.body = event.body;
    builder.add(view);
  }
  for (const auto& [topic, next] : request.expectations) {
    builder.expect(topic, raft::Offset{next});
  }
  for (const auto& commit : request.commits) {
    builder.commit(commit);
  }
  builder.set_request_id(request.key);
  auto bytes = builder.finish();
  if (!bytes) {
    throw std::runtime_error(bytes.error().text);
  }
  return *bytes;
}

wire::PublishView view_of(const Request& request) {
  auto view = wire::PublishView::verify(bytes_of(request));
  if (!view) {
    throw std::runtime_error(view.error().text);
  }
  return *view;
}

raft::Bytes merged(const std::vector<Request>& requests, std::uint64_t time_ms) {
  std::vector<wire::PublishView> views;
  for (const auto& request : requests) {
    views.push_back(view_of(request));
  }
  return wire::merge(views, time_ms);
}

namespace {

[[nodiscard]] raft::Entry entry_of(std::uint64_t index, raft::Command command, raft::Bytes data) {
  raft::Entry entry{
      .index = raft::Index{index}, .term = raft::Term{1}, .command = command, .checksum = 0, .data = std::move(data)};
  entry.checksum = wire::entry_checksum(command, entry.data.view());
  return entry;
}

}  // namespace

raft::Entry publish_entry(std::uint64_t index, const std::vector<Request>& requests, std::uint64_t time_ms) {
  return entry_of(index, command_of(view_of(requests.front())), merged(requests, time_ms));
}

raft::Entry claims_entry(std::uint64_t index, const std::vector<wire::Claim>& claims, std::uint64_t time_ms) {
  return entry_of(index, raft::Command::dedup, wire::encode(wire::DedupEntry{.time_ms = time_ms, .claims = claims}));
}

raft::Entry topic_entry(const std::vector<wire::TopicChange>& changes, std::uint64_t time_ms) {
  return entry_of(1, raft::Command::topic, wire::encode(wire::TopicEntry{.time_ms = time_ms, .changes = changes}));
}

raft::Entry group_entry(const std::vector<wire::GroupChange>& changes, std::uint64_t time_ms) {
  return entry_of(1, raft::Command::group, wire::encode(wire::GroupEntry{.time_ms = time_ms, .changes = changes}));
}

raft::Entry retain_entry(const std::vector<wire::Floor>& floors, std::uint64_t claims_before) {
  return entry_of(
      1, raft::Command::retain,
      wire::encode(wire::RetainEntry{.time_ms = 1'000, .floors = floors, .claims_before = raft::Index{claims_before}}));
}

raft::Entry noop_entry(std::uint64_t index, std::uint64_t term) {
  return {
      .index = raft::Index{index}, .term = raft::Term{term}, .command = raft::Command::noop, .checksum = 0, .data = {}};
}

DecodedEntryPtr decoded(const raft::Entry& entry) {
  auto result = decode(entry);
  if (!result) {
    throw std::runtime_error(result.error());
  }
  return *result;
}

Applied Applying::apply(raft::Entry entry) {
  entry.index = raft::Index{log.size() + 1};
  log.push_back(entry);
  const auto subject = decoded(entry);
  RunPlaces places;
  const auto keys = state.lookups(*subject, places).keys;
  add_places(keys, storage::find_ids(state.ids().runs(), keys).value(), places);
  const auto allowed = state.lookups(*subject, places).entries;
  Applied applied = state.apply(
      subject,
      [&](raft::Index index) {
        if (std::ranges::find(allowed, index) == allowed.end()) {
          throw std::runtime_error("entry " + std::to_string(index.value) + " was not among the look-ups");
        }
        return decoded(log[index.value - 1]);
      },
      places);
  digest.applied(*subject, applied, state);
  return applied;
}

Applied Applying::publish(const std::vector<Request>& requests, std::uint64_t time_ms) {
  return apply(publish_entry(1, requests, time_ms));
}

Applied Applying::claim(const std::vector<wire::Claim>& claims, std::uint64_t time_ms) {
  return apply(claims_entry(1, claims, time_ms));
}

Applied Applying::change(const wire::TopicChange& change, std::uint64_t time_ms) {
  return apply(topic_entry({change}, time_ms));
}

Applied Applying::change(const wire::GroupChange& change, std::uint64_t time_ms) {
  return apply(group_entry({change}, time_ms));
}

namespace {

[[nodiscard]] std::string name_of(wire::RefusalKind kind) {
  switch (kind) {
    case wire::RefusalKind::id_reuse:
      return "id_reuse";
    case wire::RefusalKind::expectation_failed:
      return "expectation_failed";
    case wire::RefusalKind::id_claimed:
      return "id_claimed";
    case wire::RefusalKind::no_topic:
      return "no_topic";
    case wire::RefusalKind::not_leader:
      return "not_leader";
    case wire::RefusalKind::no_leader:
      return "no_leader";
    case wire::RefusalKind::overloaded:
      return "overloaded";
    case wire::RefusalKind::draining:
      return "draining";
    case wire::RefusalKind::disk_full:
      return "disk_full";
    case wire::RefusalKind::too_large:
      return "too_large";
    case wire::RefusalKind::outcome_unknown:
      return "outcome_unknown";
    case wire::RefusalKind::malformed:
      return "malformed";
    case wire::RefusalKind::unfit:
      return "unfit";
    case wire::RefusalKind::conflict:
      return "conflict";
    case wire::RefusalKind::no_group:
      return "no_group";
    case wire::RefusalKind::lease_lost:
      return "lease_lost";
    case wire::RefusalKind::quota:
      return "quota";
    case wire::RefusalKind::moved_on:
      return "moved_on";
  }
  return "?";
}

}  // namespace

std::string text_of(const wire::Outcome& outcome) {
  std::string text;
  if (const auto* published = std::get_if<wire::Published>(&outcome)) {
    for (const auto& result : published->results) {
      text += (text.empty() ? "" : " ") + std::to_string(result.offset.value) + "@" +
              std::to_string(result.position.value) + (result.storing == wire::Storing::duplicate ? "d" : "");
    }
  } else if (const auto* claimed = std::get_if<wire::Claimed>(&outcome)) {
    switch (claimed->state) {
      case wire::ClaimState::claimed_now:
        return "claimed_now";
      case wire::ClaimState::claimed_before:
        return "claimed_before";
      case wire::ClaimState::published_before:
        return "published_before " + std::to_string(claimed->original.offset.value) + "@" +
               std::to_string(claimed->original.position.value);
    }
  } else if (const auto* changed = std::get_if<wire::TopicChanged>(&outcome)) {
    constexpr std::array kWhat{"", "created", "changed", "unchanged", "removed"};
    text = std::string(kWhat.at(static_cast<std::size_t>(changed->what))) + " " +
           std::to_string(changed->first_offset.value) + "-" + std::to_string(changed->next_offset.value);
  } else if (const auto* group = std::get_if<wire::GroupChanged>(&outcome)) {
    constexpr std::array kWhat{"", "created", "changed", "unchanged", "removed", "claimed", "committed"};
    text = std::string(kWhat.at(static_cast<std::size_t>(group->what))) + " " + std::to_string(group->committed.value) +
           " g" + std::to_string(group->generation) + (group->lease == 0 ? "" : " L" + std::to_string(group->lease));
  } else {
    const auto& refused = std::get<wire::Refused>(outcome);
    text = name_of(refused.kind) + "(" + std::to_string(refused.event) + ")";
  }
  return text;
}

namespace {

[[nodiscard]] WriteJob job_of(decltype(WriteJob::request) request, Repeatable repeatable, std::uint64_t deadline_us,
                              std::move_only_function<void(wire::Outcome)> done) {
  WriteJob job{.request = std::move(request),
               .repeatable = repeatable,
               .origin = Origin::local,
               .deadline_us = deadline_us,
               .done = nullptr};
  job.done = std::move(done);
  return job;
}

}  // namespace

WriteJob job_of(const Request& request, std::uint64_t deadline_us, std::move_only_function<void(wire::Outcome)> done) {
  auto view = view_of(request);
  const auto repeatable = view.every_event_has_id() ? Repeatable::yes : Repeatable::no;
  return job_of(std::move(view), repeatable, deadline_us, std::move(done));
}

WriteJob job_of(wire::Claim claim, std::uint64_t deadline_us, std::move_only_function<void(wire::Outcome)> done) {
  return job_of(std::move(claim), Repeatable::yes, deadline_us, std::move(done));
}

Selector selector_of(const std::vector<std::string>& patterns) {
  Selector selector;
  for (const auto& text : patterns) {
    auto pattern = Pattern::parse(text);
    if (!pattern) {
      throw std::runtime_error(pattern.error());
    }
    selector.patterns.push_back(*std::move(pattern));
  }
  return selector;
}

std::uint64_t seed_or(std::uint64_t usual) {
  const char* given = std::getenv("WEIR_SEED");
  return given == nullptr ? usual : std::strtoull(given, nullptr, 10);
}

}  // namespace weir::broker::test
