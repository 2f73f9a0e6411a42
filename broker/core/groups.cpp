#include "broker/core/groups.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "wire/hash.hpp"

namespace weir::broker {
namespace {

using State = GroupRange::State;

[[nodiscard]] wire::Refused refused(wire::RefusalKind kind, std::string detail) {
  return {.kind = kind, .event = 0, .offset = {}, .detail = std::move(detail)};
}

[[nodiscard]] wire::Refused no_such_group(std::string_view name) {
  return refused(wire::RefusalKind::no_group, "group '" + std::string(name) +
                                                  "' not found; its first claim creates it with ?topic=, or PUT "
                                                  "/v1/groups/" +
                                                  std::string(name));
}

[[nodiscard]] std::string text(raft::Position position) {
  return std::to_string(position.value);
}

[[nodiscard]] raft::Position begin_of(const Group& group, std::size_t range) {
  return range == 0 ? group.committed : group.ranges[range - 1].to;
}

/// Of the range that this lease holds or held; none: it holds nothing here.
[[nodiscard]] std::optional<std::size_t> range_of(const Group& group, std::uint64_t lease) {
  const auto found = std::ranges::find_if(
      group.ranges, [lease](const GroupRange& range) { return range.state == State::held && range.lease == lease; });
  if (found == group.ranges.end()) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(found - group.ranges.begin());
}

/// This lease was committed whole, and up to there or further.
[[nodiscard]] bool was_committed(const Group& group, std::uint64_t lease, raft::Position to) {
  const auto found = std::ranges::find(group.commits, lease, &Group::Commit::lease);
  return found != group.commits.end() && to <= found->to;
}

/// Finished ranges that lie together are one; those at the front are what is committed.
void settle(Group& group) {
  std::vector<GroupRange> kept;
  for (const auto& range : group.ranges) {
    const bool finished = range.state == State::finished;
    if (finished && kept.empty()) {
      group.committed = range.to;
    } else if (finished && kept.back().state == State::finished) {
      kept.back().to = range.to;
    } else {
      kept.push_back(range);
    }
  }
  group.ranges = std::move(kept);
}

void finish(Group& group, std::size_t number, raft::Position to) {
  GroupRange& range = group.ranges[number];
  if (to == range.to) {
    group.commits.push_back({.lease = range.lease, .to = to});
    if (group.commits.size() > kCommitsRememberedMax) {
      group.commits.erase(group.commits.begin());
    }
    range = {.to = to, .state = State::finished, .lease = 0, .expires_ms = 0};
  } else {
    group.ranges.insert(group.ranges.begin() + static_cast<std::ptrdiff_t>(number),
                        {.to = to, .state = State::finished, .lease = 0, .expires_ms = 0});
  }
  settle(group);
}

/// Without a lease: everything up to there, of which nobody holds anything.
void move_to(Group& group, raft::Position to) {
  std::erase_if(group.ranges, [to](const GroupRange& range) { return range.to <= to; });
  group.committed = to;
  settle(group);
}

[[nodiscard]] wire::Refused committed_before(const std::string& lease) {
  return refused(wire::RefusalKind::lease_lost,
                 lease +
                     " was committed up to there before, with all that came with it; nothing was stored now: if "
                     "this repeats a request, its first try succeeded");
}

[[nodiscard]] std::optional<wire::Refused> check_leased(const Group& group, const wire::GroupCommit& asked,
                                                        Groups::Now now, Groups::With with) {
  const std::string lease = "lease L" + std::to_string(asked.lease);
  const auto number = range_of(group, asked.lease);
  if (!number) {
    if (!was_committed(group, asked.lease, asked.position)) {
      return refused(wire::RefusalKind::lease_lost,
                     lease +
                         " holds nothing: it ran out and its events went to another, or the group was set "
                         "elsewhere; nothing was stored, claim again");
    }
    return with == Groups::With::nothing_new ? std::nullopt : std::optional(committed_before(lease));
  }
  if (with == Groups::With::new_events && asked.position <= begin_of(group, *number)) {
    return committed_before(lease);
  }
  const GroupRange& range = group.ranges[*number];
  if (!range.is_held(now.time_ms)) {
    return refused(wire::RefusalKind::lease_lost, lease + " ran out; nothing was stored, claim again");
  }
  if (asked.position > range.to) {
    return refused(wire::RefusalKind::malformed,
                   "the cursor lies behind what " + lease + " holds, which ends at " + text(range.to));
  }
  return std::nullopt;
}

[[nodiscard]] std::optional<wire::Refused> check_free(const Group& group, const wire::GroupCommit& asked,
                                                      Groups::Now now) {
  if (asked.position <= group.committed) {
    return std::nullopt;
  }
  if (asked.position > now.last_position) {
    return refused(wire::RefusalKind::malformed,
                   "the cursor lies behind the end of the log, position " + text(now.last_position));
  }
  const bool held =
      std::ranges::any_of(group.ranges, [&](const GroupRange& range) { return range.is_held(now.time_ms); });
  if (!held) {
    return std::nullopt;
  }
  return refused(wire::RefusalKind::conflict, "group '" + std::string(asked.group) +
                                                  "' has leases out: commit with the lease, or wait until they ended");
}

}  // namespace

Group::Next Group::next(std::uint64_t now_ms) const {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].is_given_up(now_ms)) {
      return {.from = begin_of(*this, i), .to = ranges[i].to, .range = i};
    }
  }
  return {.from = handed_out_to(), .to = std::nullopt, .range = ranges.size()};
}

