#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/endpoint.hpp"
#include "clients/cpp/error.hpp"

/// The answers of the routes that describe a cluster, as values. What an answer leaves out is nullopt or empty.
namespace weir::client {

struct MemberView {
  std::string node;
  std::string role;
  std::string http;
  std::string raft;
  std::optional<std::uint64_t> term;
  std::optional<std::uint64_t> last_index;
  std::optional<std::uint64_t> commit_index;
  std::optional<std::uint64_t> applied_index;
  std::optional<std::uint64_t> match_index;
  std::optional<std::uint64_t> fsync_p99_us;
  std::optional<std::uint64_t> disk_bytes;
  std::optional<std::uint64_t> uptime_ms;
  std::optional<bool> healthy;
};

/// GET /v1/cluster: what one node knows.
struct ClusterView {
  MemberView self;     ///< node, role, term and indexes of the node that answered
  std::string leader;  ///< empty: it knows of none
  std::vector<MemberView> members;

  /// The http addresses that can be connected to.
  [[nodiscard]] std::vector<Endpoint> endpoints() const;
};

/// POST /v1/cluster/verify: what members hold as of one index.
struct VerifiedView {
  std::uint64_t index = 0;
  std::uint64_t position = 0;
  std::string digest;
  std::vector<std::string> agree;
  std::vector<std::string> differ;
  std::vector<std::string> unreachable;
};
[[nodiscard]] Result<VerifiedView> decode_verified(std::string_view body);

/// One setting of a topic, as it holds.
struct TopicSettingView {
  std::string name;       ///< "retention.age", "retention.bytes", "retention.count", "dedup"
  std::string value;      ///< "7d", "1073741824", "off"
  bool of_topic = false;  ///< set on the topic; else the broker's default
};

/// GET /v1/topics/{topic}, and one row of GET /v1/topics.
struct TopicView {
  std::string topic;
  std::uint64_t first_offset = 0;
  std::uint64_t next_offset = 0;
  std::uint64_t events = 0;
  std::string last_time;
  std::uint64_t bytes = 0;  ///< of bodies
  std::vector<TopicSettingView> settings;
};

struct RaftEventView {
  std::string topic;
  std::optional<std::uint64_t> offset;
  std::string id;
  bool duplicate = false;
};

/// One row of GET /v1/raft/log.
struct RaftEntryView {
  std::uint64_t index = 0;
  std::uint64_t term = 0;
  std::string command;
  std::uint64_t bytes = 0;
  std::string state;
  std::vector<RaftEventView> events;  ///< at most the first 16
  std::uint64_t event_count = 0;
};

[[nodiscard]] Result<ClusterView> decode_cluster(std::string_view body);
[[nodiscard]] Result<TopicView> decode_topic(std::string_view body);
[[nodiscard]] Result<std::vector<TopicView>> decode_topics(std::string_view body);
[[nodiscard]] Result<std::vector<RaftEntryView>> decode_raft_log(std::string_view body);

/// GET /v1/ids/{topic}.
struct IdView {
  std::optional<std::uint64_t> offset;  ///< none: the id is only claimed
  std::string time;
  std::string owner;
};
[[nodiscard]] Result<IdView> decode_id(std::string_view body);

}  // namespace weir::client
