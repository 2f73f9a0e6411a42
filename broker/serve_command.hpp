// `weir serve`, `weir config show` (API §9) and `weir storage check|dump`. Main thread.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace weir::broker {

/// Adds the commands. Their callbacks tell `report` what the process is to return, and throw std::runtime_error for a
/// setting or a data folder that cannot be used.
void add_server_commands(CLI::App& root, const std::function<void(int exit_code)>& report);

}  // namespace weir::broker
