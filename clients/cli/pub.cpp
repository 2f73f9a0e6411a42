#include "clients/cli/pub.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <system_error>

#include "clients/cli/text_format.hpp"

namespace weir::cli {
namespace {

using client::errc;
using client::failure;
using client::Result;

/// A batch body's limit (API.md): a broker takes nothing larger in one request.
constexpr std::size_t kInputBytesMax = 8U << 20U;

/// Owns the descriptor of --from-file; standard input is nobody's.
class Input {
 public:
  explicit Input(const std::string& file)
      : descriptor_(file.empty() || file == "-" ? STDIN_FILENO : ::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Input() {
    if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;  // -1: it could not be opened
};

Result<std::string> read_whole(int descriptor) {
  std::string bytes;
  while (bytes.size() <= kInputBytesMax) {
    const auto before = bytes.size();
    bytes.resize(before + 65'536);
    const auto got = ::read(descriptor, bytes.data() + before, 65'536);
    bytes.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got == 0) return bytes;
    if (got < 0 && errno != EINTR) return failure(errc::refused, std::generic_category().message(errno));
  }
  return failure(errc::refused, "the input is larger than 8 MiB; --lines publishes it line by line");
}

/// curl's habit: a content type may stand among the headers.
Result<client::OutgoingEvent> shared_parts(const PubOptions& options) {
  client::OutgoingEvent event{.data = {},
                              .id = options.id,
                              .source = {},
                              .key = options.key,
                              .content_type = options.content_type,
                              .headers = {}};
  for (const auto& header : options.headers) {
    const auto colon = header.find(':');
    if (colon == std::string::npos || colon == 0)
      return failure(errc::bad_argument, "-H '" + header + "' is not 'Name: value'");
    const std::string name = header.substr(0, colon);
    const auto start = header.find_first_not_of(' ', colon + 1);
    const std::string value = start == std::string::npos ? "" : header.substr(start);
    if (CLI::detail::to_lower(name) == "content-type")
      event.content_type = value;
    else
      event.headers.emplace_back(name.starts_with("Weir-H-") ? name.substr(7) : name, value);
  }
  return event;
}

Result<void> check(const PubOptions& options) {
  if (options.data && (options.lines || !options.from_file.empty())) {
    return failure(errc::bad_argument, "DATA and --lines or --from-file exclude each other");
  }
  if (options.lines && !options.id.empty()) {
    return failure(errc::bad_argument, "--id names one event; for --lines use --id-template");
  }
  if (!options.lines && (!options.id_template.empty() || options.rate > 0)) {
    return failure(errc::bad_argument, "--id-template and --rate belong to --lines");
  }
  return {};
}

ExitCode publish_one(const client::OutgoingEvent& event, const PubOptions& options, const Invocation& invocation) {
  auto settings = client_options(invocation);
  if (!settings) return report(settings.error());
  client::Client broker(std::move(*settings));
  broker.learn_members();  // before the clock starts: the time shown is the publish alone
  const auto start = client::Clock::now();
  const auto published = broker.publish(options.topic, event);
  if (!published) return report(published.error());
  if (!options.quiet) print_published(*published, client::Clock::now() - start, invocation.output());
  return ExitCode::ok;
}

ExitCode run_pub(const PubOptions& options, const Invocation& invocation) {
  if (auto checked = check(options); !checked) return report(checked.error());
  auto event = shared_parts(options);
  if (!event) return report(event.error());
  if (options.data) {
    event->data = *options.data;
    return publish_one(*event, options, invocation);
  }
  const Input input(options.from_file);
  if (input.descriptor() < 0) {
    say("weir: " + escape(options.from_file) + ": " + std::generic_category().message(errno));
    return ExitCode::usage;
  }
  if (options.lines) return publish_lines(input.descriptor(), options, *event, invocation);
  auto bytes = read_whole(input.descriptor());
  if (!bytes) return report(bytes.error());
  event->data = std::move(*bytes);
  return publish_one(*event, options, invocation);
}

}  // namespace

void print_published(const client::Published& published, std::chrono::nanoseconds took, Format format) {
  print_data(format == Format::json || format == Format::ndjson ? published_json(published)
                                                                : published_line(published, took));
}

void add_pub(CLI::App& root, Invocation& invocation, PubOptions& options) {
  auto* verb = root.add_subcommand("pub", "Publish an event, or every line of an input");
  verb->add_option("TOPIC", options.topic, "Where to")->required();
  verb->add_option("DATA", options.data, "The payload; without it, all of standard input is one event");
  verb->add_option("--id", options.id, "The event's id: published again, it is stored once");
  verb->add_option("--key", options.key, "The event's key");
  verb->add_option("-H,--header", options.headers, "'Name: value', kept with the event; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--content-type", options.content_type,
                   "Without it the broker decides; with --lines text/plain, or bytes for a line that is not UTF-8");
  verb->add_flag("--lines", options.lines, "One event per line, in batches; the bytes of a line are kept, CR too");
  verb->add_option("--from-file", options.from_file, "Read this instead of standard input");
  verb->add_option("--id-template", options.id_template,
                   "With --lines: the id of a line from {line} (its number, from 1) and {hash} (64-bit FNV-1a of its "
                   "bytes, 16 hex digits), e.g. '{line}:{hash}'");
  verb->add_option("--rate", options.rate, "With --lines: at most this many events per second")
      ->check(CLI::PositiveNumber);
  verb->add_flag("-q,--quiet", options.quiet, "No line per event");
  add_shared_options(*verb, invocation);
  verb->footer("Times are UTC. A payload that begins with '-' goes after '--'.");
  verb->callback([&] { invocation.exit_code = run_pub(options, invocation); });
}

}  // namespace weir::cli
