#include "clients/cli/topic.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "clients/cli/text_format.hpp"

namespace weir::cli {
namespace {

using client::Client;
using client::Result;
using client::TopicAnswer;

constexpr const char* kDefault = "A value, off, or default for what the broker does by itself";

std::string shown(const client::TopicView& topic) {
  using enum Table::Align;
  Table table(
      {{"TOPIC", left}, {"FIRST", right}, {"NEXT", right}, {"EVENTS", right}, {"BYTES", right}, {"LAST", left}});
  table.add({escape(topic.topic), std::to_string(topic.first_offset), std::to_string(topic.next_offset),
             std::to_string(topic.events), std::to_string(topic.bytes),
             topic.last_time.empty() ? "-" : escape(topic.last_time)});
  Table settings({{"SETTING", left}, {"VALUE", left}, {"OF", left}});
  for (const auto& setting : topic.settings) {
    settings.add({setting.name, escape(setting.value), setting.of_topic ? "topic" : "broker"});
  }
  return table.text() + settings.text();
}

std::string removed(const client::TopicView& topic) {
  return escape(topic.topic) + " removed; should it come back, its next offset is " +
         std::to_string(topic.next_offset) + "\n";
}

/// `words` for people, the broker's own answer for programs.
ExitCode print(const Invocation& invocation, const Result<TopicAnswer>& answer,
               std::string (*words)(const client::TopicView&)) {
  if (!answer) return report(answer.error());
  print_data(invocation.output() == Format::table ? words(answer->topic) : answer->json);
  return ExitCode::ok;
}

template <class Ask>
Result<TopicAnswer> ask(const Invocation& invocation, Ask&& what) {
  auto options = client_options(invocation);
  if (!options) return std::unexpected(std::move(options.error()));
  Client broker(std::move(*options));
  return what(broker);
}

void add_settings(CLI::App& verb, TopicOptions& options) {
  verb.add_option("--retention-age", options.settings.age, "How long events are kept: 7d, 12h, 30m, 60s");
  verb.add_option("--retention-bytes", options.settings.bytes, "Bodies that are kept: 1GiB");
  verb.add_option("--retention-count", options.settings.count, "Events that are kept");
  verb.add_option("--dedup", options.settings.dedup,
                  "How long an id is remembered: retained (as long as its event), at most so long: 12h, or forever, "
                  "even when its event is gone");
  verb.footer(kDefault);
}

ExitCode run_create(const TopicOptions& options, const Invocation& invocation) {
  const auto answer = ask(
      invocation, [&options](Client& broker) { return client::create_topic(broker, options.topic, options.settings); });
  return print(invocation, answer, shown);
}

ExitCode run_info(const TopicOptions& options, const Invocation& invocation) {
  const auto answer = ask(invocation, [&options](Client& broker) { return client::topic_info(broker, options.topic); });
  return print(invocation, answer, shown);
}

ExitCode run_set(const TopicOptions& options, const Invocation& invocation) {
  const auto& settings = options.settings;
  if (settings.age.empty() && settings.bytes.empty() && settings.count.empty() && settings.dedup.empty()) {
    say("weir: name at least one setting to change; see weir topic set --help");
    return ExitCode::usage;
  }
  const auto answer = ask(
      invocation, [&options](Client& broker) { return client::change_topic(broker, options.topic, options.settings); });
  return print(invocation, answer, shown);
}

ExitCode run_rm(const TopicOptions& options, const Invocation& invocation) {
  const auto answer =
      ask(invocation, [&options](Client& broker) { return client::remove_topic(broker, options.topic); });
  return print(invocation, answer, removed);
}

}  // namespace

void add_topics(const Parents& parents, Invocation& invocation, TopicOptions& options) {
  const auto add = [&](const char* name, const char* what, auto run) -> CLI::App& {
    auto* verb = parents.topic.add_subcommand(name, what);
    verb->add_option("TOPIC", options.topic)->required();
    add_shared_options(*verb, invocation);
    verb->callback([&options, &invocation, run] { invocation.exit_code = run(options, invocation); });
    return *verb;
  };
  add_settings(add("create", "Create a topic; refused if it is there with other settings", run_create), options);
  add("info", "Settings and size of a topic", run_info);
  add_settings(add("set", "Change the settings that are named", run_set), options);
  add("rm", "Remove a topic with all its events and ids", run_rm);
}

}  // namespace weir::cli
