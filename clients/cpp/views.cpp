#include "clients/cpp/views.hpp"

#include <boost/json/array.hpp>

#include "clients/cpp/json_fields.hpp"

namespace weir::client {
namespace {

using boost::json::object;

MemberView member_from(const object& in) {
  return MemberView{.node = json_text(in, "node").value_or(""),
                    .role = json_text(in, "role").value_or(""),
                    .http = json_text(in, "http").value_or(""),
                    .raft = json_text(in, "raft").value_or(""),
                    .term = json_u64(in, "term"),
                    .last_index = json_u64(in, "last_index"),
                    .commit_index = json_u64(in, "commit_index"),
                    .applied_index = json_u64(in, "applied_index"),
                    .match_index = json_u64(in, "match_index"),
                    .fsync_p99_us = json_u64(in, "fsync_p99_us"),
                    .disk_bytes = json_u64(in, "disk_bytes"),
                    .uptime_ms = json_u64(in, "uptime_ms"),
                    .healthy = json_bool(in, "healthy")};
}

/// A text, or a number as its digits.
std::string value_from(const object& in, std::string_view name) {
  if (const auto number = json_u64(in, name)) return std::to_string(*number);
  return json_text(in, name).value_or("");
}

object object_from(const object& in, std::string_view name) {
  const auto* found = json_at(in, name);
  return found != nullptr && found->is_object() ? found->get_object() : object{};
}

std::vector<TopicSettingView> settings_from(const object& in) {
  const object own = object_from(in, "settings");
  const object in_force = object_from(in, "in_force");
  std::vector<TopicSettingView> settings;
  for (const std::string_view name : {"age", "bytes", "count"}) {
    settings.push_back({.name = "retention." + std::string(name),
                        .value = value_from(object_from(in_force, "retention"), name),
                        .of_topic = json_at(object_from(own, "retention"), name) != nullptr});
  }
  settings.push_back(
      {.name = "dedup", .value = value_from(in_force, "dedup"), .of_topic = json_at(own, "dedup") != nullptr});
  return settings;
}

TopicView topic_from(const object& in) {
  return TopicView{.topic = json_text(in, "topic").value_or(""),
                   .first_offset = json_u64(in, "first_offset").value_or(0),
                   .next_offset = json_u64(in, "next_offset").value_or(0),
                   .events = json_u64(in, "events").value_or(0),
                   .last_time = json_text(in, "last_time").value_or(""),
                   .bytes = json_u64(in, "bytes").value_or(0),
                   .settings = settings_from(in)};
}

RaftEventView raft_event_from(const object& in) {
  return RaftEventView{.topic = json_text(in, "topic").value_or(""),
                       .offset = json_u64(in, "offset"),
                       .id = json_text(in, "id").value_or(""),
                       .duplicate = json_bool(in, "duplicate").value_or(false)};
}

/// Reads the objects of the array `name`; whatever else is in it is passed over.
template <class T, class Read>
std::vector<T> list_from(const object& in, std::string_view name, Read read) {
  std::vector<T> out;
  const auto* found = json_at(in, name);
  if (found == nullptr || !found->is_array()) return out;
  for (const auto& one : found->get_array()) {
    if (one.is_object()) out.push_back(read(one.get_object()));
  }
  return out;
}

std::vector<std::string> texts_from(const object& in, std::string_view name) {
  std::vector<std::string> out;
  const auto* found = json_at(in, name);
  if (found == nullptr || !found->is_array()) return out;
  for (const auto& one : found->get_array()) {
    if (one.is_string()) out.emplace_back(one.get_string().data(), one.get_string().size());
  }
  return out;
}

RaftEntryView raft_entry_from(const object& in) {
  RaftEntryView entry{.index = json_u64(in, "index").value_or(0),
                      .term = json_u64(in, "term").value_or(0),
                      .command = json_text(in, "command").value_or(""),
                      .bytes = json_u64(in, "bytes").value_or(0),
                      .state = json_text(in, "state").value_or(""),
                      .events = list_from<RaftEventView>(in, "events", raft_event_from),
                      .event_count = 0};
  entry.event_count = json_u64(in, "event_count").value_or(entry.events.size());
  return entry;
}

std::unexpected<Error> not_a(std::string_view what, std::string_view body) {
  return failure(errc::bad_answer, "the answer is not " + std::string(what) + ": " + std::string(body.substr(0, 200)));
}

}  // namespace

std::vector<Endpoint> ClusterView::endpoints() const {
  std::vector<Endpoint> out;
  for (const auto& member : members) {
    if (auto endpoint = parse_endpoint(member.http)) out.push_back(std::move(*endpoint));
  }
  return out;
}

Result<ClusterView> decode_cluster(std::string_view body) {
  const auto object = json_object(body);
  if (!object || json_at(*object, "members") == nullptr) return not_a("a cluster", body);
  return ClusterView{.self = member_from(*object),
                     .leader = json_text(*object, "leader").value_or(""),
                     .members = list_from<MemberView>(*object, "members", member_from)};
}

Result<TopicView> decode_topic(std::string_view body) {
  const auto object = json_object(body);
  if (!object || json_at(*object, "topic") == nullptr) return not_a("a topic", body);
  return topic_from(*object);
}

Result<std::vector<TopicView>> decode_topics(std::string_view body) {
  const auto object = json_object(body);
  if (!object || json_at(*object, "topics") == nullptr) return not_a("a list of topics", body);
  return list_from<TopicView>(*object, "topics", topic_from);
}

Result<std::vector<RaftEntryView>> decode_raft_log(std::string_view body) {
  const auto object = json_object(body);
  if (!object || json_at(*object, "entries") == nullptr) return not_a("a Raft log", body);
  return list_from<RaftEntryView>(*object, "entries", raft_entry_from);
}

Result<VerifiedView> decode_verified(std::string_view body) {
  const auto object = json_object(body);
  if (!object || json_at(*object, "digest") == nullptr) return not_a("a comparison", body);
  return VerifiedView{.index = json_u64(*object, "index").value_or(0),
                      .position = json_u64(*object, "position").value_or(0),
                      .digest = json_text(*object, "digest").value_or(""),
                      .agree = texts_from(*object, "agree"),
                      .differ = texts_from(*object, "differ"),
                      .unreachable = texts_from(*object, "unreachable")};
}

Result<IdView> decode_id(std::string_view body) {
  const auto object = json_object(body);
  if (!object) return not_a("an id", body);
  return IdView{.offset = json_u64(*object, "offset"),
                .time = json_text(*object, "time").value_or(""),
                .owner = json_text(*object, "owner").value_or("")};
}

}  // namespace weir::client
