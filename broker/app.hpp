// One broker, as a process: builds everything, runs it, and takes it apart again.
#pragma once

#include "broker/config.hpp"

namespace weir::broker {

/// Runs until SIGTERM or SIGINT (0), or until the disk or the log fails (1). Throws std::runtime_error, with one line
/// that names the thing and the way out, when the broker cannot start. Main thread; call once.
[[nodiscard]] int run_broker(const Config& config);

}  // namespace weir::broker
