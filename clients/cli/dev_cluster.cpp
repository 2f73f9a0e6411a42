#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fstream>
#include <system_error>

#include "clients/cli/dev.hpp"
#include "clients/cli/dev_leader.hpp"
#include "clients/cli/discovery.hpp"
#include "clients/cli/invocation.hpp"
#include "clients/cli/ports.hpp"
#include "clients/cli/process.hpp"
#include "clients/cli/text_format.hpp"

namespace weir::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLeaderTimeout{15};
constexpr milliseconds kAskEvery{50};
/// A node needs this to hand over and flush; after it there is SIGKILL, which loses nothing acknowledged.
constexpr seconds kStopTimeout{10};
/// What SIGKILL needs at most, unless the kernel holds the process.
constexpr seconds kKillTimeout{5};
constexpr std::size_t kLogLinesShown = 10;
constexpr auto kTemporaryPrefix = "weir-dev-";

/// Owns what `weir dev` leaves in the file system, and takes it away again: the dev file always, the data when it is
/// temporary.
class Traces {
 public:
  Traces(const Places& places, DevFile& file) : places_(places), file_(file) {}
  ~Traces() {
    std::error_code ignored;  // nobody is left to be told, and the next run tries again
    fs::remove(places_.dev_file(), ignored);
    if (file_.temporary) fs::remove_all(file_.folder, ignored);
    fs::remove(places_.dev_folder(), ignored);  // only when it is empty
  }
  Traces(const Traces&) = delete;
  Traces& operator=(const Traces&) = delete;

 private:
  const Places& places_;
  const DevFile& file_;
};

/// What a `weir dev` that was killed left behind: its nodes died with it, its temporary data did not.
void remove_leftovers(const Places& places) {
  const auto left = read_dev_file(places);
  if (!left || !*left || !(*left)->temporary) return;
  const auto& folder = (*left)->folder;
  const bool ours = folder.parent_path() == places.temp && folder.filename().string().starts_with(kTemporaryPrefix) &&
                    check_private(folder, places.user);
  std::error_code ignored;
  if (ours) fs::remove_all(folder, ignored);
}

