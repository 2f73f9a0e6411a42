#include "storage/scrub.hpp"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "storage/file.hpp"
#include "storage/log_recovery.hpp"
#include "storage/segment_seal.hpp"
#include "storage/thread_start.hpp"

namespace weir::storage {
namespace {

// What is read is what the disk has, not what was read before: pages that nobody has mapped leave the cache.
void forget_cached(const std::string& path) {
  const auto file = File::open(path, O_RDONLY);
  if (file) static_cast<void>(posix_fadvise(file->descriptor(), 0, 0, POSIX_FADV_DONTNEED));
}

}  // namespace

/// So many bytes a second, counted from when it was made.
class Scrub::Pace {
 public:
  Pace(Scrub& scrub, const std::stop_token& stop, std::uint64_t bytes_per_s)
      : scrub_(scrub), stop_(stop), bytes_per_s_(bytes_per_s) {}

  /// An error = it was told to stop.
  Done read(std::size_t bytes) {
    scrub_.bytes_.fetch_add(bytes, std::memory_order_relaxed);
    done_ += bytes;
    const auto due = bytes_per_s_ == 0 ? begun_ : begun_ + std::chrono::microseconds(done_ * 1'000'000 / bytes_per_s_);
    if (scrub_.wait(stop_, due)) return {};
    return std::unexpected(Error{Errc::io, "told to stop"});
  }

 private:
  Scrub& scrub_;
  const std::stop_token& stop_;
  const std::uint64_t bytes_per_s_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::uint64_t done_ = 0;
};

Scrub::Scrub(const LmdbLogStore& store, Options options, std::function<void(const Error&)> damaged)
    : store_(store),
      options_(options),
      damaged_(std::move(damaged)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

bool Scrub::wait(const std::stop_token& stop, std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  stopped_.wait_until(lock, stop, until, [] { return false; });
  return !stop.stop_requested();
}

void Scrub::run(const std::stop_token& stop) {
  begin_thread("weir-scrub");
  auto next_pass = std::chrono::steady_clock::now();
  while (wait(stop, std::chrono::steady_clock::now() + options_.poll)) {
    Done done = seal_new_files(stop);
    if (done && options_.bytes_per_s != 0 && std::chrono::steady_clock::now() >= next_pass) {
      done = pass(stop);
      next_pass = std::chrono::steady_clock::now() + options_.pause;
    }
    if (done) continue;
    // What cannot be read now (no descriptor is left, say) is read by the next pass.
    if (done.error().code != Errc::damaged) continue;
    damaged_(done.error());
    return;
  }
}

Scrub::Done Scrub::seal_new_files(const std::stop_token& stop) {
  const std::vector<RolledFile> files = store_.rolled_files();
  std::erase_if(known_, [&](const RolledFile& file) { return std::ranges::find(files, file) == files.end(); });
  for (const RolledFile& file : files) {
    if (std::ranges::find(known_, file) != known_.end()) continue;
    if (!read_seal(file.generation, file.record, file.end)) {
      Pace pace(*this, stop, options_.seal_bytes_per_s);
      if (auto looked = look_at(file, pace); !looked) return looked;
    }
    known_.push_back(file);
  }
  return {};
}

Scrub::Done Scrub::pass(const std::stop_token& stop) {
  Pace pace(*this, stop, options_.bytes_per_s);
  for (const RolledFile& file : store_.rolled_files()) {
    forget_cached(file.generation + "/" + segment_file_name(file.record));
    if (auto looked = look_at(file, pace); !looked) return looked;
    // A pass over much data takes hours: what has rolled meanwhile does not wait for its end.
    if (auto sealed = seal_new_files(stop); !sealed) return sealed;
  }
  if (auto looked = look_at_derived(pace); !looked) return looked;
  passes_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Scrub::Done Scrub::look_at(const RolledFile& file, Pace& pace) {
  const std::string path = file.generation + "/" + segment_file_name(file.record);
  const auto seal =
      verify_segment(path, file.record, file.end, [&pace](std::size_t bytes) { return pace.read(bytes); });
  // One that was dropped, or cut shorter, while it was read says nothing.
  if (!is_still_there(file)) return {};
  if (!seal) return std::unexpected(seal.error());
  const auto known = read_seal(file.generation, file.record, file.end);
  if (known && *known == *seal) return {};
  if (known) return std::unexpected(Error{Errc::damaged, path + ": is not the file that was sealed"});
  // Without one the next start takes longer, that is all.
  [[maybe_unused]] const auto written = write_seal(file.generation, file.record, *seal);
  return {};
}

Scrub::Done Scrub::look_at_derived(Pace& pace) {
  for (const raft::Index index : store_.checkpoints()) {
    const auto checkpoint = store_.checkpoint(index);
    if (!checkpoint && checkpoint.error().code == Errc::gone) continue;
    if (!checkpoint) return std::unexpected(checkpoint.error());
    if (auto paced = pace.read(checkpoint->state.size() + checkpoint->delta.size()); !paced) return paced;
  }
  // A run that is not what was written is removed, and made again by the next start: the log has it all. It is no
  // damage.
  for (const auto& run : store_.id_runs())
    if (auto looked = run->verify([&pace](std::size_t bytes) { return pace.read(bytes); }); !looked) return looked;
  return {};
}

bool Scrub::is_still_there(const RolledFile& file) const {
  const std::vector<RolledFile> files = store_.rolled_files();
  return std::ranges::find(files, file) != files.end();
}

}  // namespace weir::storage
