#include "tests/sim/checkers/read_checker.hpp"

#include <utility>

namespace weir::sim {

void ReadChecker::read(std::string reader, broker::Selector selector, raft::Position from,
                       const broker::ReadBatch& batch) {
  Read read{.reader = std::move(reader),
            .selector = std::move(selector),
            .from = from.value,
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

void ReadChecker::check(const Read& read) {
  const auto fail = [&](const std::string& what, std::uint64_t position) {
    verdict_.fail("reader " + read.reader + " " + what + " position " + std::to_string(position) + " (read from " +
                  std::to_string(read.from) + " to " + std::to_string(read.next) + ")");
  };
  const auto& stored = model_.events();
  if (read.next < read.from) {
    return fail("goes back to", read.next);
  }
  if (read.applied > stored.size() || (read.next > read.from && read.next > stored.size())) {
    return fail("is beyond what is committed:", read.next);
  }
  std::size_t given = 0;
  for (std::uint64_t position = read.from + 1; position <= read.next; ++position) {
    const ModelEvent& event = stored[position - 1];
    if (!read.selector.matches(event.topic)) {
      continue;
    }
    if (given >= read.events.size()) {
      return fail("is not given", position);
    }
    if (!is_same(read.events[given], event)) {
      return fail("is given '" + read.events[given].body + "' for '" + event.body + "' at", position);
    }
    ++given;
  }
  if (given < read.events.size()) {
    return fail("is given what does not belong there:", read.events[given].position);
  }
  for (std::uint64_t position = read.next + 1; read.up_to_date && position <= read.applied; ++position) {
    if (read.selector.matches(stored[position - 1].topic)) {
      return fail("is told it has everything, without", position);
    }
  }
}

}  // namespace weir::sim
