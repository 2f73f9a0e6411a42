// A topic's settings as JSON. Pure: no thread rule.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "broker/core/retention.hpp"
#include "broker/http/problem.hpp"
#include "wire/topic.hpp"

namespace weir::broker::http {

/// {"retention":{"age":"7d","bytes":"1GiB","count":1000},"dedup":"12h"}: each a value, "off", or null for the default;
/// an empty body names none. `unnamed`: what stands for those that are not named.
[[nodiscard]] std::expected<wire::TopicSettings, Problem> parse_settings(std::string_view body, wire::Setting unnamed);

/// As they were set, null for those that were not; what parse_settings() takes.
[[nodiscard]] std::string settings_json(const wire::TopicSettings& settings);
/// What holds: a value or "off" each.
[[nodiscard]] std::string in_force_json(const wire::TopicSettings& settings, const RetentionLimits& limits);

}  // namespace weir::broker::http
