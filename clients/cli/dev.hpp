#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "clients/cli/cli.hpp"

namespace weir::cli {

struct DevOptions {
  unsigned nodes = 3;
  std::string dir;                         ///< empty: a temporary one
  std::uint16_t port = 7400;               ///< n1's http; the others two apart. 0: any free ones
  std::optional<std::uint16_t> raft_port;  ///< n1's raft; `port` + 1 unless given
  double restart_after_s = 3;
  bool verbose = false;
  std::string victim;  ///< of `dev kill`: "leader" or a node
};

void add_dev(CLI::App& root, ExitCode& exit_code, DevOptions& options);

/// Runs until a signal ends it.
[[nodiscard]] ExitCode run_dev(const DevOptions& options);

/// Kills one node of the running `weir dev`; when it was the leader, waits for the next one.
[[nodiscard]] ExitCode run_dev_kill(const DevOptions& options);

}  // namespace weir::cli
