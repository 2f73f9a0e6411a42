#include "clients/cli/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <system_error>
#include <utility>

namespace weir::cli {
namespace {

constexpr auto kThisBinary = "/proc/self/exe";

std::string system_text(int code) {
  return std::generic_category().message(code);
}

sigset_t handled_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE}) sigaddset(&signals, signal);
  return signals;
}

struct ChildFiles {
  int input;
  int output;
};

/// Between fork and exec: only calls that are safe there.
[[noreturn]] void become_child(pid_t parent, ChildFiles files, char* const* arguments) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::dup2(files.input, STDIN_FILENO);
  ::dup2(files.output, STDOUT_FILENO);
  ::dup2(files.output, STDERR_FILENO);
  ::execv(kThisBinary, arguments);
  ::_exit(127);
}

}  // namespace

std::expected<SignalQueue, std::string> SignalQueue::open() {
  const sigset_t signals = handled_signals();
  if (const int code = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); code != 0) {
    return std::unexpected(system_text(code));
  }
  sigset_t read = signals;
  sigdelset(&read, SIGPIPE);
  const int descriptor = ::signalfd(-1, &read, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor < 0) return std::unexpected(system_text(errno));
  return SignalQueue(descriptor);
}

SignalQueue::SignalQueue(SignalQueue&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

SignalQueue::~SignalQueue() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  const sigset_t signals = handled_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

std::optional<SignalQueue::Kind> SignalQueue::wait(Clock::time_point deadline) const {
  while (true) {
    signalfd_siginfo info{};
    if (::read(descriptor_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      return info.ssi_signo == SIGCHLD ? Kind::child : Kind::stop;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return std::nullopt;
    pollfd wanted{.fd = descriptor_, .events = POLLIN, .revents = 0};
    ::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
  }
}

std::expected<pid_t, std::string> start_process(const ProcessPlan& plan) {
  std::vector<std::string> words{"weir"};
  words.insert(words.end(), plan.arguments.begin(), plan.arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int log = plan.log.empty() ? -1 : ::open(plan.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (input < 0 || (!plan.log.empty() && log < 0)) {
    const int code = errno;
    if (input >= 0) ::close(input);
    return std::unexpected(plan.log.string() + ": " + system_text(code));
  }
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become_child(parent, {.input = input, .output = log >= 0 ? log : STDERR_FILENO}, pointers.data());
  const int code = errno;
  ::close(input);
  if (log >= 0) ::close(log);
  if (child < 0) return std::unexpected(system_text(code));
  return child;
}

std::optional<Ending> ended(pid_t child) {
  int status = 0;
  const pid_t got = ::waitpid(child, &status, WNOHANG);
  if (got == 0 || (got < 0 && errno == EINTR)) return std::nullopt;
  if (got < 0) return Ending{.by_signal = false, .how = "unknown"};
  if (WIFSIGNALED(status)) return Ending{.by_signal = true, .how = "signal " + std::to_string(WTERMSIG(status))};
  return Ending{.by_signal = false, .how = "code " + std::to_string(WEXITSTATUS(status))};
}

pid_t parent_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  std::string word;
  while (status >> word) {
    if (word != "PPid:") continue;
    pid_t parent = 0;
    status >> parent;
    return parent;
  }
  return 0;
}

}  // namespace weir::cli
