// Makes the next segment's file before it is needed and removes files that are not needed any more, on a thread of its
// own: creating takes seconds of writing, removing a large file tens of milliseconds, and no append waits for either.
//
// Thread rule: the store's writing thread calls everything; remove() and space() any thread. A mutex, although the
// house has nearly none: docs/decisions/0008.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <expected>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "storage/error.hpp"
#include "storage/log_store.hpp"

namespace weir::storage {

enum class Taken : std::uint8_t { prepared = 1, none_ready = 2 };

class SegmentFiles {
 public:
  struct Options {
    std::string folder;
    /// Size to which a file is written ahead: a flush into blocks that were written before is a third faster.
    std::uint64_t segment_bytes = 0;
    /// How fast, so that appends get the disk between pieces; 0 = as fast as it goes.
    std::uint64_t bytes_per_s = 0;
    /// When to try again after a failure.
    std::chrono::milliseconds retry{1000};
  };
  static constexpr const char* kNextName = "next.mdb";

  explicit SegmentFiles(Options options) : options_(std::move(options)) {}
  SegmentFiles(const SegmentFiles&) = delete;
  SegmentFiles& operator=(const SegmentFiles&) = delete;
  /// Stops where it is; what it leaves half done the next opening tidies up.
  ~SegmentFiles() = default;

  /// Asks for a file, unless there is one or it was asked for.
  void prepare();
  /// Moves the prepared file to `path`, if it is ready. Durable with the folder's next sync.
  [[nodiscard]] std::expected<Taken, Error> take(const std::string& path);
  /// Files, or folders with all that is in them.
  void remove(std::vector<std::string> paths);

  /// nearly_full from a preparation that found no room until one that did.
  [[nodiscard]] DiskSpace space() const { return space_.load(std::memory_order_relaxed); }

  /// Returns when nothing that was asked for is left to do: for tests and benchmarks.
  void wait_until_idle();

 private:
  using Done = std::expected<void, Error>;
  void start();
  void run(const std::stop_token& stop);
  [[nodiscard]] Done make(const std::stop_token& stop);
  [[nodiscard]] Done write_ahead(const std::stop_token& stop, int file);

  const Options options_;
  std::atomic<DiskSpace> space_{DiskSpace::enough};

  std::mutex mutex_;  // of all below but the thread
  std::condition_variable_any changed_;
  bool wanted_ = false;
  bool ready_ = false;
  bool removing_ = false;
  std::vector<std::string> to_remove_;

  std::jthread thread_;  // started by the first job
};

}  // namespace weir::storage
