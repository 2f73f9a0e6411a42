// Groups, claims and batches, as clients read them (API §6). Pure: no thread rule.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/group_info.hpp"
#include "broker/core/reading.hpp"
#include "broker/http/batch_request.hpp"
#include "broker/http/event_json.hpp"
#include "broker/http/response.hpp"
#include "wire/outcome.hpp"

namespace weir::broker::http {

[[nodiscard]] std::string group_json(const GroupInfo& group, std::string_view epoch);
[[nodiscard]] std::string groups_json(const std::vector<GroupInfo>& groups, std::string_view epoch);
/// Of PUT, DELETE and commit: 201, 200, or the problem the outcome stands for.
[[nodiscard]] Response group_response(const wire::GroupChange& asked, const wire::Outcome& outcome,
                                      std::string_view epoch);

/// What a claim hands out: a range, the events in it that match, and what is missing in it.
struct Claimable {
  raft::Position from;
  raft::Position to;
  std::vector<ReadEvent> events;
  std::optional<RemovedRange> gap;
};
[[nodiscard]] std::string claimed_json(std::string_view group, const wire::GroupChanged& claimed,
                                       const Claimable& range, std::string_view epoch, DataForm data);

/// 201, 200, or the problem the outcome stands for.
[[nodiscard]] Response batch_response(const BatchRequest& batch, const wire::Outcome& outcome, std::string_view epoch);
/// Of a batch that was refused: with the number of the event that is at fault.
[[nodiscard]] Problem batch_problem(const BatchRequest& batch, const wire::Refused& refused);
/// The members of its answer: results, stored, duplicates, cursor, committed; without braces.
[[nodiscard]] std::string batch_members(const BatchRequest& batch, const wire::Published& published,
                                        std::string_view epoch);
/// A batch without events is a commit.
[[nodiscard]] std::string lone_commit_members(const BatchRequest& batch);

}  // namespace weir::broker::http
