// `weir restore` and `weir recover` (API §9): data folders that no node uses. Main thread.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace weir::broker {

/// As add_server_commands.
void add_copy_commands(CLI::App& root, const std::function<void(int exit_code)>& report);

}  // namespace weir::broker
