// The table of everything that can be set: adding a setting is adding a row here.
#include <algorithm>
#include <array>
#include <utility>

#include "broker/config.hpp"
#include "broker/quantity.hpp"

namespace weir::broker {
namespace {

using Parsed = std::expected<void, std::string>;

template <class T>
Parsed set_number(T& field, std::string_view text, std::uint64_t min, std::uint64_t max) {
  const auto value = parse_count(text, min, max);
  if (!value) return std::unexpected(value.error());
  field = static_cast<T>(*value);
  return {};
}

/// The longest time that can be set: a day. Everything that waits does so with margin below 2^32 ms.
constexpr std::uint64_t kMsMax = 86'400'000;
constexpr std::uint64_t kCountMax = 1'000'000;

Parsed set_ms(std::uint32_t& field, std::string_view text) {
  return set_number(field, text, 1, kMsMax);
}

Parsed set_bytes(std::size_t& field, std::string_view text, std::uint64_t max) {
  const auto value = parse_size(text, max);
  if (!value) return std::unexpected(value.error());
  field = *value;
  return {};
}

/// "off", or a number with a unit.
Parsed set_age(std::uint64_t& field_ms, std::string_view text) {
  const auto value = text == "off" ? 0 : parse_age(text);
  if (!value) return std::unexpected(value.error());
  field_ms = *value;
  return {};
}

[[nodiscard]] std::string show_limit_age(std::uint64_t ms) {
  return ms == 0 ? "off" : show_age(ms);
}

Parsed set_bool(bool& field, std::string_view text) {
  if (text != "true" && text != "false" && text != "1" && text != "0") {
    return std::unexpected("must be true or false");
  }
  field = text == "true" || text == "1";
  return {};
}

[[nodiscard]] std::string show_bool(bool value) {
  return value ? "true" : "false";
}

/// Where to listen is an address of this machine, not a name that may resolve to several.
Parsed set_endpoint(Endpoint& field, std::string_view text) {
  auto endpoint = parse_endpoint(text);
  if (!endpoint) return std::unexpected(endpoint.error());
  if (endpoint->host == "localhost") endpoint->host = "127.0.0.1";
  field = std::move(*endpoint);
  return {};
}

/// An address that others dial.
[[nodiscard]] std::expected<Endpoint, std::string> parse_reachable(std::string_view text) {
  auto endpoint = parse_endpoint(text);
  if (endpoint && endpoint->port == 0) return std::unexpected("'" + std::string(text) + "': nobody can dial port 0");
  return endpoint;
}

Parsed set_advertised(std::string& field, std::string_view text) {
  const auto endpoint = parse_reachable(text);
  if (!endpoint) return std::unexpected(endpoint.error());
  field = endpoint->text();
  return {};
}

[[nodiscard]] std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) out.emplace_back(item);
  }
  return out;
}

/// As wire/raft.fbs has it: a name stands in frames, log entries and file names.
constexpr std::size_t kNameBytesMax = 32;
constexpr std::size_t kMembersMax = 64;
Parsed check_name(std::string_view name) {
  const bool allowed =
      std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  if (!allowed || name.empty() || name.size() > kNameBytesMax) {
    return std::unexpected("a node's name is 1 to 32 of a-z, 0-9 and '-'");
  }
  return {};
}

Parsed set_node(Config& config, std::string_view text) {
  if (auto checked = check_name(text); !checked) return checked;
  config.node.name = std::string(text);
  return {};
}

