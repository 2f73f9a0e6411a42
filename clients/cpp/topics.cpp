#include "clients/cpp/topics.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "clients/cpp/text.hpp"

namespace weir::client {
namespace {

void add(boost::json::object& object, const char* name, const std::string& value) {
  if (value == "default") {
    object[name] = nullptr;
  } else if (!value.empty()) {
    object[name] = value;
  }
}

std::string body_of(const TopicSettings& settings) {
  boost::json::object retention;
  add(retention, "age", settings.age);
  add(retention, "bytes", settings.bytes);
  add(retention, "count", settings.count);
  boost::json::object body;
  if (!retention.empty()) body["retention"] = std::move(retention);
  add(body, "dedup", settings.dedup);
  return boost::json::serialize(body);
}

std::string target_of(std::string_view topic) {
  return "/v1/topics/" + percent_encode(topic, Slash::keep);
}

Result<TopicAnswer> answer_of(Result<HttpResponse> response) {
  if (!response) return std::unexpected(std::move(response.error()));
  auto topic = decode_topic(response->body);
  if (!topic) return std::unexpected(std::move(topic.error()));
  return TopicAnswer{.topic = *std::move(topic), .json = std::move(response->body)};
}

HttpRequest request_of(std::string_view method, std::string_view topic, const TopicSettings& settings) {
  HttpRequest request{.method = std::string(method), .target = target_of(topic), .body = body_of(settings)};
  request.headers.emplace_back("Accept", "application/json");
  request.headers.emplace_back("Content-Type", "application/json");
  return request;
}

}  // namespace

Result<TopicAnswer> create_topic(Client& client, std::string_view topic, const TopicSettings& settings) {
  HttpRequest request = request_of("PUT", topic, settings);
  request.headers.emplace_back("If-None-Match", "*");
  return answer_of(client.ask_leader(request));
}

Result<TopicAnswer> put_topic(Client& client, std::string_view topic, const TopicSettings& settings) {
  return answer_of(client.ask_leader(request_of("PUT", topic, settings)));
}

Result<TopicAnswer> change_topic(Client& client, std::string_view topic, const TopicSettings& settings) {
  return answer_of(client.ask_leader(request_of("PATCH", topic, settings)));
}

Result<TopicAnswer> topic_info(Client& client, std::string_view topic) {
  return answer_of(client.get(target_of(topic), "application/json"));
}

Result<TopicAnswer> remove_topic(Client& client, std::string_view topic) {
  HttpRequest request{.method = "DELETE", .target = target_of(topic)};
  request.headers.emplace_back("Accept", "application/json");
  return answer_of(client.ask_leader(request));
}

}  // namespace weir::client
