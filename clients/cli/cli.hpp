#pragma once

#include <functional>

namespace CLI {
class App;
}

/// The command line of the one binary `weir`. broker/main.cpp calls `run` and passes in the commands that need a
/// broker; clients/ never includes broker/.
namespace weir::cli {

/// What scripts may rely on (API.md §9).
enum class ExitCode : int { ok = 0, refused = 1, usage = 2, unreachable = 3, outcome_unknown = 4 };

/// What the broker adds to the command line.
struct ServerCommands {
  /// Adds `serve` and `config` to `root`, before anything is parsed. A command registered here reports by assigning
  /// `exit_code` inside its CLI11 callback; `exit_code` is ExitCode::ok until then, and it outlives the parsing. A
  /// callback may throw: std::exception becomes one line on stderr and ExitCode::usage, since what throws at start-up
  /// is a setting or a data folder that cannot be used.
  ///
  ///     auto* serve = root.add_subcommand("serve", "Run one broker");
  ///     serve->callback([&exit_code] { exit_code = serve_until_stopped(); });
  std::function<void(CLI::App& root, ExitCode& exit_code)> add;
};

/// Parses and runs; returns the exit code of the process. An empty `server.add` leaves `serve` and `config` out.
/// Call once, on the main thread, before any other thread is started: `dev` blocks signals and forks.
[[nodiscard]] int run(int argc, char** argv, const ServerCommands& server);

}  // namespace weir::cli
