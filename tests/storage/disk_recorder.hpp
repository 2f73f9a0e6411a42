// Writes down everything a store does to its folder, and makes from it what a power cut would have left at any moment:
// what was flushed, and of the rest any part.
//
// This binary's own pwrite, writev, fsync, rename, ... are the ones that liblmdb and storage/ call. One recorder at a
// time; noting is safe from any thread, all else is the test's.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace weir::storage {

/// A file's bytes, with room for holes: pages that were never written are zero.
class SparseFile {
 public:
  void write(std::uint64_t offset, std::string_view bytes);
  void grow(std::uint64_t size) { size_ = std::max(size_, size); }
  void store(const std::string& path) const;
  static SparseFile load(const std::string& path);

 private:
  static constexpr std::size_t kPage = 4096;
  std::uint64_t size_ = 0;
  std::map<std::uint64_t, std::string> pages_;
};

/// One thing that was done to the folder.
struct DiskOp {
  enum class Kind : std::uint8_t { write, grow, flush, create, rename, unlink, flush_folder, mark };
  Kind kind{};
  int file = 0;      ///< a number of its own for each file, whatever its name
  std::string name;  ///< relative to the recorded folder; flush_folder: of the folder, empty for that itself
  std::string new_name;
  std::uint64_t offset = 0;  ///< write: where; grow: the size; mark: its number
  std::string bytes;
  bool durable_at_once = false;  ///< O_DSYNC
};

class DiskRecorder {
 public:
  /// From now on, for the files in `folder` and in its folders. Those themselves are there as soon as a file in them
  /// is.
  explicit DiskRecorder(const std::string& folder);
  DiskRecorder(const DiskRecorder&) = delete;
  DiskRecorder& operator=(const DiskRecorder&) = delete;
  ~DiskRecorder();

  /// Puts a mark between what was done before and after.
  void mark(std::uint64_t number);
  /// Stops; what was done, and what was there before.
  std::vector<DiskOp> stop();
  [[nodiscard]] const std::map<std::string, int>& names_before() const { return names_; }
  [[nodiscard]] const std::map<int, SparseFile>& files_before() const { return files_; }

  // Called by the functions that stand in for the system's.
  static void note_write(int descriptor, std::uint64_t offset, std::string_view bytes);
  static void note_grow(int descriptor, std::uint64_t size);
  static void note_flush(int descriptor);
  static void note_rename(const char* from, const char* to);
  static void note_unlink(const char* path);
  /// Something else takes its name; the system may give its number to the next file.
  static void note_replaced(const char* path);

 private:
  [[nodiscard]] bool find(int descriptor, DiskOp& op);

  std::string folder_;
  std::map<std::string, int> names_;
  std::map<int, SparseFile> files_;
  std::map<ino_t, int> numbers_;
  int next_number_ = 1;
  std::vector<DiskOp> ops_;
};

/// Goes through a recording and says at each point what may be on the disk.
class PowerCuts {
 public:
  explicit PowerCuts(const DiskRecorder& recorder) : names_(recorder.names_before()), files_(recorder.files_before()) {}

  /// The next thing was done.
  void pass(const DiskOp& op);
  /// Writes into `folder`, which is empty, what a power cut now could have left.
  void cut(const std::string& folder, std::mt19937_64& random) const;

 private:
  std::map<std::string, int> names_;  // as on disk
  std::map<int, SparseFile> files_;   // as on disk
  std::map<int, std::vector<DiskOp>> unflushed_;
  std::vector<DiskOp> unflushed_names_;
};

}  // namespace weir::storage
