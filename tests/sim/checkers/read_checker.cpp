#include "tests/sim/checkers/read_checker.hpp"

#include <algorithm>
#include <utility>

namespace weir::sim {

void ReadChecker::read(std::string reader, broker::Selector selector, const broker::ReadState& from,
                       const broker::ReadBatch& batch, raft::Index applied) {
  Read read{.reader = std::move(reader),
            .selector = std::move(selector),
            .from = from.after.value,
            .gap_told = std::max(from.gap_told, batch.next.gap_told).value,
            .removed = batch.removed,
            .applied_index = applied,
            .next = batch.next.after.value,
            .applied = batch.applied.value,
            .up_to_date = batch.up_to_date,
            .events = {}};
  for (const auto& event : batch.events) {
    const auto view = event.view();
    read.events.push_back({.topic = std::string(view.topic),
                           .id = std::string(view.id),
                           .body = std::string(view.body),
                           .offset = event.offset.value,
                           .position = event.position.value,
                           .time_ms = event.time_ms});
  }
  reads_.push_back(std::move(read));
}

void ReadChecker::after() {
  for (const Read& read : std::exchange(reads_, {})) {
    check(read);
  }
}

bool ReadChecker::is_same(const Event& event, const ModelEvent& stored) {
  return event.topic == stored.topic && event.id == stored.id && event.body == stored.body &&
         event.offset == stored.offset && event.position == stored.position && event.time_ms == stored.time_ms;
}

void ReadChecker::fail(const Read& read, const std::string& what, std::uint64_t position) {
  verdict_.fail("reader " + read.reader + " " + what + " position " + std::to_string(position) + " (read from " +
                std::to_string(read.from) + " to " + std::to_string(read.next) + ")");
}

/// It matches, and was still kept when the node answered.
bool ReadChecker::is_missing(const Read& read, const ModelEvent& event) const {
  return read.selector.matches(event.topic) && !model_.is_gone(event, read.applied_index);
}

void ReadChecker::check(const Read& read) {
  const auto& stored = model_.events();
  if (read.next < read.from) {
    return fail(read, "goes back to", read.next);
  }
  if (read.applied > stored.size() || (read.next > read.from && read.next > stored.size())) {
    return fail(read, "is beyond what is committed:", read.next);
  }
  check_gap(read);
  std::size_t given = 0;
  for (std::uint64_t position = read.from + 1; position <= read.next; ++position) {
    const ModelEvent& event = stored[position - 1];
    if (!read.selector.matches(event.topic)) {
      continue;
    }
    if (given < read.events.size() && read.events[given].position == position) {
      if (!is_same(read.events[given], event)) {
        return fail(read, "is given '" + read.events[given].body + "' for '" + event.body + "' at", position);
      }
      ++given;
    } else if (is_missing(read, event)) {
      return fail(read, "is not given", position);
    } else if (position > read.gap_told) {
      return fail(read, "is not told that retention took", position);
    }
  }
  if (given < read.events.size()) {
    return fail(read, "is given what does not belong there:", read.events[given].position);
  }
  for (std::uint64_t position = read.next + 1; read.up_to_date && position <= read.applied; ++position) {
    if (is_missing(read, stored[position - 1])) {
      return fail(read, "is told it has everything, without", position);
    }
  }
}

/// Something in it is missing.
void ReadChecker::check_gap(const Read& read) {
  if (!read.removed) {
    return;
  }
  const auto& [from, to] = *read.removed;
  if (from.value <= read.from || to < from || to.value > read.applied || !read.events.empty()) {
    return fail(read, "is told a gap that cannot be, up to", to.value);
  }
  for (std::uint64_t position = from.value; position <= to.value; ++position) {
    const ModelEvent& event = model_.events()[position - 1];
    if (read.selector.matches(event.topic) && model_.is_gone(event, read.applied_index)) {
      return;
    }
  }
  fail(read, "is told a gap in which nothing is missing, up to", to.value);
}

}  // namespace weir::sim
