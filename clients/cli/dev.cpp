#include "clients/cli/dev.hpp"

#include <signal.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <thread>

#include "clients/cli/dev_leader.hpp"
#include "clients/cli/discovery.hpp"
#include "clients/cli/invocation.hpp"
#include "clients/cli/process.hpp"
#include "clients/cli/text_format.hpp"

namespace weir::cli {
namespace {

/// Far above an election, which takes a fraction of a second.
constexpr std::chrono::seconds kElectionTimeout{15};
/// How often the survivors are asked: fine enough for a figure in milliseconds.
constexpr std::chrono::milliseconds kAskEvery{5};

ExitCode refuse(const std::string& why) {
  say("weir: " + escape(why));
  return ExitCode::refused;
}

std::string role_text(const DevNode& node, const Leadership& before) {
  const auto term = " of term " + std::to_string(before.term);
  return (node.node == before.node ? "leader" : "follower") + term;
}

ExitCode wait_for_next_leader(const DevFile& dev, const DevNode& killed, const Leadership& before) {
  const auto start = Clock::now();
  const auto line = "killed " + killed.node + " (" + role_text(killed, before) + ")";
  Leadership now;
  while (Clock::now() < start + kElectionTimeout) {
    now = look_for_leader(dev.nodes);
    if (now.known() && now.term > before.term) {
      print_data(line + "; " + escape(now.node) + " leads term " + std::to_string(now.term) + " after " +
                 std::to_string(std::chrono::round<std::chrono::milliseconds>(Clock::now() - start).count()) + " ms\n");
      return ExitCode::ok;
    }
    std::this_thread::sleep_for(kAskEvery);
  }
  print_data(line + "\n");
  say("weir: no new leader within 15 s; the nodes' logs are in " + escape(dev.folder.string()) +
      "; they answer:" + now.answers);
  return ExitCode::refused;
}

}  // namespace

ExitCode run_dev_kill(const DevOptions& options) {
  const auto dev = running_dev(Places::from_environment());
  if (!dev) return refuse(dev.error());
  if (!*dev) {
    say("weir: no 'weir dev' of this user is running");
    return ExitCode::unreachable;
  }
  const auto& nodes = (*dev)->nodes;
  const auto before = look_for_leader(nodes);
  if (options.victim == "leader" && !before.known()) return refuse("there is no leader at the moment");
  const auto& name = options.victim == "leader" ? before.node : options.victim;
  const auto victim = std::ranges::find(nodes, name, &DevNode::node);
  if (victim == nodes.end()) return refuse("this 'weir dev' has no node '" + name + "'");
  // The number may have passed to another process since the file was written: only a child of that `dev` is killed.
  if (victim->pid <= 1 || parent_of(victim->pid) != (*dev)->pid) return refuse(name + " is down already");
  if (::kill(victim->pid, SIGKILL) != 0) return refuse(name + " could not be killed");
  if (name == before.node) return wait_for_next_leader(**dev, *victim, before);
  print_data(
      "killed " + name + " (" + role_text(*victim, before) + "); " +
      (before.known() ? escape(before.node) + " leads term " + std::to_string(before.term) : "there is no leader") +
      "\n");
  return ExitCode::ok;
}

void add_dev(CLI::App& root, ExitCode& exit_code, DevOptions& options) {
  auto* dev =
      root.add_subcommand("dev", "A cluster on this machine, for trying things out; Ctrl-C leaves nothing behind");
  dev->add_option("--nodes", options.nodes, "How many")->check(CLI::Range(1, 9))->capture_default_str();
  dev->add_option("--dir", options.dir, "Keep the data here; else in a temporary folder that is removed at the end");
  dev->add_option("--port", options.port, "n1's http port, the others' two apart; 0 takes free ones")
      ->capture_default_str();
  dev->add_option("--raft-port", options.raft_port, "n1's Raft port, likewise; else --port + 1");
  dev->add_option("--restart-after", options.restart_after_s, "Seconds until a node that died comes back")
      ->check(CLI::Range(0.0, 3'600.0))
      ->capture_default_str();
  dev->add_flag("--verbose", options.verbose, "The nodes' logs on stderr, instead of in files beside their data");
  auto* kill = dev->add_subcommand("kill", "Kill a node (SIGKILL) and see who leads next");
  kill->add_option("NODE", options.victim, "leader, or a node such as n2")->required();
  kill->callback([&] { exit_code = run_dev_kill(options); });
  dev->callback([&, dev] {
    if (dev->get_subcommands().empty()) exit_code = run_dev(options);
  });
}

}  // namespace weir::cli
