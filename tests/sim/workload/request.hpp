// A client's write and what became of its attempts. Values only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/types.hpp"
#include "wire/entry.hpp"
#include "wire/outcome.hpp"

namespace weir::sim {

struct RequestEvent {
  std::string topic;
  std::string id;
  std::string body;
};

struct Request {
  std::uint64_t number = 0;
  std::vector<RequestEvent> events;
  std::optional<raft::Offset> expected;  ///< of the first event's topic
  std::optional<wire::Claim> claim;      ///< then there are no events
  raft::Bytes bytes;                     ///< what Node::publish takes
  bool repeatable = false;               ///< every event has an id

  // What is known of it.
  std::uint32_t attempts = 0;
  std::uint32_t refused = 0;  ///< attempts that were told that nothing was stored
  bool acked = false;
};

struct Attempt {
  std::shared_ptr<Request> request;
  raft::Index begun_at;  ///< as far as committed then
  /// The highest position that any client had been told when this attempt began.
  std::uint64_t acked_before = 0;
  /// The next offset of its first event's topic, as far as committed then.
  std::uint64_t next_offset_before = 0;
};

[[nodiscard]] inline bool is_unknown(const wire::Outcome& outcome) {
  const auto* refused = std::get_if<wire::Refused>(&outcome);
  return refused != nullptr && refused->kind == wire::RefusalKind::outcome_unknown;
}

}  // namespace weir::sim
