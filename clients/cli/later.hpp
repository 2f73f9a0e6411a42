#pragma once

#include "clients/cli/cli.hpp"
#include "clients/cli/read.hpp"

namespace weir::cli {

/// The verbs of API.md §9 that come with later releases: they say so and exit with `usage`, whatever stands behind
/// them.
void add_later(CLI::App& root, const Parents& parents, ExitCode& exit_code);

}  // namespace weir::cli
