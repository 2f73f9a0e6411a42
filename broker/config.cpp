#include "broker/config.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "broker/config_file.hpp"

namespace weir::broker {
namespace {

/// Leaves 3 s for sessions and 1 s for the disk.
constexpr std::uint32_t kDrainTimeoutMsMax = 5'000;

using Checked = std::expected<void, std::string>;

/// One setting's text and where it stands.
struct Given {
  std::string value;
  std::string origin;
};
using GivenByKey = std::map<std::string, Given, std::less<>>;

[[nodiscard]] std::optional<std::string> file_path(const ConfigSources& sources) {
  if (const auto flag = sources.flags.find("config"); flag != sources.flags.end()) return flag->second;
  return sources.environment ? sources.environment("WEIR_CONFIG") : std::nullopt;
}

std::expected<GivenByKey, std::string> read_file(const ConfigSources& sources) {
  GivenByKey given;
  const auto path = file_path(sources);
  if (!path) return given;
  auto file = read_config_file(*path);
  if (!file) return std::unexpected(file.error());
  for (FileSetting& setting : *file) {
    const std::string origin = "file " + *path + " line " + std::to_string(setting.line);
    if (std::ranges::find(settings(), setting.key, &Setting::key) == settings().end()) {
      return std::unexpected(origin + ": there is no setting '" + setting.key + "'; weir config show lists them");
    }
    given[setting.key] = {std::move(setting.value), origin};
  }
  return given;
}

/// The first of flag, environment, file that gives the setting.
[[nodiscard]] std::optional<Given> find_given(const Setting& setting, const ConfigSources& sources,
                                              const GivenByKey& file) {
  if (const auto flag = sources.flags.find(setting.flag); flag != sources.flags.end()) {
    return Given{flag->second, "flag --" + std::string(setting.flag)};
  }
  const std::string name = environment_name(setting);
  if (auto value = sources.environment ? sources.environment(name) : std::nullopt) {
    return Given{std::move(*value), "environment " + name};
  }
  if (const auto found = file.find(setting.key); found != file.end()) return found->second;
  return std::nullopt;
}

/// What follows from other settings where nothing was said. `origins` tells what was said.
class Completion {
 public:
  Completion(Config& config, std::map<std::string, std::string, std::less<>>& origins)
      : config_(config), origins_(origins) {}

  Checked run() {
    if (config_.peers.empty()) {
      single();
    } else if (auto checked = member(); !checked) {
      return checked;
    }
    if (is_default("http.advertise")) {
      config_.node.http_address = config_.http.text();
      origins_["http.advertise"] = "default (http.listen)";
    }
    if (config_.net_threads == 0) config_.net_threads = std::max(2U, std::thread::hardware_concurrency()) - 1;
    for (const Peer& peer : config_.peers) config_.node.members.push_back(peer.name);
    return {};
  }

 private:
  [[nodiscard]] bool is_default(const std::string& key) const { return origins_.at(key) == "default"; }

  void single() {
    if (is_default("raft.advertise")) {
      config_.node.raft_address = config_.raft.text();
      origins_["raft.advertise"] = "default (raft.listen)";
    }
    const auto advertised = parse_endpoint(config_.node.raft_address);
    config_.peers = {Peer{config_.node.name, advertised.value_or(config_.raft)}};
    origins_["peers"] = "default (a single node)";
  }

  Checked member() {
    if (is_default("node") && config_.peers.size() > 1) {
      return std::unexpected("peers lists " + std::to_string(config_.peers.size()) +
                             " members; say which of them this node is, such as --node " + config_.peers.front().name);
    }
    const auto own = std::ranges::find(config_.peers, config_.node.name, &Peer::name);
    if (own == config_.peers.end()) {
      return std::unexpected("this node's name '" + config_.node.name +
                             "' is not in peers; every member lists all members, itself among them");
    }
    if (is_default("raft.advertise")) {
      config_.node.raft_address = own->raft.text();
      origins_["raft.advertise"] = "default (peers)";
    }
    if (is_default("raft.listen") && is_address(own->raft)) {
      config_.raft = own->raft;
      origins_["raft.listen"] = "default (peers)";
    }
    return {};
  }