std::expected<fs::path, std::string> temporary_folder(const Places& places) {
  std::string name = (places.temp / (std::string(kTemporaryPrefix) + "XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr) return std::unexpected(name + ": " + std::generic_category().message(errno));
  return fs::path(name);
}

std::string last_lines(const fs::path& log) {
  std::ifstream in(log);
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(escape(line));
    if (lines.size() > kLogLinesShown) lines.pop_front();
  }
  std::string text;
  for (const auto& line : lines) text += "\n  " + line;
  return text;
}

/// The nodes as processes. Runs on the main thread; every wait is bounded and hears signals.
class DevCluster {
 public:
  DevCluster(const DevOptions& options, const Places& places, DevFile& file, const SignalQueue& signals)
      : options_(options), places_(places), file_(file), signals_(signals), restart_at_(file.nodes.size()) {}

  ExitCode run() {
    for (std::size_t n = 0; n < file_.nodes.size(); ++n) {
      if (auto started = start(n); !started) return fail(started.error());
    }
    if (auto led = wait_for_leader(); !led) return led.error().empty() ? finish(ExitCode::ok) : fail(led.error());
    supervise();
    return finish(ExitCode::ok);
  }

 private:
  [[nodiscard]] fs::path log_of(std::size_t n) const { return file_.folder / (file_.nodes[n].node + ".log"); }

  std::expected<void, std::string> start(std::size_t n) {
    auto& node = file_.nodes[n];
    const auto data = file_.folder / node.node;
    std::error_code error;
    fs::create_directories(data, error);
    if (error) return std::unexpected(data.string() + ": " + error.message());
    ProcessPlan plan{
        .arguments = {"serve", "--data", data.string(), "--node", node.node, "--http", node.http, "--raft", node.raft},
        .log = options_.verbose ? fs::path{} : log_of(n)};
    if (file_.nodes.size() > 1) {
      std::string peers;
      for (const auto& peer : file_.nodes) peers += (peers.empty() ? "" : ",") + peer.node + "=" + peer.raft;
      plan.arguments.insert(plan.arguments.end(), {"--peers", peers});
    }
    const auto child = start_process(plan);
    if (!child) return std::unexpected(node.node + ": " + child.error());
    node.pid = *child;
    restart_at_[n].reset();
    return write_dev_file(places_.dev_file(), file_);
  }

  /// An error that is empty: a signal asked to stop.
  std::expected<void, std::string> wait_for_leader() {
    const auto deadline = Clock::now() + kLeaderTimeout;
    while (Clock::now() < deadline) {
      if (signals_.wait(Clock::now() + kAskEvery) == SignalQueue::Kind::stop) return std::unexpected(std::string{});
      for (std::size_t n = 0; n < file_.nodes.size(); ++n) {
        const auto ending = take_ending(n);
        if (!ending) continue;
        // One that gives up would do so again; one that was killed has lost nothing.
        if (!ending->by_signal) return std::unexpected(ended_text(n, *ending) + last_lines(log_of(n)));
        restart_later(n, *ending);
      }
      restart_due();
      const auto leader = look_for_leader(file_.nodes);
      if (leader.known() && leader.answering == file_.nodes.size()) {
        announce(leader);
        return {};
      }
    }
    return std::unexpected("no leader within 15 s; the nodes' last words:" + last_lines(log_of(0)));
  }

  void announce(const Leadership& leader) const {
    std::string text = "weir dev: " + std::to_string(file_.nodes.size()) +
                       (file_.nodes.size() == 1 ? " node" : " nodes") + ", leader " + escape(leader.node) +
                       " of term " + std::to_string(leader.term) + "\n";
    for (const auto& node : file_.nodes) text += node.node + " http " + node.http + " raft " + node.raft + "\n";
    text += "console http://" + file_.nodes.front().http + "/ui/\n";
    print_data(text);
    static_cast<void>(flush_data(ExitCode::ok));
    say("data in " + file_.folder.string() + (file_.temporary ? ", removed at the end" : "") + "; Ctrl-C stops");
  }

  void supervise() {
    while (true) {
      auto next = Clock::now() + std::chrono::hours(1);
      for (const auto& at : restart_at_) next = std::min(next, at.value_or(next));
      const auto signal = signals_.wait(next);
      if (signal == SignalQueue::Kind::stop) return;
      notice_deaths();
      restart_due();
    }
  }

  void notice_deaths() {
    for (std::size_t n = 0; n < file_.nodes.size(); ++n) {
      if (const auto ending = take_ending(n)) restart_later(n, *ending);
    }
  }

  /// How node `n` ended, once.
  std::optional<Ending> take_ending(std::size_t n) {
    auto& pid = file_.nodes[n].pid;
    auto ending = pid == 0 ? std::nullopt : ended(pid);
    if (ending) pid = 0;
    return ending;
  }

  [[nodiscard]] std::string ended_text(std::size_t n, const Ending& ending) const {
    return file_.nodes[n].node + " ended with " + ending.how;
  }

  void restart_later(std::size_t n, const Ending& ending) {
    restart_at_[n] = Clock::now() + milliseconds(static_cast<std::int64_t>(options_.restart_after_s * 1000));
    say(ended_text(n, ending) + "; it comes back " + restart_text());
    tell(write_dev_file(places_.dev_file(), file_));
  }

  [[nodiscard]] std::string restart_text() const {
    const auto after = milliseconds(static_cast<std::int64_t>(options_.restart_after_s * 1000));
    return after < seconds(1) ? "at once"
                              : "after " + std::to_string(std::chrono::round<seconds>(after).count()) + " s";
  }

  void restart_due() {
    for (std::size_t n = 0; n < file_.nodes.size(); ++n) {
      if (!restart_at_[n] || Clock::now() < *restart_at_[n]) continue;
      if (auto started = start(n); !started) {
        restart_at_[n] = Clock::now() + seconds(3);
        tell(started);
      } else {
        say(file_.nodes[n].node + " is back");
      }
    }
  }

  static void tell(const std::expected<void, std::string>& result) {
    if (!result) say("weir: " + escape(result.error()));
  }

  ExitCode fail(const std::string& why) {
    say("weir: " + why);
    return finish(ExitCode::refused);
  }

  ExitCode finish(ExitCode code) {
    signal_all(SIGTERM);
    if (!wait_for_ends(kStopTimeout)) {
      signal_all(SIGKILL);
      if (!wait_for_ends(kKillTimeout)) say("weir: a node does not end even when killed");
    }
    return code;
  }

  void signal_all(int signal) const {
    for (const auto& node : file_.nodes) {
      if (node.pid > 0) ::kill(node.pid, signal);
    }
  }

  /// A second Ctrl-C ends the patience.
  bool wait_for_ends(seconds patience) {
    const auto deadline = Clock::now() + patience;
    while (true) {
      for (auto& node : file_.nodes) {
        if (node.pid > 0 && ended(node.pid)) node.pid = 0;
      }
      if (std::ranges::all_of(file_.nodes, [](const DevNode& node) { return node.pid == 0; })) return true;
      const auto signal = signals_.wait(deadline);
      if (!signal || signal == SignalQueue::Kind::stop) return false;
    }
  }

  const DevOptions& options_;
  const Places& places_;
  DevFile& file_;
  const SignalQueue& signals_;
  std::vector<std::optional<Clock::time_point>> restart_at_;  // per node; set while it is down
};

ExitCode refuse(const std::string& why) {
  say("weir: " + escape(why));
  return ExitCode::refused;
}

}  // namespace

ExitCode run_dev(const DevOptions& options) {
  const auto places = Places::from_environment();
  const auto lock = DevLock::take(places);
  if (!lock) return refuse(lock.error());
  remove_leftovers(places);
  const auto signals = SignalQueue::open();
  if (!signals) return refuse(signals.error());
  DevFile file{.pid = ::getpid(), .folder = {}, .temporary = false, .nodes = {}};
  const Traces traces(places, file);
  const auto raft_port =
      options.raft_port.value_or(static_cast<std::uint16_t>(options.port == 0 ? 0 : options.port + 1));
  const auto ports = choose_ports(options.nodes, options.port, raft_port);
  if (!ports) return refuse(ports.error());
  const auto folder = options.dir.empty() ? temporary_folder(places) : fs::absolute(options.dir);
  if (!folder) return refuse(folder.error());
  file.folder = *folder;
  file.temporary = options.dir.empty();
  for (unsigned n = 0; n < options.nodes; ++n) {
    file.nodes.push_back(DevNode{.node = "n" + std::to_string(n + 1),
                                 .pid = 0,
                                 .http = "127.0.0.1:" + std::to_string((*ports)[n].http),
                                 .raft = "127.0.0.1:" + std::to_string((*ports)[n].raft)});
  }
  return DevCluster(options, places, file, *signals).run();
}

}  // namespace weir::cli
