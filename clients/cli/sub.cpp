#include "clients/cli/sub.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <optional>
#include <utility>
#include <variant>

#include "clients/cli/text_format.hpp"
#include "clients/cpp/groups.hpp"
#include "clients/cpp/subscription.hpp"

namespace weir::cli {
namespace {

/// Once connected, a subscription outlives a restart of the whole cluster.
constexpr std::chrono::seconds kReconnectFor{60};
constexpr std::chrono::seconds kQuiet{1};
/// What was printed is committed for the group when the stream is quiet, and on a busy one this often: what a kill
/// makes the next one print again is no more than that.
constexpr std::chrono::seconds kCommitEvery{1};

std::string count_text(std::optional<std::uint64_t> missed) {
  return missed ? std::to_string(*missed) + " missed" : "an unknown number missed";
}

/// Prints what happens; counts events.
class Printer {
 public:
  explicit Printer(Format format) : format_(format) {}

  void operator()(const client::ReceivedEvent& event) {
    ++events_;
    cursor_ = event.cursor;
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
  void operator()(const client::CaughtUp& caught_up) { cursor_ = caught_up.cursor; }
  void operator()(const client::Gap& gap) const {
    const bool announced = gap.source == client::Gap::Source::broker;
    say(std::string(announced ? "gap: " : "weir: a gap that the broker did not announce: ") + count_text(gap.missed) +
        ": " + escape(gap.detail));
  }

  [[nodiscard]] std::uint64_t events() const { return events_; }
  /// Everything up to here was printed; empty: nothing yet.
  [[nodiscard]] const std::string& cursor() const { return cursor_; }

 private:
  Format format_;
  std::uint64_t events_ = 0;
  std::string cursor_;
};

/// How far the group has come: with a group each start goes on behind what the one before it has printed.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  Progress(std::string group, client::ClientOptions settings)
      : group_(std::move(group)), broker_(std::move(settings)) {}

  /// The group reads this pattern; made if need be.
  client::Result<void> open(const SubOptions& options) {
    const auto made = client::create_group(broker_, group_, {options.pattern}, options.from);
    return made ? client::Result<void>{} : std::unexpected(made.error());
  }

  /// Requires that everything up to `cursor` is out.
  client::Result<void> commit(const std::string& cursor) {
    committed_at_ = Clock::now();
    if (cursor.empty() || cursor == committed_) return {};
    const auto done = client::commit_group(broker_, group_, "", cursor);
    if (!done) return std::unexpected(done.error());
    committed_ = cursor;
    return {};
  }
  [[nodiscard]] bool is_due() const { return Clock::now() - committed_at_ >= kCommitEvery; }

 private:
  std::string group_;
  client::Client broker_;
  std::string committed_;
  Clock::time_point committed_at_ = Clock::now();
};

/// What was printed is out, and the group knows.
ExitCode settle(const Printer& printer, Progress* progress) {
  if (flush_data(ExitCode::ok) != ExitCode::ok) return ExitCode::refused;
  if (progress == nullptr) return ExitCode::ok;
  const auto committed = progress->commit(printer.cursor());
  return committed ? ExitCode::ok : report(committed.error());
}

/// Until enough was printed.
ExitCode print_events(client::Subscription& subscription, const SubOptions& options, Format format,
                      Progress* progress) {
  Printer printer(format);
  bool unsettled = false;
  while (options.count == 0 || printer.events() < options.count) {
    // Events that are already here share one write; before it waits, everything is out.
    auto notice = subscription.next(unsettled ? std::chrono::milliseconds(0) : kQuiet);
    if (!notice) return report(notice.error());
    if (*notice) std::visit(printer, **notice);
    const bool due = progress != nullptr && progress->is_due();
    if (unsettled && (!*notice || due)) {
      if (const auto code = settle(printer, progress); code != ExitCode::ok) return code;
    }
    unsettled = notice->has_value();
  }
  return settle(printer, progress);
}

ExitCode run_sub(const SubOptions& options, const Invocation& invocation) {
  auto settings = client_options(invocation);
  if (!settings) return report(settings.error());
  const auto format = invocation.output();
  const client::SubscribeOptions wanted{
      .pattern = options.pattern,
      .from = options.group.empty() ? options.from : "group:" + options.group,
      .payload = format == Format::raw ? client::Payload::exact : client::Payload::shown,
      .connect_for = settings->deadline,
      .reconnect_for = kReconnectFor};
  std::optional<Progress> progress;
  if (!options.group.empty()) {
    progress.emplace(options.group, *settings);
    if (auto opened = progress->open(options); !opened) return report(opened.error());
  }
  client::Subscription subscription(std::move(*settings), wanted);
  return print_events(subscription, options, format, progress ? &*progress : nullptr);
}

}  // namespace

void add_sub(CLI::App& root, Invocation& invocation, SubOptions& options) {
  auto* verb = root.add_subcommand("sub", "Print events as they are stored, one line each");
  verb->add_option("PATTERN", options.pattern, "A topic, or a pattern: * is one level, ** the rest")->required();
  verb->add_option("--from", options.from,
                   "earliest, latest (default), an offset, -10 (the last ten), a time, after:CURSOR; of a new group "
                   "earliest is the default");
  verb->add_option("--group", options.group,
                   "Go on where this group is, and commit what was printed; made if it is not there");
  verb->add_option("--count", options.count, "End after this many events");
  add_shared_options(*verb, invocation);
  verb->footer(
      "A line is TOPIC OFFSET ID DATA with control characters escaped; -o raw prints each payload as it was published\n"
      "and a line break, -o ndjson or json one object per event.");
  verb->callback([&] { invocation.exit_code = run_sub(options, invocation); });
}

}  // namespace weir::cli
