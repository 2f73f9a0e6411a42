#include "broker/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace weir::broker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Texts = std::map<std::string, std::string, std::less<>>;

std::expected<LoadedConfig, std::string> load(Texts flags, Texts environment = {}) {
  return load_config({.flags = std::move(flags), .environment = [environment](const std::string& name) {
                        const auto found = environment.find(name);
                        return found == environment.end() ? std::nullopt : std::optional(found->second);
                      }});
}

std::string error_of(Texts flags, Texts environment = {}) {
  const auto loaded = load(std::move(flags), std::move(environment));
  return loaded ? "(no error)" : loaded.error();
}

EffectiveSetting effective(const LoadedConfig& loaded, const std::string& key) {
  const auto found = std::ranges::find(loaded.settings, key, &EffectiveSetting::key);
  return found == loaded.settings.end() ? EffectiveSetting{} : *found;
}

/// A TOML file that goes with the test.
class TomlFile {
 public:
  explicit TomlFile(const std::string& text) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = ::testing::TempDir() + "weir_" + test->name() + ".toml";
    std::ofstream(path_) << text;
  }
  ~TomlFile() { std::filesystem::remove(path_); }
  TomlFile(const TomlFile&) = delete;
  TomlFile& operator=(const TomlFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Config, DefaultsAreASingleNodeOnLoopback) {
  const auto loaded = load({});
  ASSERT_TRUE(loaded) << loaded.error();
  const Config& config = loaded->config;
  EXPECT_EQ(config.node.name, "n1");
  EXPECT_EQ(config.http.text(), "127.0.0.1:7400");
  EXPECT_EQ(config.raft.text(), "127.0.0.1:7401");
  EXPECT_EQ(config.node.members, std::vector<std::string>{"n1"});
  EXPECT_EQ(config.node.http_address, "127.0.0.1:7400");
  EXPECT_EQ(config.node.raft_address, "127.0.0.1:7401");
  EXPECT_EQ(config.data, "./weir-data");
  EXPECT_GE(config.net_threads, 1U);
  EXPECT_EQ(config.node.heartbeat_ms, 50U);
  EXPECT_EQ(config.limits.header_bytes_max, 16U << 10U);
  for (const EffectiveSetting& setting : loaded->settings) EXPECT_THAT(setting.origin, HasSubstr("default"));
}

TEST(Config, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const TomlFile file("data = '/file'\n[raft]\nheartbeat_ms = 60\nelection_timeout_min_ms = 200\ntick_ms = 20\n");
  const auto loaded = load({{"config", file.path()}, {"heartbeat-ms", "80"}},
                           {{"WEIR_HEARTBEAT_MS", "70"}, {"WEIR_ELECTION_TIMEOUT_MIN_MS", "220"}});
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->config.node.heartbeat_ms, 80U);
  EXPECT_EQ(loaded->config.node.election_timeout_min_ms, 220U);
  EXPECT_EQ(loaded->config.node.tick_ms, 20U);
  EXPECT_EQ(loaded->config.node.election_timeout_max_ms, 300U);
  EXPECT_EQ(effective(*loaded, "raft.heartbeat_ms").origin, "flag --heartbeat-ms");
  EXPECT_EQ(effective(*loaded, "raft.election_timeout_min_ms").origin, "environment WEIR_ELECTION_TIMEOUT_MIN_MS");
  EXPECT_EQ(effective(*loaded, "raft.tick_ms").origin, "file " + file.path() + " line 5");
  EXPECT_EQ(effective(*loaded, "raft.election_timeout_max_ms").origin, "default");
  EXPECT_EQ(effective(*loaded, "data").value, "/file");
}

TEST(Config, TheFileCanBeNamedByTheEnvironment) {
  const TomlFile file("node = 'n7'\n");
  const auto loaded = load({}, {{"WEIR_CONFIG", file.path()}});
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->config.node.name, "n7");
}

TEST(Config, EverySettingIsShownAndHasItsOwnNames) {
  const auto loaded = load({});
  ASSERT_TRUE(loaded) << loaded.error();
  std::map<std::string, int, std::less<>> seen;
  for (const Setting& setting : settings()) {
    EXPECT_EQ(++seen[std::string(setting.key)], 1) << setting.key;
    EXPECT_EQ(++seen[environment_name(setting)], 1) << setting.flag;
    EXPECT_FALSE(setting.help.empty()) << setting.key;
  }
  EXPECT_EQ(loaded->settings.size(), settings().size());
}

TEST(Config, WhatIsShownCanBeSetAgain) {
  const auto loaded = load({{"peers", "n1=127.0.0.1:7401,n2=127.0.0.1:7501"}, {"node", "n1"}});
  ASSERT_TRUE(loaded) << loaded.error();
  for (const Setting& setting : settings()) {
    Config copy;
    const std::string shown = effective(*loaded, std::string(setting.key)).value;
    if (shown.empty()) continue;
    const auto set = setting.set(copy, shown);
    ASSERT_TRUE(set) << setting.key << ": " << set.error();
    EXPECT_EQ(setting.show(copy), shown) << setting.key;
  }
}

