#include "clients/cli/group.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "clients/cli/text_format.hpp"
#include "clients/cpp/groups.hpp"

namespace weir::cli {
namespace {

using client::Client;
using client::GroupAnswer;
using client::GroupView;
using client::Result;

std::string joined(const std::vector<std::string>& patterns) {
  std::string text;
  for (const auto& pattern : patterns) text += (text.empty() ? "" : " ") + escape(pattern);
  return text;
}

std::string groups_table(const std::vector<GroupView>& groups) {
  using enum Table::Align;
  Table table({{"GROUP", left}, {"CURSOR", left}, {"LAG", right}, {"LEASES", right}, {"READS", left}});
  for (const auto& group : groups) {
    table.add({escape(group.group), escape(group.cursor), std::to_string(group.lag),
               std::to_string(group.leases.size()), joined(group.patterns)});
  }
  return table.text();
}

std::string shown(const GroupView& group) {
  using enum Table::Align;
  std::string text = groups_table({group});
  if (group.leases.empty()) return text;
  Table leases({{"LEASE", left}, {"AFTER", left}, {"UP TO", left}, {"EXPIRES", left}});
  for (const auto& lease : group.leases) {
    leases.add({escape(lease.lease), escape(lease.from), escape(lease.to), escape(lease.expires)});
  }
  return text + leases.text();
}

std::string moved(const GroupView& group) {
  return escape(group.group) + " goes on after " + escape(group.cursor) + "; its leases are lost\n";
}

std::string removed(const GroupView& group) {
  return escape(group.group) + " removed; it had finished everything up to " + escape(group.cursor) + "\n";
}

/// `words` for people, the broker's own answer for programs.
template <class Ask>
ExitCode print(const Invocation& invocation, Ask&& ask, std::string (*words)(const GroupView&)) {
  auto options = client_options(invocation);
  if (!options) return report(options.error());
  Client broker(std::move(*options));
  const Result<GroupAnswer> answer = ask(broker);
  if (!answer) return report(answer.error());
  print_data(invocation.output() == Format::table ? words(answer->group) : answer->json);
  return ExitCode::ok;
}

ExitCode run_ls(const Invocation& invocation) {
  const auto response = fetch(invocation, "/v1/groups", "application/json");
  if (!response) return report(response.error());
  if (invocation.output() != Format::table) {
    print_json(response->body, "groups", invocation.output());
    return ExitCode::ok;
  }
  const auto groups = client::decode_groups(response->body);
  if (!groups) return report(groups.error());
  print_data(groups_table(*groups));
  return ExitCode::ok;
}

ExitCode run_info(const GroupOptions& options, const Invocation& invocation) {
  return print(invocation, [&options](Client& broker) { return client::group_info(broker, options.group); }, shown);
}

ExitCode run_seek(const GroupOptions& options, const Invocation& invocation) {
  return print(
      invocation, [&options](Client& broker) { return client::seek_group(broker, options.group, options.cursor); },
      moved);
}

ExitCode run_rm(const GroupOptions& options, const Invocation& invocation) {
  return print(invocation, [&options](Client& broker) { return client::remove_group(broker, options.group); }, removed);
}

}  // namespace

void add_groups(const Parents& parents, Invocation& invocation, GroupOptions& options) {
  auto* ls = parents.group.add_subcommand("ls", "List the consumer groups");
  add_shared_options(*ls, invocation);
  ls->callback([&invocation] { invocation.exit_code = run_ls(invocation); });
  const auto add = [&](const char* name, const char* what, auto run) -> CLI::App& {
    auto* verb = parents.group.add_subcommand(name, what);
    verb->add_option("GROUP", options.group)->required();
    add_shared_options(*verb, invocation);
    verb->callback([&options, &invocation, run] { invocation.exit_code = run(options, invocation); });
    return *verb;
  };
  add("info", "Cursor, lag and leases of a group", run_info);
  add("seek", "Move a group's cursor; its leases are lost", run_seek)
      .add_option("CURSOR", options.cursor, "A cursor, earliest, latest, a time, or how long ago: 1h")
      ->required();
  add("rm", "Remove a group", run_rm);
}

}  // namespace weir::cli
