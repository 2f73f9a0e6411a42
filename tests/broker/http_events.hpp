// Events for tests of the HTTP edge, as the log gives them.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/core/reading.hpp"
#include "wire/entry.hpp"

namespace weir::broker::http {

/// One event in an entry of its own.
inline ReadEvent read_event(const wire::EventView& event, std::uint64_t offset, std::uint64_t position,
                            std::uint64_t time_ms = 1'795'215'001'123) {
  wire::PublishBuilder builder;
  builder.add(event);
  auto view = wire::PublishView::verify(builder.finish().value()).value();
  return {.entry = std::make_shared<const wire::PublishView>(std::move(view)),
          .ordinal = 0,
          .offset = raft::Offset{offset},
          .position = raft::Position{position},
          .time_ms = time_ms};
}

inline wire::EventView json_event(std::string_view topic, std::string_view body) {
  return {.topic = topic,
          .id = {},
          .source = {},
          .key = {},
          .content_type = "application/json",
          .headers = {},
          .body = body};
}

}  // namespace weir::broker::http
