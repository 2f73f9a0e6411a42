// weir_peers: `weir bench pub` for other brokers. Started by bench/compare/run, which starts the brokers too.
#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <random>

#include "bench/compare/http2.hpp"
#include "bench/compare/peer_protocols.hpp"
#include "bench/compare/process_use.hpp"
#include "bench/run.hpp"
#include "clients/cpp/text.hpp"

namespace weir::bench::compare {

namespace {

enum class PeerKind : std::uint8_t { nats = 1, redis = 2, etcd = 3, rabbitmq = 4 };

std::optional<PeerKind> peer_of(std::string_view name) {
  if (name == "nats") return PeerKind::nats;
  if (name == "redis") return PeerKind::redis;
  if (name == "etcd") return PeerKind::etcd;
  if (name == "rabbitmq") return PeerKind::rabbitmq;
  return std::nullopt;
}

struct Command {
  BenchOptions options;
  std::string peer;
  std::string server;
  std::vector<pid_t> pids;
  bool no_ids = false;
};

void add_options(CLI::App& app, Command& command) {
  BenchOptions& options = command.options;
  // Ids, keys and heads fit beside it into one frame of HTTP/2.
  constexpr std::size_t kPayloadMax = kFrameSizeMax / 2;
  app.add_option("--peer", command.peer, "nats, redis, etcd or rabbitmq")->required();
  app.add_option("--server", command.server, "HOST:PORT of the node that leads")->required();
  app.add_option("--pids", command.pids, "The servers' processes, whose processor time is counted")->delimiter(',');
  app.add_option("--topic", options.topic, "Subject, stream, queue or beginning of the keys")->capture_default_str();
  app.add_option("--payload", options.payload_size, "Bytes of an event")
      ->check(CLI::Range(kStampSize, kPayloadMax))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "How long is measured")->check(CLI::Range(0.1, 3'600.0));
  app.add_option("--warm-up", options.warm_up_s, "Seconds before")->check(CLI::Range(0.0, 600.0));
  app.add_option("--events", options.events, "Stop after so many; 0: when the time is over");
  app.add_option("--clients", options.clients, "Connections")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_option("--in-flight", options.in_flight, "Events without an answer, over all connections")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--dup", options.repeats, "Share of events that are sent again, 0 to below 1")
      ->check(CLI::Range(0.0, 0.99));
  app.add_flag("--no-ids", command.no_ids, "Events without ids: no deduplication");
}

std::unique_ptr<PublishProtocol> make_protocol(PeerKind kind, const BenchOptions& options,
                                               const client::Endpoint& server) {
  if (kind == PeerKind::nats) return make_nats(options.topic, options.run);
  if (kind == PeerKind::redis) return make_redis(options.topic, options.ids);
  if (kind == PeerKind::rabbitmq) return make_rabbitmq(options.topic);
  return make_etcd(server, options.topic + "/", options.ids);
}

/// The fields that `weir bench pub --json` has too mean the same.
std::string report(const Command& command, const Tally& tally) {
  const auto us = [&](double share) { return static_cast<double>(tally.acknowledging.quantile(share)) / 1e3; };
  std::string problems;
  for (const auto& [name, count] : tally.problems) {
    problems += fmt::format("{}{}:{}", problems.empty() ? "" : ",", client::json_quoted(name), count);
  }
  std::string nodes;
  for (const NodeUse& use : tally.nodes) {
    if (!nodes.empty()) nodes += ",";
    nodes += use.known ? fmt::format("{{\"node\":\"{}\",\"cpu_s\":{:.4f}}}", use.node, use.cpu_s)
                       : fmt::format("{{\"node\":\"{}\"}}", use.node);
  }
  const Totals& totals = tally.totals;
  return fmt::format(
      R"({{"bench":"pub","peer":"{}","payload":{},"in_flight":{},"ids":{},"seconds":{:.3f},"acknowledged":{},)"
      R"("events_per_s":{:.1f},"duplicates":{},"publish_us":{{"p50":{:.3f},"p99":{:.3f}}},)"
      R"("totals":{{"sent":{},"stored":{},"duplicates":{},"refused":{},"unanswered":{}}},"problems":{{{}}},)"
      R"("own_cpu_s":{:.4f},"nodes":[{}]}})"
      "\n",
      command.peer, command.options.payload_size, command.options.in_flight, !command.no_ids, tally.seconds,
      tally.acknowledged, static_cast<double>(tally.acknowledged) / tally.seconds, tally.duplicates, us(0.5), us(0.99),
      totals.sent, totals.stored, totals.duplicates, totals.refused, totals.unanswered, problems, tally.own_cpu_s,
      nodes);
}

int fail(std::string_view why) {
  std::fputs(fmt::format("weir_peers: {}\n", why).c_str(), stderr);
  return 1;
}

int measure(Command& command) {
  const auto kind = peer_of(command.peer);
  if (!kind) return fail("--peer takes nats, redis, etcd or rabbitmq");
  if (kind == PeerKind::rabbitmq && !command.no_ids) return fail("rabbitmq knows no duplicates: it takes --no-ids");
  const auto server = client::parse_endpoint(command.server);
  if (!server) return fail(server.error().text);
  BenchOptions& options = command.options;
  options.ids = command.no_ids ? Ids::none : Ids::every_event;
  if (command.no_ids && options.repeats > 0) return fail("--dup needs ids");
  std::random_device device;
  options.run = fmt::format("{:08x}", device());
  Targets targets;
  for (const pid_t pid : command.pids) targets.nodes.push_back({std::to_string(pid), *server, false});
  if (targets.nodes.empty()) targets.nodes.push_back({"unknown", *server, false});
  const Peer peer{.make_publish = [&] { return make_protocol(*kind, options, *server); },
                  .sample = [&] { return sample_processes(command.pids); }};
  const auto tally = run_peer_bench(options, targets, peer);
  if (!tally) return fail(tally.error());
  std::fputs(report(command, *tally).c_str(), stdout);
  return 0;
}

}  // namespace

}  // namespace weir::bench::compare

int main(int argc, char** argv) {
  CLI::App app{"Publishes to another broker and says what it took, as one JSON object"};
  weir::bench::compare::Command command;
  command.options.topic = "bench";
  weir::bench::compare::add_options(app, command);
  CLI11_PARSE(app, argc, argv);
  return weir::bench::compare::measure(command);
}
