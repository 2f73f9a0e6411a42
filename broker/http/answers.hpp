// What the node decided, as clients read it (API §3, §7). Pure: no thread rule.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/core/membership.hpp"
#include "broker/core/reading.hpp"
#include "broker/core/status.hpp"
#include "broker/http/problem.hpp"
#include "broker/http/publish_request.hpp"
#include "broker/http/response.hpp"
#include "wire/entry.hpp"
#include "wire/outcome.hpp"

namespace weir::broker::http {

/// `retry`: may the refused request be repeated when its outcome is unknown?
[[nodiscard]] Problem refusal_problem(const wire::Refused& refused, Retry retry);
/// 201, 200, or the problem the outcome stands for.
[[nodiscard]] Response publish_response(const PublishRequest& publish, const wire::Outcome& outcome,
                                        std::string_view epoch);
/// The members of one stored event: offset, position, cursor, id, time, duplicate.
[[nodiscard]] std::string result_json(const wire::EventResult& result, std::string_view topic, std::string_view id,
                                      std::string_view epoch);

/// GET and PUT /v1/ids/{topic}.
[[nodiscard]] std::string claim_json(const wire::Claim& claim, const wire::Claimed& claimed, std::string_view epoch);
[[nodiscard]] Response claim_response(const wire::Claim& claim, const wire::Outcome& outcome, std::string_view epoch);

/// `limits`: what holds where a topic has no limits of its own.
[[nodiscard]] std::string topic_json(const TopicInfo& topic, const RetentionLimits& limits);
[[nodiscard]] std::string topics_json(const std::vector<TopicInfo>& topics, const RetentionLimits& limits);
/// 201, 200, or the problem the outcome stands for.
[[nodiscard]] Response topic_response(const std::string& topic, const wire::Outcome& outcome,
                                      const RetentionLimits& limits);
[[nodiscard]] std::string cluster_json(const NodeStatus& status, const Counters& counters);
[[nodiscard]] std::string raft_log_json(const NodeStatus& status, const LogOutline& outline);
[[nodiscard]] std::string verified_json(const Verified& verified);
/// 200, or 503 with the reasons.
[[nodiscard]] Response ready_response(const NodeStatus& status);
/// `n2; leader=n1; term=3`.
[[nodiscard]] std::string node_header(const NodeStatus& status);

}  // namespace weir::broker::http
