#include "clients/cli/invocation.hpp"

#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>

#include "clients/cli/discovery.hpp"
#include "clients/cli/text_format.hpp"

namespace weir::cli {

Format Invocation::output() const {
  if (format == "json") return Format::json;
  if (format == "ndjson") return Format::ndjson;
  return format == "raw" ? Format::raw : Format::table;
}

void add_shared_options(CLI::App& verb, Invocation& invocation) {
  verb.add_option("--server", invocation.server,
                  "HOST:PORT[,HOST:PORT...]; else a running 'weir dev', else 127.0.0.1:7400. The other members are "
                  "learned from it")
      ->envname("WEIR_SERVER");
  verb.add_option("--timeout", invocation.timeout_s, "Seconds to keep trying")
      ->check(CLI::Range(0.001, 86'400.0))
      ->capture_default_str();
  verb.add_option("-o,--output", invocation.format, "table, json, ndjson or raw")
      ->check(CLI::IsMember({"table", "json", "ndjson", "raw"}))
      ->capture_default_str();
}

client::Result<client::ClientOptions> client_options(const Invocation& invocation) {
  auto servers = find_servers(invocation.server, Places::from_environment());
  if (!servers) return std::unexpected(std::move(servers.error()));
  client::ClientOptions options;
  options.servers = std::move(*servers);
  options.deadline = std::chrono::milliseconds(static_cast<std::int64_t>(invocation.timeout_s * 1000));
  return options;
}

// A failed write leaves the error mark of stdout, which flush_data reads.
void print_data(std::string_view data) {
  static_cast<void>(std::fwrite(data.data(), 1, data.size(), stdout));
}

ExitCode flush_data(ExitCode code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  say("weir: standard output cannot be written");
  return code == ExitCode::ok ? ExitCode::refused : code;
}

void say(std::string_view words) {
  const std::string line = std::string(words) + "\n";
  static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr));
}

namespace {

ExitCode exit_code_of(client::errc code) {
  switch (code) {
    case client::errc::refused:
    case client::errc::bad_answer:
      return ExitCode::refused;
    case client::errc::bad_argument:
      return ExitCode::usage;
    case client::errc::unreachable:
      return ExitCode::unreachable;
    case client::errc::outcome_unknown:
      return ExitCode::outcome_unknown;
  }
  return ExitCode::refused;
}

}  // namespace

ExitCode report(const client::Error& error) {
  std::string line = "weir: " + escape(error.text);
  if (error.code == client::errc::outcome_unknown) {
    line += "; the outcome is unknown: with an id, publish the same again";
  } else if (error.code == client::errc::unreachable && !error.problem) {
    line += "; no broker answered: start one with 'weir dev' or name one with --server";
  }
  say(line);
  return exit_code_of(error.code);
}

bool is_terminal(Stream stream) {
  return ::isatty(stream == Stream::data ? STDOUT_FILENO : STDERR_FILENO) == 1;
}

}  // namespace weir::cli
