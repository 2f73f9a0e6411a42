// How a publish, a claim, a change of a topic or of a group ended: decided at apply on the leader, carried back to the
// node where the client asked. Values only: no thread rule.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "raft/types.hpp"
#include "wire/group.hpp"
#include "wire/topic.hpp"

namespace weir::wire {

enum class Storing : std::uint8_t { stored = 1, duplicate = 2 };

/// Of a duplicate: the original's offset, position and time.
struct EventResult {
  raft::Offset offset;
  raft::Position position;
  std::uint64_t time_ms = 0;
  Storing storing = Storing::stored;
  friend bool operator==(const EventResult&, const EventResult&) = default;
};

/// One result per event of the request, in its order.
struct Published {
  std::vector<EventResult> results;
  friend bool operator==(const Published&, const Published&) = default;
};

enum class ClaimState : std::uint8_t { claimed_now = 1, claimed_before = 2, published_before = 3 };
struct Claimed {
  ClaimState state = ClaimState::claimed_now;
  EventResult original;  ///< of published_before: where the event is; of claims: only time_ms
  friend bool operator==(const Claimed&, const Claimed&) = default;
};

/// Numbers are on the wire: never re-used.
enum class RefusalKind : std::uint8_t {
  id_reuse = 1,            ///< 422; `offset` of the original, `event` = ordinal in the request
  expectation_failed = 2,  ///< 412; `offset` = the topic's next offset
  id_claimed = 3,          ///< 409
  no_topic = 4,            ///< 404: topics are not created by publishing here
  not_leader = 5,          ///< between brokers only: nothing was appended; try the leader
  no_leader = 6,           ///< 503
  overloaded = 7,          ///< 503
  draining = 8,            ///< 503
  disk_full = 9,           ///< 507
  too_large = 10,          ///< 413
  outcome_unknown = 11,    ///< 504: may or may not be stored; repeat the same request with its ids
  malformed = 12,          ///< 400
  unfit = 13,              ///< 503: the replicas disagree; no member takes it until an operator acts
  conflict = 14,           ///< 409: the topic or group is there with other settings, or they do not allow it
  no_group = 15,           ///< 404
  lease_lost = 16,         ///< 409: it ran out, or its range was given up
  quota = 17,              ///< 429: as many groups or leases as there may be
  moved_on = 18,           ///< inside a broker's claim only: that range is not what is next; read on
};

struct Refused {
  RefusalKind kind = RefusalKind::no_leader;
  std::uint32_t event = 0;
  raft::Offset offset;
  std::string detail;
  friend bool operator==(const Refused&, const Refused&) = default;
};

using Outcome = std::variant<Published, Claimed, Refused, TopicChanged, GroupChanged>;

}  // namespace weir::wire
