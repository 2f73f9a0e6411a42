#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// Plain POSIX process control for `weir dev`. Main thread only, and no other thread may exist: children are forked.
namespace weir::cli {

using Clock = std::chrono::steady_clock;

/// Signals as values: while one lives, they are blocked and read from a descriptor, so no handler and no global is
/// needed. SIGPIPE is blocked too: a closed stdout must not take the nodes down.
class SignalQueue {
 public:
  [[nodiscard]] static std::expected<SignalQueue, std::string> open();
  ~SignalQueue();
  SignalQueue(SignalQueue&& other) noexcept;
  SignalQueue& operator=(SignalQueue&&) = delete;

  enum class Kind { stop, child };

  /// The next signal, or nothing by `deadline`.
  [[nodiscard]] std::optional<Kind> wait(Clock::time_point deadline) const;

 private:
  explicit SignalQueue(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;  // a signalfd; -1 after a move
};

struct ProcessPlan {
  std::vector<std::string> arguments;  ///< of this same binary, without its name
  std::filesystem::path log;           ///< stdout and stderr are appended here; empty: both go to this stderr
};

/// Runs this binary again as a child that dies with this process, whatever ends it, and that a Ctrl-C in the terminal
/// does not reach.
[[nodiscard]] std::expected<pid_t, std::string> start_process(const ProcessPlan& plan);

struct Ending {
  bool by_signal = false;
  std::string how;  ///< "code 2", "signal 9"
};

/// How it ended, or nothing while it runs. Requires child > 0.
[[nodiscard]] std::optional<Ending> ended(pid_t child);

/// The parent of a process, to be sure of whom a signal will hit; 0 when there is no such process.
[[nodiscard]] pid_t parent_of(pid_t process);

}  // namespace weir::cli