Parsed set_peers(Config& config, std::string_view text) {
  std::vector<Peer> peers;
  for (const std::string& item : split_list(text)) {
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos) {
      return std::unexpected("'" + item + "' is not NAME=HOST:PORT; a list looks like n1=host1:7401,n2=host2:7401");
    }
    Peer peer{item.substr(0, equals), {}};
    if (auto checked = check_name(peer.name); !checked) return std::unexpected("'" + item + "': " + checked.error());
    auto endpoint = parse_reachable(std::string_view(item).substr(equals + 1));
    if (!endpoint) return std::unexpected("'" + item + "': " + endpoint.error());
    peer.raft = std::move(*endpoint);
    peers.push_back(std::move(peer));
  }
  if (peers.size() > kMembersMax) return std::unexpected("lists more than " + std::to_string(kMembersMax) + " members");
  std::ranges::sort(peers, {}, &Peer::name);
  for (std::size_t i = 1; i < peers.size(); ++i) {
    if (peers[i].name == peers[i - 1].name) return std::unexpected("'" + peers[i].name + "' is listed twice");
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (peers[i].raft != peers[k].raft) continue;
      return std::unexpected("'" + peers[k].name + "' and '" + peers[i].name + "' have the same address " +
                             peers[i].raft.text());
    }
  }
  config.peers = std::move(peers);
  return {};
}

[[nodiscard]] std::string show_peers(const Config& config) {
  std::string out;
  for (const Peer& peer : config.peers) out += (out.empty() ? "" : ",") + peer.name + "=" + peer.raft.text();
  return out;
}

[[nodiscard]] std::string show_list(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& item : list) out += (out.empty() ? "" : ",") + item;
  return out;
}

template <class T>
Parsed assign(T& field, std::expected<T, std::string> parsed) {
  if (!parsed) return std::unexpected(parsed.error());
  field = *parsed;
  return {};
}

// Rows that differ in the field alone. kField: `[](auto& config) -> auto& { return config.field; }`.
template <auto kField>
constexpr Setting ms(std::string_view key, std::string_view flag, std::string_view help) {
  return {key,
          flag,
          SettingShape::value,
          help,
          [](Config& config, std::string_view text) { return set_ms(kField(config), text); },
          [](const Config& config) { return std::to_string(kField(config)); }};
}

template <auto kField, std::uint64_t kMax = kCountMax>
constexpr Setting count(std::string_view key, std::string_view flag, std::string_view help) {
  return {key,
          flag,
          SettingShape::value,
          help,
          [](Config& config, std::string_view text) { return set_number(kField(config), text, 1, kMax); },
          [](const Config& config) { return std::to_string(kField(config)); }};
}

template <auto kField, std::uint64_t kMax = kSizeMax>
constexpr Setting bytes(std::string_view key, std::string_view flag, std::string_view help) {
  return {key,
          flag,
          SettingShape::value,
          help,
          [](Config& config, std::string_view text) { return set_bytes(kField(config), text, kMax); },
          [](const Config& config) { return show_size(kField(config)); }};
}

template <auto kField>
constexpr Setting toggle(std::string_view key, std::string_view flag, SettingShape shape, std::string_view help) {
  return {key,
          flag,
          shape,
          help,
          [](Config& config, std::string_view text) { return set_bool(kField(config), text); },
          [](const Config& config) { return show_bool(kField(config)); }};
}

constexpr Setting place(std::string_view key, std::string_view flag, std::string_view help, decltype(Setting::set) set,
                        decltype(Setting::show) show) {
  return {key, flag, SettingShape::value, help, set, show};
}

