#include "bench/command.hpp"

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <random>

#include "bench/options.hpp"
#include "bench/run.hpp"
#include "clients/cli/discovery.hpp"
#include "clients/cli/invocation.hpp"
#include "clients/cli/text_format.hpp"
#include "clients/cpp/client.hpp"

namespace weir::bench {

namespace {

using client::errc;
using client::failure;
using client::Result;

constexpr std::string_view kProbeTopic = "bench/probe";
/// 100,000 events/s for five seconds, or 2 s of a fast reader: enough for a figure, little enough to wait for.
constexpr std::uint64_t kReadEvents = 500'000;
constexpr double kFanoutRate = 1000;
constexpr std::size_t kFanoutReaders = 100;
/// How the events for `sub` are published.
constexpr std::size_t kFillBatch = 1000;
constexpr double kFillSeconds = 600;

/// What CLI11 fills in; lives as long as the parser.
struct Command {
  explicit Command(cli::ExitCode& code) : invocation(code) {}
  cli::Invocation invocation;
  BenchOptions options;
  std::string protocol;
  std::string repeats = "0%";
  bool no_ids = false;
  bool stored = false;
  bool json = false;
};

std::string random_run() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

Result<Targets> find_targets(client::Client& broker) {
  const auto answer = broker.get("/v1/cluster", "application/json");
  if (!answer) return std::unexpected(answer.error());
  const auto cluster = client::decode_cluster(answer->body);
  if (!cluster) return std::unexpected(cluster.error());
  Targets targets;
  for (const auto& member : cluster->members) {
    const auto endpoint = client::parse_endpoint(member.http);
    if (!endpoint) continue;
    targets.nodes.push_back({member.node, *endpoint, member.node == cluster->leader});
  }
  if (targets.nodes.empty() || !targets.leader().leads) {
    return failure(errc::unreachable, "the cluster has no leader to be measured");
  }
  return targets;
}

/// What the broker says of its acknowledgements, from a publish like those that are measured.
Result<std::string> find_durability(const Targets& targets, const std::string& run) {
  client::HttpConnection connection(targets.leader().http);
  const client::HttpRequest request{.method = "POST",
                                    .target = client::events_target(kProbeTopic) + "?id=" + run,
                                    .headers = {{"Content-Type", "text/plain"}},
                                    .body = run};
  const auto answer = connection.exchange(request, client::Clock::now() + std::chrono::seconds(10));
  if (!answer) return failure(errc::unreachable, answer.error().text);
  if (answer->status != 201)
    return failure(errc::refused, fmt::format("a first event was answered {}", answer->status));
  return std::string(answer->header("Weir-Durability"));
}

Result<double> share_of(std::string text) {
  if (text.ends_with('%')) text.pop_back();
  double percent = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || percent < 0 || percent >= 100) {
    return failure(errc::bad_argument, "--dup takes a percentage from 0% to below 100%");
  }
  return percent / 100;
}

Result<void> complete(Command& command) {
  BenchOptions& options = command.options;
  options.protocol = protocol_of(command.protocol).value_or(Protocol::ws);
  options.ids = command.no_ids ? Ids::none : Ids::every_event;
  auto repeats = share_of(command.repeats);
  if (!repeats) return std::unexpected(std::move(repeats.error()));
  options.repeats = *repeats;
  if (options.repeats > 0 && command.no_ids) return failure(errc::bad_argument, "--dup needs ids");
  if (options.repeats > 0 && options.topics > 1)
    return failure(errc::bad_argument, "--dup needs one topic: an id sent to another topic is another event's");
  if (command.stored && options.topic.empty())
    return failure(errc::bad_argument, "--stored needs --topic, the one that holds the events");
  const bool takes_batches = options.protocol == Protocol::ndjson || options.protocol == Protocol::bin;
  if (options.batch > 1 && !takes_batches) {
    return failure(errc::bad_argument, "--protocol " + command.protocol + " carries one event per request");
  }
  options.in_flight = std::max(options.in_flight, options.batch * options.clients);
  // Over HTTP a connection carries one request at a time.
  const bool one_each = options.protocol == Protocol::http || options.protocol == Protocol::ndjson;
  if (one_each) options.in_flight = options.batch * options.clients;
  options.run = random_run();
  if (options.topic.empty()) options.topic = "bench/" + options.run;
  return {};
}

void show_live(double seconds, double events_per_s, const Tally& so_far) {
  const Histogram& histogram = so_far.delivering.count() > 0 ? so_far.delivering : so_far.acknowledging;
  std::fputs(fmt::format("\r{:6.1f} s  {:>10.0f} events/s  p50 {:.2f} ms  p99 {:.2f} ms  ", seconds, events_per_s,
                         static_cast<double>(histogram.quantile(0.5)) / 1e6,
                         static_cast<double>(histogram.quantile(0.99)) / 1e6)
                 .c_str(),
             stderr);
}

/// What `sub` reads: published before anything is measured.
Result<void> fill_topic(const BenchOptions& options, const Targets& targets) {
  BenchOptions fill = options;
  fill.work = Work::pub;
  fill.protocol = Protocol::bin;
  fill.batch = kFillBatch;
  fill.clients = 2;
  fill.readers = 0;
  fill.in_flight = 2 * kFillBatch;
  fill.rate = 0;
  fill.repeats = 0;
  fill.warm_up_s = 0;
  fill.seconds = kFillSeconds;
  const auto tally = run_bench(fill, targets, {});
  if (!tally) return failure(errc::unreachable, tally.error());
  if (tally->totals.stored != options.events)
    return failure(errc::refused, "the events to be read were not all stored");
  return {};
}

Result<void> run(Command& command) {
  if (auto completed = complete(command); !completed) return completed;
  auto settings = cli::client_options(command.invocation);
  if (!settings) return std::unexpected(std::move(settings.error()));
  client::Client broker(std::move(*settings));
  auto targets = find_targets(broker);
  if (!targets) return std::unexpected(std::move(targets.error()));
  auto durability = find_durability(*targets, command.options.run);
  if (!durability) return std::unexpected(std::move(durability.error()));
  targets->durability = std::move(*durability);
  if (command.options.work == Work::sub && !command.stored) {
    cli::say(fmt::format("publishing {} events to be read", command.options.events));
    if (auto filled = fill_topic(command.options, *targets); !filled) return filled;
  }
  const bool live = cli::is_terminal(cli::Stream::words);
  const auto tally = run_bench(command.options, *targets, live ? Live(show_live) : Live{});
  if (live) std::fputs("\r\x1b[K", stderr);
  if (!tally) return failure(errc::unreachable, tally.error());
  cli::print_data(command.json ? report_json(command.options, *targets, *tally)
                               : report_text(command.options, *targets, *tally));
  if (tally->totals.undelivered > 0) return failure(errc::bad_answer, "stored events were not delivered; see above");
  return {};
}

void add_numbers(CLI::App& verb, BenchOptions& options) {
  constexpr std::size_t kPayloadMax = std::size_t{1} << 20U;
  verb.add_option("--payload", options.payload_size, "Bytes of an event")
      ->check(CLI::Range(kStampSize, kPayloadMax))
      ->capture_default_str();
  verb.add_option("--seconds", options.seconds, "How long is measured; of `sub` at most")
      ->check(CLI::Range(0.1, 3'600.0))
      ->capture_default_str();
  verb.add_option("--topic", options.topic, "Where to; else a new one, bench/<8 hex digits>");
  if (options.work == Work::sub) {
    verb.add_option("--events", options.events, "Published first, then read")
        ->check(CLI::Range(1, 100'000'000))
        ->capture_default_str();
    return;
  }
  verb.add_option("--events", options.events, "Stop after so many; 0: when the time is over")->capture_default_str();
  verb.add_option("--warm-up", options.warm_up_s, "Seconds before measuring begins")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  verb.add_option("--batch", options.batch, "Events per request (ndjson, bin)")
      ->check(CLI::Range(1, 65'536))
      ->capture_default_str();
  verb.add_option("--in-flight", options.in_flight, "Closed loop: events without an answer, over all connections")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  verb.add_option("--rate", options.rate,
                  "Open loop: events per second, whatever the broker does; latency counts from when an event was due")
      ->check(CLI::Range(0.0, 1e8))
      ->capture_default_str();
}

void add_verb(CLI::App& bench, cli::ExitCode& exit_code, Work work, const std::string& what) {
  const auto command = std::make_shared<Command>(exit_code);
  BenchOptions& options = command->options;
  options.work = work;
  if (work == Work::e2e || work == Work::fanout) options.rate = kFanoutRate;
  if (work != Work::pub) options.readers = work == Work::fanout ? kFanoutReaders : 1;
  if (work == Work::sub) options.events = kReadEvents;
  if (work == Work::sub) options.warm_up_s = 0;
  command->protocol = work == Work::sub ? "ndjson" : "ws";
  auto* verb = bench.add_subcommand(std::string(to_string(work)), what);
  verb->add_option("--server", command->invocation.server, "HOST:PORT[,HOST:PORT...], as for every command")
      ->envname("WEIR_SERVER");
  verb->add_option("--protocol", command->protocol, "http, ndjson, ws or bin")
      ->check(CLI::IsMember({"http", "ndjson", "ws", "bin"}))
      ->capture_default_str();
  add_numbers(*verb, options);
  if (work != Work::sub) {
    verb->add_option("--clients", options.clients, "Publishing connections")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    verb->add_option("--dup", command->repeats, "Share of events that are sent a second time, e.g. 10%")
        ->capture_default_str();
    verb->add_flag("--no-ids", command->no_ids, "Events without ids: no deduplication");
  }
  if (work == Work::pub) {
    verb->add_option("--topics", options.topics, "Requests go to so many topics in turn: TOPIC/0, TOPIC/1 ...")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
  }
  if (work == Work::sub) {
    verb->add_flag("--stored", command->stored, "The topic has the events already: nothing is published");
  }
  if (work != Work::pub) {
    verb->add_option("--readers", options.readers, "Reading connections")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
  }
  verb->add_flag("--json", command->json, "One JSON object instead of lines");
  verb->callback([command] {
    const auto done = run(*command);
    command->invocation.exit_code = done ? cli::ExitCode::ok : cli::report(done.error());
  });
}

}  // namespace

void add_bench(CLI::App& root, cli::ExitCode& exit_code) {
  auto* bench = root.add_subcommand("bench", "Measure this cluster");
  bench->require_subcommand(1);
  add_verb(*bench, exit_code, Work::pub, "Events acknowledged per second, and how soon");
  add_verb(*bench, exit_code, Work::sub, "How fast stored events are read");
  add_verb(*bench, exit_code, Work::e2e, "From the sending of an event to its arrival at a reader");
  add_verb(*bench, exit_code, Work::fanout, "The same with many readers");
  bench->footer("Everything goes to the leader, from this process: on one machine it shares the processors.");
}

}  // namespace weir::bench