TEST(Config, AnUnknownKeyOfTheFileIsNamed) {
  const TomlFile file("node = 'n1'\n[raft]\nheart_beat_ms = 60\n");
  EXPECT_THAT(error_of({{"config", file.path()}}),
              AllOf(HasSubstr("raft.heart_beat_ms"), HasSubstr(file.path()), HasSubstr("line 3")));
}

TEST(Config, AFileThatIsNoTomlIsNamedWithItsLine) {
  const TomlFile file("node = 'n1'\nhttp = = 1\n");
  EXPECT_THAT(error_of({{"config", file.path()}}), AllOf(HasSubstr(file.path()), HasSubstr("line 2")));
  EXPECT_THAT(error_of({{"config", "/no/such/weir.toml"}}), HasSubstr("/no/such/weir.toml"));
}

TEST(Config, AValueOfAnotherKindIsRefused) {
  const TomlFile file("[raft]\nheartbeat_ms = 1.5\n");
  EXPECT_THAT(error_of({{"config", file.path()}}), HasSubstr("raft.heartbeat_ms"));
  EXPECT_THAT(error_of({{"heartbeat-ms", "fast"}}), AllOf(HasSubstr("--heartbeat-ms"), HasSubstr("whole number")));
  EXPECT_THAT(error_of({{"heartbeat-ms", "0"}}), HasSubstr("from 1"));
  EXPECT_THAT(error_of({{"heartbeat-ms", "99999999999999999999"}}), HasSubstr("whole number"));
  EXPECT_THAT(error_of({{"topics-auto-create", "maybe"}}), HasSubstr("true or false"));
  EXPECT_THAT(error_of({{"limit-event-bytes", "2MiB"}}), HasSubstr("limits.event_bytes"));
  EXPECT_THAT(error_of({{"log-level", "loud"}}), HasSubstr("debug, info"));
}

TEST(Config, SizesMayHaveUnits) {
  const auto loaded = load({{"limit-pending-bytes", "8MiB"}, {"limit-header-bytes", "4096"}});
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->config.node.pending_bytes_max, 8U << 20U);
  EXPECT_EQ(loaded->config.limits.header_bytes_max, 4096U);
  EXPECT_EQ(effective(*loaded, "limits.header_bytes").value, "4KiB");
}

TEST(Config, PeersAreSortedAndNameThisNode) {
  const auto loaded = load({{"node", "n2"}, {"peers", "n3=127.0.0.1:7601, n1=127.0.0.1:7401,n2=127.0.0.1:7501"}});
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->config.node.members, (std::vector<std::string>{"n1", "n2", "n3"}));
  EXPECT_EQ(loaded->config.raft.text(), "127.0.0.1:7501") << "a member listens where the others dial it";
  EXPECT_EQ(effective(*loaded, "raft.listen").origin, "default (peers)");
  EXPECT_EQ(loaded->config.node.raft_address, "127.0.0.1:7501");
}

TEST(Config, PeersOfAFileMayBeAList) {
  const TomlFile file("node = 'n1'\npeers = ['n1=127.0.0.1:7401', 'n2=[::1]:7401']\n");
  const auto loaded = load({{"config", file.path()}});
  ASSERT_TRUE(loaded) << loaded.error();
  ASSERT_EQ(loaded->config.peers.size(), 2U);
  EXPECT_EQ(loaded->config.peers[1], (Peer{"n2", {"::1", 7401}}));
}

