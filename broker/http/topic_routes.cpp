// Topics: which there are, their settings, and how they come and go (docs/decisions/0016).
#include <algorithm>
#include <utility>

#include "broker/core/topic.hpp"
#include "broker/http/answers.hpp"
#include "broker/http/barrier.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/route_parts.hpp"
#include "broker/http/routes.hpp"
#include "broker/http/time_text.hpp"
#include "broker/http/topic_settings.hpp"

namespace weir::broker::http {

namespace {

using Kind = wire::Setting::Kind;

using Topics = std::vector<TopicInfo>;

/// Those applied here; before it is said that there are none, or not the one of this name, all that is committed.
boost::asio::awaitable<std::expected<Topics, Problem>> known_topics(std::shared_ptr<Shard> shard, std::string name) {
  Topics topics = co_await shard->gateway().topics();
  const bool are_found =
      name.empty() ? !topics.empty() : std::ranges::find(topics, name, &TopicInfo::name) != topics.end();
  if (are_found) co_return topics;
  auto passed = co_await pass_barrier(shard, shard->limits().publish_timeout_ms);
  if (!passed) co_return std::unexpected(std::move(passed.error()));
  topics = co_await shard->gateway().topics();
  co_return topics;
}

Answer change(std::shared_ptr<Shard> shard, SharedRequest request, wire::TopicChange asked) {
  if (auto checked = check_topic(asked.topic); !checked) co_return to_response(bad_request(std::move(checked.error())));
  const auto timeout = timeout_of(*request, *shard);
  if (!timeout) co_return to_response(timeout.error());
  const wire::Outcome outcome = co_await shard->gateway().change_topic(asked, *timeout);
  if (!std::holds_alternative<wire::Refused>(outcome)) {
    // Whoever asks this node next sees it done. It is done anyway: that nobody confirms it in time changes no answer.
    static_cast<void>(co_await pass_barrier(shard, *timeout));
  }
  const auto status = co_await shard->status();
  Response response = topic_response(asked.topic, outcome, shard->limits().retention);
  response.add_header("Weir-Node", node_header(*status));
  co_return response;
}

}  // namespace

std::string topic_json(const TopicInfo& topic, const RetentionLimits& limits) {
  std::string json;
  JsonObject object(json);
  object.text("topic", topic.name).number("first_offset", topic.first_offset.value);
  object.number("next_offset", topic.next_offset.value).number("events", topic.next_offset - topic.first_offset);
  object.text_or_null("last_time", topic.last_time_ms == 0 ? std::string{} : format_time(topic.last_time_ms));
  object.number("bytes", topic.bytes).raw("settings", settings_json(topic.settings));
  object.raw("in_force", in_force_json(topic.settings, limits)).end();
  return json;
}

std::string topics_json(const std::vector<TopicInfo>& topics, const RetentionLimits& limits) {
  std::string json = R"({"topics":[)";
  for (std::size_t i = 0; i < topics.size(); ++i) {
    if (i > 0) json += ',';
    json += topic_json(topics[i], limits);
  }
  json += "]}\n";
  return json;
}

Response topic_response(const std::string& topic, const wire::Outcome& outcome, const RetentionLimits& limits) {
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return to_response(refusal_problem(*refused, Retry::unsafe));
  }
  const auto* changed = std::get_if<wire::TopicChanged>(&outcome);
  if (changed == nullptr) {
    return to_response(Problem{.detail = "the node answered a change of a topic with something else"});
  }
  Response response = json_response({});
  response.status = changed->what == wire::TopicWhat::created ? 201 : 200;
  response.add_header("Weir-Durability", "quorum-disk");
  if (changed->what == wire::TopicWhat::removed) {
    JsonObject object(response.body);
    object.text("topic", topic).raw("removed", "true").number("next_offset", changed->next_offset.value).end();
  } else {
    response.body = topic_json({.name = topic,
                                .first_offset = changed->first_offset,
                                .next_offset = changed->next_offset,
                                .last_time_ms = changed->last_time_ms,
                                .settings = changed->settings,
                                .bytes = changed->bytes},
                               limits);
  }
  response.body += '\n';
  return response;
}

Answer topics_route(std::shared_ptr<Shard> shard, SharedRequest request) {
  if (const auto refused = refuse_parameters(*request)) co_return to_response(*refused);
  const auto topics = co_await known_topics(shard, {});
  if (!topics) co_return to_response(topics.error());
  co_return json_response(topics_json(*topics, shard->limits().retention));
}

Answer topic_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic) {
  if (const auto refused = refuse_parameters(*request)) co_return to_response(*refused);
  if (auto checked = check_topic(topic); !checked) co_return to_response(bad_request(std::move(checked.error())));
  const auto topics = co_await known_topics(shard, topic);
  if (!topics) co_return to_response(topics.error());
  const auto found = std::ranges::find(*topics, topic, &TopicInfo::name);
  if (found == topics->end()) {
    co_return to_response(not_found("topic '" + topic + "' not found; create it with PUT /v1/topics/" + topic));
  }
  co_return json_response(topic_json(*found, shard->limits().retention) + '\n');
}

Answer topic_put_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic) {
  const auto settings = parse_settings(request->body, {});
  if (!settings) co_return to_response(settings.error());
  const auto none_match = request->field("if-none-match");
  if (none_match && *none_match != "*") {
    co_return to_response(bad_request("the only If-None-Match known here is *"));
  }
  const auto action = none_match ? wire::TopicAction::create : wire::TopicAction::put;
  wire::TopicChange asked{.topic = std::move(topic), .action = action, .settings = *settings};
  co_return co_await change(std::move(shard), std::move(request), std::move(asked));
}

Answer topic_change_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic) {
  const auto settings = parse_settings(request->body, {.kind = Kind::keep, .value = 0});
  if (!settings) co_return to_response(settings.error());
  wire::TopicChange asked{.topic = std::move(topic), .action = wire::TopicAction::change, .settings = *settings};
  co_return co_await change(std::move(shard), std::move(request), std::move(asked));
}

Answer topic_remove_route(std::shared_ptr<Shard> shard, SharedRequest request, std::string topic) {
  if (!request->body.empty()) co_return to_response(bad_request("this route takes no body"));
  wire::TopicChange asked{.topic = std::move(topic), .action = wire::TopicAction::remove, .settings = {}};
  co_return co_await change(std::move(shard), std::move(request), std::move(asked));
}

}  // namespace weir::broker::http
