#include "broker/http/delivery.hpp"

#include <algorithm>
#include <utility>

namespace weir::broker::http {

Delivery::Delivery(ReadPlan plan, const ReadStart& start)
    : plan_(std::move(plan)),
      state_(start.state),
      position_(start.state.after),
      end_at_start_(start.next_offset),
      left_(plan_.limit),
      single_(plan_.single_topic().has_value()) {
  if (!single_) return;
  if (const auto* from = std::get_if<FromOffset>(&plan_.from)) {
    next_offset_ = std::max(from->offset, start.first_offset);
    next_is_known_ = true;
    if (start.topic_exists && from->offset < start.first_offset) {
      gap_at_start_ = Gap{std::string(*plan_.single_topic()), from->offset, start.first_offset.prev()};
    }
  } else if (std::holds_alternative<FromLatest>(plan_.from)) {
    next_offset_ = start.next_offset;
    next_is_known_ = true;
  } else {
    next_offset_ = start.first_offset;
  }
}

ReadLimits Delivery::limits(std::uint64_t events, std::size_t bytes) const {
  // With a key most of what is read may be passed over: left_ is no bound then.
  const std::uint64_t wanted = plan_.key ? events : std::min(events, left_);
  return {.events_max = static_cast<std::size_t>(wanted), .bytes_max = bytes};
}

bool Delivery::beyond_end(const ReadEvent& event) const {
  if (const auto* offset = std::get_if<raft::Offset>(&plan_.until)) return event.offset > *offset;
  if (const auto* cursor = std::get_if<UntilCursor>(&plan_.until)) return event.position > cursor->position;
  if (const auto* time = std::get_if<UntilTime>(&plan_.until)) return event.time_ms > time->time_ms;
  return false;
}

bool Delivery::end_reached(const ReadBatch& batch, std::uint64_t now_ms) const {
  if (const auto* offset = std::get_if<raft::Offset>(&plan_.until)) return next_offset_ > *offset;
  if (const auto* cursor = std::get_if<UntilCursor>(&plan_.until)) return batch.next.after >= cursor->position;
  // A time that is past cannot get another event once all there is has been read.
  if (const auto* time = std::get_if<UntilTime>(&plan_.until)) return batch.up_to_date && time->time_ms < now_ms;
  return false;
}

std::optional<Gap> Delivery::gap_before(const ReadEvent& event) const {
  if (!single_ || !next_is_known_ || event.offset <= next_offset_) return std::nullopt;
  return Gap{std::string(*plan_.single_topic()), next_offset_, event.offset.prev()};
}

Step Delivery::take(ReadBatch batch, std::uint64_t now_ms) {
  Step step;
  if (batch.removed) {
    state_ = batch.next;
    // Where offsets are counted the next event shows exactly what is missing.
    if (!single_ || !next_is_known_) step.gap = Gap{.topic = {}, .from = {}, .to = {}, .positions = batch.removed};
    return step;
  }
  for (ReadEvent& event : batch.events) {
    finished_ = finished_ || left_ == 0 || beyond_end(event);
    if (finished_) break;
    if (auto gap = gap_before(event)) {
      // The gap is told where it lies: what was read before it goes out first, this event is read again.
      if (!step.events.empty()) return step;
      step.gap = std::move(gap);
    }
    state_.after = event.position;
    state_.skip = 0;  // an event is only given once all that were to be skipped are
    position_ = event.position;
    next_offset_ = event.offset.next();
    next_is_known_ = true;
    if (plan_.key && event.view().key != *plan_.key) continue;
    step.events.push_back(std::move(event));
    --left_;
  }
  if (!finished_) {
    state_ = batch.next;
    position_ = std::max(position_, batch.next.after);
    step.caught_up = batch.up_to_date;
    if (batch.up_to_date && !next_is_known_) {
      // Nothing was there: reading goes on at the end. A time floor may hold events back, so no gap is claimed then.
      next_offset_ = std::max(next_offset_, end_at_start_);
      next_is_known_ = state_.time_floor_ms == 0;
    }
    finished_ = left_ == 0 || end_reached(batch, now_ms);
  }
  step.finished = finished_;
  return step;
}

}  // namespace weir::broker::http
