#include "clients/cli/cli.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <exception>

#include "clients/cli/backup.hpp"
#include "clients/cli/dev.hpp"
#include "clients/cli/group.hpp"
#include "clients/cli/invocation.hpp"
#include "clients/cli/later.hpp"
#include "clients/cli/members.hpp"
#include "clients/cli/pub.hpp"
#include "clients/cli/read.hpp"
#include "clients/cli/sub.hpp"
#include "clients/cli/text_format.hpp"
#include "clients/cli/topic.hpp"

namespace weir::cli {
namespace {

CLI::App& add_parent(CLI::App& root, const char* name, const char* what) {
  auto* parent = root.add_subcommand(name, what);
  parent->require_subcommand(1);
  return *parent;
}

/// Everything the verbs fill in while parsing; lives until they have run.
struct Command {
  ExitCode exit_code = ExitCode::ok;
  Invocation invocation{exit_code};
  PubOptions pub;
  SubOptions sub;
  ReadOptions read;
  TopicOptions topics;
  GroupOptions groups;
  RaftLogOptions raft_log;
  MemberOptions members;
  DevOptions dev;
  BackupOptions backup;
};

void add_verbs(CLI::App& root, Command& command, const ServerCommands& server) {
  if (server.add) server.add(root, command.exit_code);
  add_dev(root, command.exit_code, command.dev);
  add_pub(root, command.invocation, command.pub);
  add_sub(root, command.invocation, command.sub);
  const Parents parents{.topic = add_parent(root, "topic", "Topics"),
                        .group = add_parent(root, "group", "Consumer groups"),
                        .cluster = add_parent(root, "cluster", "The cluster and its members"),
                        .raft = add_parent(root, "raft", "The Raft log")};
  add_reading(root, parents, command.invocation, command.read);
  add_topics(parents, command.invocation, command.topics);
  add_groups(parents, command.invocation, command.groups);
  add_cluster(parents, command.invocation, command.raft_log);
  add_members(parents, command.invocation, command.members);
  add_backup(root, command.invocation, command.backup);
  add_later(root, parents, command.exit_code);
  root.add_subcommand("version", "Print the version")->callback([] { print_data("weir " WEIR_VERSION "\n"); });
}

}  // namespace

int run(int argc, char** argv, const ServerCommands& server) {
  CLI::App root{"weir: an event streaming broker with a replicated log", "weir"};
  root.require_subcommand(1);
  root.set_version_flag("--version", "weir " WEIR_VERSION);
  root.footer("Exit codes: 0 ok, 1 refused, 2 usage, 3 unreachable, 4 outcome unknown.");
  Command command;
  try {
    add_verbs(root, command, server);
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return root.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  } catch (const std::exception& error) {
    say("weir: " + escape(error.what()));
    return static_cast<int>(ExitCode::usage);
  }
  return static_cast<int>(flush_data(command.exit_code));
}

}  // namespace weir::cli
