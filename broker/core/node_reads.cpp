// What readers ask of a node.
#include <algorithm>
#include <map>
#include <utility>

#include "broker/core/node_impl.hpp"

namespace weir::broker {
namespace {

constexpr std::uint32_t kOutlineEntriesMax = 1000;
/// What one look at the log reads at the most; fewer entries are shown then.
constexpr std::size_t kOutlineBytesMax = std::size_t{16} << 20U;

}  // namespace

std::expected<ReadStart, StartError> Node::Impl::start_read(const Selector& selector, const From& from) const {
  return reader_.start(selector, from, epoch());
}

void Node::Impl::read(const Selector& selector, ReadState from, ReadLimits limits,
                      std::move_only_function<void(std::expected<ReadBatch, ReadError>)> done) {
  if (phase_ == Phase::failed) {
    // DESIGN §5: a damaged node serves nothing.
    done(std::unexpected(ReadError::damaged));
    return;
  }
  reader_.read(selector, from, limits, std::move(done));
}

void Node::Impl::find_id(wire::Claim id, LogReader::IdDone done) {
  if (phase_ == Phase::failed) {
    done(std::unexpected(ReadError::damaged));
    return;
  }
  reader_.find_id(std::move(id), std::move(done));
}

WaiterId Node::Impl::wait(Selector selector, raft::Position after, std::move_only_function<void()> wake) {
  // On a node that failed nothing is applied any more: the read that follows says so.
  if (phase_ == Phase::failed || reader_.has_events(selector, after)) {
    wake();
    return 0;
  }
  return waiters_.add(std::move(selector), std::move(wake));
}

void Node::Impl::wait_applied(raft::Position position, std::uint32_t timeout_ms,
                              std::move_only_function<void(bool)> done) {
  if (phase_ == Phase::failed) {
    done(false);
    return;
  }
  applied_waits_.push_back({.position = position, .deadline_us = deadline(timeout_ms), .done = std::move(done)});
  answer_applied_waits();
}

void Node::Impl::answer_applied_waits() {
  std::vector<std::pair<std::move_only_function<void(bool)>, bool>> answers;
  const std::uint64_t now_us = clock_.steady_us();
  for (auto place = applied_waits_.begin(); place != applied_waits_.end();) {
    const bool reached = state_.last_position() >= place->position;
    if (reached || place->deadline_us <= now_us) {
      answers.emplace_back(std::move(place->done), reached);
      place = applied_waits_.erase(place);
    } else {
      ++place;
    }
  }
  for (auto& [done, reached] : answers) {
    done(reached);
  }
}

void Node::Impl::barrier(std::uint32_t timeout_ms, std::move_only_function<void(bool)> done) {
  if (phase_ == Phase::failed) {
    done(false);
    return;
  }
  barriers_.add(deadline(timeout_ms), std::move(done));
  settle();
}

std::vector<TopicInfo> Node::Impl::topics() const {
  std::vector<TopicInfo> infos;
  infos.reserve(state_.topic_count());
  for (std::uint64_t i = 0; i < state_.topic_count(); ++i) {
    if (!state_.is_removed(raft::TopicId{i})) {
      infos.push_back(state_.topic_info(raft::TopicId{i}));
    }
  }
  std::ranges::sort(infos, {}, &TopicInfo::name);
  return infos;
}

std::optional<TopicInfo> Node::Impl::topic(std::string_view name) const {
  const auto known = state_.live_topic(name);
  return known ? std::optional(state_.topic_info(*known)) : std::nullopt;
}

void Node::Impl::log_outline(raft::Index from, std::uint32_t limit,
                             std::move_only_function<void(std::expected<LogOutline, ReadError>)> done) {
  if (!replica_) {
    done(LogOutline{});
    return;
  }
  const raft::Index last = replica_->raft().last_index();
  const std::uint64_t count = std::clamp(limit, 1U, kOutlineEntriesMax);
  const raft::Index asked = from.value > 0 ? from : raft::Index{last.value >= count ? last.value - count + 1 : 1};
  const raft::Index first = std::max(asked, disk_.first_index());
  if (first > last) {
    done(outline(std::vector<raft::Entry>()));
    return;
  }
  const raft::Index end{std::min(last.value, first.value + count - 1)};
  if (const auto entries = replica_->raft().tail(first, end, kOutlineBytesMax); !entries.empty()) {
    done(outline(entries));
    return;
  }
  disk_.read(first, end, kOutlineBytesMax,
             [this, alive = std::weak_ptr(alive_),
              done = std::move(done)](std::expected<std::vector<raft::Entry>, storage::Error> entries) mutable {
               if (alive.expired() || !entries) {
                 done(std::unexpected(alive.expired() ? ReadError::stopping : ReadError::damaged));
                 return;
               }
               done(outline(*entries));
             });
}

LogOutline Node::Impl::outline(const std::vector<raft::Entry>& entries) const {
  LogOutline outlines;
  outlines.first = disk_.first_index();
  outlines.last = replica_->raft().last_index();
  outlines.commit_index = replica_->raft().commit_index();
  outlines.applied_index = state_.applied_index();
  for (const auto& entry : entries) {
    outlines.entries.push_back(outline(entry));
  }
  return outlines;
}

EntryOutline Node::Impl::outline(const raft::Entry& entry) const {
  EntryOutline outline;
  outline.index = entry.index;
  outline.term = entry.term;
  outline.command = raft::to_string(entry.command);
  outline.bytes = entry.data.size();
  if (entry.index <= state_.applied_index()) {
    outline.state = EntryState::applied;
  } else if (entry.index <= replica_->raft().commit_index()) {
    outline.state = EntryState::committed;
  }
  if (const auto decoded = decode(entry)) {
    outline.time_ms = (*decoded)->time_ms();
    outline_events(**decoded, outline);
  }
  return outline;
}

void Node::Impl::outline_events(const DecodedEntry& entry, EntryOutline& outline) const {
  if (const auto* dedup = entry.dedup()) {
    outline.event_count = static_cast<std::uint32_t>(dedup->claims.size());
    for (const auto& claim : dedup->claims) {
      if (outline.events.size() < kOutlineEventsMax) {
        outline.events.push_back({.topic = claim.topic, .id = claim.id, .offset = std::nullopt, .duplicate = false});
      }
    }
    return;
  }
  if (const auto* changed = entry.topic()) {
    outline.event_count = static_cast<std::uint32_t>(changed->changes.size());
    for (const auto& change : changed->changes) {
      if (outline.events.size() < kOutlineEventsMax) {
        outline.events.push_back({.topic = change.topic, .id = {}, .offset = std::nullopt, .duplicate = false});
      }
    }
    return;
  }
  if (const auto* changed = entry.group()) {
    outline.event_count = static_cast<std::uint32_t>(changed->changes.size());
    for (const auto& change : changed->changes) {
      if (outline.events.size() < kOutlineEventsMax) {
        outline.events.push_back({.topic = change.group, .id = {}, .offset = std::nullopt, .duplicate = false});
      }
    }
    return;
  }
  const auto* events = entry.publish();
  if (events == nullptr) {
    return;
  }
  outline.event_count = events->event_count();
  const bool is_applied = outline.state == EntryState::applied;
  const auto row = is_applied ? state_.events().find(entry.index) : std::nullopt;
  std::map<std::string_view, std::uint64_t> given;  // offsets given so far, per topic
  for (std::uint32_t i = 0; i < std::min<std::size_t>(events->event_count(), kOutlineEventsMax); ++i) {
    OutlineEvent event{.topic = std::string(events->topics()[events->topic_number(i)]),
                       .id = std::string(events->id(i)),
                       .offset = std::nullopt,
                       .duplicate = is_applied && (!row || std::ranges::binary_search(row->skipped, i))};
    const auto topic = row && !event.duplicate ? state_.topic_id(event.topic) : std::nullopt;
    if (topic) {
      const auto part = std::ranges::find(row->topics, *topic, &storage::TopicPart::topic);
      event.offset = part->first_offset + given[events->topics()[events->topic_number(i)]]++;
    }
    outline.events.push_back(std::move(event));
  }
}

}  // namespace weir::broker
