#include "storage/segment_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "storage/env.hpp"
#include "storage/thread_start.hpp"

namespace weir::storage {
namespace {

/// Written at once: short beside a flush of the log that waits behind it.
constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20U;

std::unexpected<Error> failure_errno(const std::string& path, const char* action) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  return std::unexpected(Error{full ? Errc::disk_full : Errc::io,
                               path + ": cannot " + action + ": " + std::generic_category().message(code)});
}

}  // namespace

// With the mutex held: whoever removes checkpoints is not the writing thread.
void SegmentFiles::start() {
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void SegmentFiles::prepare() {
  {
    const std::scoped_lock lock(mutex_);
    if (ready_ || wanted_) return;
    wanted_ = true;
    start();
  }
  changed_.notify_all();
}

std::expected<Taken, Error> SegmentFiles::take(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  if (!ready_) return Taken::none_ready;
  const std::string next = options_.folder + "/" + kNextName;
  if (std::rename(next.c_str(), path.c_str()) != 0) return failure_errno(path, "put in place");
  ready_ = false;
  return Taken::prepared;
}

void SegmentFiles::remove(std::vector<std::string> paths) {
  if (paths.empty()) return;
  {
    const std::scoped_lock lock(mutex_);
    for (std::string& path : paths) to_remove_.push_back(std::move(path));
    start();
  }
  changed_.notify_all();
}

void SegmentFiles::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !wanted_ && !removing_ && to_remove_.empty(); });
}

void SegmentFiles::run(const std::stop_token& stop) {
  begin_thread("weir-segments");
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested() && changed_.wait(lock, stop, [this] { return wanted_ || !to_remove_.empty(); })) {
    if (!to_remove_.empty()) {
      const std::vector<std::string> paths = std::exchange(to_remove_, {});
      removing_ = true;
      lock.unlock();
      // What cannot be removed now is removed at the next opening: nothing names it any more.
      std::error_code ignored;
      for (const std::string& path : paths) std::filesystem::remove_all(path, ignored);
      lock.lock();
      removing_ = false;
      changed_.notify_all();
      continue;
    }
    lock.unlock();
    const Done made = make(stop);
    if (!made) static_cast<void>(unlink((options_.folder + "/" + kNextName).c_str()));
    // A disk that cannot be written is no better than one without room: both mean that new work has to wait.
    space_.store(made ? DiskSpace::enough : DiskSpace::nearly_full, std::memory_order_relaxed);
    lock.lock();
    if (made) {
      wanted_ = false;
      ready_ = true;
      changed_.notify_all();
    } else {
      changed_.wait_for(lock, stop, options_.retry, [this] { return !to_remove_.empty(); });
    }
  }
}

SegmentFiles::Done SegmentFiles::make(const std::stop_token& stop) {
  const std::string path = options_.folder + "/" + kNextName;
  static_cast<void>(unlink(path.c_str()));
  {
    // LMDB begins a new file only where there is none: so its two meta pages come first, the room behind them later.
    auto env = Env::open({.path = path, .map_bytes = options_.segment_bytes, .readers_max = 1});
    if (!env) return std::unexpected(std::move(env.error()));
  }
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return failure_errno(path, "open");
  Done written = write_ahead(stop, file);
  if (written && fsync(file) != 0) written = failure_errno(path, "flush");
  ::close(file);
  return written;
}

// `fallocate` would be instant and useless: the first flush into a block that was never written has to change the file
// system's own tables as well.
SegmentFiles::Done SegmentFiles::write_ahead(const std::stop_token& stop, int file) {
  const std::string path = options_.folder + "/" + kNextName;
  const std::string zeros(kPieceBytes, '\0');
  const off_t begin = lseek(file, 0, SEEK_END);
  const auto started = std::chrono::steady_clock::now();
  std::uint64_t done = 0;
  for (auto at = static_cast<std::uint64_t>(begin); at < options_.segment_bytes;) {
    if (stop.stop_requested()) return std::unexpected(Error{Errc::io, path + ": given up, the store closes"});
    const ssize_t written =
        pwrite(file, zeros.data(), std::min(kPieceBytes, options_.segment_bytes - at), static_cast<off_t>(at));
    if (written <= 0) return failure_errno(path, "write ahead");
    at += static_cast<std::uint64_t>(written);
    done += static_cast<std::uint64_t>(written);
    if (options_.bytes_per_s == 0) continue;
    // Flushed piece by piece: a flush of everything at the end would hold up the log's own.
    if (fdatasync(file) != 0) return failure_errno(path, "flush");
    std::unique_lock lock(mutex_);
    const auto due = started + std::chrono::microseconds(done * 1'000'000 / options_.bytes_per_s);
    changed_.wait_until(lock, stop, due, [] { return false; });
  }
  return {};
}

}  // namespace weir::storage
