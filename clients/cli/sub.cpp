#include "clients/cli/sub.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <variant>

#include "clients/cli/text_format.hpp"
#include "clients/cpp/subscription.hpp"

namespace weir::cli {
namespace {

/// Once connected, a subscription outlives a restart of the whole cluster.
constexpr std::chrono::seconds kReconnectFor{60};
constexpr std::chrono::seconds kQuiet{1};

std::string count_text(std::optional<std::uint64_t> missed) {
  return missed ? std::to_string(*missed) + " missed" : "an unknown number missed";
}

/// Prints what happens; counts events.
class Printer {
 public:
  explicit Printer(Format format) : format_(format) {}

  void operator()(const client::ReceivedEvent& event) {
    ++events_;
    if (format_ == Format::raw)
      print_data(event.data + "\n");
    else
      print_data(format_ == Format::table ? event_line(event) : event.json + "\n");
  }
  void operator()(const client::Lost& lost) const {
    say("connection lost (" + escape(lost.why) + "), going on elsewhere");
  }
  void operator()(const client::Resumed& resumed) const {
    say("resumed at " + escape(resumed.cursor) + ", " + count_text(resumed.missed));
  }
  void operator()(const client::CaughtUp&) const {}
  void operator()(const client::Gap& gap) const {
    const bool announced = gap.source == client::Gap::Source::broker;
    say(std::string(announced ? "gap: " : "weir: a gap that the broker did not announce: ") + count_text(gap.missed) +
        ": " + escape(gap.detail));
  }

  [[nodiscard]] std::uint64_t events() const { return events_; }

 private:
  Format format_;
  std::uint64_t events_ = 0;
};

ExitCode run_sub(const SubOptions& options, const Invocation& invocation) {
  if (!options.group.empty()) {
    say("weir: --group comes with a later release");
    return ExitCode::usage;
  }
  auto settings = client_options(invocation);
  if (!settings) return report(settings.error());
  const auto format = invocation.output();
  const client::SubscribeOptions wanted{
      .pattern = options.pattern,
      .from = options.from,
      .payload = format == Format::raw ? client::Payload::exact : client::Payload::shown,
      .connect_for = settings->deadline,
      .reconnect_for = kReconnectFor};
  client::Subscription subscription(std::move(*settings), wanted);
  Printer printer(format);
  bool unflushed = false;
  while (options.count == 0 || printer.events() < options.count) {
    // Events that are already here share one write; before it waits, everything is out.
    auto notice = subscription.next(unflushed ? std::chrono::milliseconds(0) : kQuiet);
    if (!notice) return report(notice.error());
    if (*notice)
      std::visit(printer, **notice);
    else if (unflushed && flush_data(ExitCode::ok) != ExitCode::ok)
      return ExitCode::refused;
    unflushed = notice->has_value();
  }
  return ExitCode::ok;
}

}  // namespace

void add_sub(CLI::App& root, Invocation& invocation, SubOptions& options) {
  auto* verb = root.add_subcommand("sub", "Print events as they are stored, one line each");
  verb->add_option("PATTERN", options.pattern, "A topic, or a pattern: * is one level, ** the rest")->required();
  verb->add_option("--from", options.from,
                   "earliest, latest (default), an offset, -10 (the last ten), a time, after:CURSOR");
  verb->add_option("--group", options.group, "A consumer group");
  verb->add_option("--count", options.count, "End after this many events");
  add_shared_options(*verb, invocation);
  verb->footer(
      "A line is TOPIC OFFSET ID DATA with control characters escaped; -o raw prints each payload as it was published\n"
      "and a line break, -o ndjson or json one object per event.");
  verb->callback([&] { invocation.exit_code = run_sub(options, invocation); });
}

}  // namespace weir::cli