constexpr std::array kPlaces{
    place(
        "data", "data", "Folder of this node's log",
        [](Config& c, std::string_view t) -> Parsed {
          if (t.empty()) return std::unexpected("must name a folder");
          c.data = std::string(t);
          return {};
        },
        [](const Config& c) { return c.data; }),
    place(
        "disk.durability", "durability",
        "two-flushes; one-flush: the same promise, cheaper; os: none, a power cut loses acknowledged events",
        [](Config& c, std::string_view t) -> Parsed {
          const auto durability = storage::parse_durability(t);
          if (!durability) return std::unexpected("must be two-flushes, one-flush or os");
          c.durability = *durability;
          return {};
        },
        [](const Config& c) { return std::string(storage::to_string(c.durability)); }),
    place(
        "disk.segment_bytes", "segment-bytes", "Size of one file of the log; 64MiB where little is retained",
        [](Config& c, std::string_view t) -> Parsed {
          std::size_t bytes = 0;
          if (auto parsed = set_bytes(bytes, t, storage::LmdbLogStore::kSegmentBytesMax); !parsed) return parsed;
          if (bytes < storage::LmdbLogStore::kSegmentBytesMin) return std::unexpected("must be at least 256KiB");
          c.segment_bytes = bytes;
          return {};
        },
        [](const Config& c) { return show_size(c.segment_bytes); }),
    place(
        "disk.if_damaged", "if-damaged",
        "rejoin: what is damaged is left aside, and everything got from the other members; stop: you decide",
        [](Config& c, std::string_view t) -> Parsed {
          if (t != "rejoin" && t != "stop") return std::unexpected("must be rejoin or stop");
          c.if_damaged = t == "rejoin" ? IfDamaged::rejoin : IfDamaged::stop;
          return {};
        },
        [](const Config& c) { return std::string(c.if_damaged == IfDamaged::rejoin ? "rejoin" : "stop"); }),
    place(
        "disk.scrub_bytes_per_s", "scrub-bytes-per-s",
        "How fast what is stored is read again to find damage, in a second; off = it is not",
        [](Config& c, std::string_view t) -> Parsed {
          std::size_t bytes = 0;
          if (t != "off")
            if (auto parsed = set_bytes(bytes, t, kSizeMax); !parsed) return parsed;
          c.scrub_bytes_per_s = bytes;
          return {};
        },
        [](const Config& c) { return c.scrub_bytes_per_s == 0 ? std::string("off") : show_size(c.scrub_bytes_per_s); }),
    place("node", "node", "This node's name", set_node, [](const Config& c) { return c.node.name; }),
    place("peers", "peers", "All members, this one among them: n1=host1:7401,n2=host2:7401; none = a single node",
          set_peers, show_peers),
    place(
        "http.listen", "http", "Address and port for people and programs",
        [](Config& c, std::string_view t) { return set_endpoint(c.http, t); },
        [](const Config& c) { return c.http.text(); }),
    place(
        "http.advertise", "advertise-http", "How clients and members reach it; default: http.listen",
        [](Config& c, std::string_view t) { return set_advertised(c.node.http_address, t); },
        [](const Config& c) { return c.node.http_address; }),
    place(
        "http.origins", "http-origins", "Origins of web pages that may use this broker, besides its own address",
        [](Config& c, std::string_view t) -> Parsed {
          c.origins = split_list(t);
          return {};
        },
        [](const Config& c) { return show_list(c.origins); }),
    place(
        "raft.listen", "raft", "Address and port for the other members",
        [](Config& c, std::string_view t) { return set_endpoint(c.raft, t); },
        [](const Config& c) { return c.raft.text(); }),
    place(
        "raft.advertise", "advertise-raft", "How members reach it; default: this node's address in peers",
        [](Config& c, std::string_view t) { return set_advertised(c.node.raft_address, t); },
        [](const Config& c) { return c.node.raft_address; }),
    toggle<[](auto& c) -> auto& { return c.insecure; }>(
        "insecure", "insecure", SettingShape::toggle,
        "Listen beyond loopback although nobody has to prove who they are"),
    place(
        "log.level", "log-level", "debug, info, warn, error or off",
        [](Config& c, std::string_view t) { return assign(c.log_level, parse_log_level(t)); },
        [](const Config& c) { return std::string(to_string(c.log_level)); }),
    place(
        "log.format", "log-format", "text (key=value) or json",
        [](Config& c, std::string_view t) { return assign(c.log_format, parse_log_format(t)); },
        [](const Config& c) { return std::string(to_string(c.log_format)); }),
};

constexpr std::array kRetention{
    place(
        "retention.age", "retention-age", "Events older than this are removed, by log time: 7d, 12h, 30m, 60s, or off",
        [](Config& c, std::string_view t) { return set_age(c.node.retention.age_ms, t); },
        [](const Config& c) { return show_limit_age(c.node.retention.age_ms); }),
    place(
        "retention.bytes", "retention-bytes", "Bodies kept of each topic, the oldest are removed first: 1GiB, or off",
        [](Config& c, std::string_view t) -> Parsed {
          c.node.retention.bytes = 0;
          return t == "off" ? Parsed{} : set_bytes(c.node.retention.bytes, t, kSizeMax);
        },
        [](const Config& c) {
          return c.node.retention.bytes == 0 ? std::string("off") : show_size(c.node.retention.bytes);
        }),
    place(
        "retention.count", "retention-count", "Events kept of each topic, or off",
        [](Config& c, std::string_view t) -> Parsed {
          c.node.retention.count = 0;
          return t == "off" ? Parsed{} : set_number(c.node.retention.count, t, 1, raft::kNumberLimit - 1);
        },
        [](const Config& c) {
          return c.node.retention.count == 0 ? std::string("off") : std::to_string(c.node.retention.count);
        }),
};