TEST(Config, BadPeerListsAreExplained) {
  EXPECT_THAT(error_of({{"node", "n1"}, {"peers", "n1=127.0.0.1:1,n1=127.0.0.1:2"}}), HasSubstr("listed twice"));
  EXPECT_THAT(error_of({{"node", "n1"}, {"peers", "n1=127.0.0.1:1,n2=127.0.0.1:1"}}), HasSubstr("same address"));
  EXPECT_THAT(error_of({{"node", "n9"}, {"peers", "n1=127.0.0.1:1,n2=127.0.0.1:2"}}),
              AllOf(HasSubstr("'n9'"), HasSubstr("not in peers")));
  EXPECT_THAT(error_of({{"peers", "n1=127.0.0.1:1,n2=127.0.0.1:2"}}), HasSubstr("--node"));
  EXPECT_THAT(error_of({{"node", "n1"}, {"peers", "127.0.0.1:1"}}), HasSubstr("NAME=HOST:PORT"));
  EXPECT_THAT(error_of({{"node", "n1"}, {"peers", "n1=127.0.0.1"}}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(error_of({{"node", "n1"}, {"peers", "n1=127.0.0.1:0"}}), HasSubstr("port 0"));
  EXPECT_THAT(error_of({{"node", "n1"}, {"peers", "n1=127.0.0.1:99999"}}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(error_of({{"node", "N1"}}), HasSubstr("1 to 32"));
  EXPECT_THAT(error_of({{"node", ""}}), HasSubstr("1 to 32"));
}

TEST(Config, BeyondLoopbackNeedsInsecure) {  // FAULTS 103
  for (const char* flag : {"http", "raft"}) {
    for (const char* address : {"0.0.0.0:7400", "[::]:7400", "10.1.2.3:7400"}) {
      EXPECT_THAT(error_of({{flag, address}}), HasSubstr("--insecure")) << flag << ' ' << address;
    }
    for (const char* address : {"127.0.0.1:7499", "[::1]:7499", "127.5.5.5:7499", "localhost:7499"}) {
      EXPECT_EQ(error_of({{flag, address}}), "(no error)") << flag << ' ' << address;
    }
  }
  EXPECT_EQ(error_of({{"http", "0.0.0.0:7400"}, {"insecure", "true"}}), "(no error)");
  EXPECT_THAT(error_of({{"http", "example.org:7400"}, {"insecure", "true"}}), HasSubstr("--advertise-http"));
}

TEST(Config, MembersMustBeReachable) {
  Texts flags{{"node", "n1"}, {"peers", "n1=h1:7401,n2=h2:7401"}, {"insecure", "1"}, {"http", "0.0.0.0:7400"}};
  EXPECT_THAT(error_of(flags), HasSubstr("--advertise-http"));
  flags["advertise-http"] = "h1:7400";
  EXPECT_EQ(error_of(flags), "(no error)");
  flags["advertise-raft"] = "0.0.0.0:7401";
  EXPECT_THAT(error_of(flags), HasSubstr("--advertise-raft"));
}

TEST(Config, TwoListenersNeedTwoPorts) {
  EXPECT_THAT(error_of({{"http", "127.0.0.1:7401"}}), HasSubstr("two ports"));
  EXPECT_EQ(error_of({{"http", "127.0.0.1:0"}, {"raft", "127.0.0.1:0"}}), "(no error)");
}

TEST(Config, DurabilityAndSegmentsHaveTheirValues) {
  EXPECT_THAT(error_of({{"durability", "none"}}), HasSubstr("two-flushes, one-flush or os"));
  EXPECT_THAT(error_of({{"segment-bytes", "255KiB"}}), HasSubstr("at least 256KiB"));
  EXPECT_NE(error_of({{"segment-bytes", "5GiB"}}), "(no error)");
  for (const std::string durability : {"two-flushes", "one-flush", "os"}) {
    EXPECT_EQ(error_of({{"durability", durability}, {"segment-bytes", "64MiB"}}), "(no error)");
  }
}

TEST(Config, TimesKeepTheirRelations) {
  EXPECT_THAT(error_of({{"heartbeat-ms", "100"}}), AllOf(HasSubstr("heartbeat_ms (100)"), HasSubstr("half")));
  EXPECT_THAT(error_of({{"tick-ms", "60"}}), HasSubstr("tick_ms (60)"));
  EXPECT_THAT(error_of({{"election-timeout-min-ms", "300"}}), HasSubstr("election_timeout_max_ms (300)"));
  EXPECT_THAT(error_of({{"drain-timeout-ms", "9000"}}), HasSubstr("drain_timeout_ms"));
  EXPECT_EQ(
      error_of({{"heartbeat-ms", "500"}, {"election-timeout-min-ms", "1000"}, {"election-timeout-max-ms", "2000"}}),
      "(no error)");
}

TEST(Endpoint, ParsesHostsAddressesAndBrackets) {
  EXPECT_EQ(parse_endpoint("h.example:1"), (Endpoint{"h.example", 1}));
  EXPECT_EQ(parse_endpoint("[::1]:7400"), (Endpoint{"::1", 7400}));
  EXPECT_EQ((Endpoint{"::1", 7400}).text(), "[::1]:7400");
  for (const char* wrong : {"", ":", ":1", "h", "h:", "h:x", "h:-1", "h:65536", "::1:7400", "a b:1", "h:1 ", "[]:1"}) {
    EXPECT_FALSE(parse_endpoint(wrong)) << wrong;
  }
}

TEST(ConfigRetention, IsOffUnlessItIsAskedFor) {
  const auto loaded = load({});
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->config.node.retention.none());
}

TEST(ConfigRetention, TakesAgesSizesAndCounts) {
  const auto loaded = load({{"retention-age", "7d"}, {"retention-bytes", "1GiB"}, {"retention-count", "1000"}});
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->config.node.retention.age_ms, 7U * 86'400'000U);
  EXPECT_EQ(loaded->config.node.retention.bytes, 1U << 30U);
  EXPECT_EQ(loaded->config.node.retention.count, 1000U);
}

TEST(ConfigRetention, SaysWhatItTakes) {
  for (const auto* wrong : {"7", "0d", "-1h", "1w", "", "99999999999d"}) {
    const auto loaded = load({{"retention-age", wrong}});
    ASSERT_FALSE(loaded) << wrong;
    EXPECT_NE(loaded.error().find("such as 30s, 90m, 12h or 7d"), std::string::npos) << loaded.error();
  }
}

}  // namespace
}  // namespace weir::broker
