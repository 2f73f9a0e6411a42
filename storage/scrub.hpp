// Reads again, slowly, what is written to no more, and notices damage before a reader or a start does (FAULTS 44). The
// first look at a file of the log comes soon after it has rolled, and gives it its seal.
//
// A thread of its own. Outlived by the store; `damaged` is called on that thread, at most once, and then nothing is
// looked at any more.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "storage/lmdb_log_store.hpp"

namespace weir::storage {

class Scrub {
 public:
  /// 8 MiB/s: 100 GiB in less than four hours, at a few percent of what a slow disk reads.
  static constexpr std::uint64_t kBytesPerS = std::uint64_t{8} << 20U;

  struct Options {
    std::uint64_t bytes_per_s = kBytesPerS;  ///< of a pass; 0 = no passes: files get their seals, that is all
    /// Between the ends of two passes.
    std::chrono::milliseconds pause = std::chrono::hours(1);
    /// Of first looks: faster than the log grows for long. 0 = as fast as it goes.
    std::uint64_t seal_bytes_per_s = std::uint64_t{128} << 20U;
    /// How often it is seen whether a file has rolled.
    std::chrono::milliseconds poll{500};
  };

  Scrub(const LmdbLogStore& store, Options options, std::function<void(const Error&)> damaged);
  Scrub(const Scrub&) = delete;
  Scrub& operator=(const Scrub&) = delete;
  /// Stops where it is.
  ~Scrub() = default;

  // --- since the beginning; from any thread
  [[nodiscard]] std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t passes() const { return passes_.load(std::memory_order_relaxed); }

 private:
  using Done = std::expected<void, Error>;
  class Pace;

  void run(const std::stop_token& stop);
  /// Files that have no seal yet get one.
  [[nodiscard]] Done seal_new_files(const std::stop_token& stop);
  [[nodiscard]] Done pass(const std::stop_token& stop);
  [[nodiscard]] Done look_at(const RolledFile& file, Pace& pace);
  [[nodiscard]] Done look_at_derived(Pace& pace);
  /// False if it was told to stop.
  [[nodiscard]] bool wait(const std::stop_token& stop, std::chrono::steady_clock::time_point until);
  [[nodiscard]] bool is_still_there(const RolledFile& file) const;

  const LmdbLogStore& store_;
  const Options options_;
  const std::function<void(const Error&)> damaged_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> passes_{0};

  std::vector<RolledFile> known_;  ///< have their seals
  std::mutex mutex_;               // for waiting, which a stop ends
  std::condition_variable_any stopped_;
  std::jthread thread_;
};

}  // namespace weir::storage
