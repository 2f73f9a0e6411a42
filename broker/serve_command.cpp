#include "broker/serve_command.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "broker/app.hpp"
#include "broker/config.hpp"
#include "broker/copy_commands.hpp"
#include "storage/inspect.hpp"

namespace weir::broker {
namespace {

/// CLI11's options by flag, as long as the parser lives.
using Options = std::map<std::string, CLI::Option*, std::less<>>;

[[nodiscard]] const char* group_of(const Setting& setting) {
  if (setting.key.starts_with("limits.")) return "Limits";
  if (setting.key.ends_with("_ms")) return "Times";
  return "Options";
}

[[nodiscard]] std::shared_ptr<Options> add_settings(CLI::App& command) {
  auto options = std::make_shared<Options>();
  options->emplace("config", command.add_option("--config", "TOML file with settings; also WEIR_CONFIG"));
  for (const Setting& setting : settings()) {
    const std::string flag(setting.flag);
    const std::string help = std::string(setting.help) + "; in the file: " + std::string(setting.key);
    CLI::Option* option = setting.shape == SettingShape::toggle ? command.add_flag("--" + flag, help)
                                                                : command.add_option("--" + flag, help);
    option->group(group_of(setting));
    options->emplace(flag, option);
  }
  return options;
}

[[nodiscard]] std::optional<std::string> environment(const std::string& name) {
  // Read before any thread is started, and nothing here ever sets one.
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

[[nodiscard]] LoadedConfig load(const Options& options) {
  ConfigSources sources;
  sources.environment = environment;
  for (const auto& [flag, option] : options) {
    if (option->count() > 0) sources.flags.emplace(flag, option->results().back());
  }
  auto loaded = load_config(sources);
  if (!loaded) throw std::runtime_error(loaded.error());
  return std::move(*loaded);
}

/// One setting a line: key, value, where it came from. No setting is a secret yet; one that will be must be masked
/// here.
void print_settings(const LoadedConfig& loaded) {
  std::size_t key_width = 0;
  std::size_t value_width = 0;
  for (const EffectiveSetting& setting : loaded.settings) {
    key_width = std::max(key_width, setting.key.size());
    value_width = std::max(value_width, setting.value.size());
  }
  for (const EffectiveSetting& setting : loaded.settings) {
    const std::string value = setting.value.empty() ? "-" : setting.value;
    std::string line = setting.key + std::string(key_width - setting.key.size() + 2, ' ') + value;
    line += std::string(std::max(value_width, value.size()) - value.size() + 2, ' ') + setting.origin + "\n";
    if (std::fputs(line.c_str(), stdout) == EOF) return;
  }
  static_cast<void>(std::fflush(stdout));
}

using Inspection = std::expected<void, storage::Error> (*)(const std::string&, const storage::LinePrinter&);

/// A look into a data folder that no node uses; exit 1 if it is damaged.
void add_inspection(CLI::App& parent, const char* name, const char* help, Inspection inspect,
                    const std::function<void(int exit_code)>& report) {
  CLI::App* command = parent.add_subcommand(name, help);
  auto folder = std::make_shared<std::string>(Config{}.data);
  command->add_option("--data", *folder, "Folder of the node's log")->capture_default_str();
  command->callback([folder, inspect, report] {
    const auto done =
        inspect(*folder, [](const std::string& line) { static_cast<void>(std::fputs((line + "\n").c_str(), stdout)); });
    static_cast<void>(std::fflush(stdout));
    if (done) return;
    if (done.error().code != storage::Errc::damaged) throw std::runtime_error(done.error().text);
    static_cast<void>(std::fputs((done.error().text + "\n").c_str(), stderr));
    report(1);
  });
}

}  // namespace

void add_server_commands(CLI::App& root, const std::function<void(int exit_code)>& report) {
  CLI::App* serve = root.add_subcommand("serve", "Run one broker");
  serve->callback([options = add_settings(*serve), report] { report(run_broker(load(*options).config)); });

  CLI::App* config = root.add_subcommand("config", "The broker's settings");
  config->require_subcommand(1);
  CLI::App* show = config->add_subcommand("show", "Each setting in force and where it came from");
  show->callback([options = add_settings(*show)] { print_settings(load(*options)); });

  add_copy_commands(root, report);
  CLI::App* look = root.add_subcommand("storage", "Look into the data folder of a node that is stopped");
  look->require_subcommand(1);
  add_inspection(*look, "check", "Verify every byte; exit 1 and the file's name if one is damaged",
                 storage::check_folder, report);
  add_inspection(*look, "dump", "Every row of every file", storage::dump_folder, report);
}

}  // namespace weir::broker
