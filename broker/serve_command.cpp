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

}  // namespace

void add_server_commands(CLI::App& root, const std::function<void(int exit_code)>& report) {
  CLI::App* serve = root.add_subcommand("serve", "Run one broker");
  serve->callback([options = add_settings(*serve), report] { report(run_broker(load(*options).config)); });

  CLI::App* config = root.add_subcommand("config", "The broker's settings");
  config->require_subcommand(1);
  CLI::App* show = config->add_subcommand("show", "Each setting in force and where it came from");
  show->callback([options = add_settings(*show)] { print_settings(load(*options)); });
}

}  // namespace weir::broker
