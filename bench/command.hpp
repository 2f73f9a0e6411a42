#pragma once

namespace CLI {
class App;
}
namespace weir::cli {
enum class ExitCode : int;
}

namespace weir::bench {

/// Adds `weir bench pub|sub|e2e|fanout` to `root`. `exit_code` outlives the parsing; it is set when the verb has run.
void add_bench(CLI::App& root, cli::ExitCode& exit_code);

}  // namespace weir::bench