constexpr std::array kRunning{
    count<[](auto& c) -> auto& { return c.net_threads; }, 256>("threads.net", "net-threads",
                                                               "Threads for HTTP; default: cores - 1, at least 1"),
    ms<[](auto& c) -> auto& { return c.node.tick_ms; }>("raft.tick_ms", "tick-ms", "Resolution of Raft's times"),
    ms<[](auto& c) -> auto& { return c.node.heartbeat_ms; }>("raft.heartbeat_ms", "heartbeat-ms",
                                                             "A leader's heartbeat"),
    ms<[](auto& c) -> auto& { return c.node.election_timeout_min_ms; }>(
        "raft.election_timeout_min_ms", "election-timeout-min-ms", "An election timeout is drawn from min to max"),
    ms<[](auto& c) -> auto& { return c.node.election_timeout_max_ms; }>("raft.election_timeout_max_ms",
                                                                        "election-timeout-max-ms", "See the minimum"),
    ms<[](auto& c) -> auto& { return c.node.disk_stall_timeout_ms; }>("disk.stall_timeout_ms", "disk-stall-timeout-ms",
                                                                      "A leader whose disk hangs this long steps down"),
    ms<[](auto& c) -> auto& { return c.scrub_pause_ms; }>("disk.scrub_pause_ms", "scrub-pause-ms",
                                                          "From one reading of all that is stored to the next"),
    ms<[](auto& c) -> auto& { return c.drain_timeout_ms; }>("drain_timeout_ms", "drain-timeout-ms",
                                                            "What a stop may spend on pending requests"),
    count<[](auto& c) -> auto& { return c.node.digest_every_entries; }>(
        "digest.every_entries", "digest-every-entries",
        "Members compare what they hold every so many log entries; the same on all of them"),
    bytes<[](auto& c) -> auto& { return c.node.dedup_memory_bytes; }>(
        "dedup.memory_bytes", "dedup-memory-bytes",
        "Memory for ids of events, 16 bytes each; beyond, the older ones go to the disk, and 3 bytes each stay"),
    toggle<[](auto& c) -> auto& { return c.node.topics_auto_create; }>(
        "topics.auto_create", "topics-auto-create", SettingShape::value, "The first publish creates its topic"),
    count<[](auto& c) -> auto& { return c.node.pending_requests_max; }>(
        "limits.pending_requests", "limit-pending-requests", "Unanswered writes; beyond: 503 overloaded"),
    bytes<[](auto& c) -> auto& { return c.node.pending_bytes_max; }>("limits.pending_bytes", "limit-pending-bytes",
                                                                     "Their bytes; beyond: 503 overloaded"),
    bytes<[](auto& c) -> auto& { return c.node.entry_cache_bytes; }>(
        "limits.entry_cache_bytes", "limit-entry-cache-bytes", "Log entries kept decoded for readers"),
};

