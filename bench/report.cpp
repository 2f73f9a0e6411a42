#include <fmt/format.h>
#include <iterator>

#include "bench/tally.hpp"
#include "clients/cpp/text.hpp"

namespace weir::bench {

namespace {

struct Quantile {
  std::string_view name;
  double share;
};
constexpr Quantile kQuantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

double per_second(std::uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

double per_million(double seconds, std::uint64_t count) {
  return count > 0 ? seconds * 1e6 / static_cast<double>(count) : 0;
}

double milliseconds(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e6;
}

std::string grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

/// What the nodes' costs are divided by: their own count, taken at the same moments.
std::uint64_t costed_events(const BenchOptions& options, const Tally& tally, const NodeUse& use) {
  return options.work == Work::pub ? use.events_stored + tally.duplicates : tally.delivered;
}

std::string loop_text(const BenchOptions& options) {
  if (options.work == Work::sub) return {};
  if (options.rate > 0)
    return fmt::format(", open loop at {} events/s", grouped(static_cast<std::uint64_t>(options.rate)));
  return fmt::format(", closed loop, {} events in flight", grouped(options.in_flight));
}

std::string head_text(const BenchOptions& options, const Targets& targets, const Tally& tally) {
  const Target& leader = targets.leader();
  std::string text = fmt::format("weir bench {}: {}, {} B", to_string(options.work), to_string(options.protocol),
                                 options.payload_size);
  if (options.work != Work::sub) {
    text += fmt::format(", {} per request, {}, {} publishing", options.batch,
                        options.ids == Ids::every_event ? "ids" : "no ids", options.clients);
    if (options.repeats > 0) text += fmt::format(", {:g}% sent again", options.repeats * 100);
  }
  if (options.readers > 0) text += fmt::format(", {} reading", options.readers);
  text += loop_text(options);
  text += fmt::format("\n{:.1f} s", tally.seconds);
  if (options.warm_up_s > 0) text += fmt::format(" after {:g} s of warm-up", options.warm_up_s);
  const std::string topics = options.topics > 1 ? fmt::format("{} topics, ", grouped(options.topics)) : "topic ";
  text += fmt::format("; {}{}; {} nodes, leader {} ({}); durability {}\n", topics, options.topic, targets.nodes.size(),
                      leader.node, leader.http.text(), targets.durability);
  return text;
}

std::string rate_line(std::string_view what, std::uint64_t events, const BenchOptions& options, double seconds) {
  const double rate = per_second(events, seconds);
  return fmt::format("{:<13}{:>12}  {:>10}/s  {:.1f} MB/s", what, grouped(events),
                     grouped(static_cast<std::uint64_t>(rate)), rate * static_cast<double>(options.payload_size) / 1e6);
}

std::string latency_line(std::string_view what, const Histogram& histogram) {
  std::string text = fmt::format("{:<13}", what);
  for (const auto& [name, share] : kQuantiles) {
    text += fmt::format("{} {:.3f}  ", name, milliseconds(histogram.quantile(share)));
  }
  return text + fmt::format("max {:.3f} ms\n", milliseconds(histogram.max()));
}

std::string outcome_line(const Tally& tally) {
  const Totals& totals = tally.totals;
  std::string text = fmt::format("in all       sent {}, stored {}, duplicates {}, refused {}, unanswered {}",
                                 grouped(totals.sent), grouped(totals.stored), grouped(totals.duplicates),
                                 grouped(totals.refused), grouped(totals.unanswered));
  if (totals.delivered > 0) {
    text += fmt::format(", delivered {}, undelivered {}", grouped(totals.delivered), grouped(totals.undelivered));
  }
  for (const auto& [name, count] : tally.problems) text += fmt::format("; {} {}", name, grouped(count));
  return text + "\n";
}

std::string node_lines(const BenchOptions& options, const Tally& tally) {
  std::string cpu = "cpu s/M      ";
  std::string disk = "disk         ";
  double all = 0;
  for (const NodeUse& use : tally.nodes) {
    const std::string name = use.node + (use.leads ? "*" : "");
    if (!use.known) {
      cpu += fmt::format("{} unknown  ", name);
      continue;
    }
    const double cost = per_million(use.cpu_s, costed_events(options, tally, use));
    all += cost;
    cpu += fmt::format("{} {:.2f}  ", name, cost);
    disk += fmt::format("{} {:.0f} flushes/s", name, per_second(use.disk_writes, use.seconds));
    if (use.disk_writes > 0) {
      disk += fmt::format(" ({:.0f} events each)",
                          static_cast<double>(use.events_stored) / static_cast<double>(use.disk_writes));
    }
    disk += "  ";
  }
  const std::uint64_t own = options.work == Work::pub ? tally.acknowledged : tally.delivered;
  cpu += fmt::format("all {:.2f}  this program {:.2f}", all, per_million(tally.own_cpu_s, own));
  return cpu + "\n" + disk + "\n";
}

std::string json_latency(const Histogram& histogram) {
  std::string text = "{";
  for (const auto& [name, share] : kQuantiles) {
    text += fmt::format("\"{}\":{:.3f},", name, static_cast<double>(histogram.quantile(share)) / 1e3);
  }
  return text +
         fmt::format("\"max\":{:.3f},\"count\":{}}}", static_cast<double>(histogram.max()) / 1e3, histogram.count());
}

std::string json_nodes(const BenchOptions& options, const Tally& tally) {
  std::string text = "[";
  for (const NodeUse& use : tally.nodes) {
    if (text.size() > 1) text += ',';
    text += fmt::format("{{\"node\":{},\"leads\":{}", client::json_quoted(use.node), use.leads);
    if (use.known) {
      text += fmt::format(
          ",\"cpu_s\":{:.4f},\"cpu_s_per_million\":{:.4f},\"flushes_per_s\":{:.2f},\"flushes\":{},"
          "\"events_stored\":{},\"entries\":{}",
          use.cpu_s, per_million(use.cpu_s, costed_events(options, tally, use)),
          per_second(use.disk_writes, use.seconds), use.disk_writes, use.events_stored, use.entries);
    }
    text += '}';
  }
  return text + "]";
}

}  // namespace

std::string report_text(const BenchOptions& options, const Targets& targets, const Tally& tally) {
  std::string text = head_text(options, targets, tally);
  if (options.work != Work::sub) {
    text += rate_line("acknowledged", tally.acknowledged, options, tally.seconds) +
            fmt::format("  duplicates {}\n", grouped(tally.duplicates)) +
            latency_line("publish ms", tally.acknowledging);
  }
  if (options.readers > 0) text += rate_line("delivered", tally.delivered, options, tally.seconds) + "\n";
  if (tally.delivering.count() > 0) text += latency_line("delivery ms", tally.delivering);
  return text + outcome_line(tally) + node_lines(options, tally);
}

std::string report_json(const BenchOptions& options, const Targets& targets, const Tally& tally) {
  const Totals& totals = tally.totals;
  std::string text = fmt::format(
      R"({{"bench":"{}","protocol":"{}","payload":{},"batch":{},"clients":{},"readers":{},"in_flight":{},"rate":{},)",
      to_string(options.work), to_string(options.protocol), options.payload_size, options.batch, options.clients,
      options.readers, options.in_flight, options.rate);
  fmt::format_to(std::back_inserter(text),
                 R"("repeats":{},"ids":{},"topic":{},"topics":{},"leader":{},"durability":{},"seconds":{:.3f},)",
                 options.repeats, options.ids == Ids::every_event, client::json_quoted(options.topic), options.topics,
                 client::json_quoted(targets.leader().node), client::json_quoted(targets.durability), tally.seconds);
  fmt::format_to(
      std::back_inserter(text),
      R"("acknowledged":{},"events_per_s":{:.1f},"mb_per_s":{:.3f},"duplicates":{},"delivered":{},"deliveries_per_s":{:.1f},)",
      tally.acknowledged, per_second(tally.acknowledged, tally.seconds),
      per_second(tally.acknowledged, tally.seconds) * static_cast<double>(options.payload_size) / 1e6, tally.duplicates,
      tally.delivered, per_second(tally.delivered, tally.seconds));
  fmt::format_to(std::back_inserter(text), R"("publish_us":{},"delivery_us":{},)", json_latency(tally.acknowledging),
                 json_latency(tally.delivering));
  fmt::format_to(
      std::back_inserter(text),
      R"("totals":{{"sent":{},"stored":{},"duplicates":{},"refused":{},"unanswered":{},"delivered":{},"undelivered":{}}},)",
      totals.sent, totals.stored, totals.duplicates, totals.refused, totals.unanswered, totals.delivered,
      totals.undelivered);
  text += "\"problems\":{";
  for (const auto& [name, count] : tally.problems) {
    text += (text.ends_with('{') ? "" : ",") + client::json_quoted(name) + ":" + std::to_string(count);
  }
  return text + fmt::format("}},\"own_cpu_s\":{:.4f},\"nodes\":{}}}\n", tally.own_cpu_s, json_nodes(options, tally));
}

}  // namespace weir::bench
