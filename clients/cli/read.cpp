#include "clients/cli/read.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "clients/cli/text_format.hpp"
#include "clients/cpp/event_json.hpp"
#include "clients/cpp/json_slices.hpp"
#include "clients/cpp/text.hpp"

namespace weir::cli {
namespace {

using client::errc;
using client::HttpResponse;
using client::percent_encode;
using client::Result;
using client::Slash;

ExitCode no_such_offset(const ReadOptions& options, std::string_view next) {
  std::string text = options.topic + " has no event " + std::to_string(options.offset);
  if (!next.empty()) text += "; its next offset is " + std::string(next);
  return report(client::Error{.code = errc::refused, .text = std::move(text), .problem = std::nullopt});
}

/// The exact bytes. A broker that has no such event answers 204, 404 or with what comes after it.
ExitCode get_raw(const ReadOptions& options, const Invocation& invocation) {
  const auto target = client::events_target(options.topic) + "?limit=1&from=" + std::to_string(options.offset);
  const auto response = fetch(invocation, target, "application/octet-stream");
  if (!response) return report(response.error());
  const auto next = response->header("Weir-Next");
  const bool other = !next.empty() && next != std::to_string(options.offset + 1);
  if (response->status != 200 || other) return no_such_offset(options, next);
  print_data(response->body);
  return ExitCode::ok;
}

ExitCode run_get(const ReadOptions& options, const Invocation& invocation) {
  const auto format = invocation.output();
  if (format == Format::raw) return get_raw(options, invocation);
  const auto target = client::events_target(options.topic) + "?limit=1&from=" + std::to_string(options.offset);
  const auto response = fetch(invocation, target, "application/x-ndjson");
  if (!response) return report(response.error());
  const auto line = std::string_view(response->body).substr(0, response->body.find('\n'));
  if (line.empty()) return no_such_offset(options, response->header("Weir-Next"));
  const auto event = client::decode_event(line);
  if (!event) return report(event.error());
  if (event->offset != options.offset) return no_such_offset(options, "");
  print_data(format == Format::table ? event_line(*event) : event->json + "\n");
  return ExitCode::ok;
}

ExitCode run_id(const ReadOptions& options, const Invocation& invocation) {
  std::string target =
      "/v1/ids/" + percent_encode(options.topic, Slash::keep) + "?id=" + percent_encode(options.id, Slash::escape);
  if (!options.source.empty()) target += "&source=" + percent_encode(options.source, Slash::escape);
  const auto response = fetch(invocation, target, "application/json");
  if (!response) return report(response.error());
  if (invocation.output() != Format::table) {
    print_data(response->body + (response->body.ends_with('\n') ? "" : "\n"));
    return ExitCode::ok;
  }
  const auto id = client::decode_id(response->body);
  if (!id) return report(id.error());
  const auto name = escape(options.id);
  const auto time = escape(id->time);
  if (id->offset)
    print_data(escape(options.topic) + " " + std::to_string(*id->offset) + " stored " + name + " " + time + "\n");
  else
    print_data(escape(options.topic) + " - claimed " + name + " " + time + " by " + escape(id->owner) + "\n");
  return ExitCode::ok;
}

ExitCode run_topic_ls(const Invocation& invocation) {
  const auto response = fetch(invocation, "/v1/topics", "application/json");
  if (!response) return report(response.error());
  if (invocation.output() != Format::table) {
    print_json(response->body, "topics", invocation.output());
    return ExitCode::ok;
  }
  const auto topics = client::decode_topics(response->body);
  if (!topics) return report(topics.error());
  print_data(topics_table(*topics));
  return ExitCode::ok;
}

}  // namespace

Result<HttpResponse> fetch(const Invocation& invocation, std::string_view target, std::string_view accept) {
  auto settings = client_options(invocation);
  if (!settings) return std::unexpected(std::move(settings.error()));
  client::Client broker(std::move(*settings));
  return broker.get(target, accept);
}

void print_json(std::string_view body, std::string_view name, Format format) {
  const auto array = format == Format::ndjson ? client::json_member(body, name) : std::nullopt;
  const auto items = array ? client::json_items(*array) : std::nullopt;
  if (!items) {
    print_data(std::string(body) + (body.ends_with('\n') ? "" : "\n"));
    return;
  }
  for (const auto item : *items) print_data(std::string(item) + "\n");
}

void add_reading(CLI::App& root, const Parents& parents, Invocation& invocation, ReadOptions& options) {
  auto* get = root.add_subcommand("get", "Print one event");
  get->add_option("TOPIC", options.topic)->required();
  get->add_option("OFFSET", options.offset)->required();
  add_shared_options(*get, invocation);
  get->footer("A line is TOPIC OFFSET ID DATA; -o raw writes exactly the published bytes.");
  get->callback([&] { invocation.exit_code = run_get(options, invocation); });

  auto* id = root.add_subcommand("id", "Where and when an id was stored (UTC)");
  id->add_option("TOPIC", options.topic)->required();
  id->add_option("ID", options.id)->required();
  id->add_option("--source", options.source, "The CloudEvents source the id belongs to");
  add_shared_options(*id, invocation);
  id->callback([&] { invocation.exit_code = run_id(options, invocation); });

  auto* ls = parents.topic.add_subcommand("ls", "List the topics");
  add_shared_options(*ls, invocation);
  ls->callback([&] { invocation.exit_code = run_topic_ls(invocation); });
}

}  // namespace weir::cli
