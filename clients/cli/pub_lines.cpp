#include <algorithm>
#include <cerrno>
#include <cmath>
#include <system_error>
#include <thread>

#include "clients/cli/id_template.hpp"
#include "clients/cli/line_reader.hpp"
#include "clients/cli/pub.hpp"
#include "clients/cli/text_format.hpp"
#include "clients/cpp/event_json.hpp"
#include "clients/cpp/text.hpp"

namespace weir::cli {
namespace {

using client::Clock;
using Wait = LineReader::Wait;
using Outcome = LineReader::Outcome;

/// One request: enough that its cost is shared by many, small enough that a lost one is soon repeated.
constexpr std::size_t kBatchEvents = 1'000;
constexpr std::size_t kBatchBytes = 1U << 20U;
/// A rate is kept within tenths of a second.
constexpr double kBurstSeconds = 0.1;
/// Below this many events the lines speak for themselves.
constexpr std::uint64_t kSummaryAbove = 10;

/// Hands out events at a rate; what was not used for a while is not saved up beyond one burst.
class Pacer {
 public:
  explicit Pacer(double rate) : rate_(rate), next_(Clock::now()) {}

  /// How many may go now: waits until it is at least one.
  std::size_t take() {
    if (rate_ <= 0) return kBatchEvents;
    std::this_thread::sleep_until(next_);
    const double burst = std::max(1.0, rate_ * kBurstSeconds);
    const std::chrono::duration<double> idle = Clock::now() - next_;
    const double due = std::min(burst, 1 + std::floor(idle.count() * rate_));
    next_ = std::max(next_, Clock::now() - std::chrono::duration_cast<Clock::duration>(
                                               std::chrono::duration<double>(burst / rate_)));
    return std::min(kBatchEvents, static_cast<std::size_t>(due));
  }

  void used(std::size_t events) {
    if (rate_ > 0) {
      next_ += std::chrono::duration_cast<Clock::duration>(
          std::chrono::duration<double>(static_cast<double>(events) / rate_));
    }
  }

 private:
  double rate_;
  Clock::time_point next_;  // when the next event may go
};

struct Batch {
  std::string lines;
  std::size_t count = 0;
  std::uint64_t first_line = 0;  // its number in the input

  [[nodiscard]] std::string range() const {
    return count == 1 ? "line " + std::to_string(first_line)
                      : "lines " + std::to_string(first_line) + "-" + std::to_string(first_line + count - 1);
  }
};

class LinePublisher {
 public:
  LinePublisher(int descriptor, const PubOptions& options, client::OutgoingEvent pattern, std::optional<IdTemplate> ids,
                client::ClientOptions settings, Format format)
      : reader_(descriptor),
        options_(options),
        pattern_(std::move(pattern)),
        ids_(std::move(ids)),
        broker_(std::move(settings)),
        pacer_(options.rate),
        format_(format) {}

  ExitCode run() {
    const auto start = Clock::now();
    auto code = ExitCode::ok;
    for (bool more = true; more && code == ExitCode::ok;) {
      Batch batch;
      more = gather(batch, code);
      if (batch.count > 0) code = std::max(code, publish(std::move(batch)));
      progress();
    }
    summary(Clock::now() - start);
    return code;
  }

 private:
  /// Fills `batch` with what is there; waits only for its first line. False at the end of the input.
  bool gather(Batch& batch, ExitCode& code) {
    const std::size_t most = pacer_.take();
    batch.first_line = line_number_ + 1;
    std::string line;
    while (batch.count < most && batch.lines.size() < kBatchBytes) {
      const auto outcome = reader_.next(line, batch.count == 0 ? Wait::yes : Wait::no);
      if (outcome == Outcome::nothing_yet) return true;
      if (outcome == Outcome::end) return false;
      if (outcome != Outcome::line) return refuse(outcome, code);
      ++line_number_;
      auto encoded = encode(line);
      if (!encoded) {
        encoded.error().text = "line " + std::to_string(line_number_) + ": " + encoded.error().text;
        code = report(encoded.error());
        return false;
      }
      batch.lines += *encoded;
      ++batch.count;
    }
    return true;
  }

  bool refuse(Outcome outcome, ExitCode& code) {
    const int error = errno;
    const auto where = "weir: line " + std::to_string(line_number_ + 1) + ": ";
    say(where + (outcome == Outcome::too_long ? "longer than 1 MiB" : std::generic_category().message(error)));
    code = ExitCode::refused;
    return false;
  }

  client::Result<std::string> encode(std::string& line) {
    client::OutgoingEvent event = pattern_;
    if (ids_) event.id = ids_->id_of(line_number_, line);
    if (event.content_type.empty()) {
      event.content_type = client::is_utf8(line) ? "text/plain" : "application/octet-stream";
    }
    event.data.swap(line);
    return client::encode_line(event);
  }

  ExitCode publish(Batch batch) {
    const auto start = Clock::now();
    const auto range = batch.range();
    const auto ids = ids_ ? client::Client::Ids::on_every_line : client::Client::Ids::not_on_every_line;
    auto published = broker_.publish_lines(options_.topic, std::move(batch.lines), batch.count, ids);
    if (!published) {
      published.error().text = range + ": " + published.error().text;
      return report(published.error());
    }
    const auto took = Clock::now() - start;
    pacer_.used(batch.count);
    stored_ += published->stored;
    duplicates_ += published->duplicates;
    if (options_.quiet) return ExitCode::ok;
    for (const auto& one : published->results) print_published(one, took, format_);
    return flush_data(ExitCode::ok);
  }

  void progress() {
    const auto now = Clock::now();
    if (now < next_progress_ || !is_terminal(Stream::words) || (is_terminal(Stream::data) && !options_.quiet)) return;
    next_progress_ = now + std::chrono::seconds(1);
    say("line " + std::to_string(line_number_) + ": " + std::to_string(stored_) + " stored, " +
        std::to_string(duplicates_) + " duplicates");
  }

  void summary(Clock::duration took) const {
    const auto total = stored_ + duplicates_;
    if (total <= kSummaryAbove) return;
    const double seconds = std::max(1e-6, std::chrono::duration<double>(took).count());
    say(std::to_string(stored_) + " stored, " + std::to_string(duplicates_) + " duplicates, " +
        std::to_string(std::llround(static_cast<double>(total) / seconds)) + " events/s");
  }

  LineReader reader_;
  const PubOptions& options_;
  client::OutgoingEvent pattern_;
  std::optional<IdTemplate> ids_;
  client::Client broker_;
  Pacer pacer_;
  Format format_;
  Clock::time_point next_progress_ = Clock::now() + std::chrono::seconds(1);
  std::uint64_t line_number_ = 0;  // of the last line read
  std::uint64_t stored_ = 0;
  std::uint64_t duplicates_ = 0;
};

}  // namespace

ExitCode publish_lines(int descriptor, const PubOptions& options, const client::OutgoingEvent& pattern,
                       const Invocation& invocation) {
  std::optional<IdTemplate> ids;
  if (!options.id_template.empty()) {
    auto parsed = IdTemplate::parse(options.id_template);
    if (!parsed) {
      say("weir: --id-template: " + escape(parsed.error()));
      return ExitCode::usage;
    }
    ids = std::move(*parsed);
  }
  auto settings = client_options(invocation);
  if (!settings) return report(settings.error());
  return LinePublisher(descriptor, options, pattern, std::move(ids), std::move(*settings), invocation.output()).run();
}

}  // namespace weir::cli
