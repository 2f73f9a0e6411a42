#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/cpp/client.hpp"

/// Consumer groups, and events and commits in one request (API.md §6). Any member answers any step.
namespace weir::client {

struct GroupLeaseView {
  std::string lease;
  std::string from;
  std::string to;
  std::string expires;
};

struct GroupView {
  std::string group;
  std::vector<std::string> patterns;
  std::string cursor;  ///< everything up to here is finished
  std::uint64_t generation = 0;
  std::uint64_t lag = 0;
  std::vector<GroupLeaseView> leases;
};
[[nodiscard]] Result<GroupView> decode_group(std::string_view body);
[[nodiscard]] Result<std::vector<GroupView>> decode_groups(std::string_view body);

/// What the broker answered, and what it says.
struct GroupAnswer {
  GroupView group;  ///< of a change: what it names
  std::string json;
};

/// Makes the group if it is not there. `from`: where it begins then, empty = earliest. One that reads other topics:
/// errc::refused.
[[nodiscard]] Result<GroupAnswer> create_group(Client& client, std::string_view group,
                                               const std::vector<std::string>& patterns, std::string_view from);
[[nodiscard]] Result<GroupAnswer> group_info(Client& client, std::string_view group);
/// To a cursor, "earliest", "latest" or a time. Its leases are lost.
[[nodiscard]] Result<GroupAnswer> seek_group(Client& client, std::string_view group, std::string_view cursor);
[[nodiscard]] Result<GroupAnswer> remove_group(Client& client, std::string_view group);

// NOLINTBEGIN(readability-redundant-member-init): without them g++ warns of every field a caller leaves out.
struct ClaimOptions {
  std::vector<std::string> topics = {};  ///< what the group reads; needed by the claim that makes it
  std::string from = {};                 ///< where it begins then
  std::uint64_t max = 10;                ///< events
  std::chrono::milliseconds lease{30'000};
  std::chrono::milliseconds wait{0};  ///< for events, if there are none
};
// NOLINTEND(readability-redundant-member-init)

struct GroupClaim {
  std::string lease;
  std::uint64_t generation = 0;
  std::string expires;
  std::vector<ReceivedEvent> events;
  std::string cursor;  ///< to be committed when all of them are done
  std::string gap;     ///< what retention took before them, as JSON; empty = nothing
};
/// The next events that nobody else has; nothing: there were none in time. A lost answer may have left a lease behind
/// that nobody knows of; it runs out by itself.
[[nodiscard]] Result<std::optional<GroupClaim>> claim(Client& client, std::string_view group,
                                                      const ClaimOptions& options);

/// `lease` may be empty: then nobody may hold one. A lease that is lost: errc::refused, "lease-lost". Tried again after
/// a lost answer: the same commit again succeeds.
[[nodiscard]] Result<GroupAnswer> commit_group(Client& client, std::string_view group, std::string_view lease,
                                               std::string_view cursor);

// NOLINTBEGIN(readability-redundant-member-init): as above
struct Batch {
  struct Commit {
    std::string group;
    std::string lease;
    std::string cursor;
  };
  std::vector<std::pair<std::string, OutgoingEvent>> publish = {};  ///< by topic
  std::optional<Commit> commit = {};
  std::vector<std::pair<std::string, std::uint64_t>> expect = {};  ///< a topic's next offset
  std::string key = {};  ///< Idempotency-Key: with it, or an id on every event, a lost answer is asked for again
};
// NOLINTEND(readability-redundant-member-init)

/// All of it or nothing, in one log entry. Of a batch that only commits there are no results.
[[nodiscard]] Result<BatchPublished> publish_batch(Client& client, const Batch& batch);

}  // namespace weir::client
