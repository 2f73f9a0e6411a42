#include "clients/cli/backup.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "clients/cli/text_format.hpp"
#include "clients/cpp/event_json.hpp"
#include "wire/backup_stream.hpp"

namespace weir::cli {
namespace {

using client::errc;
using client::Result;
using Written = std::expected<void, std::string>;

/// A broker that brings nothing for so long has stopped, or has nobody to confirm how far the log goes.
constexpr std::chrono::seconds kSilenceMax{60};
constexpr std::chrono::seconds kProgressEvery{1};

std::string failure_text(const std::string& what) {
  return what + ": " + std::system_category().message(errno);
}

/// Where the backup goes: stdout, or FILE.part, which becomes FILE in the end.
class Target {
 public:
  explicit Target(std::string file) : file_(std::move(file)) {}
  ~Target() {
    if (descriptor_ < 0 || to_stdout()) return;
    ::close(descriptor_);
    if (!kept_) ::unlink(part().c_str());
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  [[nodiscard]] bool to_stdout() const { return file_ == "-"; }

  /// An event's payload is nobody's business but its owner's: 0600.
  [[nodiscard]] Written open() {
    descriptor_ = to_stdout() ? STDOUT_FILENO
                              : ::open(part().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor_ < 0) return std::unexpected(failure_text(part()));
    return {};
  }

  [[nodiscard]] Written write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return std::unexpected(failure_text(to_stdout() ? "standard output" : part()));
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
  }

  /// Durable under its own name.
  [[nodiscard]] Written keep() {
    if (to_stdout()) return {};
    if (::fsync(descriptor_) != 0) return std::unexpected(failure_text(part()));
    if (std::rename(part().c_str(), file_.c_str()) != 0) return std::unexpected(failure_text(file_));
    kept_ = true;
    const std::filesystem::path parent = std::filesystem::path(file_).parent_path();
    const int folder = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = folder >= 0 && ::fsync(folder) == 0;
    const std::string problem = synced ? "" : failure_text("the folder of " + file_);
    if (folder >= 0) ::close(folder);
    if (!synced) return std::unexpected(problem);
    return {};
  }

 private:
  [[nodiscard]] std::string part() const { return file_ + ".part"; }

  const std::string file_;
  int descriptor_ = -1;
  bool kept_ = false;
};

/// Takes a backup as it comes: verified, then written.
class Taking {
 public:
  explicit Taking(Target& target) : target_(target) {}
  ~Taking() { clear(); }
  Taking(const Taking&) = delete;
  Taking& operator=(const Taking&) = delete;

  /// False: problem() says why.
  bool take(std::string_view bytes) {
    reader_.feed(bytes);
    while (true) {
      const auto part = reader_.next();
      if (!part) return fail(part.error().text);
      if (!*part) break;
    }
    if (auto written = target_.write(bytes); !written) return fail(written.error());
    bytes_ += bytes.size();
    show();
    return true;
  }
  bool finish() {
    clear();
    if (!problem_.empty()) return false;
    if (auto whole = reader_.finish(); !whole) return fail(whole.error().text);
    if (auto kept = target_.keep(); !kept) return fail(kept.error());
    return true;
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] const wire::BackupHead& head() const { return *reader_.head(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  void show() {
    const auto now = client::Clock::now();
    if (now < next_ || !is_terminal(Stream::words) || !reader_.head()) return;
    next_ = now + kProgressEvery;
    shown_ = true;
    static_cast<void>(std::fprintf(stderr, "\r%llu MiB, entry %llu of %llu\x1b[K",
                                   static_cast<unsigned long long>(bytes_ >> 20U),
                                   static_cast<unsigned long long>(reader_.reached().value),
                                   static_cast<unsigned long long>(reader_.head()->index.value)));
  }
  void clear() {
    if (std::exchange(shown_, false)) static_cast<void>(std::fputs("\r\x1b[K", stderr));
  }

  Target& target_;
  wire::BackupReader reader_;
  std::uint64_t bytes_ = 0;
  std::string problem_;
  bool shown_ = false;
  client::Deadline next_ = client::Clock::now() + kProgressEvery;
};

std::string digest_of(const wire::BackupHead& head) {
  std::array<char, 17> text{};
  static_cast<void>(std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(head.digest)));
  return text.data();
}

std::string line_of(const std::string& file, const Taking& taken) {
  const wire::BackupHead& head = taken.head();
  return escape(file) + " position " + std::to_string(head.position.value) + ", " + std::to_string(head.events) +
         " events in " + std::to_string(head.topics) + " topics, " + std::to_string(head.ids) + " ids, " +
         std::to_string(taken.bytes()) + " bytes, digest " + digest_of(head) + "\n";
}

std::string json_of(const Taking& taken) {
  const wire::BackupHead& head = taken.head();
  return R"({"cluster":")" + escape(head.cluster_id) + R"(","epoch":")" + escape(head.epoch) + R"(","node":")" +
         escape(head.node) + R"(","index":)" + std::to_string(head.index.value) + R"(,"term":)" +
         std::to_string(head.term.value) + R"(,"position":)" + std::to_string(head.position.value) + R"(,"events":)" +
         std::to_string(head.events) + R"(,"topics":)" + std::to_string(head.topics) + R"(,"ids":)" +
         std::to_string(head.ids) + R"(,"bytes":)" + std::to_string(taken.bytes()) + R"(,"digest":")" +
         digest_of(head) + "\"}\n";
}