const Group* Groups::find(std::string_view name) const {
  const auto place = groups_.find(name);
  return place == groups_.end() ? nullptr : &place->second;
}

wire::Outcome Groups::put(const wire::GroupChange& asked, std::optional<Start> start) {
  auto place = groups_.find(asked.group);
  if (place == groups_.end()) {
    if (asked.patterns.empty()) {
      return no_such_group(asked.group);
    }
    if (groups_.size() >= kGroupsMax) {
      return refused(wire::RefusalKind::quota, "there are " + std::to_string(kGroupsMax) +
                                                   " groups, and none is forgotten by itself; DELETE those that "
                                                   "nobody uses");
    }
    place = groups_.emplace(asked.group, Group{}).first;
    add(place->first, place->second);
    wire::GroupChanged created = amend(place, asked, start);
    created.what = wire::GroupWhat::created;
    return created;
  }
  if (asked.action == wire::GroupAction::create) {
    if (place->second.patterns != asked.patterns) {
      return refused(wire::RefusalKind::conflict,
                     "group '" + asked.group + "' exists and reads other topics; change it with PUT");
    }
    return amend(place, {.group = asked.group}, std::nullopt);
  }
  return amend(place, asked, start);
}

wire::GroupChanged Groups::amend(Place place, const wire::GroupChange& asked, std::optional<Start> start) {
  Group& group = place->second;
  const bool same = !start && (asked.patterns.empty() || asked.patterns == group.patterns);
  take_out(place->first, group);
  if (!asked.patterns.empty()) {
    group.patterns = asked.patterns;
  }
  if (start) {
    group.committed = start->committed;
    group.gap_told = start->gap_told;
    group.ranges.clear();
    group.commits.clear();
    ++group.generation;
  }
  add(place->first, group);
  return {.what = same ? wire::GroupWhat::unchanged : wire::GroupWhat::changed,
          .committed = group.committed,
          .generation = group.generation};
}

wire::Outcome Groups::claim(const wire::GroupChange& asked, Now now) {
  const auto place = groups_.find(asked.group);
  if (place == groups_.end()) {
    return no_such_group(asked.group);
  }
  Group& group = place->second;
  const Group::Next next = group.next(now.time_ms);
  if (asked.from != next.from || asked.to > next.to.value_or(now.last_position)) {
    // Somebody else was first, or a lease that seemed to have run out has not, by log time.
    return refused(wire::RefusalKind::moved_on, "these events are held by another lease");
  }
  if (group.ranges.size() >= kGroupRangesMax && (!next.to || asked.to < *next.to)) {
    return refused(wire::RefusalKind::quota, "group '" + asked.group + "' has " + std::to_string(kGroupRangesMax) +
                                                 " ranges out; commit what is finished, or claim more at a time");
  }
  take_out(place->first, group);
  const GroupRange held{
      .to = asked.to, .state = State::held, .lease = ++last_lease_, .expires_ms = now.time_ms + asked.lease_ms};
  const auto spot = group.ranges.begin() + static_cast<std::ptrdiff_t>(next.range);
  if (!next.to || asked.to < *next.to) {
    if (next.to) {
      *spot = {.to = *next.to, .state = State::free, .lease = 0, .expires_ms = 0};
    }
    group.ranges.insert(spot, held);
  } else {
    *spot = held;
  }
  ++group.generation;
  add(place->first, group);
  return wire::GroupChanged{.what = wire::GroupWhat::claimed,
                            .committed = group.committed,
                            .generation = group.generation,
                            .lease = held.lease,
                            .expires_ms = held.expires_ms};
}

std::optional<wire::Refused> Groups::check(const wire::GroupCommit& asked, Now now, With with) const {
  const Group* group = find(asked.group);
  if (group == nullptr) {
    return no_such_group(asked.group);
  }
  return asked.lease == 0 ? check_free(*group, asked, now) : check_leased(*group, asked, now, with);
}

wire::Outcome Groups::commit(const wire::GroupCommit& asked, Now now) {
  if (auto refusal = check(asked, now, With::nothing_new)) {
    return *std::move(refusal);
  }
  const auto place = groups_.find(asked.group);
  Group& group = place->second;
  take_out(place->first, group);
  if (asked.lease == 0) {
    if (asked.position > group.committed) {
      move_to(group, asked.position);
    }
  } else if (const auto number = range_of(group, asked.lease); number && asked.position > begin_of(group, *number)) {
    finish(group, *number, asked.position);
  }
  add(place->first, group);
  return wire::GroupChanged{.what = wire::GroupWhat::committed,
                            .committed = group.committed,
                            .generation = group.generation,
                            .lease = asked.lease};
}

wire::Outcome Groups::remove(std::string_view name) {
  const auto place = groups_.find(name);
  if (place == groups_.end()) {
    return no_such_group(name);
  }
  take_out(place->first, place->second);
  const wire::GroupChanged removed{
      .what = wire::GroupWhat::removed, .committed = place->second.committed, .generation = place->second.generation};
  groups_.erase(place);
  return removed;
}

}  // namespace weir::broker
