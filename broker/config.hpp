// What a broker is told: flag, then WEIR_* environment, then TOML file, then default (API §9).
// Read once at start, on the main thread; values afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/node.hpp"
#include "broker/endpoint.hpp"
#include "broker/http/server.hpp"
#include "broker/log.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/scrub.hpp"

namespace weir::broker {

/// What becomes of a node whose log is damaged, and that has been given other members.
enum class IfDamaged : std::uint8_t {
  rejoin = 1,  ///< it leaves the log aside, begins empty, and gets everything from the others (docs/decisions/0018)
  stop = 2,    ///< an operator decides
};

struct Config {
  std::string data = "./weir-data";
  storage::Durability durability = storage::Durability::two_flushes;
  std::uint64_t segment_bytes = storage::LmdbLogStore::kSegmentBytes;
  IfDamaged if_damaged = IfDamaged::rejoin;
  std::uint64_t scrub_bytes_per_s = storage::Scrub::kBytesPerS;  ///< 0 = no scrub
  std::uint32_t scrub_pause_ms = 3'600'000;
  std::vector<Peer> peers;  ///< sorted by name; once loaded this node is among them
  Endpoint http{"127.0.0.1", 7400};
  Endpoint raft{"127.0.0.1", 7401};
  bool insecure = false;
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
  /// 0 = as many as fit: one core is left to the core strand.
  std::uint32_t net_threads = 0;
  /// `weir serve` has 10 s to end (FAULTS 78): this is what it may spend on answering what is pending.
  std::uint32_t drain_timeout_ms = 4'000;
  NodeConfig node;  ///< members and seeds are filled in by the app
  HttpLimits limits;
  std::vector<std::string> origins;
};

enum class SettingShape : std::uint8_t { value = 1, toggle = 2 };

/// One thing that can be set. The file's key is `key`, the flag `--flag`, the environment variable WEIR_ and the flag
/// in upper case with '_' for '-'.
struct Setting {
  std::string_view key;
  std::string_view flag;
  SettingShape shape;
  std::string_view help;
  std::expected<void, std::string> (*set)(Config&, std::string_view text);
  std::string (*show)(const Config&);
};
/// All of them, in the order of `weir config show`.
[[nodiscard]] std::span<const Setting> settings();
[[nodiscard]] std::string environment_name(const Setting& setting);

/// Where settings may come from.
struct ConfigSources {
  std::map<std::string, std::string, std::less<>> flags;  ///< by Setting::flag; also "config", the file
  std::function<std::optional<std::string>(const std::string& name)> environment;
};

/// What is in force, and where it came from: `flag --http`, `environment WEIR_HTTP`, `file weir.toml`, `default`.
struct EffectiveSetting {
  std::string key;
  std::string value;
  std::string origin;
};
struct LoadedConfig {
  Config config;
  std::vector<EffectiveSetting> settings;
};

/// Reads, completes and checks. The error is one line that names the setting, its origin and the way out.
[[nodiscard]] std::expected<LoadedConfig, std::string> load_config(const ConfigSources& sources);

}  // namespace weir::broker
