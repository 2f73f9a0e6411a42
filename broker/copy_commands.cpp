#include "broker/copy_commands.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "broker/config.hpp"
#include "broker/http/time_text.hpp"
#include "broker/new_life.hpp"

namespace weir::broker {
namespace {

/// API §9.
constexpr int kRefused = 1;
constexpr std::chrono::seconds kProgressEvery{1};

void say(std::FILE* stream, const std::string& line) {
  static_cast<void>(std::fputs((line + "\n").c_str(), stream));
  static_cast<void>(std::fflush(stream));
}

/// What is wrong with data is a refusal, what is wrong with the call is usage.
void fail(const storage::Error& error, const std::function<void(int exit_code)>& report) {
  if (error.code == storage::Errc::setup || error.code == storage::Errc::in_use) throw std::runtime_error(error.text);
  say(stderr, "weir: " + error.text);
  report(kRefused);
}

std::string place_text(const LogContents& contents) {
  return "entry " + std::to_string(contents.index.value) + " of term " + std::to_string(contents.term.value) + ", " +
         to_text(contents);
}

void print_new_life(const NewLife& life) {
  say(stdout, "before: cluster " + life.before.config.cluster_id + " epoch " + life.before.config.epoch + ", " +
                  place_text(life.before));
  say(stdout, "after:  cluster " + life.after.config.cluster_id + " epoch " + life.after.config.epoch + ", " +
                  place_text(life.after));
}

/// A file, or standard input.
class Input {
 public:
  explicit Input(const std::string& file)
      : name_(file == "-" ? "standard input" : file),
        descriptor_(file == "-" ? STDIN_FILENO : ::open(file.c_str(), O_RDONLY | O_CLOEXEC)),
        owned_(file != "-") {
    if (descriptor_ < 0) throw std::runtime_error(name_ + ": " + std::system_category().message(errno));
  }
  ~Input() {
    if (owned_) ::close(descriptor_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  [[nodiscard]] std::expected<std::string, storage::Error> read(std::size_t bytes_max) {
    std::string bytes(bytes_max, '\0');
    ssize_t count = -1;
    do {
      count = ::read(descriptor_, bytes.data(), bytes.size());
    } while (count < 0 && errno == EINTR);
    if (count < 0)
      return std::unexpected(storage::Error{storage::Errc::io, name_ + ": " + std::system_category().message(errno)});
    bytes.resize(static_cast<std::size_t>(count));
    bytes_ += bytes.size();
    show();
    return bytes;
  }

 private:
  void show() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_ || ::isatty(STDERR_FILENO) != 1) return;
    next_ = now + kProgressEvery;
    static_cast<void>(std::fprintf(stderr, "\r%llu MiB restored\r", static_cast<unsigned long long>(bytes_ >> 20U)));
  }

  const std::string name_;
  const int descriptor_;
  const bool owned_;
  std::uint64_t bytes_ = 0;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + kProgressEvery;
};

/// Loaded as for `weir serve`, so that what is no name for a node there is none here.
[[nodiscard]] Config config_of(const std::map<std::string, std::string, std::less<>>& flags) {
  ConfigSources sources;
  sources.environment = [](const std::string&) { return std::optional<std::string>(); };
  for (const auto& [flag, value] : flags) sources.flags.emplace(flag, value);
  auto loaded = load_config(sources);
  if (!loaded) throw std::runtime_error(loaded.error());
  return std::move(loaded->config);
}

struct Arguments {
  std::string file;
  std::string folder = config_of({}).data;
  std::string node = config_of({}).node.name;
  bool yes = false;
};

void restore(const std::string& file, RestoreOptions options, const std::function<void(int exit_code)>& report) {
  Input input(file);
  options.begun = [](const wire::BackupHead& head) {
    say(stderr, "a backup of cluster " + head.cluster_id + ", written by " + head.node + " at position " +
                    std::to_string(head.position.value) + ", its newest event of " + http::format_time(head.time_ms));
  };
  const auto life = restore_backup([&input](std::size_t bytes_max) { return input.read(bytes_max); }, options);
  if (!life) return fail(life.error(), report);
  print_new_life(*life);
  say(stderr, "restored; start it: weir serve --data " + options.folder + " --node " + options.node +
                  "; cursors of the old cluster are refused (410 epoch-changed)");
  say(stderr,
      "what has outlived its retention by now goes soon after that start; to keep it, start with --retention-age off "
      "(a "
      "topic's own age counts all the same)");
}

void recover(const std::string& folder, Recover how, const std::function<void(int exit_code)>& report) {
  const auto life = recover_folder(folder, how);
  if (!life) return fail(life.error(), report);
  if (how == Recover::go) {
    print_new_life(*life);
    say(stderr,
        "recovered: a cluster of one. Start it without the old --peers, then add members that begin empty; the old "
        "cluster's other nodes must never be started again with what they have");
    return;
  }
  say(stdout, "found: cluster " + life->before.config.cluster_id + " epoch " + life->before.config.epoch + ", " +
                  place_text(life->before));
  say(stderr,
      "This would make the folder a new cluster of one. What this node had not got is lost, though it may have been "
      "acknowledged; what it had got is kept, even if it was never committed; all cursors become invalid. If more than "
      "one node is left, take the one with the highest term, then the highest entry. Never do this while a majority "
      "can come back. To do it: --yes");
  report(kRefused);
}

}  // namespace

void add_copy_commands(CLI::App& root, const std::function<void(int exit_code)>& report) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* restoring = root.add_subcommand("restore", "Begin a cluster of one from a backup, offline");
  restoring->add_option("FILE", arguments->file, "The backup; '-': standard input")->required();
  restoring->add_option("--data", arguments->folder, "Folder for the node's log: empty, or not there yet")
      ->capture_default_str();
  restoring->add_option("--node", arguments->node, "The node's name")->capture_default_str();
  restoring->callback([arguments, report] {
    const Config config = config_of({{"data", arguments->folder}, {"node", arguments->node}});
    restore(arguments->file, {.folder = config.data, .node = config.node.name, .segment_bytes = config.segment_bytes},
            report);
  });

  CLI::App* recovering =
      root.add_subcommand("recover", "A majority is lost for good: make this stopped node a cluster of one");
  recovering->add_option("--data", arguments->folder, "Folder of the node's log")->capture_default_str();
  recovering->add_flag("--yes", arguments->yes, "Do it; without it, only say what there is");
  recovering->callback(
      [arguments, report] { recover(arguments->folder, arguments->yes ? Recover::go : Recover::look, report); });
}

}  // namespace weir::broker