constexpr std::array kHttpLimits{
    bytes<[](auto& c) -> auto& { return c.limits.header_bytes_max; }, (1ULL << 20U)>(
        "limits.header_bytes", "limit-header-bytes", "Header of a request; beyond: 431"),
    count<[](auto& c) -> auto& { return c.limits.headers_max; }>("limits.headers", "limit-headers", "Beyond: 431"),
    bytes<[](auto& c) -> auto& { return c.limits.request_line_bytes_max; }, (1ULL << 20U)>(
        "limits.request_line_bytes", "limit-request-line-bytes", "Beyond: 414"),
    bytes<[](auto& c) -> auto& { return c.limits.event_bytes_max; }, wire::kEventBytesMax>(
        "limits.event_bytes", "limit-event-bytes", "Body of an event; beyond: 413"),
    bytes<[](auto& c) -> auto& { return c.limits.batch_bytes_max; }, wire::kBatchBytesMax>(
        "limits.batch_bytes", "limit-batch-bytes", "Body of a batch; beyond: 413"),
    count<[](auto& c) -> auto& { return c.limits.batch_events_max; }, wire::kBatchEventsMax>(
        "limits.batch_events", "limit-batch-events", "Events of a batch; beyond: 413"),
    count<[](auto& c) -> auto& { return c.limits.id_bytes_max; }, 256>("limits.id_bytes", "limit-id-bytes",
                                                                       "Event id; beyond: 400"),
    count<[](auto& c) -> auto& { return c.limits.json_depth_max; }, 1024>("limits.json_depth", "limit-json-depth",
                                                                          "Nesting of JSON; beyond: 400"),
    count<[](auto& c) -> auto& { return c.limits.connections_max; }>("limits.connections", "limit-connections",
                                                                     "HTTP connections; beyond: 503 and close"),
    count<[](auto& c) -> auto& { return c.limits.subscriptions_max; }>("limits.subscriptions", "limit-subscriptions",
                                                                       "Per connection; beyond: error frame"),
    bytes<[](auto& c) -> auto& { return c.limits.outbound_bytes_max; }>(
        "limits.outbound_bytes", "limit-outbound-bytes", "Queue of a subscriber; beyond: reading the log pauses"),
    bytes<[](auto& c) -> auto& { return c.limits.bodies_bytes_max; }>(
        "limits.bodies_bytes", "limit-bodies-bytes", "Bodies and answers of all connections; beyond: 503 overloaded"),
    ms<[](auto& c) -> auto& { return c.limits.header_timeout_ms; }>("limits.header_timeout_ms",
                                                                    "limit-header-timeout-ms", "408, close"),
    ms<[](auto& c) -> auto& { return c.limits.body_timeout_ms; }>("limits.body_timeout_ms", "limit-body-timeout-ms",
                                                                  "408, close"),
    ms<[](auto& c) -> auto& { return c.limits.idle_timeout_ms; }>("limits.idle_timeout_ms", "limit-idle-timeout-ms",
                                                                  "Between requests: close"),
    ms<[](auto& c) -> auto& { return c.limits.heartbeat_ms; }>("limits.heartbeat_ms", "limit-heartbeat-ms",
                                                               "Heartbeat of a stream"),
    ms<[](auto& c) -> auto& { return c.limits.ping_timeout_ms; }>("limits.ping_timeout_ms", "limit-ping-timeout-ms",
                                                                  "WebSocket: close"),
    ms<[](auto& c) -> auto& { return c.limits.handshake_timeout_ms; }>(
        "limits.handshake_timeout_ms", "limit-handshake-timeout-ms", "WebSocket: close"),
    ms<[](auto& c) -> auto& { return c.limits.stalled_write_ms; }>("limits.stalled_write_ms", "limit-stalled-write-ms",
                                                                   "A subscriber took no byte: 1013"),
    ms<[](auto& c) -> auto& { return c.limits.publish_timeout_ms; }>(
        "limits.publish_timeout_ms", "limit-publish-timeout-ms", "Default of a publish's timeout: 503 or 504"),
};

template <std::size_t... kSizes>
[[nodiscard]] constexpr auto joined(const std::array<Setting, kSizes>&... parts) {
  std::array<Setting, (kSizes + ...)> out{};
  auto end = out.begin();
  ((end = std::ranges::copy(parts, end).out), ...);
  return out;
}
constexpr auto kSettings = joined(kPlaces, kRetention, kRunning, kHttpLimits);

}  // namespace

std::span<const Setting> settings() {
  return kSettings;
}

std::string environment_name(const Setting& setting) {
  std::string name = "WEIR_";
  for (const char c : setting.flag)
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

}  // namespace weir::broker
