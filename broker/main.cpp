#include "bench/command.hpp"
#include "broker/serve_command.hpp"
#include "clients/cli/cli.hpp"

int main(int argc, char** argv) {
  const weir::cli::ServerCommands server{.add = [](CLI::App& root, weir::cli::ExitCode& exit_code) {
    weir::broker::add_server_commands(root,
                                      [&exit_code](int code) { exit_code = static_cast<weir::cli::ExitCode>(code); });
    weir::bench::add_bench(root, exit_code);
  }};
  return weir::cli::run(argc, argv, server);
}