  Config& config_;
  std::map<std::string, std::string, std::less<>>& origins_;
};

Checked check_listen(const Config& config, std::string_view key, std::string_view flag, const Endpoint& endpoint) {
  const std::string name(key);
  if (!is_address(endpoint)) {
    return std::unexpected(name + " '" + endpoint.text() + "' must be an address of this machine, such as 0.0.0.0:" +
                           std::to_string(endpoint.port) + "; what others dial is --advertise-" + std::string(flag));
  }
  if (!is_loopback(endpoint) && !config.insecure) {
    return std::unexpected(
        name + " " + endpoint.text() +
        " is reachable from other machines and nobody has to prove who they are; listen on 127.0.0.1 "
        "or say --insecure");
  }
  return {};
}

Checked check_reachable(const Config& config) {
  if (config.peers.size() < 2) return {};
  const auto http = parse_endpoint(config.node.http_address);
  if (http && is_wildcard(*http)) {
    return std::unexpected("http.listen " + config.http.text() +
                           " is no address that others can dial; say --advertise-http HOST:PORT");
  }
  const auto raft = parse_endpoint(config.node.raft_address);
  if (raft && is_wildcard(*raft)) {
    return std::unexpected("raft.advertise " + config.node.raft_address +
                           " is no address that others can dial; say --advertise-raft HOST:PORT");
  }
  return {};
}

/// Broadcast time << election timeout: a leader gets at least two heartbeats through before anyone stands up against
/// it.
Checked check_timing(const NodeConfig& node) {
  const auto relation = [](std::string_view a, std::uint32_t a_ms, std::string_view rule, std::string_view b,
                           std::uint32_t b_ms) {
    return std::unexpected("raft." + std::string(a) + " (" + std::to_string(a_ms) + ") must be " + std::string(rule) +
                           " raft." + std::string(b) + " (" + std::to_string(b_ms) + ")");
  };
  if (node.tick_ms > node.heartbeat_ms) {
    return relation("tick_ms", node.tick_ms, "at most", "heartbeat_ms", node.heartbeat_ms);
  }
  if (node.heartbeat_ms * 2 > node.election_timeout_min_ms) {
    return relation("heartbeat_ms", node.heartbeat_ms, "at most half of", "election_timeout_min_ms",
                    node.election_timeout_min_ms);
  }
  if (node.election_timeout_min_ms + node.tick_ms > node.election_timeout_max_ms) {
    return relation("election_timeout_max_ms", node.election_timeout_max_ms, "at least one tick above",
                    "election_timeout_min_ms", node.election_timeout_min_ms);
  }
  return {};
}

Checked check(const Config& config) {
  if (auto checked = check_listen(config, "http.listen", "http", config.http); !checked) return checked;
  if (auto checked = check_listen(config, "raft.listen", "raft", config.raft); !checked) return checked;
  if (config.http == config.raft && config.http.port != 0) {
    return std::unexpected("http.listen and raft.listen are both " + config.http.text() + "; give them two ports");
  }
  if (auto checked = check_reachable(config); !checked) return checked;
  if (config.drain_timeout_ms > kDrainTimeoutMsMax) {
    return std::unexpected("drain_timeout_ms (" + std::to_string(config.drain_timeout_ms) + ") must be at most " +
                           std::to_string(kDrainTimeoutMsMax) + ": a stop is over within 10 s");
  }
  return check_timing(config.node);
}

}  // namespace

std::expected<LoadedConfig, std::string> load_config(const ConfigSources& sources) {
  const auto file = read_file(sources);
  if (!file) return std::unexpected(file.error());
  LoadedConfig loaded;
  loaded.config.node.name = "n1";
  std::map<std::string, std::string, std::less<>> origins;
  for (const Setting& setting : settings()) {
    const auto given = find_given(setting, sources, *file);
    origins[std::string(setting.key)] = given ? given->origin : "default";
    if (!given) continue;
    if (auto set = setting.set(loaded.config, given->value); !set) {
      return std::unexpected(std::string(setting.key) + " (" + given->origin + "): " + set.error());
    }
  }
  if (auto completed = Completion(loaded.config, origins).run(); !completed) return std::unexpected(completed.error());
  if (auto checked = check(loaded.config); !checked) return std::unexpected(checked.error());
  for (const Setting& setting : settings()) {
    const std::string key(setting.key);
    loaded.settings.push_back({key, setting.show(loaded.config), origins.at(key)});
  }
  return loaded;
}

}  // namespace weir::broker