/// From the first server that answers with one.
Result<void> download(const client::ClientOptions& options, Taking& taking) {
  client::Error last{.code = errc::unreachable, .text = "no server", .problem = std::nullopt};
  for (const client::Endpoint& server : options.servers) {
    client::HttpConnection connection(server);
    const auto answer = connection.download({.target = "/v1/backup"}, kSilenceMax,
                                            [&taking](std::string_view bytes) { return taking.take(bytes); });
    if (taking.bytes() > 0 || !taking.problem().empty()) return {};  // what came says what is wrong with it
    if (answer && answer->status == 200) return {};
    if (answer) {
      last = client::refusal(server.text(),
                             client::decode_problem(answer->status, answer->header("Retry-After"), answer->body));
    } else {
      last.text = answer.error().text;
    }
  }
  return std::unexpected(std::move(last));
}

ExitCode refuse(const std::string& text) {
  return report(client::Error{.code = errc::refused, .text = text, .problem = std::nullopt});
}

ExitCode run_backup(const BackupOptions& options, const Invocation& invocation) {
  Target target(options.file);
  std::error_code ignored;
  if (!target.to_stdout() && !options.force && std::filesystem::exists(options.file, ignored))
    return refuse(options.file + " exists already; choose another name, or say --force to replace it");
  if (target.to_stdout() && is_terminal(Stream::data))
    return refuse("a backup is no text for a terminal; name a file, or send it to another program");
  const auto found = client_options(invocation);
  if (!found) return report(found.error());
  if (auto opened = target.open(); !opened) return refuse(opened.error());
  Taking taking(target);
  if (auto done = download(*found, taking); !done) return report(done.error());
  if (!taking.finish()) return refuse(taking.problem());
  const std::string words = line_of(options.file, taking);
  if (target.to_stdout()) {
    say(std::string_view(words).substr(0, words.size() - 1));
  } else {
    print_data(invocation.output() == Format::table ? words : json_of(taking));
  }
  return ExitCode::ok;
}

}  // namespace

void add_backup(CLI::App& root, Invocation& invocation, BackupOptions& options) {
  auto* verb = root.add_subcommand("backup", "Write a consistent copy of everything to a file");
  verb->add_option("FILE", options.file, "Where to; '-': standard output")->required();
  verb->add_flag("--force", options.force, "Replace a file of that name");
  add_shared_options(*verb, invocation);
  verb->footer(
      "Holds all events, ids and settings that were acknowledged before. 'weir restore' begins a cluster from it.");
  verb->callback([&] { invocation.exit_code = run_backup(options, invocation); });
}

}  // namespace weir::cli
