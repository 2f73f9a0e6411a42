#include "clients/cli/later.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <string>

#include "clients/cli/invocation.hpp"

namespace weir::cli {
namespace {

struct Later {
  std::string_view parent;  // empty: a verb of one word
  std::string_view name;
  std::string_view what;
};

constexpr std::array kLater{
    Later{"raft", "watch", "Roles, votes and elections as they happen"},
    Later{"", "doctor", "Look for what will hurt: disk, clock, limits, ports"},
    Later{"token", "create", "Make a token"},
    Later{"", "completion", "Completion for a shell"},
};

void add_one(CLI::App& parent, const Later& later, ExitCode& exit_code) {
  auto* verb =
      parent.add_subcommand(std::string(later.name), std::string(later.what) + " (comes with a later release)");
  verb->prefix_command();
  verb->callback([later, &exit_code] {
    const auto name = std::string(later.parent) + (later.parent.empty() ? "" : " ") + std::string(later.name);
    say("weir: '" + name + "' comes with a later release");
    exit_code = ExitCode::usage;
  });
}

}  // namespace

void add_later(CLI::App& root, const Parents& parents, ExitCode& exit_code) {
  auto* token = root.add_subcommand("token", "Tokens");
  token->require_subcommand(1);
  for (const auto& later : kLater) {
    CLI::App* parent = &root;
    if (later.parent == "raft") parent = &parents.raft;
    if (later.parent == "token") parent = token;
    add_one(*parent, later, exit_code);
  }
}

}  // namespace weir::cli
